"""The card of a run: true, whole, inert, and the same each time."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from scipy.special import logsumexp, softmax

import hfcls
from hfcls.command_arguments import CardArguments
from hfcls.commands.card import main
from hfcls.commands.train import build_parser
from hfcls.errors import UserError
from hfcls.hub.card import build_card, check_card, is_ours
from hfcls.hub.card.command import reproducing_command
from hfcls.hub.card.energy import estimate_energy
from hfcls.hub.card.figures import (
    card_figures,
    figures_of_predictions,
    load_released_predictions,
    save_released_predictions,
)
from hfcls.hub.card.trust import TITLE
from hfcls.metrics import compute_metrics
from hfcls.structures import Predictions
from hfcls.uncertainty.learning import fit_trust
from hfcls.uncertainty.trust import load_trust
from tests.conftest import write_images
from tests.evaluation.runs import learn_trust, make_predictions, write_run
from tests.hub.hubs import card_rules
from tests.hub.runs import HOSTILE, card_run, finish_run

NAMES = ["cat", "dog", "owl"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return card_run(tmp_path / "pets", NAMES)


class Page(HTMLParser):
    """Tags, links and the text of each table row."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.links += [value for name, value in attrs if name == "href"]
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def rendered(text: str) -> Page:
    body = text.split("\n---\n", 1)[1]
    return Page(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(body))


def test_what_a_card_says(run: Path):
    card = build_card(run, CardArguments(license="mit"), repo_id="user/pets")
    metrics = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    data = ModelCard(card.text).data.to_dict()
    assert (data["library_name"], data["pipeline_tag"], data["license"]) == (
        "transformers",
        "image-classification",
        "mit",
    )
    assert "custom_code" in data["tags"]
    results = data["model-index"][0]["results"]
    assert [one["dataset"]["split"] for one in results] == ["test", "validation"]
    values = {metric["name"]: metric["value"] for metric in results[0]["metrics"]}
    defined = {key: one["value"] for key, one in metrics["headline"].items() if one["value"] is not None}
    assert len(values) == len(defined)
    assert values["Accuracy"] == round(defined["accuracy"], 6)
    assert 'model="user/pets", trust_remote_code=True' in card.text
    assert "with 12 parameters" in card.text  # running means are none
    for said in (
        "Fingerprint of the images",
        "3 × truncated file",
        "Same source",
        "2 CPU threads",
        "1 min 23 s",
        "fp32",
    ):
        assert said in card.text, said
    assert not re.search(
        r"(?i:more information needed|autotrain)|\bNone\b|\bnull\b|\bnan\b", card.text.split("<summary>All")[0]
    )
    assert check_card(card.text) == []
    assert set(re.findall(r'src="(figures/[^"]+)"', card.text)) == set(card.pictures)
    assert all(content.startswith(b"<svg") for content in card.pictures.values())


def test_the_same_run_gives_the_same_bytes_and_keeps_what_was_declared(run: Path, capsys):
    first = build_card(run, CardArguments())
    assert build_card(run, CardArguments()) == first
    main([str(run), "--license", "apache-2.0", "--people", "--datasets", "user/pets"])
    declared = (run / "README.md").read_text()
    assert is_ours(declared)
    assert "**People.**" in declared and "**People.**" not in first.text
    main([str(run)])
    assert (run / "README.md").read_text() == declared == build_card(run, CardArguments()).text
    (run / "README.md").write_text(declared.replace("pets", "pests"))
    with pytest.raises(UserError, match="--overwrite"):
        main([str(run)])
    main([str(run), "--overwrite"])
    assert (run / "README.md").read_text() == declared
    assert str(run) in capsys.readouterr().out


