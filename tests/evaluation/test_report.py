"""The report against synthetic run directories: what it says, what it escapes, what it leaves out."""

import json
import re
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from hfcls.errors import UserError
from hfcls.evaluation import plots
from hfcls.evaluation.report import format_value, label_classes, save_report
from hfcls.structures import Predictions

HOSTILE = ["<script>alert(1)</script>", "a" * 200]
HOSTILE += ["🦊‍🔥 \"quoted\" & 'more'", "]]>--></svg>", "nul\x00 lone \udcff", "", "same"]
XHTML = "{http://www.w3.org/1999/xhtml}"


def make_predictions(names: list[str], n: int, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(names), n)
    logits = rng.normal(size=(n, len(names))).astype(np.float32)
    logits[np.arange(n), labels] += 3.5
    return Predictions(logits, labels, tuple(f"image-{i}" for i in range(n)), tuple(names))


def make_measured(predictions: Predictions) -> dict[str, Any]:
    """One split of metrics.json; the figures need only be plausible, the report must repeat them as they are."""
    names, predicted = predictions.class_names, predictions.logits.argmax(axis=1)
    k = len(names)
    matrix = np.bincount(predictions.labels * k + predicted, minlength=k * k).reshape(k, k)
    f1 = 2 * np.diag(matrix) / np.maximum(matrix.sum(0) + matrix.sum(1), 1)
    accuracy = float((predicted == predictions.labels).mean())
    figure = {"value": accuracy, "low": accuracy - 0.0213, "high": min(1.0, accuracy + 0.0187)}
    headline: dict[str, Any] = {
        name: dict(figure) for name in ("accuracy", "balanced_accuracy", "f1_macro", "precision_macro", "roc_auc_macro")
    }
    headline["log_loss"] = {"value": 0.31234, "low": 0.28, "high": 0.35}
    headline["mcc"] = {"value": 0.871, "low": 0.85, "high": 0.9}
    headline["ece"] = {"value": 0.0234, "low": 0.018, "high": 0.031}
    headline["top5_accuracy"] = {"value": None, "reason": "needs more than 5 <classes>"} if k <= 5 else dict(figure)
    rows = [
        {
            "class_name": names[i], "index": i, "support": int(matrix[i].sum()), "predicted": int(matrix[:, i].sum()),
            "precision": float(f1[i]), "recall": float(f1[i]), "f1": float(f1[i]) if matrix[i].sum() else None,
            "roc_auc": 0.987, "pr_auc": None,
        }
        for i in range(k)
    ]  # fmt: skip
    interval = {"method": "percentile bootstrap", "confidence": 0.95, "resamples": 1000, "seed": 42}
    return {
        "n": len(predictions), "class_names": list(names), "interval": interval, "headline": headline,
        "per_class": rows, "confusion_matrix": matrix.tolist(),
    }  # fmt: skip


