"""Kills a search at random moments and lets it go on: does it end with the table of an undisturbed one?

    python scripts/benchmarks/kill_search.py --kills 5

For each pruner: one undisturbed search, then one that SIGKILL ends at so many random moments and that the same command
goes on with; augmentation on, one worker. Prints a row per pruner; exits with 1 where a cell of the table differs (but
for the seconds), or a byte of the best run's weights.
"""

import argparse
import csv
import os
import random
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TRANSFORMERS_VERBOSITY": "error"}
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.processes import kill, start_search, wait

SPACE = """learning_rate: {low: 1e-4, high: 1e-1, log: true}
label_smoothing_factor: {low: 0, high: 0.3}
per_device_train_batch_size: [16, 32]
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--pruners", nargs="*", default=["hyperband", "none"])
    parser.add_argument("--strategy", default="tpe")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "space.yaml").write_text(SPACE)
        for pruner in arguments.pruners:
            values = {
                **{"space": str(root / "space.yaml"), "trials": arguments.trials, "strategy": arguments.strategy},
                **{"pruner": pruner, "startup_trials": 4, "dataset_name": "digits", "max_train_samples": 300},
                **{"architecture": "lenet5", "num_train_epochs": 4, "use_cpu": True, "shift": 0.1, "seed": 1},
            }
            whole, killed = root / f"{pruner}-whole", root / f"{pruner}-killed"
            began = time.monotonic()
            code = wait(start_search(values | {"output_dir": str(whole)}, root / "log"), 3600)
            assert code == 0, (root / "log").read_text()
            seconds = time.monotonic() - began
            done = disturb(values | {"output_dir": str(killed)}, root / "killed.log", arguments.kills, moments, seconds)
            same = table(whole) == table(killed) and weights(whole) == weights(killed)
            worst |= not same
            states = [row["state"] for row in table(whole)]
            print(
                f"{arguments.strategy}, pruner {pruner}: {len(states)} trials, {states.count('pruned')} pruned; killed "
                f"when {' '.join(map(str, done))} were finished; {'identical' if same else 'DIFFER'}",
                flush=True,
            )
    return worst


def disturb(values: dict, log: Path, kills: int, moments: random.Random, seconds: float) -> list[int]:
    """Kills a search so many times, then lets it end; how many trials were finished each time."""
    done: list[int] = []
    while True:
        child = start_search(values, log)
        started = log.read_text().count("length    ") if log.exists() else 0
        while log.exists() and log.read_text().count("length    ") <= started and child.is_alive():
            time.sleep(0.02)
        last = len(done) >= kills
        code = wait(child, 3600 if last else moments.uniform(0, 2 * seconds / (kills + 1)))
        assert code in (None, 0), log.read_text()
        if code == 0:
            return done
        kill(child)
        file = Path(values["output_dir"], "trials.csv")
        done.append(sum(row["state"] != "unfinished" for row in table(file.parent)) if file.exists() else 0)


def table(folder: Path) -> list[dict]:
    """The trials without what the clock says."""
    with (folder / "trials.csv").open() as file:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def weights(folder: Path) -> bytes:
    return (folder / "best" / "model.safetensors").read_bytes()


if __name__ == "__main__":
    sys.exit(main())
