"""What several answers are worth beside one, and what they cost: ensembles, soups, snapshots, dropout, views, Laplace.

    python scripts/benchmarks/ensembles.py ../shared/data/cifar10 --output_dir runs/ensembles

Trains members of one network from scratch, which differ by their seed; fine-tunes the first of them as often, for
soups; trains once with as many snapshots. Each is combined by `hfcls ensemble`, and the first member goes through
`hfcls evaluate --suite full`. A run that is finished is not made again. Prints a table of all on the test images, with
95 % intervals by bootstrap over the images, and the gains, paired.
"""

import argparse
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

import numpy as np
import torch
from datasets import load_dataset

from hfcls.cli import main as run_hfcls
from hfcls.evaluation.speed import describe_hardware
from hfcls.metrics import compute_some
from hfcls.structures import Predictions
from hfcls.training.whole_run import train_whole
from hfcls.uncertainty.detection import bootstrap_auroc, measure_detection
from hfcls.uncertainty.doubt import DOUBTS, Votes

FIGURES = ("accuracy", "log_loss", "ece")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--architecture", default="simple_cnn")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--fine_tuning_epochs", type=int, default=2)
    parser.add_argument("--train_images", type=int, default=5000, help="of which a fifth becomes the validation split")
    parser.add_argument("--test_images", type=int, default=5000)
    parser.add_argument("--output_dir", type=Path, required=True)
    arguments = parser.parse_args()
    runs = train_all(arguments)
    combined = combine_all(arguments, runs)
    suite = evaluate_one(runs["members"][0])
    rows = table(runs, combined, suite)
    count = len(Predictions.load(runs["members"][0] / "predictions" / "test.parquet"))
    print(
        f"\n{arguments.architecture}, {arguments.train_images:,} training images, {arguments.epochs} epochs, "
        f"seeds 0 to {arguments.members - 1}; {count:,} test images; "
        f"{describe_hardware(torch.device('cpu'))}, {date.today()}\n"
    )
    print_rows(rows)
    for name, directory in combined.items():
        print_gain(name, json.loads((directory / "ensemble.json").read_text()))
    (arguments.output_dir / "table.json").write_text(json.dumps(rows, indent=1) + "\n")


def train_all(arguments: argparse.Namespace) -> dict[str, list[Path]]:
    """Members, fine-tunings of the first, and one run with snapshots."""
    train, test = (
        some_of(arguments.data / f"{split}.parquet", count, arguments.output_dir / "data" / f"{split}.parquet")
        for split, count in (("train", arguments.train_images), ("test", arguments.test_images))
    )
    common = {
        **{"train_dir": str(train), "test_dir": str(test), "validation_fraction": 0.2},
        **{"disable_tqdm": True, "use_cpu": True},
    }
    fresh = {**common, "architecture": arguments.architecture, "num_train_epochs": arguments.epochs}
    members = [
        trained(arguments.output_dir / f"member{seed}", {**fresh, "seed": seed}) for seed in range(arguments.members)
    ]
    start = {
        **common,
        "model_name_or_path": str(members[0]),
        "num_train_epochs": arguments.fine_tuning_epochs,
        "learning_rate": 3e-4,
    }
    tuned = [
        trained(arguments.output_dir / f"tuned{seed}", {**start, "seed": 100 + seed})
        for seed in range(arguments.members)
    ]
    cycles = trained(arguments.output_dir / "cycles", {**fresh, "seed": 0, "snapshots": arguments.members})
    return {"members": members, "tuned": tuned, "cycles": [cycles]}


def some_of(file: Path, count: int, place: Path) -> Path:
    """So many images of a table, drawn by seed 0."""
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        data = load_dataset("parquet", data_files=str(file), split="train")
        data.shuffle(seed=0).select(range(min(count, len(data)))).to_parquet(str(place))
    return place


def trained(directory: Path, values: dict[str, Any]) -> Path:
    if not (directory / "metrics.json").is_file():
        resume = {"resume_from_checkpoint": "auto"} if (directory / "run.yaml").is_file() else {}
        train_whole({**values, **resume, "output_dir": str(directory)})
    return directory


def combine_all(arguments: argparse.Namespace, runs: dict[str, list[Path]]) -> dict[str, Path]:
    wanted = {
        "ensemble": (runs["members"], ["--method", "average"]),
        "weighted": (runs["members"], ["--method", "weighted"]),
        "soup of members": (runs["members"], ["--method", "uniform_soup"]),
        "uniform soup of fine-tunings": (runs["tuned"], ["--method", "uniform_soup"]),
        "greedy soup of fine-tunings": (runs["tuned"], ["--method", "greedy_soup"]),
        "snapshots": (runs["cycles"], ["--snapshots"]),
    }
    made = {}
    for name, (members, flags) in wanted.items():
        made[name] = arguments.output_dir / name.replace(" ", "_")
        if not (made[name] / "ensemble.json").is_file():
            command = ["ensemble", *map(str, members), *flags, "--output_dir", str(made[name]), "--use_cpu"]
            if run_hfcls([*command, "--overwrite_output_dir"]):
                raise SystemExit(f"hfcls {' '.join(command)} failed")
    return made


