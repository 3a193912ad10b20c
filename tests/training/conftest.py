from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hfcls.commands.train import train
from tests.families import FAMILIES, family_arguments


@pytest.fixture(scope="session")
def mixed_folder(tmp_path_factory) -> Path:
    """Two classes of RGB and grey images, none of which has the network's size."""
    root = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(5)
    for name, low in (("dark", 0), ("light", 120)):
        (root / name).mkdir()
        for index in range(24):
            shape = (40 + index, 48) if index % 3 == 0 else (37, 30 + index, 3)
            pixels = rng.integers(low, low + 136, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="session", params=FAMILIES)
def trained_run(request, mixed_folder, tmp_path_factory) -> Path:
    """A short run of each family, with the best epoch rarely the last."""
    root = tmp_path_factory.mktemp(request.param)
    train(
        {
            "train_dir": str(mixed_folder),
            **family_arguments(request.param, root),
            **{"output_dir": str(root / "run"), "use_cpu": True, "disable_tqdm": True, "shift": 0.2},
            **{"num_train_epochs": 4, "learning_rate": 1e-2, "per_device_train_batch_size": 8, "save_total_limit": 4},
        }
    )
    return root / "run"
