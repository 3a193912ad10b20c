"""A card of a run whose files someone has changed: inert, or refused with the file and the key."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import hfcls
from hfcls.command_arguments import CardArguments
from hfcls.commands.card import main
from hfcls.errors import UserError
from hfcls.hub.card import build_card, check_card
from tests.hub.runs import card_run

NAMES = ["cat", "dog", "owl"]
RAW = "<b>x</b> | [y](javascript:z) `w`"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return card_run(tmp_path / "pets", NAMES)


def change(file: Path, how: Callable[[Any], Any]) -> None:
    of_yaml = file.suffix == ".yaml"
    content = yaml.safe_load(file.read_text()) if of_yaml else json.loads(file.read_text())
    how(content)
    file.write_text(yaml.safe_dump(content) if of_yaml else json.dumps(content))


SETTINGS = ("per_device_train_batch_size", "seed", "lora_rank", "learning_rate", "weight_decay", "max_steps")


@pytest.mark.parametrize("value", [RAW, [1], {"a": 1}, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_another_type(run: Path, name: str, value: Any):
    change(run / "run.yaml", lambda settings: settings.update({name: value}))
    with pytest.raises(UserError, match=rf"run\.yaml: --{name} is .*: expected"):
        build_card(run, CardArguments())


FILES: list[tuple[str, str, Callable[[Any], Any]]] = [
    ("metrics.json", "splits", lambda m: m.update(splits=[1])),
    ("metrics.json", "splits.test.n", lambda m: m["splits"]["test"].update(n=RAW)),
    ("metrics.json", "splits.test.n", lambda m: m["splits"]["test"].pop("n")),
    ("metrics.json", "splits.test.interval.seed", lambda m: m["splits"]["test"]["interval"].update(seed=RAW)),
    ("metrics.json", "splits.test.interval.method", lambda m: m["splits"]["test"]["interval"].update(method=[])),
    ("metrics.json", "splits.test.headline.mcc", lambda m: m["splits"]["test"]["headline"].update(mcc=RAW)),
    ("metrics.json", "splits.test.headline.x", lambda m: m["splits"]["test"]["headline"].update(x=None)),
    ("metrics.json", "splits.test.per_class[0].index", lambda m: m["splits"]["test"]["per_class"][0].update(index="0")),
    ("metrics.json", "splits has", lambda m: m["splits"].update({RAW: m["splits"]["test"]})),
    ("metrics.json", "training.versions", lambda m: m["training"].update(versions=["x"])),
    ("metrics.json", "speed.train_runtime", lambda m: m["speed"].update(train_runtime=RAW)),
    ("data.json", "splits.train.label_counts.cat", lambda d: d["splits"]["train"]["label_counts"].update(cat="9")),
    ("data.json", "splits has", lambda d: d["splits"].update({RAW: {}})),
    ("data.json", "overlap", lambda d: d.update(overlap=3)),
    ("data.json", "hub.commit", lambda d: d.update(hub={"repo_id": "a/b", "commit": 7})),
    ("data.json", "dropped[0]", lambda d: d.update(dropped=["x"])),
    ("trainer_state.json", "log_history[0].loss", lambda s: s["log_history"][0].update(loss=RAW)),
    ("trainer_state.json", "best_global_step", lambda s: s.update(best_global_step=RAW)),
    ("config.json", "id2label", lambda c: c.update(id2label={"x": "y"})),
    ("config.json", "image_size", lambda c: c.update(image_size="x")),
]


@pytest.mark.parametrize(("name", "key", "how"), FILES, ids=[f"{i}-{key}" for i, (_, key, _) in enumerate(FILES)])
def test_files_of_another_shape(run: Path, name: str, key: str, how: Callable[[Any], Any]):
    change(run / name, how)
    with pytest.raises(UserError) as refused:
        build_card(run, CardArguments())
    said = str(refused.value)
    assert f"{name}: {key}" in said and "expected" in said and said.isprintable() and len(said) < 500


def test_what_a_publisher_declares_has_a_type(run: Path):
    (run / "card.yaml").write_text("title: [a]\n")
    with pytest.raises(UserError, match=r"card\.yaml: --title is"):
        build_card(run, CardArguments())


def test_text_of_the_files_stays_text(run: Path):
    for split in ("test", "validation"):
        change(run / "metrics.json", lambda m, split=split: m["splits"][split]["interval"].update(method=RAW))
    change(run / "run.yaml", lambda s: s.update(optim=RAW, freeze=RAW, lr_scheduler_type=RAW))
    (run / "a`<i>b.py").write_text("")
    text = build_card(run, CardArguments()).text
    assert check_card(text) == []
    shown = text.split("<summary>All arguments")[0]
    assert "<b>" not in shown and "<i>" not in shown and "](javascript" not in shown


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("accuracy is 0.99", lambda test: test["headline"]["accuracy"].update(value=0.99, high=1.0)),
        ("log_loss is another", lambda test: test["headline"].update(log_loss={"value": None})),
        ("mcc", lambda test: test["headline"]["mcc"].update(value=test["headline"]["mcc"]["value"] + 2e-9)),
        ("interval of accuracy", lambda test: test["headline"]["accuracy"].update(low=0.99, high=1.0)),
        ("recall of class 1", lambda test: test["per_class"][1].update(recall=1.0)),
        ("confusion_matrix", lambda test: test["confusion_matrix"][0].reverse()),
        ("n is 401", lambda test: test.update(n=401)),
        ("number", lambda test: test["headline"]["accuracy"].update(value=math.nan)),
        ("class_names", lambda test: test["class_names"].pop()),
    ],
)
def test_figures_that_are_not_those_of_the_predictions(run: Path, name: str, how: Callable[[Any], Any]):
    change(run / "metrics.json", lambda metrics: how(metrics["splits"]["test"]))
    with pytest.raises(UserError, match=name):
        build_card(run, CardArguments())


def test_the_last_digits_may_differ_between_machines(run: Path):
    change(run / "metrics.json", lambda m: m["splits"]["test"]["headline"]["ece"].update(value=round(
        m["splits"]["test"]["headline"]["ece"]["value"], 12)))  # fmt: skip
    assert "Calibration error" in build_card(run, CardArguments()).text


def test_a_card_with_problems_is_told(run: Path, capsys):
    assert main([str(run), "--description", "use hf_" + "A" * 34]) == 0
    assert "problem     The card holds a Hugging Face token" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [ValueError("no luck"), UserError("no luck."), OSError(28, "No space left")])
def test_a_training_does_not_fail_because_of_its_card(image_folder: Path, tmp_path: Path, monkeypatch, capsys, fault):
    def fails(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr("hfcls.hub.card.build_card", fails)
    values = {"train_dir": str(image_folder), "architecture": "lenet5", "max_steps": 1, "disable_tqdm": True}
    assert hfcls.train({**values, "output_dir": str(tmp_path / "run")})["splits"]
    said = capsys.readouterr().out
    assert "card        none: " in said and "The run is finished" in said


def test_a_training_tells_what_is_wrong_with_its_card(image_folder: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr("hfcls.hub.card.check_card", lambda text: ["It is not well."])
    values = {"train_dir": str(image_folder), "architecture": "lenet5", "max_steps": 1, "disable_tqdm": True}
    hfcls.train({**values, "output_dir": str(tmp_path / "run")})
    assert "problem: It is not well." in capsys.readouterr().out
