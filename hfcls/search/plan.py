"""All that a worker must know of a search: its flags, checked and settled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfcls.command_arguments import SearchArguments
from hfcls.errors import UserError
from hfcls.metrics import METRICS
from hfcls.search.pruning import SHORTEST
from hfcls.search.space import Space

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
    _check_refit(arguments, space, fixed)
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


def _check_refit(arguments: SearchArguments, space: Space, fixed: Mapping[str, Any]) -> None:
    """Whether the best settings can be trained anew without a validation split.

    Raises:
        UserError: they cannot.
    """
    if not arguments.refit:
        return
    if fixed.get("streaming"):
        raise UserError("--refit cannot put train and validation together with --streaming: leave one of them out.")
    varied = [choice for one in space.dimensions if one.name == "lr_scheduler_type" for choice in one.choices]
    if "reduce_lr_on_plateau" in (fixed.get("lr_scheduler_type"), *varied):
        raise UserError(
            "--refit leaves no validation split, which --lr_scheduler_type reduce_lr_on_plateau goes by: leave one of "
            "them out."
        )


def _check_validation(fixed: Mapping[str, Any]) -> None:
    if fixed.get("validation_fraction") == 0 and not fixed.get("validation_dir"):
        raise UserError(
            "--validation_fraction 0 leaves nothing to compare trials on: a search needs a validation split."
        )
    if fixed.get("eval_strategy") == "no":
        raise UserError("--eval_strategy no would keep the last weights of each trial, unseen: leave it out.")


def _longest(pruner: str, space: Space, fixed: Mapping[str, Any]) -> int:
    """Evaluations of the longest training; 0 where it does not matter.

    Raises:
        UserError: the pruner must know, and the flags do not say; or no training is long enough for it.
    """
    if pruner == "none":
        return 0
    longest = _evaluations(space, fixed)
    if longest is None and pruner == "hyperband":
        raise UserError("--pruner hyperband must know how long a training can get: give --num_train_epochs.")
    if longest is not None and longest < SHORTEST[pruner]:
        raise UserError(
            f"--pruner {pruner} would have no effect: it needs trainings of {SHORTEST[pruner]} evaluations or more, "
            f"and these have {longest}."
        )
    return longest or 0


def _evaluations(space: Space, fixed: Mapping[str, Any]) -> int | None:
    """Of the longest training; None where the flags do not say."""
    if fixed.get("eval_strategy") in (None, "epoch"):
        lengths = [fixed["num_train_epochs"]] if fixed.get("num_train_epochs") else []
        for one in space.dimensions:
            if one.name == "num_train_epochs":
                lengths = [length for length in one.choices if length] or [one.high]
        return max(int(max(lengths)), 1) if lengths else None
    if fixed.get("max_steps") and fixed.get("eval_steps"):
        return max(int(fixed["max_steps"] // fixed["eval_steps"]), 1)
    return None
