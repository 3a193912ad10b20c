"""Killed, interrupted and damaged runs go on as if nothing had happened."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml

from hfcls.commands.train import train
from hfcls.errors import UserError
from hfcls.training.checkpoints import damage, find_checkpoint, list_checkpoints, publish_checkpoint
from tests.families import family_arguments
from tests.processes import kill, start_training, wait, wait_for

STRATEGIES = ("eval_strategy", "save_strategy")
CHECKPOINT_FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json")


def settings(image_folder: Path, run: Path, tmp_path: Path, family: str) -> dict:
    return {
        "train_dir": str(image_folder),
        **family_arguments(family, tmp_path / "models"),
        **{"output_dir": str(run), "use_cpu": True, "disable_tqdm": True, "num_train_epochs": 4},
        **{"horizontal_flip": 0.5, "pad_and_crop": 4, "per_device_train_batch_size": 8, "dataloader_num_workers": 1},
        **{"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 3, "save_steps": 3, "seed": 3},
    }


def evaluations(run: Path) -> list[tuple[int, float]]:
    """Step and metric of each evaluation during the training."""
    log = json.loads((run / "trainer_state.json").read_text())["log_history"]
    return [(entry["step"], entry["eval_log_loss"]) for entry in log if "eval_log_loss" in entry]


def files(run: Path) -> list[bytes]:
    """The final weights, and the newest checkpoint's weights and optimizer, bit for bit."""
    newest = list_checkpoints(run)[0]
    optimizer = torch.load(newest / "optimizer.pt", weights_only=True)
    # not the bytes of the file: pickle writes equal states in more than one way
    moments = [
        f"{key} {name} {value.dtype} {tuple(value.shape)}".encode() + value.numpy().tobytes()
        for key, state in sorted(optimizer["state"].items())
        for name, value in sorted(state.items())
    ]
    groups = repr([sorted(group.items()) for group in optimizer["param_groups"]]).encode()
    return [
        *(path.read_bytes() for path in (run / "model.safetensors", newest / "model.safetensors")),
        groups,
        *moments,
    ]


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"lora_rank": 2, "lora_dropout": 0.1, "ema_decay": 0.7},
        {"unfreeze_every": 1, "layer_decay": 0.7, "average_checkpoints": 2},
        {"snapshots": 3},
    ],
    ids=["plain", "adapters and average", "gradual", "snapshots"],
)
def test_killed_and_resumed_is_undisturbed(image_folder: Path, tmp_path: Path, flags: dict):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    log = tmp_path / "log"
    values = settings(image_folder, whole, tmp_path, "vit") | flags
    assert wait(start_training(values, log), 120) == 0, log.read_text()
    values |= {"output_dir": str(killed)}
    for moment in (3, 9):
        child = start_training(values, log)
        wait_for(killed / f"checkpoint-{moment}", child, log)
        # on into the steps after it, or into the writing of the next one
        assert wait(child, 0.05) in (None, 0)
        assert kill(child) == -signal.SIGKILL
        values["resume_from_checkpoint"] = "auto"
    assert wait(start_training(values, log), 120) == 0, log.read_text()
    assert "goes on from" in log.read_text()
    assert files(whole) == files(killed)


@pytest.mark.parametrize("strategy", ["steps", "epoch"])
def test_ctrl_c_saves_and_the_run_goes_on(image_folder: Path, tmp_path: Path, strategy: str):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    log = tmp_path / "log"
    values = settings(image_folder, whole, tmp_path, "simple_cnn") | dict.fromkeys(STRATEGIES, strategy)
    assert wait(start_training(values, log), 120) == 0, log.read_text()
    values["output_dir"] = str(stopped)
    child = start_training(values, log)
    wait_for(stopped / ("checkpoint-3" if strategy == "steps" else "checkpoint-5"), child, log)
    assert kill(child, signal.SIGINT) == 130, log.read_text()
    assert "--resume_from_checkpoint auto" in log.read_text()
    values["resume_from_checkpoint"] = "auto"
    assert wait(start_training(values, log), 120) == 0, log.read_text()
    assert files(whole) == files(stopped)
    assert evaluations(whole) == evaluations(stopped)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "is missing"),
        (lambda path: os.truncate(path, path.stat().st_size // 2), "bytes instead of"),
        (flip_a_bit, "has changed"),
    ],
    ids=["missing", "truncated", "flipped"],
)
def test_a_damaged_checkpoint_is_named_and_passed_over(tmp_path: Path, name: str, harm, said: str):
    for step in (10, 20):
        (tmp_path / "staged").mkdir()
        for file in CHECKPOINT_FILES:
            (tmp_path / "staged" / file).write_bytes(os.urandom(1000))
        publish_checkpoint(tmp_path / "staged", tmp_path / f"checkpoint-{step}")
    newest, before = list_checkpoints(tmp_path)
    assert find_checkpoint(tmp_path, "auto") == (newest, [])
    harm(newest / name)
    found, notices = find_checkpoint(tmp_path, "auto")
    assert found == before
    assert f"checkpoint-20 is damaged ({name} " in notices[0]
    assert said in notices[0]
    with pytest.raises(UserError, match="damaged"):
        find_checkpoint(tmp_path, str(newest))


