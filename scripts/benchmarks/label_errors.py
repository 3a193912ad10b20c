"""How many planted wrong labels `hfcls inspect --label_errors` lists first, and what leaving them out is worth.

    python scripts/benchmarks/label_errors.py DATA [--images 10000] [--noise 0.05] [--architecture lenet5] [--epochs 5]
        [--seeds 0 1 2] [--threads 1] [--work FOLDER] [--output FIGURES.json]

DATA has train and test images, as `hfcls train --train_dir` takes it. Of the training images a random choice of
--images is used, and a share --noise of it gets the label of another class, all others equally likely, by --relabel.
Then, by commands alone:

1. `hfcls crossval` predicts each image by a network that has not seen it (5 folds);
2. `hfcls inspect --label_errors` ranks the labels: the share of the planted ones among as many first places as were
   planted, and among what is flagged; the share of the flagged ones that were planted;
3. `hfcls train` learns from all of them, and from those that stay with `--exclude suspects.csv`, once for each seed:
   the accuracy on the clean test images of DATA, and the difference, image by image, with a 95 % interval (percentile
   bootstrap over the test images, the seeds of each averaged).

--work keeps what was made, so that a stopped measurement goes on.
"""

import argparse
import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Runner, describe_machine, save

from hfcls.structures import Predictions

_DRAWS = 2000


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder, Runner(arguments.threads, timeout=4 * 3600) as runner:
        place = Path(arguments.work or folder)
        place.mkdir(parents=True, exist_ok=True)
        wrong = plant(arguments, place)
        found = rank(arguments, place, runner, wrong)
        print(
            f"{found['planted']} of {arguments.images} labels are wrong; accuracy out of fold {found['accuracy']:.3f}\n"
            f"among the first {found['planted']} listed: {found['first']:.1%}\n"
            f"flagged: {found['flagged']}; planted ones among them {found['recall']:.1%}, of them planted "
            f"{found['precision']:.1%}",
            flush=True,
        )
        found |= compare(arguments, place, runner)
        machine = describe_machine(runner)
        print(machine["text"])
        save(arguments.output, vars(arguments), machine, found, {})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--architecture", default="lenet5")
    parser.add_argument("--epochs", type=float, default=5)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work")
    parser.add_argument("--output")
    return parser.parse_args()


def plant(arguments: argparse.Namespace, place: Path) -> set[str]:
    """Chooses images and gives some of them a wrong label; returns their ids."""
    from hfcls.arguments import DataArguments
    from hfcls.data.labels import labels_of
    from hfcls.data.reading import texts_of
    from hfcls.data.sources import read_data

    splits = read_data(DataArguments(train_dir=arguments.data)).splits
    data, test = splits["train"], splits["test"]
    names, labels = data.features["label"].names, labels_of(data)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(data))[: arguments.images]
    bad = chosen[rng.permutation(len(chosen))[: round(arguments.noise * len(chosen))]]
    new = (labels[bad] + rng.integers(1, len(names), len(bad))) % len(names)
    ids = texts_of(data, "id")
    write(place / "pool.csv", ("id",), [(ids[row],) for row in chosen])
    write(place / "both.csv", ("id",), [(ids[row],) for row in chosen] + [(i,) for i in texts_of(test, "id")])
    rows = [(ids[row], names[label]) for row, label in zip(bad, new, strict=True)]
    write(place / "planted.csv", ("id", "new_label"), rows)
    return {sample_id for sample_id, _ in rows}


def write(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def rank(arguments: argparse.Namespace, place: Path, runner: Runner, wrong: set[str]) -> dict[str, Any]:
    """Cross-validation and inspection, and what is found among the first."""
    data = [
        "--train_dir",
        arguments.data,
        "--samples",
        str(place / "pool.csv"),
        "--relabel",
        str(place / "planted.csv"),
    ]
    folds, out = place / "folds", place / "inspection"
    if not (folds / "crossval.json").is_file():
        runner.run("-m", "hfcls", "crossval", *data, *training(arguments), "--output_dir", str(folds))
    runner.run("-m", "hfcls", "inspect", *data, "--label_errors", str(folds), "--output_dir", str(out))
    with (out / "label_ranks.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    hit = np.array([row["id"] in wrong for row in rows])
    flagged = np.array([row["flagged"] == "1" for row in rows])
    predictions = Predictions.load(folds / "predictions" / "out_of_fold.parquet")
    right = predictions.logits.argmax(axis=1) == predictions.labels
    return {
        "planted": len(wrong),
        "first": float(hit[: len(wrong)].sum() / len(wrong)),
        "flagged": int(flagged.sum()),
        "recall": float(hit[flagged].sum() / len(wrong)),
        "precision": float(hit[flagged].mean()),
        # Of images whose label was left alone.
        "accuracy": float(right[[sample_id not in wrong for sample_id in predictions.ids]].mean()),
    }


def training(arguments: argparse.Namespace) -> list[str]:
    flags = ["--architecture", arguments.architecture, "--num_train_epochs", str(arguments.epochs)]
    return [*flags, "--validation_fraction", "0", "--use_cpu", "--disable_tqdm"]


def compare(arguments: argparse.Namespace, place: Path, runner: Runner) -> dict[str, Any]:
    """Accuracy on clean test images, with and without what is listed."""
    if not arguments.seeds:
        return {}
    data = [
        "--train_dir",
        arguments.data,
        "--samples",
        str(place / "both.csv"),
        "--relabel",
        str(place / "planted.csv"),
    ]
    ways = {"all": [], "without": ["--exclude", str(place / "inspection" / "suspects.csv")]}
    right: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    for seed in arguments.seeds:
        for way, flags in ways.items():
            run = place / f"{way}-{seed}"
            file = run / "predictions" / "test.parquet"
            if not (run / "metrics.json").is_file():
                own = ["--seed", str(seed), "--overwrite_output_dir", "--output_dir", str(run)]
                runner.run("-m", "hfcls", "train", *data, *training(arguments), *flags, *own)
            predictions = Predictions.load(file)
            right[way].append(predictions.logits.argmax(axis=1) == predictions.labels)
            print(f"seed {seed}, {way:<8}{right[way][-1].mean():.4f}", flush=True)
    with_all, without = (np.mean(right[way], axis=0) for way in ("all", "without"))
    difference = without - with_all
    rng = np.random.default_rng(0)
    draws = [difference[rng.integers(0, len(difference), len(difference))].mean() for _ in range(_DRAWS)]
    low, high = np.quantile(draws, (0.025, 0.975))
    print(
        f"test accuracy, mean of {len(arguments.seeds)} seeds, n {len(difference)}: with all {with_all.mean():.4f}, "
        f"without the listed ones {without.mean():.4f}, difference {difference.mean():+.4f} [{low:+.4f}, {high:+.4f}]"
    )
    return {
        "accuracy_with_all": float(with_all.mean()),
        "accuracy_without": float(without.mean()),
        "difference": [float(difference.mean()), float(low), float(high)],
    }


if __name__ == "__main__":
    main()
