"""The command line as its user meets it: help in no time, errors in one sentence."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from hfcls.cli import VERBS, main
from hfcls.parsing import training_flags
from tests.conftest import write_images


@pytest.mark.parametrize("arguments", [[], ["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_comes_at_once(arguments: list[str]):
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "hfcls", *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    assert "usage: hfcls" in done.stdout
    # without torch it takes a tenth of a second; importing torch alone would take two
    assert time.monotonic() - start < 1.5


def test_every_field_of_training_arguments_is_a_flag():
    from dataclasses import MISSING, fields

    from transformers import TrainingArguments

    from hfcls.arguments import DECIDED_HERE, TRAINING_DEFAULTS

    flags = {flag.name: flag for flag in training_flags()}
    for field in fields(TrainingArguments):
        if not field.init or field.name.startswith("_") or field.name in DECIDED_HERE:
            continue
        assert field.name in flags
        if field.default is not MISSING and isinstance(field.default, int | float | bool):
            assert flags[field.name].default == TRAINING_DEFAULTS.get(field.name, field.default)


@pytest.fixture
def bad_places(tmp_path: Path) -> Path:
    write_images(tmp_path / "split" / "train", {"cat": 3, "dog": 3}, size=8)
    write_images(tmp_path / "split" / "test", {"cat": 1, "zebra": 1}, size=8)
    write_images(tmp_path / "mixed" / "train", {"cat": 3}, size=8)
    write_images(tmp_path / "mixed", {"dog": 3}, size=8)
    write_images(tmp_path / "good", {"cat": 6, "dog": 6}, size=8)
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "bad.yaml").write_text("- a\n- b\n")
    (tmp_path / "typo.yaml").write_text("learning_rat: 1\n")
    return tmp_path


START = ["--architecture", "lenet5", "--output_dir", "{}/run"]
FOLDER = ["--train_dir", "{}/good"]
GOOD = [*FOLDER, *START]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--train_dir", "{}/nowhere", *START], "nowhere does not exist: expected a folder"),
        (["train", "--train_dir", "{}/text.txt", *START], "text.txt is a file: expected a folder"),
        (["train", "--train_dir", "{}/split", *START], "test split has the class 'zebra'"),
        (["train", "--train_dir", "{}/mixed", *START], "mixes the split folders train with dog"),
        (["train", "--train_dir", "{}/empty", *START], "holds no images"),
        (["train", "--train_dri", "{}/good", *START], "Did you mean '--train_dir'?"),
        (["train", *FOLDER, "--architecture", "lenet5", "--output_dir", "{}/text.txt/run"], "is a file"),
        (["train", *FOLDER, "--architecture", "lenet5", "--output_dir", "{}/good"], "is not empty"),
        (["train", *FOLDER, "--architecture", "lenett5", "--output_dir", "{}/run"], "mean 'lenet5'?"),
        (["train", "--train_dir", "{}/good", "--output_dir", "{}/run"], "No model"),
        (["train", *START], "No data"),
        (["train", *GOOD, "--dataset_name", "digits"], "both say where the data is"),
        (["train", *GOOD, "--evaluation_strategy", "no"], "use --eval_strategy"),
        (["train", *GOOD, "--warmup_ratio", "0.1"], "use --warmup_steps"),
        (["train", *GOOD, "--learning_rate", "fast"], "expected a number"),
        (["train", *GOOD, "--num_train_epochs"], "expected one argument"),
        (["train", *GOOD, "--optim", "adamm"], "Did you mean 'adam'?"),
        (["train", *GOOD, "--lr_scheduler_type", "cosin"], "cosin"),
        (["train", *GOOD, "--metric_for_best_model", "acuracy"], "Did you mean 'accuracy'?"),
        (["train", *GOOD, "--weights", "{}/text.txt"], "text.txt is not a readable safetensors file"),
        (["train", *GOOD, "--dataset_revision", "main"], "would have no effect"),
        (["train", *GOOD, "--label_column_name", "label"], "would have no effect"),
        (["train", *GOOD, "--do_train"], "would have no effect"),
        (["train", *GOOD, "--early_stopping_threshold", "0.1"], "would have no effect"),
        (["train", *GOOD, "--validation_fraction", "0", "--early_stopping_patience", "2"], "would have no effect"),
        (["train", *GOOD, "--class_weight", "{}/text.txt"], "expected lines of `class: weight`"),
        (["train", *GOOD, "--horizontal_flip", "2"], "expected 0 to 1"),
        (["train", *GOOD, "--config", "{}/bad.yaml"], "expected lines of `flag: value`"),
        (["train", *GOOD, "--config", "{}/typo.yaml"], "Did you mean '--learning_rate'?"),
        (["train", *GOOD, "--config", "{}/none.yaml"], "cannot be read"),
        (["train", *GOOD, "--resume_from_checkpoint", "{}/none"], "does not exist"),
        (["train", *FOLDER, "--model_name_or_path", "{}/none", "--output_dir", "{}/r"], "does not exist"),
        (["train", *FOLDER, "--model_name_or_path", "a/b", "--output_dir", "{}/r"], "to be had from the Hub"),
        (["evaluate", "{}/good"], "No data"),
        (["evaluate", "{}/good", "--test_dir", "{}/good"], "holds no config.json"),
        (["predict", "{}/good", "{}/nowhere.png"], "nowhere.png does not exist"),
        (["predict", "{}/good"], "required: IMAGE"),
        (["models", "zzz*"], "No architecture matches"),
        (["trian"], "Did you mean 'train'?"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(bad_places: Path, capsys, arguments: list[str], said: str):
    code = main([argument.format(bad_places) for argument in arguments])
    error = capsys.readouterr().err
    assert code == 2
    assert said in error
    assert error.startswith("hfcls: ")
    assert error.count("\n") == 1, error


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_named(tmp_path: Path, capsys, workers: int):
    write_images(tmp_path / "images", {"cat": 8, "dog": 8}, size=8)
    (tmp_path / "images" / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nonsense")
    code = main(
        [
            *("train", "--train_dir", f"{tmp_path}/images", "--architecture", "lenet5"),
            *("--output_dir", f"{tmp_path}/run", "--dataloader_num_workers", str(workers), "--use_cpu"),
        ]
    )
    error = capsys.readouterr().err
    assert code == 2
    assert "cat/broken.png" in error
    assert "Traceback" not in error


def test_a_full_disk_is_one_sentence(tmp_path: Path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [
            *(sys.executable, "-m", "hfcls", "train", "--dataset_name", "digits", "--architecture", "simple_cnn"),
            *("--image_size", "8", "--max_steps", "2", "--output_dir", str(tmp_path / "run"), "--use_cpu"),
        ],
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_yaml_runs_again(image_folder: Path, tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = ["--train_dir", str(image_folder), "--architecture", "simple_cnn", "--max_steps", "4", "--use_cpu"]
    assert main(["train", *arguments, "--output_dir", str(first), "--optim", "lion", "--shift", "0.1"]) == 0
    assert yaml.safe_load((first / "run.yaml").read_text())["optim"] == "lion"
    assert main(["train", "--config", str(first / "run.yaml"), "--output_dir", str(second)]) == 0
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
