"""Fine-tuning with no dial touched, against a frozen backbone, training from scratch, and Trainer's own defaults.

    python scripts/benchmarks/transfer_defaults.py PHOTOS --model_name_or_path MODEL --output_dir runs/transfer
        [--folds 5] [--only WAY ...] [--dials FLAGS]

PHOTOS is anything that `hfcls train` reads, small enough to be copied as class folders. Every photo is tested once: the
folds are stratified and fixed by a seed. The ways of a fold run one after the other, each in a process of its own whose
CPU time is counted: `trainer` (Trainer with its defaults: learning rate 5e-5, 3 epochs, batches of 8; RandomResizedCrop
and mirroring, resize and centre crop for the test), `fine-tuned` (`hfcls train` without a dial), `frozen`
(`--freeze backbone`) and `scratch` (`--architecture`, fresh weights). A fold that is there is not run again.

Prints the accuracy of each way over all photos, the paired differences from `fine-tuned` with 95 % bootstrap intervals
over the photos, and the ratio of CPU time.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1"}
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

WAYS = ("trainer", "fine-tuned", "frozen", "scratch")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos")
    parser.add_argument("--model_name_or_path", required=True)
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--dials", nargs=argparse.REMAINDER, default=[], help="flags for `hfcls train`, to try others")
    arguments = parser.parse_args()
    folder = arguments.output_dir / "photos"
    if not folder.exists():
        copy_photos(arguments.photos, folder)
    for fold in range(arguments.folds):
        lists = write_fold(folder, arguments.output_dir / f"fold-{fold}", fold, arguments.folds)
        for way in arguments.only:
            run_way(way, folder, lists, arguments.model_name_or_path, arguments.dials)
    print(compare(arguments.output_dir, arguments.only))
    return 0


def copy_photos(source: str, folder: Path) -> None:
    """All splits as class folders, the bytes as they are."""
    from datasets import Image

    from hfcls.arguments import DataArguments
    from hfcls.data.labelled import load_data

    loaded = load_data(DataArguments(train_dir=source))
    for split, data in loaded.splits.items():
        for index, row in enumerate(data.cast_column("image", Image(decode=False))):
            target = folder / loaded.class_names[row["label"]] / f"{split}-{index:05}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(row["image"]["bytes"] or Path(row["image"]["path"]).read_bytes())


def write_fold(folder: Path, directory: Path, fold: int, folds: int) -> Path:
    """The list that `--samples` takes: one fold is the test split."""
    from sklearn.model_selection import StratifiedKFold

    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.jpg"))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    test = set(list(splitter.split(paths, [path.parts[0] for path in paths]))[fold][1])
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "samples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "split"))
        writer.writerows((path.as_posix(), "test" if i in test else "train") for i, path in enumerate(paths))
    return directory / "samples.csv"


def run_way(way: str, folder: Path, samples: Path, model: str, dials: list[str]) -> None:
    """One training in a process of its own; what it answered on the test photos, and its CPU seconds."""
    result = samples.parent / f"{way}.json"
    if result.exists():
        return
    run = samples.parent / way
    data = ["--train_dir", str(folder), "--samples", str(samples)]
    command = [sys.executable, "-m", "hfcls", "train", *data, "--output_dir", str(run), "--overwrite_output_dir"]
    start = ["--model_name_or_path", model]
    if way == "trainer":
        command = [sys.executable, str(Path(__file__).with_name("trainer_defaults.py")), str(folder), str(samples)]
        command += [model, str(run)]
    elif way == "scratch":
        architecture = json.loads((Path(model) / "config.json").read_text())["architecture"]
        command += ["--architecture", architecture]
    else:
        command += [*start, *(["--freeze", "backbone"] if way == "frozen" else [])]
    command += dials if way != "trainer" else []
    before = cpu_seconds()
    subprocess.run(command, check=True, cwd=ROOT, stdout=(samples.parent / f"{way}.log").open("w"))
    seconds = cpu_seconds() - before
    correct = json.loads((run / "correct.json").read_text()) if way == "trainer" else read_correct(run)
    result.write_text(json.dumps({"cpu_seconds": seconds, "correct": correct}))
    print(f"{samples.parent.name} {way}: {np.mean(list(correct.values())):.4f}, {seconds:.0f} CPU s", flush=True)


def cpu_seconds() -> float:
    """Of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def read_correct(run: Path) -> dict[str, bool]:
    """Which test photos a run got right, by id."""
    from hfcls.structures import Predictions

    answers = Predictions.load(run / "predictions" / "test.parquet")
    right = answers.logits.argmax(1) == answers.labels
    return {id_: bool(value) for id_, value in zip(answers.ids, right, strict=True)}


def compare(output: Path, ways: list[str]) -> str:
    """Accuracies, paired differences, CPU time."""
    results = {
        way: [json.loads(p.read_text()) for p in sorted(output.glob(f"fold-*/{way}.json"))]
        for way in WAYS
        if way in ways
    }
    right = {way: {k: v for fold in folds for k, v in fold["correct"].items()} for way, folds in results.items()}
    seconds = {way: sum(fold["cpu_seconds"] for fold in folds) for way, folds in results.items()}
    rng = np.random.default_rng(0)
    lines = []
    for way, answers in right.items():
        line = f"{way:<10}  accuracy {np.mean(list(answers.values())):.4f}  n {len(answers)}  {seconds[way]:.0f} CPU s"
        if way != "fine-tuned" and "fine-tuned" in right:
            ids = sorted(answers.keys() & right["fine-tuned"].keys())
            gains = np.array([right["fine-tuned"][i] - float(answers[i]) for i in ids])
            means = gains[rng.integers(0, len(ids), (10_000, len(ids)))].mean(1)
            low, high = np.quantile(means, (0.025, 0.975))
            ratio = seconds["fine-tuned"] / seconds[way]
            line += f"  fine-tuned is {100 * gains.mean():+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}] away"
            line += f", at {ratio:.2f} times the CPU time"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
