"""Two processes on one machine: the same figures, the same loss, a quick end when one dies, an exact resume."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from hfcls.commands.evaluate import evaluate
from hfcls.commands.train import train
from hfcls.errors import UserError
from hfcls.structures import Predictions
from tests.conftest import write_images
from tests.families import save_tiny

ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
ACCELERATE = [
    *(sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"),
    *("--config_file", str(ROOT / "scripts/configs/accelerate/one_machine_cpu.yaml")),
]


def launch(launcher: list[str], script: str, *flags: str, **values: object) -> subprocess.Popen:
    """Starts a script in two processes."""
    arguments = [*flags, "--use_cpu", *(text for name, value in values.items() for text in (f"--{name}", str(value)))]
    return subprocess.Popen(
        [*launcher, str(ROOT / "scripts" / script), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen, code: int = 0) -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == code, said
    return said


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A number of images that nothing divides: 64 to train on in whole batches of 16, and 61 to test on."""
    root = tmp_path_factory.mktemp("shards")
    write_images(root / "train", {"red": 30, "green": 20, "blue": 14})
    write_images(root / "test", {"red": 23, "green": 20, "blue": 18}, seed=1)
    return root


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vit") / "vit"
    save_tiny("vit", path, dropout=False)
    return path


def settings(images: Path, vit: Path, run: Path, batch: int) -> dict[str, object]:
    return {
        **{"train_dir": images, "model_name_or_path": vit, "output_dir": run, "validation_fraction": 0, "seed": 3},
        **{"num_train_epochs": 3, "per_device_train_batch_size": batch, "logging_strategy": "steps"},
        **{"logging_steps": 1, "save_strategy": "steps", "save_steps": 4},
    }


@pytest.fixture(scope="module")
def alone(images: Path, vit: Path, tmp_path_factory) -> Path:
    """A run of one process."""
    run = tmp_path_factory.mktemp("alone") / "run"
    values = {k: str(v) if isinstance(v, Path) else v for k, v in settings(images, vit, run, 16).items()}
    train(values | {"use_cpu": True, "disable_tqdm": True})
    return run


@pytest.fixture(scope="module")
def together(images: Path, vit: Path, tmp_path_factory) -> Path:
    """The same in two."""
    run = tmp_path_factory.mktemp("together") / "run"
    said = finish(launch(TORCHRUN, "train.py", **settings(images, vit, run, 8)))
    assert said.count("report   ") == 1, "one process speaks"
    return run


def losses(run: Path) -> list[float]:
    log = json.loads((run / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


def test_the_loss_curve_is_that_of_one_process(alone: Path, together: Path):
    assert len(losses(alone)) == 12
    # twelve float32 steps whose sums are taken in another order, as Trainer logs them
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4, rtol=0)


def test_every_sample_is_evaluated_once(alone: Path, images: Path, tmp_path: Path):
    one = evaluate({"model": str(alone), "test_dir": str(images / "test"), "output_dir": str(tmp_path / "one")})
    finish(launch(TORCHRUN, "evaluate.py", str(alone), test_dir=images / "test", output_dir=tmp_path / "two"))
    first, second = (Predictions.load(next((tmp_path / name).rglob("test.parquet"))) for name in ("one", "two"))
    assert len(second.ids) == len(set(second.ids)) == 61
    assert second.ids == first.ids
    two = json.loads((tmp_path / "two" / "metrics.json").read_text())
    compared = 0
    for name, figure in one["splits"]["test"]["headline"].items():
        other = two["splits"]["test"]["headline"][name]
        for key in ("value", "low", "high"):
            if figure.get(key) is not None:
                assert other[key] == pytest.approx(figure[key], abs=1e-9), (name, key)
                compared += 1
    assert compared > 20


def test_a_killed_worker_ends_it_all_and_the_run_goes_on_exactly(
    images: Path, vit: Path, together: Path, tmp_path: Path
):
    run = tmp_path / "run"
    values = settings(images, vit, run, 8)
    process = launch(ACCELERATE, "train.py", **values)
    end = time.monotonic() + 120
    while not (run / "checkpoint-4").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.005)
    workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    os.kill(workers[-1], signal.SIGKILL)
    killed = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - killed < 30
    assert process.returncode not in (0, None), said
    said = finish(launch(ACCELERATE, "train.py", **values, resume_from_checkpoint="auto"))
    assert "goes on from" in said
    expected, found = load_file(together / "model.safetensors"), load_file(run / "model.safetensors")
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    assert losses(run) == losses(together)


def test_sharding_is_refused(images: Path, vit: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match="The launcher asks for FSDP"):
        train({"train_dir": str(images), "model_name_or_path": str(vit), "output_dir": str(tmp_path / "run")})