def test_names_that_would_break_a_page(tmp_path: Path):
    run = card_run(tmp_path / "run", HOSTILE)
    card = build_card(run, CardArguments(title="<b>|# t", description="`x` <i> | [a](b)", data="{{ y }}\n---\n<u>"))
    assert check_card(card.text) == []
    page = rendered(card.text)
    allowed = {"h1", "h2", "p", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "br", "sub", "strong"}
    assert set(page.tags) <= allowed | {"details", "summary", "ul", "li", "img", "a"}
    assert all(link.startswith("https://doi.org/") for link in page.links)
    classes = [row for row in page.rows if len(row) == 6]
    assert len(classes) == len(HOSTILE) + 1
    shown = {row[0].strip().replace("\u200b", "") for row in classes}
    for name in HOSTILE:
        if len(name) < 60 and name.isprintable():
            assert name in shown
    assert {"a\\nb", "\\u202egnp"} <= shown
    assert page.tags.count("h1") == 1
    # The line of dashes in the data sentence ends no metadata.
    assert yaml.safe_load(card.text.split("\n---\n")[0].removeprefix("---\n"))["pipeline_tag"] == "image-classification"


def test_names_in_alternatives_of_pictures(tmp_path: Path):
    names = ['a"\n\n<script>alert(1)</script>\n\n', "$$x$$", "`", "</details>"]
    text = build_card(card_run(tmp_path / "run", names), CardArguments()).text
    assert check_card(text) == []
    page = rendered(text)
    assert "script" not in page.tags and page.tags.count("img") == 6
    assert (
        "$" not in text.split("## How")[0].split("\n---\n")[1]
        and "$$" not in text.split("## Results")[1].split("## Data")[0]
    )


def test_the_hub_s_rules_hold(tmp_path: Path, shared: Path):
    card = build_card(card_run(tmp_path / "run", HOSTILE), CardArguments(license="mit", base_model="a/b"))
    assert card_rules(shared)(card.text, "model") == ([], [])


def test_no_place_and_no_secret_of_the_machine(run: Path):
    text = build_card(run, CardArguments()).text
    assert "somebody" not in text and "/home" not in text and str(run.parent) not in text
    assert "hf_secret" not in text
    assert "--train_dir 'photos of mine'" in text


def test_what_was_not_measured_is_left_out(tmp_path: Path):
    run = tmp_path / "run"
    write_run(run, validation=make_predictions(NAMES, 40))
    (run / "run.yaml").write_text("seed: 1\n")
    (run / "data.json").write_text('{"source": "x", "splits": {}}')
    finish_run(run, NAMES)
    text = build_card(run, CardArguments()).text
    assert "Of 40 validation images" in text and "test image" not in text
    (run / "predictions" / "validation.parquet").unlink()
    text = build_card(run, CardArguments()).text
    assert "an accuracy of" in text and "this prints" not in text and "**Confidence.**" not in text
    (run / "metrics.json").write_text("{}")
    card = build_card(run, CardArguments())
    assert "## Results" not in card.text and "accuracy" not in card.text.split("## Training")[0]
    assert "**Not measured.**" in card.text and "Energy" not in card.text and "model-index" not in card.text
    assert check_card(card.text) == [] and card.pictures == {}
    with pytest.raises(UserError, match="no finished run"):
        build_card(tmp_path, CardArguments())


def test_figures_are_those_of_the_predictions(run: Path, tmp_path: Path):
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["splits"] = {split: compute_metrics(one) for split, one in load_both(run).items()}
    learn_trust(run, metrics)
    (run / "metrics.json").write_text(json.dumps(metrics))
    text = build_card(run, CardArguments()).text
    save_released_predictions(run, tmp_path / "predictions.parquet")
    figures = card_figures(text)
    assert len(figures) == len(dict(figures)) > 80
    released, trust = load_released_predictions(tmp_path / "predictions.parquet"), load_trust(run, tuple(NAMES))
    assert figures_of_predictions(released, trust=trust) == figures != figures_of_predictions(released)
    for section in ("Results", "What it takes for what", TITLE):
        # No figure stands where it is not looked for.
        rest = re.split(f"^## {section}$", text, flags=re.M)[1].split("\n## ")[0]
        # Titles of columns, by which the figures are named, and the attributes of pictures.
        rest = re.sub(r"\([\d,]+ images\)|<img src=\S+|width=\S+|F1|95 % interval|<sub>.*?</sub>", "", rest)
        found = [printed for name, printed in figures if name.startswith((section, "figures/"))]
        for printed in sorted(found, key=len, reverse=True):
            rest = rest.replace(printed, "", 1)
        assert not re.findall(r"\d", rest), rest
    changes = (
        ("**0.", "**1."),
        ("value: 0.", "value: 1."),
        (" of 400 ", " of 401 "),
        ("surest 90 % ", "surest 90 % 1"),
    )
    for before, after in changes:
        assert before in text and card_figures(text.replace(before, after, 1)) != figures


