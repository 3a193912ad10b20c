"""Where class activation maps look, in every kind of network."""

import pytest
import torch

from hfcls.errors import UserError
from hfcls.explain import EmptyMap, explain_images
from hfcls.models import build_classifier
from hfcls.models.cam_layer import find_cam_layer
from tests.explain.networks import CONFIGS, SMALL_TIMM, build, photos

# Worked out from the architectures: the input over the strides, and the norm before the last attention where the
# head reads the class token alone.
EXPECTED = {
    "vit": ("vit.layers.1.layernorm_before", (4, 4)),
    "deit": ("deit.layers.1.layernorm_before", (4, 4)),
    "dinov2": ("dinov2.layernorm", (4, 4)),
    "beit": ("beit.layers.1.layernorm_after", (4, 4)),
    "swin": ("swin.layernorm", (4, 4)),
    "swinv2": ("swinv2.layernorm", (4, 4)),
    "resnet": ("resnet.encoder.stages.1", (4, 4)),
    "regnet": ("regnet.encoder.stages.1", (4, 4)),
    "convnext": ("convnext.encoder.stages.1", (4, 4)),
    "mobilenet_v1": ("mobilenet_v1.layer.25", (2, 2)),
    "mobilenet_v2": ("mobilenet_v2.conv_1x1", (2, 2)),
    "mobilevit": ("mobilevit.conv_1x1_exp", (2, 2)),
    "segformer": ("segformer.stages.3", (2, 2)),
    "timm resnet": ("timm_model.layer4", (2, 2)),
    "timm mobilenet": ("timm_model.bn2", (2, 2)),
    "timm vit": ("timm_model.blocks.1.norm1", (4, 4)),
    "timm deit": ("timm_model.blocks.1.norm1", (4, 4)),
    "timm swin": ("timm_model.norm", (4, 4)),
    "timm convnext": ("timm_model.stages", (2, 2)),
}
SIDES = {"segformer": 64, "timm resnet": 64, "timm mobilenet": 64, "timm convnext": 64}


@pytest.mark.parametrize("name", [*CONFIGS, *SMALL_TIMM])
def test_families(name: str):
    classifier = build(name)
    side = SIDES.get(name) or getattr(classifier.model.config, "image_size", 32)
    layer = find_cam_layer(classifier.model, torch.randn(1, 3, side, side))
    if name in EXPECTED:
        assert (layer.name, layer.grid) == EXPECTED[name]
    kept: list[torch.Tensor] = []
    hook = layer.module.register_forward_hook(lambda _m, _i, output: kept.append(layer.to_maps(output)))
    classifier.model(pixel_values=torch.randn(2, 3, side, side))
    hook.remove()
    assert len(kept) == 1 and kept[0].shape[0] == 2 and kept[0].shape[2:] == layer.grid and min(layer.grid) >= 2


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        ("simple_cnn", "convolutions"),
        ("lenet5", "convolutions"),
        ("cifar_resnet20", "layer3"),
        ("cifar_fast", "groups"),
        ("crnn", "convolutions"),
        ("squeezenet1_1", "network.features"),
        ("mobilenetv2_100", "timm_model.bn2"),
        ("vit_tiny", "timm_model.blocks.11.norm1"),
    ],
)
def test_catalogue(architecture: str, name: str):
    torch.manual_seed(0)
    model = build_classifier(architecture, class_names=("a", "b", "c")).model.eval()
    side = getattr(model.config, "image_size", 224)
    assert find_cam_layer(model, torch.randn(1, 3, side, side)).name == name


@pytest.mark.parametrize(
    ("name", "layer", "message"),
    [
        ("vit", "vit.layers.1", r"Of the places of the layer 'vit.layers.1' only 0% .* vit.layers.1.layernorm_before"),
        ("timm vit", "timm_model.blocks.1", r"the layer 'timm_model.blocks.1' only 0%"),
        ("vit", "vit.layer.1", r"has no layer 'vit.layer.1'. Did you mean 'vit.layers.1'"),
        ("resnet", "resnet.pooler", r"The layer 'resnet.pooler' has no place for each part .* resnet.encoder.stages.1"),
    ],
)
def test_a_wrong_layer_is_an_error_that_names_it(name: str, layer: str, message: str):
    with pytest.raises(UserError, match=message):
        explain_images(build(name), photos(1), layer=layer)


@pytest.mark.parametrize(
    ("name", "layer", "grid"),
    [
        ("vit", "vit.layers.0", (4, 4)),
        ("resnet", "resnet.encoder.stages.0", (8, 8)),
        ("timm swin", "timm_model.layers.0", (8, 8)),
    ],
)
def test_a_layer_chosen_by_hand(name: str, layer: str, grid: tuple[int, int]):
    classifier = build(name)
    found = find_cam_layer(classifier.model, torch.randn(1, 3, 32, 32), name=layer)
    assert found.grid == grid
    try:
        heatmap = explain_images(classifier, photos(1), method="eigen-cam", layer=layer)[0]
    except EmptyMap:
        pytest.fail("a principal component has something positive")
    assert heatmap.layer == layer


def test_one_channel():
    from hfcls.networks import SimpleCNN, SimpleCNNConfig

    model = SimpleCNN(SimpleCNNConfig(num_channels=1, num_labels=3)).eval()
    assert find_cam_layer(model, torch.randn(1, 3, 32, 32)).name == "convolutions"