def evaluate_one(run: Path) -> dict[str, Any]:
    """The rows of the suite about several answers of one network."""
    found = run / "evaluation" / "test" / "suite"
    if not (found / "index.html").is_file() and run_hfcls(["evaluate", str(run), "--suite", "full", "--use_cpu"]):
        raise SystemExit("hfcls evaluate failed")
    steps = {name: json.loads((found / f"{name}.json").read_text()) for name in ("dropout", "views", "laplace")}
    return {name: step["result"]["rows"] for name, step in steps.items() if step["result"]}


def table(runs: dict[str, list[Path]], combined: dict[str, Path], suite: dict[str, Any]) -> list[dict[str, Any]]:
    members = [load(run) for run in runs["members"]]
    each = [row_of("member", one, passes=1) for one in members]
    mean = {
        key: {"value": float(np.mean([row[key]["value"] for row in each])), "spread": spread(each, key)}
        for key in (*FIGURES, "auroc")
    }
    rows = [{"title": "mean member", "passes": 1, **mean}, {**each[0], "title": "member 0"}]
    for found in suite.values():
        for row in found:
            best = max(row["detection"].values(), key=lambda one: one["value"])
            rows.append(
                {"title": row["title"], "passes": row["passes_each"], **{key: row[key] for key in FIGURES}}
                | {"auroc": best}
            )
    for name, directory in combined.items():
        content = json.loads((directory / "ensemble.json").read_text())
        rows.append(row_of(name, load(directory), passes=content["cost"]["passes"]))
    votes = Votes(np.stack([one.probabilities for one in members]))
    wrong = votes.mean.argmax(axis=1) != members[0].labels
    for name, doubt in DOUBTS.items():
        auroc = measure_detection(doubt(votes)[wrong], doubt(votes)[~wrong])["auroc"]
        print(f"the ensemble's mistakes told by {name.replace('_', ' ')}: AUROC {auroc:.4f}")
    return rows


def load(directory: Path) -> Predictions:
    return Predictions.load(directory / "predictions" / "test.parquet").known


def row_of(title: str, predictions: Predictions, *, passes: int) -> dict[str, Any]:
    doubt = 1 - predictions.probabilities.max(axis=1)
    wrong = predictions.logits.argmax(axis=1) != predictions.labels
    low, high = bootstrap_auroc(doubt[wrong], doubt[~wrong])
    auroc = {"value": measure_detection(doubt[wrong], doubt[~wrong])["auroc"], "low": low, "high": high}
    return {"title": title, "passes": passes, **compute_some(predictions, FIGURES), "auroc": auroc}


def spread(rows: list[dict[str, Any]], key: str) -> list[float]:
    values = [row[key]["value"] for row in rows]
    return [min(values), max(values)]


def print_rows(rows: list[dict[str, Any]]) -> None:
    print(
        "| answer | passes | accuracy | log loss | ECE | mistakes told (AUROC) |\n| --- | --- | --- | --- | --- | --- |"
    )
    for row in rows:
        cells = [
            shown(row["accuracy"], 100, 1),
            *(shown(row[key], 1, 3) for key in ("log_loss", "ece", "auroc")),
        ]
        print(f"| {row['title']} | {row['passes']} | {' | '.join(cells)} |")


def shown(figure: dict[str, Any], scale: float, digits: int) -> str:
    low, high = figure.get("spread") or (figure.get("low"), figure.get("high"))
    value = f"{scale * figure['value']:.{digits}f}"
    if low is None or high is None:
        return value
    ends = f"{scale * low:.{digits}f}, {scale * high:.{digits}f}"
    return f"{value} ({ends})" if "spread" in figure else f"{value} [{ends}]"


def print_gain(name: str, content: dict[str, Any]) -> None:
    found = content["splits"]["test"]
    for against in ("mean_member", "best_member"):
        gain = found["gain"][against]
        points = ", ".join(f"{100 * gain['accuracy'][key]:+.2f}" for key in ("value", "low", "high"))
        loss = ", ".join(f"{gain['log_loss'][key]:+.4f}" for key in ("value", "low", "high"))
        print(f"{name} over its {against.replace('_', ' ')}: accuracy {points} points; log loss {loss}")
    cost = content["cost"]
    print(
        f"  {cost['passes']} passes, latency {cost['latency_ratio']:.2f} times; two members differ on "
        f"{100 * found['disagreement']['mean']:.1f} %"
    )


if __name__ == "__main__":
    main()