def test_trust_is_told_where_it_was_measured(run: Path):
    """By hand, from the predictions and what is kept; never from a calibration that is no more."""
    text = build_card(run, CardArguments()).text
    section = re.split(f"^## {TITLE}$", text, flags=re.M)[1].split("\n## ")[0]
    test, trust = load_both(run)["test"], load_trust(run, tuple(NAMES))
    probabilities = softmax(test.logits / trust.scaling.temperature, axis=1)
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = (probabilities.argmax(axis=1) != test.labels)[order]
    assert (
        f"by one temperature, {trust.scaling.temperature:.2f}" in section and "Learned from 200 validation" in section
    )
    assert (
        f"Of all answers {100 * wrong.mean():.1f} % are wrong; of the surest 90 % {100 * wrong[:360].mean():.1f}"
        in section
    )
    loss = [-np.log(p[np.arange(400), test.labels]).mean() for p in (test.probabilities, probabilities)]
    assert f"| {loss[0]:.4f} | {loss[1]:.4f} |" in section
    strange = -logsumexp(test.logits / trust.scaling.temperature, axis=1) > trust.strange_from
    assert f"{100 * strange.mean():.1f} % of the test images" in section

    calibration, metrics = (run / "calibration.json").read_text(), json.loads((run / "metrics.json").read_text())
    validation = load_both(run)["validation"]
    fit_trust(validation, split="validation", scaling="vector").save(run)
    without = build_card(run, CardArguments()).text
    assert TITLE not in without
    (run / "calibration.json").write_text(calibration)
    metrics["splits"]["test"]["trust"]["abstaining"]["risk"]["0.9"] += 0.01
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert "figures/reliability-scaled.svg" in text and "figures/reliability-scaled.svg" not in without
    with pytest.raises(UserError, match="abstaining"):
        build_card(run, CardArguments())
    del metrics["splits"]["test"]["trust"]
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert build_card(run, CardArguments()).text == without


def test_images_that_it_has_learned_from(tmp_path: Path):
    write_images(tmp_path / "photos", {"a": 12, "b": 12})
    write_images(tmp_path / "some", {"a": 5, "b": 5}, seed=1)
    for name in ("a/0.png", "a/1.png", "b/0.png", "b/1.png"):
        (tmp_path / "some" / name).write_bytes((tmp_path / "photos" / name).read_bytes())
    for test, lead, limit in (
        ("photos", "Of 24 test images, all of which it learned from as well, it names", "24 of 24 test images"),
        ("some", "Of 10 test images, some of which it learned from as well, it names", "4 of 10 test images"),
        (None, "test images that it did not learn from, it names", None),
    ):
        run = tmp_path / f"run-{test}"
        values = {
            "train_dir": str(tmp_path / "photos"),
            "architecture": "lenet5",
            "max_steps": 1,
            "output_dir": str(run),
        }
        hfcls.train(
            {
                **values,
                **({"test_dir": str(tmp_path / test), "validation_fraction": 0} if test else {}),
                "disable_tqdm": True,
            }
        )
        text = (run / "README.md").read_text()
        assert lead in text
        first = text.split("## Limits\n\n")[1].splitlines()[0]
        assert first.startswith("- **Seen before.**") == bool(limit) and (limit or "") in first
    data = json.loads((run / "data.json").read_text())
    assert data["overlap"] == {"train/validation": 0, "train/test": 0, "validation/test": 0}
    del data["overlap"]
    (run / "data.json").write_text(json.dumps(data))
    assert re.search(r"^Of \d+ test images, it names", build_card(run, CardArguments()).text, re.M)


