"""Tiny images and tiny models, made here; everything offline and on the CPU."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """What is kept between runs goes to a place that is gone after the tests."""
    before = os.environ.get("HFCLS_CACHE")
    os.environ["HFCLS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("HFCLS_CACHE") if before is None else os.environ.update(HFCLS_CACHE=before)


SHARED = Path(__file__).resolve().parents[2] / "shared"


def write_images(root: Path, counts: dict[str, int], *, size: int = 32, seed: int = 0) -> Path:
    """Class folders of noise images, each class around a colour of its own."""
    rng = np.random.default_rng(seed)
    for number, (name, count) in enumerate(counts.items()):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        colour = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [200, 200, 60]])[number % 4]
        for index in range(count):
            pixels = rng.normal(colour, 60, (size, size, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory) -> Path:
    """Three classes of 32 pixels: 20, 16 and 12 images."""
    return write_images(tmp_path_factory.mktemp("images"), {"red": 20, "green": 16, "blue": 12})


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights, where they are."""
    if not SHARED.is_dir():
        pytest.skip("needs the shared data sets, which are not here")
    return SHARED
