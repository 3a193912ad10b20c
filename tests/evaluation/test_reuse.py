"""Predictions are used again for the very classifier and images that they are of, and for no others."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image

from hfcls.arguments import DataArguments
from hfcls.data.batches import BatchCollator
from hfcls.data.judged import split_for
from hfcls.data.labelled import load_data
from hfcls.data.transforms import Preprocessing
from hfcls.evaluation.measure import measure_split
from hfcls.evaluation.reuse import same_predictions, unseen_predictions
from hfcls.models import Classifier, build_classifier, load_classifier, save_classifier
from tests.conftest import write_images


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A directory with a classifier, and its predictions of the images beside it."""
    place = tmp_path_factory.mktemp("kept")
    write_images(place / "images", dict.fromkeys(("blue", "green", "red"), 4), seed=3)
    torch.manual_seed(0)
    classifier = build_classifier("lenet5", class_names=("green", "blue", "red"))
    accelerator = Accelerator(cpu=True)
    collator = BatchCollator(Preprocessing(classifier.image_processor))
    measure_split(
        classifier.model,
        dataset_of(classifier, place / "images"),
        collator,
        split="test",
        output=place / "predictions",
        accelerator=accelerator,
        batch_size=5,
        quiet=True,
        origin=classifier,
    )
    save_classifier(classifier, place)
    return place


def dataset_of(classifier: Classifier, images: Path, *, turned: bool = False):
    loaded = load_data(DataArguments(test_dir=str(images)), splits_needed=())
    preprocessing, data = Preprocessing(classifier.image_processor), loaded.splits["test"]
    data = data.select(range(len(data) - 1, -1, -1)) if turned else data
    return split_for("it", classifier.class_names, data, loaded, preprocessing)


def test_of_the_same_they_are_used_in_the_order_and_with_the_labels_of_today(kept: Path, tmp_path: Path):
    classifier = load_classifier(str(kept))
    dataset = dataset_of(classifier, kept / "images")
    found = same_predictions(kept, "test", classifier=classifier, dataset=dataset)
    assert found is not None
    dataset = dataset_of(classifier, kept / "images", turned=True)
    dataset.labels = np.array(dataset.labels)
    dataset.labels[0] = (dataset.labels[0] + 1) % 3
    again = same_predictions(kept, "test", classifier=classifier, dataset=dataset)
    assert again is not None and again.ids == found.ids[::-1] and again.labels.tolist() == dataset.labels.tolist()
    assert np.array_equal(again.logits, found.logits[::-1]) and np.ptp(found.logits, axis=0).min() > 0
    assert unseen_predictions(kept, "test", classifier=classifier, dataset=dataset) is None
    fresh = write_images(tmp_path / "fresh", {"blue": 2}, seed=9)
    unseen = unseen_predictions(kept, "test", classifier=classifier, dataset=dataset_of(classifier, fresh))
    assert unseen is not None and unseen.ids == found.ids


def other_image(place: Path) -> None:
    Image.new("RGB", (32, 32), "yellow").save(place / "images" / "red" / "0.png")


def one_image_fewer(place: Path) -> None:
    (place / "images" / "red" / "0.png").unlink()


def cut_list(place: Path) -> None:
    file = place / "predictions" / "test.origin.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "the images": content["the images"][1:]}))


def other_predictions(place: Path) -> None:
    with (place / "predictions" / "test.parquet").open("ab") as file:
        file.write(b"x")


def other_pixels(place: Path) -> None:
    file = place / "preprocessor_config.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "image_mean": [0.0, *content["image_mean"][1:]]}))


@pytest.mark.parametrize("change", [other_image, one_image_fewer, cut_list, other_predictions, other_pixels])
def test_of_anything_else_they_are_not(change, kept: Path, tmp_path: Path):
    place = tmp_path / "kept"
    shutil.copytree(kept, place)
    change(place)
    classifier = load_classifier(str(place))
    dataset = dataset_of(classifier, place / "images")
    assert same_predictions(place, "test", classifier=classifier, dataset=dataset) is None


def test_of_another_classifier_they_are_not(kept: Path):
    """Other weights, and the same weights in a network that makes something else of them."""
    classifier = load_classifier(str(kept))
    dataset = dataset_of(classifier, kept / "images")
    with torch.no_grad():
        next(classifier.model.parameters())[0].add_(1e-3)
    assert same_predictions(kept, "test", classifier=classifier, dataset=dataset) is None
    classifier = load_classifier(str(kept))
    classifier.model.register_forward_pre_hook(
        lambda _, args, kwargs: (args, {"pixel_values": kwargs["pixel_values"] * 1.1}), with_kwargs=True
    )
    assert same_predictions(kept, "test", classifier=classifier, dataset=dataset) is None
