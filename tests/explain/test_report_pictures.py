"""Overlays for a report: nothing that goes wrong with one is an error."""

import numpy as np
import pytest
import torch
from PIL import Image

from hfcls.explain.report_pictures import report_overlays
from hfcls.models import build_classifier


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)) for _ in range(3)]


def test_each_picture_is_explained_for_its_class(images):
    torch.manual_seed(0)
    explain = report_overlays(build_classifier("resnet18", class_names=("a", "b"), image_size=64))
    first, *others = explain(images, [0, 1, 0])
    assert isinstance(first, Image.Image) and first.size == images[0].size and len(others) == 2
    (other,) = explain(images[:1], [1])
    assert np.asarray(first).tolist() != np.asarray(other).tolist()


def test_an_empty_map_is_a_reason_and_takes_no_other_with_it(images):
    classifier = build_classifier("simple_cnn", class_names=("a", "b"), image_size=32)
    with torch.no_grad():
        for parameter in classifier.model.parameters():
            parameter.zero_()
    found = report_overlays(classifier)(images, [0, 1, 0])
    assert len(found) == 3 and all(isinstance(one, str) and one.endswith(".") for one in found)


def test_a_network_that_fails_is_a_reason(images):
    classifier = build_classifier("simple_cnn", class_names=("a", "b"), image_size=32)

    def fail(*_):
        raise RuntimeError("no backward\npass")

    classifier.model.register_forward_hook(fail)
    assert report_overlays(classifier)(images[:1], [0]) == ["RuntimeError: no backward pass"]
