"""When a trial ends early: a function of what it and the others have reported, so that a kill changes no verdict."""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from hfcls.extras import require

# From a study, a trial and the longest possible training, in evaluations, to whether the trial ends here.
Prune = Callable[[Any, Any, int], bool]
REDUCTION = 3
# The evaluations of a training that a pruner can spare some of.
SHORTEST = {"median": 3, "hyperband": 2}


def prune_none(study: Any, trial: Any, longest: int) -> bool:
    """Lets every trial come to its end."""
    return False


def prune_by_median(study: Any, trial: Any, longest: int) -> bool:
    """Ends a trial whose best value so far is worse than the median of the others' after as many evaluations.

    The first five trials come to their end, and the first evaluation is waited for.
    """
    pruners = require("optuna", extra="search").pruners
    return bool(pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2).prune(study, trial))


def prune_by_hyperband(study: Any, trial: Any, longest: int) -> bool:
    """Asynchronous successive halving in brackets.

    At each rung of its bracket (after 1, 3, 9, ... evaluations; in the next bracket after 3, 9, ...) a trial goes on
    where it is among the best third of those that have come so far. optuna's own keeps rungs in the trial as it judges,
    and would judge differently after a kill in between.

    Source: Li et al., Hyperband, JMLR 18, 2018; Li et al., A System for Massively Parallel Hyperparameter Tuning,
    MLSys 2020.
    """
    step = trial.last_step
    bracket = bracket_of(trial.number, longest)
    if step is None or step not in rungs_of(bracket, longest):
        return False
    value = trial.intermediate_values[step]
    if np.isnan(value):
        return True
    sign = -1.0 if study.direction.name == "MAXIMIZE" else 1.0
    others = [
        one.intermediate_values[step]
        for one in study.get_trials(deepcopy=False)
        if one.number != trial.number and step in one.intermediate_values and bracket_of(one.number, longest) == bracket
    ]
    costs = sorted(sign * other for other in [*others, value])
    last = max(len(costs) // REDUCTION, 1) - 1
    return bool(sign * value > costs[last])


def rungs_of(bracket: int, longest: int) -> list[int]:
    """After how many evaluations a trial of the bracket is judged; never after its last."""
    rungs, step = [], REDUCTION**bracket
    while step < longest:
        rungs.append(step)
        step *= REDUCTION
    return rungs


def bracket_of(number: int, longest: int) -> int:
    """Which bracket a trial is in, 0 (judged soonest) or higher; shares as Hyperband's budgets ask for.

    A bracket that begins later lets a trial train longer before it is judged and so holds fewer of them.
    """
    brackets = 1
    while REDUCTION**brackets <= longest:
        brackets += 1
    budgets = [-(-brackets * REDUCTION**s // (s + 1)) for s in range(brackets - 1, -1, -1)]
    place = zlib.crc32(f"trial {number}".encode()) % sum(budgets)
    for bracket, budget in enumerate(budgets):
        place -= budget
        if place < 0:
            return bracket
    raise AssertionError("the budgets cover every place")


class Pruner:
    """What optuna asks whether a trial ends (its ``BasePruner``).

    Args:
        rule: a row of `hfcls.search.PRUNERS`.
        longest: evaluations of the longest training.
    """

    def __init__(self, rule: Prune, longest: int):
        self._rule = rule
        self._longest = longest

    def prune(self, study: Any, trial: Any) -> bool:
        """Whether the trial ends here."""
        return self._rule(study, trial, self._longest)