def test_the_command_makes_the_run_again():
    settings = {
        "train_dir": "/home/me/photos", "architecture": "resnet18", "image_size": 64, "shift": 0.1, "seed": 42,
        "num_train_epochs": 10, "learning_rate": 0.001, "label_smoothing_factor": 0.1, "weights": "w.safetensors",
        "output_dir": "/tmp/x", "warmup_steps": 0.05, "bf16": "auto", "max_steps": -1, "weighted_sampling": True,
        "lr_scheduler_kwargs": {"num_cycles": 2}, "horizontal_flip": 0.0, "optim": "adamw_torch_fused",
    }  # fmt: skip
    words = reproducing_command(settings).replace("\\\n", " ").split()
    assert words[:2] == ["hfcls", "train"]
    values = build_parser().values(shlex.split(" ".join(words[2:])))
    assert values.pop("output_dir") == "runs/again"
    kept = {"warmup_steps", "bf16", "max_steps", "optim", "output_dir"}
    assert values.pop("lr_scheduler_kwargs") in ('{"num_cycles": 2}', {"num_cycles": 2})
    expected = {name: value for name, value in settings.items() if name not in kept | {"lr_scheduler_kwargs"}}
    assert values == expected | {"train_dir": "photos"}
    assert "torchrun --standalone --nproc_per_node 2 -m hfcls train" in reproducing_command(settings, processes=2)


def test_energy():
    speed, training = {"train_runtime": 3600.0, "peak_memory_mb": 2000}, {"hardware": "2 CPU threads, x86_64, AVX2"}
    energy = estimate_energy(speed, training)
    assert energy is not None and energy.watt_hours == pytest.approx(2 * 12 + 2 * 0.3725)
    assert energy.describe() == "25 Wh"
    board = estimate_energy(speed, {"hardware": "Tesla T4", "processes": 2})
    assert board is not None and board.watt_hours == pytest.approx(140)
    assert estimate_energy(speed, {"hardware": "Unheard Of 9000"}) is None
    assert estimate_energy({}, training) is None


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"license": "Apache 2.0"}, "Did you mean 'apache-2.0'"),
        ({"license": "other"}, "--license_name"),
        ({"license": "mit", "license_name": "x"}, "--license other alone"),
        ({"base_model_relation": "finetune"}, "--base_model"),
        ({"base_model": "/home/x/model"}, "not a Hub id"),
        ({"datasets": ["a/b", "c d"]}, "not a Hub id"),
        ({"repo_id": "name"}, "not a Hub id"),
        ({"examples": 99}, "0 to 16"),
    ],
)
def test_what_the_hub_would_refuse(run: Path, declared: dict, said: str):
    with pytest.raises(UserError, match=re.escape(said)):
        build_card(run, CardArguments(**declared))


def test_base_models_and_timm(tmp_path: Path):
    names = ["a", "b"]
    run = card_run(tmp_path / "run", names, model_name_or_path="timm/resnet18.a1_in1k@main", architecture=None)
    config = {
        "architecture": "resnet18", "model_type": "timm_wrapper", "label_names": names, "num_classes": 2,
        "pretrained_cfg": {"input_size": [3, 160, 160]},
    }  # fmt: skip
    (run / "config.json").write_text(json.dumps(config))
    card = build_card(run, CardArguments(), repo_id="user/two")
    data = ModelCard(card.text).data.to_dict()
    assert data["library_name"] == "timm" and {"timm", "transformers"} <= set(data["tags"])
    assert (data["base_model"], data["base_model_relation"]) == ("timm/resnet18.a1_in1k", "finetune")
    assert 'timm.create_model("hf-hub:user/two", pretrained=True)' in card.text
    assert "160 × 160 pixels" in card.text and "trust_remote_code" not in card.text.split("<details>")[0]
    assert "ROC AUC<br>" in card.text and check_card(card.text) == []
    told = figures_of_predictions(load_both(run), trust=load_trust(run, tuple(names)))
    assert dict(card_figures(card.text)).keys() == dict(told).keys()


def load_both(run: Path) -> dict[str, Predictions]:
    return {split: Predictions.load(run / "predictions" / f"{split}.parquet") for split in ("test", "validation")}