def make_run(run: Path, names: list[str], *, n: int = 400, full: bool = True, split: str = "test") -> dict[str, Any]:
    """Writes a run directory and returns its metrics; without `full` it holds nothing but metrics.json."""
    run.mkdir(parents=True)
    predictions = make_predictions(names, n)
    metrics: dict[str, Any] = {"splits": {split: make_measured(predictions)}}
    if full:
        metrics["splits"]["validation"] = make_measured(make_predictions(names, n // 2, seed=1))
        metrics["speed"] = {
            "train_runtime": 83.2, "train_samples_per_second": 912.4, "test_samples_per_second": 2104.0,
            "latency_p50_ms": 4.21, "latency_p99_ms": 6.9, "latency_images": 200, "peak_memory_mb": 812.5,
            "hardware": "2 CPU cores, x86_64",
        }  # fmt: skip
        predictions.save(run / "predictions" / f"{split}.parquet")
        log: list[dict[str, Any]] = []
        for step in range(1, 101):
            log.append({"loss": 2.3 * 0.97**step + 0.1, "learning_rate": 1e-3, "epoch": step / 10, "step": step})
            if step % 10 == 0:
                loss = 1.9 * 0.96**step + 0.0015 * step + 0.12
                log.append({"eval_loss": loss, "eval_accuracy": 1 - loss / 3, "epoch": step / 10, "step": step})
        log.append({"train_loss": 0.5, "train_runtime": 83.2, "epoch": 10.0, "step": 100})
        state = {"log_history": log, "best_global_step": 80, "best_metric": 0.31}
        (run / "trainer_state.json").write_text(json.dumps(state))
        counts = {name: 30 + 7 * (i % 9) for i, name in enumerate(names)}
        data = {
            "source": "imagefolder <b>", "fingerprint": "8f14e45fceea167a", "class_names": names,
            "splits": {
                "train": {"n": sum(counts.values()), "from": "folder", "label_counts": counts},
                "validation": {"n": n // 2, "from": "carved from train", "label_counts": dict.fromkeys(names, 5)},
            },
            "dropped": [{"id": f"train/{i}<i>.png", "reason": "truncated file"} for i in range(3)],
            "notices": ["12 images are <exact> duplicates."],
        }  # fmt: skip
        (run / "data.json").write_text(json.dumps(data))
        settings = {"seed": 42, "learning_rate": 0.001, "hub_token": "hf_secret", "note": "<img src=x>", "x": None}
        (run / "run.yaml").write_text(yaml.safe_dump(settings))
    (run / "metrics.json").write_text(json.dumps(metrics))
    return metrics


def parse(page: Path) -> tuple[str, ET.Element]:
    """The page is written to be XML too, so a strict parser finds every tag that isn't closed or escaped."""
    html = page.read_text(encoding="utf-8")
    return html, ET.fromstring(html)


def figures(root: ET.Element) -> set[float]:
    return {float(element.attrib["value"]) for element in root.iter(f"{XHTML}data")}


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_page_repeats_the_measured_figures(tmp_path: Path, classes: int) -> None:
    names = [f"class {i}" for i in range(classes)]
    metrics = make_run(tmp_path / "digits-resnet", names, n=max(400, 3 * classes))
    start = time.perf_counter()
    page = save_report(tmp_path / "digits-resnet")
    assert time.perf_counter() - start < 10  # 1 s in practice; room for a busy machine
    assert page == tmp_path / "digits-resnet" / "report" / "index.html"
    assert page.stat().st_size < 5_000_000

    html, root = parse(page)
    test = metrics["splits"]["test"]
    assert f"{test['n']:,} test images, {classes:,} classes" in html
    shown = figures(root)
    for split in metrics["splits"].values():
        assert {figure["value"] for figure in split["headline"].values() if figure["value"] is not None} <= shown
    assert {row["f1"] for row in test["per_class"] if row["f1"] is not None} <= shown
    card = next(element for element in root.iter(f"{XHTML}data") if element.get("class") == "value")
    accuracy = test["headline"]["accuracy"]
    assert card.text == f"{100 * accuracy['value']:.1f} %"
    assert f"{100 * accuracy['low']:.1f} – {100 * accuracy['high']:.1f} %" in html
    if classes == 10:
        cells = re.findall(r'<g class="cell q\d"><title>[^<]*: ([\d,]+)[ <]', html)
        assert [int(cell.replace(",", "")) for cell in cells] == np.ravel(test["confusion_matrix"]).tolist()
    if classes == 1000:
        assert html.count("data:image/png;base64,") == 2
        assert all(f">{name}</bdi>" in html for name in names)


def test_nothing_is_unescaped_and_nothing_is_fetched(tmp_path: Path) -> None:
    run = tmp_path / "run & <b>co"
    make_run(run, [*HOSTILE, "same"])
    html, root = parse(save_report(run))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "b", "i-mg", "img", "classes", "exact", "link", "iframe", "object"}
    assert "alert(1)" in html and "<script" not in html
    assert "hf_secret" not in html
    urls = [value for element in root.iter() for key, value in element.items() if key.endswith(("href", "src"))]
    assert all(url.startswith(("#", "data:image/png")) for url in urls)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", html)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert {url[1:] for url in urls if url.startswith("#")} <= set(ids)
    assert "same #6" in html and "same #7" in html


def test_an_undefined_metric_shows_its_reason(tmp_path: Path) -> None:
    make_run(tmp_path / "run", ["cat", "dog"])
    html, _ = parse(save_report(tmp_path / "run"))
    assert "needs more than 5 &lt;classes&gt;" in html
    assert 'class="value" value="None"' not in html


def test_what_is_missing_leaves_no_heading(tmp_path: Path) -> None:
    make_run(tmp_path / "bare", ["cat", "dog"], full=False)
    _, root = parse(save_report(tmp_path / "bare"))
    assert [heading.text for heading in root.iter(f"{XHTML}h2")] == ["Confusion matrix", "Classes", "All metrics"]

    make_run(tmp_path / "full", ["cat", "dog"])
    html, root = parse(save_report(tmp_path / "full"))
    headings = [heading.text for heading in root.iter(f"{XHTML}h2")]
    assert headings[0] == "Learning curves" and {"Calibration", "Speed", "Data", "Notices", "Settings"} <= set(headings)
    assert "best: epoch 8<" in html
    assert "optimistic" not in html


def test_validation_alone_is_called_optimistic(tmp_path: Path) -> None:
    make_run(tmp_path / "run", ["cat", "dog"], full=False, split="validation")
    html = save_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "400 validation images, 2 classes" in html and "optimistic" in html


def test_a_run_without_metrics_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics\.json is missing"):
        save_report(tmp_path)
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(UserError, match="can't be read"):
        save_report(tmp_path)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (0.97222, "accuracy", "97.2 %"), (1.0, "accuracy", "100.0 %"), (0.99962, "accuracy", "99.96 %"),
        (0.0, "accuracy", "0.0 %"), (0.31234, "log_loss", "0.312"), (0.00004, "ece", "0.00004"),
        (-0.25, "mcc", "−0.250"), (float("nan"), "ece", "undefined"), (None, "ece", "undefined"),
    ],
)  # fmt: skip
def test_format_value(value: float | None, key: str, text: str) -> None:
    assert format_value(value, key) == text


