"""Kills commands of many trainings at random moments: do they go on to the table of an undisturbed one?

    python scripts/benchmarks/kill_many_trainings.py --kills 5

For each command (`hfcls crossval`, and `hfcls search` with a pruner and without): one undisturbed, then one that
SIGKILL ends at so many random moments and that the same command goes on with; augmentation on, one process. Prints a
row each; exits with 1 where a figure differs (but for the seconds), or a byte of the weights that are kept.
"""

import argparse
import csv
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TRANSFORMERS_VERBOSITY": "error"}
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.processes import kill, start_crossval, start_search, wait

SPACE = """learning_rate: {low: 1e-4, high: 1e-1, log: true}
label_smoothing_factor: {low: 0, high: 0.3}
per_device_train_batch_size: [16, 32]
"""
TRAINING = {
    **{"dataset_name": "digits", "max_train_samples": 300, "architecture": "lenet5", "num_train_epochs": 4},
    **{"use_cpu": True, "shift": 0.1, "seed": 1},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--commands", nargs="*", default=["crossval", "hyperband", "none"])
    parser.add_argument("--strategy", default="tpe")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "space.yaml").write_text(SPACE)
        for name in arguments.commands:
            start, table, weights, values = start_search, trials_of, "best", {}
            if name == "crossval":
                start, table, weights = start_crossval, folds_of, "ensemble"
                values = {"folds": 4, "repeats": 2, "keep_ensemble": True}
            else:
                values = {"space": str(root / "space.yaml"), "trials": arguments.trials, "startup_trials": 4}
                values |= {"strategy": arguments.strategy, "pruner": name}
            values |= TRAINING
            whole, killed = root / f"{name}-whole", root / f"{name}-killed"
            began = time.monotonic()
            code = wait(start(values | {"output_dir": str(whole)}, root / "log"), 3600)
            assert code == 0, (root / "log").read_text()
            length = time.monotonic() - began
            log, disturbed = root / f"{name}.log", values | {"output_dir": str(killed)}
            done = disturb(lambda v=disturbed, s=start, f=log: s(v, f), killed, log, arguments.kills, moments, length)
            files = [place / weights / "model.safetensors" for place in (whole, killed)]
            same = table(whole) == table(killed) and files[0].read_bytes() == files[1].read_bytes()
            worst |= not same
            told = f"{arguments.strategy}, pruner {name}" if start is start_search else name
            print(
                f"{told}: {len(table(whole))} trainings; killed when {' '.join(map(str, done))} were finished; "
                f"{'identical' if same else 'DIFFER'}",
                flush=True,
            )
    return worst


def disturb(start: Callable, place: Path, log: Path, kills: int, moments: random.Random, length: float) -> list[int]:
    """Kills a command so many times, spread over its length, and lets it end; trainings finished at each kill."""
    done: list[int] = []
    while True:
        started = count(log)
        child = start()
        # From when its settings are told on.
        while count(log) <= started and child.is_alive():
            time.sleep(0.02)
        last = len(done) >= kills
        code = wait(child, 3600 if last else moments.uniform(0, 2 * length / (kills + 1)))
        assert code in (None, 0), log.read_text()
        if code == 0:
            return done
        kill(child)
        done.append(len([*place.glob("trials/*/metrics.json"), *place.glob("folds/*/metrics.json")]))


def count(log: Path) -> int:
    """How often a command has told its settings, and begun."""
    text = log.read_text() if log.exists() else ""
    return text.count("\nlength    ") + text.count("\nfolds     ")


def trials_of(place: Path) -> list[dict]:
    """The trials of a search without what the clock says."""
    with (place / "trials.csv").open() as file:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def folds_of(place: Path) -> list[dict]:
    """The folds of a cross-validation without what the clock says."""
    runs = json.loads((place / "crossval.json").read_text())["runs"]
    return [{name: cell for name, cell in row.items() if name != "train_runtime"} for row in runs]


if __name__ == "__main__":
    sys.exit(main())
