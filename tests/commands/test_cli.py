"""The command line as its user meets it: help in no time, errors in one sentence."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hfcls.cli import VERBS, main
from hfcls.parsing import training_flags
from tests.conftest import write_images


@pytest.mark.parametrize("arguments", [[], ["--help"], *([verb, "--help"] for verb in VERBS)], ids=" ".join)
def test_help_comes_at_once(arguments: list[str]):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "-m", "hfcls", *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    assert "usage: hfcls" in done.stdout
    # processor time: a tenth of a second without torch; importing torch alone takes more than one
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.8


def test_every_field_of_training_arguments_is_a_flag():
    from dataclasses import MISSING, fields

    from transformers import TrainingArguments

    from hfcls.trainer_flags import DECIDED_HERE, TRAINING_DEFAULTS

    flags = {flag.name: flag for flag in training_flags()}
    for field in fields(TrainingArguments):
        if field.name == "learning_rate" or not field.init or field.name.startswith("_") or field.name in DECIDED_HERE:
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
    write_images(tmp_path / "alone", {"cat": 9}, size=8)
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
        (["train", "--train_dir", "{}/text.txt", *START], "text.txt is a file of no known kind: expected a folder"),
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
        (["train", *GOOD, "--rotation", "fifteen"], "--rotation is 'fifteen': expected a number"),
        (["train", *GOOD, "--image_size", "32.5"], "--image_size is '32.5': expected a whole number"),
        (["train", *GOOD, "--letterbox", "maybe"], "--letterbox is 'maybe': expected true or false"),
        (["train", *GOOD, "--mixup", "1", "--per_device_train_batch_size", "1"], "2 or more: they mix"),
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
        (["train", *GOOD, "--hub_model_id", "a/b"], "would have no effect"),
        (["train", *GOOD, "--trust_remote_code"], "would have no effect"),
        (["train", *GOOD, "--seed", "-1"], "expected 0 to"),
        (["train", *GOOD, "--snapshots", "1"], "--snapshots is 1: expected 2"),
        (["train", *GOOD, "--snapshots", "2", "--lr_scheduler_type", "linear"], "falls by a cosine"),
        (["train", *GOOD, "--snapshots", "2", "--ema_decay", "0.9"], "average over the restarts"),
        (["train", *GOOD, "--snapshots", "200", "--num_train_epochs", "1"], "needs as many steps or more"),
        (["train", *GOOD, "--fp16", "--use_cpu"], "would have no effect"),
        (["train", *GOOD, "--activation_checkpointing"], "no way to do it"),
        (["train", *GOOD, "--report_to", "nobody"], "cannot be set up"),
        (["train", *GOOD, "--optim", "adamw_8bit"], "--optim adamw_8bit is refused"),
        (["train", *GOOD, "--lr_scheduler_type", "cosine_with_min_lr"], "--lr_scheduler_kwargs"),
        (["train", *GOOD, "--learning_rate", "1e30", "--warmup_steps", "0", "--max_grad_norm", "0"], "diverged"),
        (["train", *GOOD, "--eval_strategy", "steps", "--eval_steps", "1", "--save_steps", "3"], "make them equal"),
        (["train", "--train_dir", "{}/alone", *START], "All training images are of the class 'cat'"),
        (["train", *GOOD, "--class_weight", "{}/text.txt"], "expected lines of `class: weight`"),
        (["train", *GOOD, "--horizontal_flip", "2"], "expected 0 to 1"),
        (["train", *GOOD, "--config", "{}/bad.yaml"], "expected lines of `flag: value`"),
        (["train", *GOOD, "--config", "{}/typo.yaml"], "Did you mean '--learning_rate'?"),
        (["train", *GOOD, "--config", "{}/none.yaml"], "cannot be read"),
        (["train", *GOOD, "--resume_from_checkpoint", "{}/none"], "does not exist"),
        (["train", *FOLDER, "--model_name_or_path", "{}/none", "--output_dir", "{}/r"], "does not exist"),
        (["train", *FOLDER, "--model_name_or_path", "a/b", "--output_dir", "{}/r"], "nor in the Hub's cache"),
        (["evaluate", "{}/good"], "No data"),
        (["evaluate", "{}/good", "--test_dir", "{}/good"], "holds no config.json"),
        (["predict", "{}/good", "{}/nowhere.png"], "nowhere.png does not exist"),
        (["evaluate", "{}/nowhere"], "nowhere does not exist"),
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
    written = yaml.safe_load((first / "run.yaml").read_text())
    assert written["optim"] == "lion"
    assert written["bf16"] == "auto"  # which another machine settles in its own way
    assert main(["train", "--config", str(first / "run.yaml"), "--output_dir", str(second)]) == 0
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


def test_data_of_the_command_line_takes_the_place_of_the_configs(image_folder: Path, tmp_path: Path):
    (tmp_path / "config.yaml").write_text("dataset_name: digits\narchitecture: lenet5\nmax_steps: 2\n")
    arguments = ["--config", str(tmp_path / "config.yaml"), "--train_dir", str(image_folder), "--use_cpu"]
    assert main(["train", *arguments, "--output_dir", str(tmp_path / "run")]) == 0
    assert "dataset_name" not in yaml.safe_load((tmp_path / "run" / "run.yaml").read_text())


def test_a_refused_command_can_be_corrected_and_loses_nothing(image_folder: Path, tmp_path: Path, capsys):
    run = tmp_path / "run"
    arguments = ["train", "--train_dir", str(image_folder), "--architecture", "lenet5", "--output_dir", str(run)]
    arguments += ["--max_steps", "2", "--use_cpu"]
    assert main([*arguments, "--shift", "2"]) == 2
    assert main([*arguments, "--shift", "0.2", "--report_to", "none"]) == 0
    before = (run / "model.safetensors").read_bytes()
    assert main([*arguments, "--overwrite_output_dir", "--train_dir", "nowhere"]) == 2
    start = ["train", "--train_dir", str(image_folder), "--model_name_or_path", str(run), "--output_dir", str(run)]
    assert main([*start, "--overwrite_output_dir"]) == 2
    assert "lies in --output_dir" in capsys.readouterr().err
    assert (run / "model.safetensors").read_bytes() == before
    assert main([*arguments, "--overwrite_output_dir", "--learning_rate", "0.01"]) == 0
    assert (run / "model.safetensors").read_bytes() != before


def test_nothing_set_apart_is_said(image_folder: Path, tmp_path: Path, capsys):
    arguments = ["--train_dir", str(image_folder), "--architecture", "lenet5", "--output_dir", str(tmp_path / "run")]
    assert main(["train", *arguments, "--validation_fraction", "0", "--test_fraction", "0", "--max_steps", "2"]) == 0
    assert "no image was set apart" in capsys.readouterr().out
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_yaml_says_no_and_nothing(image_folder: Path, tmp_path: Path):
    (tmp_path / "c.yaml").write_text("learning_rate:\nsave_strategy: no\nreport_to: [none]\nmax_steps: 1\n")
    arguments = ["--train_dir", str(image_folder), "--architecture", "lenet5", "--output_dir", str(tmp_path / "run")]
    assert main(["train", *arguments, "--config", str(tmp_path / "c.yaml"), "--use_cpu"]) == 0
    assert not list((tmp_path / "run").glob("checkpoint-*"))