def test_ticks_are_round_and_enclose_the_data() -> None:
    assert plots.compute_ticks(0.0, 2.3) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert plots.compute_ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert plots.compute_ticks(0.5, 0.5)[0] <= 0.5 <= plots.compute_ticks(0.5, 0.5)[-1]


def test_share_steps_follow_the_row() -> None:
    steps = plots.compute_share_steps(np.array([[98, 2, 0], [0, 0, 0], [50, 50, 1000]]))
    assert steps.tolist() == [[8, 1, 0], [0, 0, 0], [2, 2, 8]]


def test_curves_survive_odd_logs() -> None:
    assert plots.plot_curves("loss", [plots.Series("training", [(1.0, float("nan"))])], y_label="loss") == ""
    points = [(1.0, 0.5), (2.0, float("nan")), (3.0, 0.25)]
    svg = plots.plot_curves("loss", [plots.Series("training", points)], y_label="loss", best_epoch=3.0)
    path = next(element for element in ET.fromstring(svg).iter() if element.tag.endswith("path"))
    assert path.attrib["d"].count("M") == 2  # a gap, not a line across it
    flat = plots.plot_curves("accuracy", [plots.Series("validation", [(1.0, 1.0)])], y_label="accuracy", percent=True)
    assert ">100 %</text>" in flat and "nan" not in flat
    many = [(float(i), 1.0) for i in range(5000)]
    assert len(plots.plot_curves("loss", [plots.Series("training", many)], y_label="loss")) < 20_000


def test_labels_tell_equal_names_apart() -> None:
    assert label_classes(["cat", "same", "", "same"]) == ["cat", "same #1", "#2", "same #3"]
