"""Synthetic run directories, measured by the real metrics."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hfcls.evaluation.comparing import measure_groups
from hfcls.evaluation.trusted import measure_trust
from hfcls.metrics import compute_metrics
from hfcls.structures import Predictions
from hfcls.uncertainty.learning import fit_trust
from hfcls.uncertainty.trust import CALIBRATION, load_trust

XHTML = "{http://www.w3.org/1999/xhtml}"


def make_predictions(names: list[str], n: int, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(names), n)
    logits = rng.normal(size=(n, len(names))).astype(np.float32)
    logits[np.arange(n), labels] += 1.5 if len(names) < 20 else 3.5
    return Predictions(logits, labels, tuple(f"image-{i}" for i in range(n)), tuple(names))


def write_run(run: Path, **splits: Predictions) -> dict[str, Any]:
    """Writes predictions and metrics.json and returns the latter."""
    run.mkdir(parents=True)
    metrics = {"splits": {name: compute_metrics(one, resamples=20) for name, one in splits.items()}}
    for name, one in splits.items():
        one.save(run / "predictions" / f"{name}.parquet")
    (run / "metrics.json").write_text(json.dumps(metrics))
    return metrics


def learn_trust(run: Path, metrics: dict[str, Any]) -> None:
    """Adds what a calibration and a column of the data tell of the test split."""
    validation, test = (Predictions.load(run / "predictions" / f"{one}.parquet") for one in ("validation", "test"))
    fitted = fit_trust(validation, split="validation")
    (run / CALIBRATION).write_text(json.dumps(fitted.to_json()))
    trust = load_trust(run, validation.class_names)
    assert trust is not None
    metrics["splits"]["test"]["trust"] = measure_trust(test, trust)
    parts = [f"hospital <{number % 3}>" for number in range(len(test))]
    metrics["splits"]["test"]["by"] = {"column": "hospital & ward", **measure_groups(test, parts)}


def make_folds(headline: dict[str, Any]) -> dict[str, Any]:
    """What a cross-validation tells of its folds: two of them, a point above and below a split's figures."""
    values = {name: one["value"] for name, one in headline.items()}
    runs = [
        {name: None if value is None else value + move for name, value in values.items()}
        | {"repeat": 1, "fold": fold, "run": f"folds/<{fold}>", "n": 200, "train_runtime": 3.0}
        for fold, move in ((1, 0.01), (2, -0.01))
    ]
    means = {
        name: {"mean": None, "reason": "undefined in every fold"}
        if value is None
        else {"mean": value, "std": 0.0141, "low": value - 0.1, "high": value + 0.1, "n": 2}
        for name, value in values.items()
    }
    settings = {"folds": 2, "repeats": 1, "grouped": False, "left_out": "", "interval": {"method": "Student's t"}}
    return {**settings, "metrics": means, "runs": runs}


def make_run(run: Path, names: list[str], *, n: int = 400) -> dict[str, Any]:
    """Writes a run directory with all that a training leaves and returns its metrics."""
    metrics = write_run(run, validation=make_predictions(names, n // 2, seed=1), test=make_predictions(names, n))
    metrics["speed"] = {
        "train_runtime": 83.2, "train_samples_per_second": 912.4, "test_samples_per_second": 2104.0,
        "latency_p50_ms": 4.21, "latency_p99_ms": 6.9, "latency_images": 200, "peak_memory_mb": 812.5,
        "hardware": "2 CPU cores, x86_64",
    }  # fmt: skip
    learn_trust(run, metrics)
    metrics["splits"]["test"]["crossval"] = make_folds(metrics["splits"]["test"]["headline"])
    (run / "metrics.json").write_text(json.dumps(metrics))
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
    return metrics


def parse(page: Path) -> tuple[str, ET.Element]:
    """The page is written to be XML too, so a strict parser finds every tag that isn't closed or escaped."""
    html = page.read_text(encoding="utf-8")
    return html, ET.fromstring(html)


def section(root: ET.Element, name: str) -> ET.Element:
    (found,) = [element for element in root.iter(f"{XHTML}section") if element.get("id") == name]
    return found


def numbers(root: ET.Element) -> list[tuple[float, str]]:
    """Every figure of the page: what it is, and what is shown."""
    found = [(float(element.attrib["value"]), element.text or "") for element in root.iter(f"{XHTML}data")]
    assert found
    return found
