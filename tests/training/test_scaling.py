"""One large batch, accumulated small ones, and two processes learn the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import write_images
from tests.families import FAMILIES, family_arguments
from tests.training.scaling_worker import train_five_steps

NAMES = (*FAMILIES, "resnet")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    """Weights after five steps, by way of training, a file for each family."""
    root = tmp_path_factory.mktemp("scaling")
    # five whole batches; the sum of the class weights differs from one small batch to the next
    images = str(write_images(root / "images", {"red": 180, "green": 90, "blue": 50}))
    families = {name: family_arguments(name, root / "models", dropout=False) for name in NAMES}
    for way, batch, accumulation in (("whole", 64, 1), ("accumulated", 16, 4)):
        (root / way).mkdir()
        for name, arguments in families.items():
            train_five_steps(arguments, images, root / way / name, batch, accumulation)
    (root / "two").mkdir()
    asked = {"families": families, "images": images, "output": str(root / "two"), "batch": 32, "accumulation": 1}
    (root / "asked.json").write_text(json.dumps(asked))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, "-m", "tests.training.scaling_worker", str(root / "asked.json")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {way: root / way for way in ("whole", "accumulated", "two")}


@pytest.mark.parametrize("way", ["accumulated", "two"])
@pytest.mark.parametrize("family", NAMES)
def test_the_same_weights_after_five_steps(weights: dict[str, Path], family: str, way: str):
    expected, found = load_file(weights["whole"] / family), load_file(weights[way] / family)
    for name, tensor in expected.items():
        # five float32 steps whose sums are taken in another order
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=0, msg=lambda m, name=name: f"{name}: {m}")


def test_a_short_last_step_counts_for_what_it_holds(tmp_path: Path):
    images = str(write_images(tmp_path / "images", {"red": 130, "green": 90, "blue": 57}))  # 4 * 64 + 21
    arguments = family_arguments("simple_cnn", tmp_path)
    for name, batch, accumulation in (("whole", 64, 1), ("accumulated", 16, 4)):
        train_five_steps(arguments, images, tmp_path / name, batch, accumulation)
    expected, found = load_file(tmp_path / "whole"), load_file(tmp_path / "accumulated")
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=0)
