"""Networks cut by depth."""

from pathlib import Path

import pytest

from hfcls.models import build_classifier, find_stages, load_classifier
from tests.families import save_tiny

# How many groups the literature counts, with stem and head: whole stages, then single blocks.
COUNTS = {
    **{"lenet5": (3, 3), "simple_cnn": (3, 3), "resnet18": (6, 10), "cifar_resnet20": (5, 11), "googlenet": (13, 13)},
    **{"squeezenet1_1": (10, 10), "vit_tiny_patch16_224": (14, 14), "convnext_atto": (6, 14)},
}
# from `save_tiny`: two blocks or stages, stem, head; seventeen for MobileNetV2 with its last convolution
TINY = {"vit": (4, 4), "swin": (4, 4), "convnext": (4, 4), "mobilenet_v2": (19, 19)}


@pytest.mark.parametrize("name", [*COUNTS, *TINY])
def test_every_parameter_is_in_one_stage(name: str, tmp_path: Path):
    if name in TINY:
        save_tiny(name, tmp_path / name)
        model = load_classifier(str(tmp_path / name)).model
    else:
        model = build_classifier(name, class_names=("a", "b")).model
    expected = sorted(parameter for parameter, _ in model.named_parameters())
    for fine, count in zip((False, True), (COUNTS | TINY)[name], strict=True):
        stages = find_stages(model, fine=fine)
        assert sorted(parameter for stage in stages for parameter in stage) == expected
        assert len(stages) == count
