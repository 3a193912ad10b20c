"""Steps for hard images before processors of others: what is kept, what is said, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from transformers import (
    ConvNextImageProcessor,
    EfficientNetImageProcessor,
    MobileViTImageProcessor,
    TimmWrapperImageProcessor,
    ViTImageProcessor,
)

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.models import build_classifier, prepare_images
from hfcls.networks import HardImageProcessor

SIZE = {"height": 64, "width": 64}
# What it is made of; whether it only cuts a margin away, or does what a resize and normalization do not.
STRANGERS = {
    "mobilevit": (MobileViTImageProcessor, {"size": {"shortest_edge": 72}, "crop_size": SIZE}, "own way"),
    "mobilevit_rgb": (
        *(MobileViTImageProcessor, {"size": {"shortest_edge": 72}, "crop_size": SIZE, "do_flip_channel_order": False}),
        "crops",
    ),
    "mobilevit_padded": (MobileViTImageProcessor, {"do_flip_channel_order": False}, "own way"),
    "efficientnet": (EfficientNetImageProcessor, {"size": SIZE}, "own way"),
    "efficientnet_once": (EfficientNetImageProcessor, {"size": SIZE, "include_top": False}, "whole"),
    "efficientnet_offset": (
        EfficientNetImageProcessor,
        {"size": SIZE, "include_top": False, "rescale_offset": True, "rescale_factor": 1 / 127.5},
        "own way",
    ),
    "convnext": (ConvNextImageProcessor, {"size": {"shortest_edge": 64}, "crop_pct": 0.875}, "crops"),
    "convnext_little": (ConvNextImageProcessor, {"size": {"shortest_edge": 64}, "crop_pct": 0.99}, "crops"),
    "convnext_384": (ConvNextImageProcessor, {"size": {"shortest_edge": 384}}, "whole"),
    "vit": (ViTImageProcessor, {"size": SIZE}, "whole"),
    "vit_0_to_1": (ViTImageProcessor, {"size": SIZE, "do_normalize": False}, "whole"),
    "vit_twice": (ViTImageProcessor, {"size": SIZE, "rescale_factor": 1 / 127.5}, "own way"),
    "vit_raw": (ViTImageProcessor, {"size": SIZE, "do_rescale": False, "do_normalize": False}, "own way"),
    "edited": (HardImageProcessor, {"size": SIZE, "clahe": 2.0, "do_rescale": False}, "own way"),
    "ours": (HardImageProcessor, {"size": SIZE, "clahe": 2.0, "colour_normalization": "grey_world"}, "whole"),
}


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "dinov2_small"])
def test_size_mean_deviation_and_interpolation_stay(name: str):
    classifier = build_classifier(name, class_names=("a", "b"))
    spec = Preprocessing(classifier.image_processor).spec
    prepared = prepare_images(classifier, spec, {"clahe": 2.0})
    assert Preprocessing(prepared.image_processor).spec == spec
    assert prepared.image_processor.resample == (2 if name == "lenet5" else 3)
    assert bool(prepared.notices) == (name != "lenet5")  # the others cut out the middle
    for nothing in ({}, {"letterbox": False, "clahe": 0.0, "colour_normalization": "none"}):
        assert prepare_images(classifier, spec, nothing) is classifier
    assert isinstance(build_classifier("lenet5", class_names=("a", "b")).image_processor, ViTImageProcessor)


@pytest.mark.parametrize("name", STRANGERS)
def test_what_a_processor_does_besides_is_kept_or_refused(name: str):
    kind, settings, does = STRANGERS[name]
    processor = kind(**settings)
    spec = Preprocessing(processor).spec
    classifier = replace(build_classifier("lenet5", class_names=("a", "b")), image_processor=processor)
    steps = {"letterbox": True, "sharpen_input": 0.0}
    if does == "own way":
        rule = rf"^--letterbox cannot .* its {kind.__name__} does .* leave --letterbox out or start from another"
        with pytest.raises(UserError, match=rule):
            prepare_images(classifier, spec, steps)
        return
    prepared = prepare_images(classifier, spec, steps)
    assert [text for text in prepared.notices if "no margin" in text] == list(prepared.notices)
    assert len(prepared.notices) == (does == "crops")
    if kind is not HardImageProcessor and does == "whole":
        square = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*spec.size, 3), dtype=np.uint8))
        theirs = processor(square, return_tensors="pt").pixel_values
        assert (prepared.image_processor(square).pixel_values - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("mode", "share", "crops"), [("squash", 1.0, False), ("squash", 0.99, True),
                                                      ("center", 1.0, True), ("border", 1.0, False)])  # fmt: skip
def test_crops_are_told_by_what_timm_makes(interpolation: str, mode: str, share: float, crops: bool):
    classifier = build_classifier("resnet18", class_names=("a", "b"))
    settings = {**classifier.image_processor.data_config, "interpolation": interpolation}
    processor = TimmWrapperImageProcessor({**settings, "crop_mode": mode, "crop_pct": share})
    classifier = replace(classifier, image_processor=processor)
    assert len(prepare_images(classifier, Preprocessing(processor).spec, {"clahe": 2.0}).notices) == crops
