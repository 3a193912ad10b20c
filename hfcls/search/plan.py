"""All that a worker must know of a search, and the file that keeps it, so that the same command goes on there."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from hfcls.arguments import SearchArguments
from hfcls.errors import UserError
from hfcls.files import write_text
from hfcls.metrics import METRICS
from hfcls.parsing import dump_yaml
from hfcls.search.space import Space

SETTINGS, SPACE, LOCK = "search.yaml", "space.yaml", "study.lock"
# What may differ when a search goes on: how much more of it, where, and what is made of it in the end.
_FREE = frozenset(
    ("trials", "hours", "workers", "refit", "space", "output_dir", "overwrite_output_dir", "cache_gb", "use_cpu")
)
STARTUP = 10


@dataclass(frozen=True)
class Plan:
    """A search.

    Attributes:
        folder: where all of it lies.
        fixed: flags that all trials share.
        trials: how many in all; None: as many as the hours allow.
        startup: how many of them are drawn at random first, by a strategy that learns.
        metric: of validation, that trials are compared by.
        longest: evaluations of the longest training; 0 where no pruner asks.
    """

    folder: Path
    space: Space
    fixed: dict[str, Any]
    strategy: str
    pruner: str
    trials: int | None
    hours: float | None
    workers: int
    refit: bool
    seed: int
    startup: int
    metric: str
    greater_is_better: bool
    longest: int

    def run_dir(self, number: int) -> Path:
        """Of a trial by optuna's number, which begins at 0; people count from 1."""
        return self.folder / "trials" / f"{number + 1:04d}"

    def flags(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The flags of a training with these settings, but for its place."""
        return {**self.fixed, **{name: value for name, value in params.items() if value is not None}}

    def better(self, one: float, other: float) -> bool:
        """Whether one value of the metric is better than another."""
        return one > other if self.greater_is_better else one < other


def make_plan(arguments: SearchArguments, space: Space, fixed: dict[str, Any]) -> Plan:
    """Checks the flags of a search and settles what they leave open.

    Raises:
        UserError: one is missing, out of range or without effect.
    """
    learns, combines = arguments.strategy in ("tpe", "gp"), arguments.strategy == "grid"
    if arguments.trials is None and arguments.hours is None and not combines:
        raise UserError("No end: give --trials, such as 30, or --hours, or both.")
    for name in ("trials", "hours", "workers", "startup_trials"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"--{name} is {value:g}: expected a number above 0.")
    if arguments.startup_trials is not None and not learns:
        raise UserError(f"--startup_trials would have no effect with --strategy {arguments.strategy}.")
    if arguments.refit and fixed.get("streaming"):
        raise UserError("--refit cannot put train and validation together with --streaming: leave one of them out.")
    _check_validation(fixed)
    metric = str(fixed.get("metric_for_best_model", "accuracy")).removeprefix("eval_")
    # Label smoothing and class weights are in the loss, so that its values from trial to trial are not of one kind.
    metric = "log_loss" if metric == "loss" else metric
    greater = fixed.get("greater_is_better")
    trials = arguments.trials
    if combines:
        trials = min(trials or space.count_grid(), space.count_grid())
    return Plan(
        folder=Path(str(arguments.output_dir)).expanduser(),
        space=space,
        fixed=fixed,
        strategy=arguments.strategy,
        pruner=arguments.pruner,
        trials=trials,
        hours=arguments.hours,
        workers=arguments.workers,
        refit=arguments.refit,
        seed=int(fixed.get("seed", 42)),
        startup=(arguments.startup_trials or STARTUP) if learns else 0,
        metric=metric,
        greater_is_better=METRICS[metric].greater_is_better if greater is None else bool(greater),
        longest=_longest(arguments.pruner, space, fixed),
    )


def _check_validation(fixed: Mapping[str, Any]) -> None:
    if fixed.get("validation_fraction") == 0 and not fixed.get("validation_dir"):
        raise UserError(
            "--validation_fraction 0 leaves nothing to compare trials on: a search needs a validation split."
        )
    if fixed.get("eval_strategy") == "no":
        raise UserError("--eval_strategy no would keep the last weights of each trial, unseen: leave it out.")


def _longest(pruner: str, space: Space, fixed: Mapping[str, Any]) -> int:
    """Evaluations of the longest training.

    Raises:
        UserError: the pruner must know, and the flags do not say.
    """
    if pruner != "hyperband":
        return 0
    if fixed.get("eval_strategy") in (None, "epoch"):
        lengths = [fixed["num_train_epochs"]] if fixed.get("num_train_epochs") else []
        for one in space.dimensions:
            if one.name == "num_train_epochs":
                lengths = [length for length in one.choices if length] or [one.high]
        if lengths:
            return max(int(max(lengths)), 1)
    elif fixed.get("max_steps") and fixed.get("eval_steps"):
        return max(int(fixed["max_steps"] // fixed["eval_steps"]), 1)
    raise UserError("--pruner hyperband must know how long a training can get: give --num_train_epochs.")


def is_search(folder: Path) -> bool:
    """Whether a search was begun there."""
    return (folder / SETTINGS).is_file()


def open_folder(plan: Plan, values: Mapping[str, Any], *, overwrite: bool) -> bool:
    """Makes the folder of a search ready, or finds that it goes on there.

    Args:
        values: all flags of the command.
        overwrite: what is there may be replaced.

    Returns:
        Whether it goes on.

    Raises:
        UserError: the folder holds something else, or a search with other settings, or one that still runs.
    """
    folder = plan.folder
    for parent in [folder, *folder.parents]:
        if parent.exists() and not parent.is_dir():
            raise UserError(f"--output_dir {folder} cannot be made: {parent} is a file. Choose another place.")
    kept = {LOCK, ".search.yaml.part", ".space.yaml.part", SPACE}
    if folder.is_dir() and not is_search(folder) and set(os.listdir(folder)) - kept:
        raise UserError(f"--output_dir {folder} holds files that no search wrote: choose another place.")
    folder.mkdir(parents=True, exist_ok=True)
    with study_lock(folder):
        if overwrite:
            _remove(folder)
        now = _settings(plan, values)
        there = is_search(folder)
        if there:
            _compare(folder, now, plan.space)
        else:
            write_text(folder / SPACE, dump_yaml(_space_content(plan.space)))
        header = (
            "# All flags of this search. It goes on, or gets one more worker, by: hfcls search --config search.yaml\n"
        )
        write_text(folder / SETTINGS, header + dump_yaml(now))
    return there


def study_lock(folder: Path) -> FileLock:
    """Whoever changes the list of trials holds it; a process that dies lets it go."""
    return FileLock(folder / LOCK)


def trial_lock(folder: Path, number: int) -> FileLock:
    """Whoever trains a trial holds it for as long as it does; a process that dies lets it go."""
    place = folder / "locks"
    place.mkdir(exist_ok=True)
    return FileLock(place / f"{number + 1:04d}.lock", timeout=0)


def _remove(folder: Path) -> None:
    """Empties the folder, the search's settings first, so that a kill in between leaves no half of a search."""
    for lock in sorted((folder / "locks").glob("*.lock")):
        try:
            with FileLock(lock, timeout=0):
                pass
        except Timeout:
            raise UserError(f"--output_dir {folder}: trial {int(lock.stem)} is being trained; stop it first.") from None
    (folder / SETTINGS).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.name != LOCK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _settings(plan: Plan, values: Mapping[str, Any]) -> dict[str, Any]:
    """What ``search.yaml`` holds."""
    defaults = {f.name: f.default for f in fields(SearchArguments)}
    given = {**values, "space": str(plan.folder / SPACE), "output_dir": str(plan.folder)}
    given.pop("overwrite_output_dir", None)
    return {name: value for name, value in given.items() if value != defaults.get(name)}


def _space_content(space: Space) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for one in space.dimensions:
        if one.choices:
            content[one.name] = list(one.choices)
            continue
        row = {key: value for key, value in asdict(one).items() if key in ("low", "high", "step", "log", "points")}
        content[one.name] = {key: value for key, value in row.items() if value is not None and value is not False}
    return content


def _compare(folder: Path, now: Mapping[str, Any], space: Space) -> None:
    """Whether the search that is there has the same settings.

    Raises:
        UserError: it has not.
    """
    otherwise = "a search goes on with its own settings; begin anew with --overwrite_output_dir, or in another place."
    try:
        before = yaml.safe_load((folder / SETTINGS).read_text(encoding="utf-8"))
        varied = yaml.safe_load((folder / SPACE).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{folder} cannot be read ({' '.join(str(error).split())}).") from None
    for name in sorted(before.keys() | now.keys()):
        if name not in _FREE and before.get(name) != now.get(name):
            raise UserError(f"--{name} was {before.get(name)} in {folder} and is now {now.get(name)}: {otherwise}")
    wanted = _space_content(space)
    for name in [*varied, *wanted]:
        if varied.get(name) != wanted.get(name):
            raise UserError(f"{name} varied over {varied.get(name)} and is now {wanted.get(name)}: {otherwise}")
