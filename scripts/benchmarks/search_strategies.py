"""Which strategy finds better settings in as many trials: Parzen estimators, a Gaussian process, or luck?

    python scripts/benchmarks/search_strategies.py --trials 30 --seeds 0 1 2 3 4 --output found.json

The problem: LeNet-5 on 300 of the digits, 4 epochs, five dials; the log loss on the validation split, whose images
are the same in all trials. A trial hangs on its settings alone, so that strategies differ by what they propose; they
begin with the same random draws. Prints the mean over the seeds of the best value after 10, 20 and all trials, and
differences to random draws with 95 % intervals (Student's t, paired by seed).
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TRANSFORMERS_VERBOSITY": "error"}
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import optuna
import torch
from scipy import stats

from hfcls.arguments import AugmentationArguments, DataArguments, MethodArguments, only
from hfcls.data.labelled import load_data
from hfcls.errors import UserError
from hfcls.search import STRATEGIES
from hfcls.search.proposals import Proposals
from hfcls.search.space import Dimension, Space
from hfcls.training.fit import fit
from hfcls.training.start import cache_pixels, prepare_training

SPACE = Space(
    (
        Dimension("learning_rate", low=1e-4, high=1e-1, log=True),
        Dimension("weight_decay", low=1e-4, high=1.0, log=True),
        Dimension("label_smoothing_factor", low=0.0, high=0.3),
        Dimension("shift", low=0.0, high=0.3),
        Dimension("per_device_train_batch_size", choices=(16, 32, 64, 128)),
    )
)
STARTUP = 10
# What was measured; strategies begin with the same draws.
KNOWN: dict[tuple, float] = {}
# Of a training that has diverged: that of an answer at random among ten classes, and worse than any other.
DIVERGED = 2.0 * float(np.log(10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--strategies", nargs="*", default=["random", "tpe", "gp"])
    parser.add_argument("--output", help="JSON of what was found; what is in there already is not measured again")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = load_data(DataArguments(dataset_name="digits", max_train_samples=300))
    gc.collect()
    gc.freeze()
    place = Path(arguments.output) if arguments.output else None
    found: dict[str, dict[str, list[float]]] = json.loads(place.read_text()) if place and place.exists() else {}
    for seed in arguments.seeds:
        for name in arguments.strategies:
            if str(seed) in found.setdefault(name, {}):
                continue
            start = time.perf_counter()
            found[name][str(seed)] = search(name, seed, arguments.trials, data)
            print(
                f"seed {seed}  {name:<8} best {min(found[name][str(seed)]):.4f}  {time.perf_counter() - start:.0f} s",
                flush=True,
            )
            if place:
                place.write_text(json.dumps(found))
    report(found, arguments.trials)


def search(name: str, seed: int, trials: int, data) -> list[float]:
    """The value of each trial."""
    sampler = Proposals(SPACE, STRATEGIES[name], seed=seed, startup=STARTUP)
    study = optuna.create_study(sampler=sampler, direction="minimize")
    for _ in range(trials):
        trial = study.ask(SPACE.distributions())
        settings = tuple(sorted(trial.params.items()))
        if settings not in KNOWN:
            KNOWN[settings] = objective(trial.params, data)
        study.tell(trial, KNOWN[settings])
    return [trial.value for trial in study.trials]


def objective(params: dict, data) -> float:
    """Log loss on validation after the best epoch."""
    with tempfile.TemporaryDirectory() as folder:
        values = {
            **{"architecture": "lenet5", "num_train_epochs": 4, "output_dir": folder, "disable_tqdm": True},
            **{"save_strategy": "no", "use_cpu": True, "bf16": False, "seed": 0, **params},
        }
        start = cache_pixels(prepare_training(values, data), None)
        try:
            result = fit(
                start.classifier,
                start.splits,
                preprocessing=start.preprocessing,
                training=start.training,
                method=only(MethodArguments, start.values),
                augmentation=only(AugmentationArguments, start.values),
            )
        except UserError:
            return DIVERGED
    losses = [entry["eval_log_loss"] for entry in result.state.log_history if "eval_log_loss" in entry]
    return min(*losses, DIVERGED)


def report(found: dict[str, dict[str, list[float]]], trials: int) -> None:
    """A row for each strategy."""
    marks = sorted({min(10, trials), min(20, trials), trials})
    print("\nbest log loss after" + "".join(f"{mark:>10}" for mark in marks) + "    less than random, after all")
    seeds = sorted(set.intersection(*(set(rows) for rows in found.values())))
    best = {
        name: np.minimum.accumulate(np.array([rows[seed] for seed in seeds]), axis=1) for name, rows in found.items()
    }
    print(f"{len(seeds)} seeds")
    for name, rows in best.items():
        cells = "".join(f"{rows[:, mark - 1].mean():10.4f}" for mark in marks)
        print(f"{name:<19}{cells}    {compare(best.get('random'), rows)}")


def compare(random: np.ndarray | None, rows: np.ndarray) -> str:
    """The mean difference with its interval, and in how many seeds it is above zero."""
    if random is None or rows is random or len(rows) < 2:
        return ""
    gains = random[:, -1] - rows[:, -1]
    spread = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5
    mean = gains.mean()
    return f"{mean:+.4f} [{mean - spread:+.4f}, {mean + spread:+.4f}], {(gains > 0).sum()} of {len(gains)} seeds"


if __name__ == "__main__":
    main()