def test_resume_from_the_one_before_ends_the_same(image_folder: Path, tmp_path: Path):
    run = tmp_path / "run"
    values = settings(image_folder, run, tmp_path, "simple_cnn") | {"dataloader_num_workers": 0, "save_total_limit": 3}
    train(values)
    expected = files(run)
    flip_a_bit(list_checkpoints(run)[0] / "optimizer.pt")
    (run / "model.safetensors").unlink()
    train(values | {"resume_from_checkpoint": "auto"})
    assert files(run) == expected
    assert damage(list_checkpoints(run)[0]) is None


def test_changed_data_is_not_resumed(image_folder: Path, tmp_path: Path):
    images = tmp_path / "images"
    shutil.copytree(image_folder, images)
    values = settings(images, tmp_path / "run", tmp_path, "simple_cnn") | {"max_steps": 3, "dataloader_num_workers": 0}
    train(values)
    next((images / "red").iterdir()).unlink()
    with pytest.raises(UserError, match="data has changed"):
        train(values | {"resume_from_checkpoint": "auto"})


def test_early_stopping_counts_through_a_resume(image_folder: Path, tmp_path: Path):
    values = settings(image_folder, tmp_path / "whole", tmp_path, "simple_cnn")
    values |= {"early_stopping_patience": 2, "learning_rate": 0.0, "dataloader_num_workers": 0}
    train(values)
    stopped = json.loads((tmp_path / "whole" / "trainer_state.json").read_text())["global_step"]
    assert stopped == 9  # a first value, then two that are no better
    before = (tmp_path / "whole" / "model.safetensors").read_bytes()
    train(values | {"resume_from_checkpoint": "auto"})  # it had stopped: nothing is left to do
    assert json.loads((tmp_path / "whole" / "trainer_state.json").read_text())["global_step"] == stopped
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == before
    values |= {"output_dir": str(tmp_path / "cut")}
    child = start_training(values, tmp_path / "log")
    wait_for(tmp_path / "cut" / "checkpoint-6", child, tmp_path / "log")
    kill(child)
    train(values | {"resume_from_checkpoint": "auto"})
    assert json.loads((tmp_path / "cut" / "trainer_state.json").read_text())["global_step"] == stopped


def test_a_moved_run_keeps_its_best_weights(image_folder: Path, tmp_path: Path):
    values = settings(image_folder, tmp_path / "here", tmp_path, "simple_cnn") | {"dataloader_num_workers": 0}
    values |= {"learning_rate": 0.03, "max_steps": 13}
    train(values)
    before = (tmp_path / "here" / "model.safetensors").read_bytes()
    shutil.move(tmp_path / "here", tmp_path / "there")
    train(values | {"output_dir": str(tmp_path / "there"), "resume_from_checkpoint": "auto"})
    assert (tmp_path / "there" / "model.safetensors").read_bytes() == before


def test_a_run_older_than_a_flag_or_a_default_goes_on(image_folder: Path, tmp_path: Path, capsys):
    """What is not in its run.yaml stood at its default then; what is chosen today is not chosen for it."""
    run = tmp_path / "run"
    values = settings(image_folder, run, tmp_path, "vit") | {"dataloader_num_workers": 0, "max_steps": 3}
    for name in ("horizontal_flip", "pad_and_crop"):
        del values[name]
    train(values | {"shift": 0.0})
    written = yaml.safe_load((run / "run.yaml").read_text())
    assert written.pop("freeze") == "none"
    assert written.pop("shift") == 0.0
    (run / "run.yaml").write_text(yaml.safe_dump(written))
    expected = files(run)
    train(values | {"resume_from_checkpoint": "auto"})
    assert "goes on from" in capsys.readouterr().out
    assert files(run) == expected


def test_other_settings_are_not_resumed(image_folder: Path, tmp_path: Path):
    values = settings(image_folder, tmp_path / "run", tmp_path, "simple_cnn")
    values |= {"max_steps": 3, "dataloader_num_workers": 0}
    train(values)
    for name, value in (("per_device_train_batch_size", 4), ("image_size", 16), ("shift", 0.1)):
        with pytest.raises(UserError, match=f"--{name} was"):
            train(values | {name: value, "resume_from_checkpoint": "auto"})
    with pytest.raises(UserError, match=r"--max_steps is 2, and .* has 3 behind it"):
        train(values | {"max_steps": 2, "resume_from_checkpoint": "auto"})
    with pytest.raises(UserError, match="--letterbox was"):
        train(values | {"letterbox": True, "resume_from_checkpoint": "auto"})
