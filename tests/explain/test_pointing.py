"""Networks that can only go by a patch are explained by the patch."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "pointing_game.py"


@pytest.fixture(scope="module")
def game():
    spec = spec_from_file_location("pointing_game", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trained(game):
    return {name: game.train(name) for name in game.NETWORKS}


@pytest.mark.parametrize(
    ("network", "method"),
    [
        ("simple_cnn", "grad-cam"),
        ("simple_cnn", "grad-cam++"),
        ("simple_cnn", "layer-cam"),
        ("simple_cnn", "integrated-gradients"),
        ("simple_cnn", "occlusion"),
        # Grad-CAM itself finds only half of them before the last attention of a transformer.
        ("vit", "layer-cam"),
        ("vit", "attention-rollout"),
        ("vit", "occlusion"),
    ],
)
def test_the_maximum_lies_in_the_patch(game, trained, network: str, method: str):
    assert game.point(trained[network], method, images=20) >= 0.9
