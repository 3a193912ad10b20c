"""Which settings a trial gets: a function of the seed, the trial's number and the trials that are finished.

So a trial whose process was killed before its first step gets the same settings again, and one worker that is killed
proposes the same trials as one that is not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcls.extras import require
from hfcls.search.space import Space

# From a study, a trial, its distributions, a seed and the number of random trials to settings; {} has none to propose.
Propose = Callable[[Any, Any, dict[str, Any], int, int], dict[str, Any]]
# What a trial keeps of where its settings come from.
DRAWN = "drawn"
RANDOM, PROPOSED = "at random", "proposed"


@dataclass(frozen=True)
class Strategy:
    """A way to propose settings.

    Attributes:
        propose: see `Propose`.
        learns: from the trials before; the first ones are then drawn at random.
        combines: tries combinations, each once.
    """

    propose: Propose
    title: str
    paper: str
    learns: bool = False
    combines: bool = False


def propose_by_tpe(study: Any, trial: Any, distributions: dict[str, Any], seed: int, startup: int) -> dict[str, Any]:
    """By a multivariate tree-structured Parzen estimator; trials that still run count as bad ones."""
    samplers = require("optuna", extra="search").samplers
    sampler = samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)
    found: dict[str, Any] = sampler.sample_relative(study, trial, distributions)
    return found


def propose_by_gp(study: Any, trial: Any, distributions: dict[str, Any], seed: int, startup: int) -> dict[str, Any]:
    """By a Gaussian process; settings of trials that still run are reckoned with."""
    samplers = require("optuna", extra="search").samplers
    sampler = samplers.GPSampler(seed=seed, n_startup_trials=startup)
    found: dict[str, Any] = sampler.sample_relative(study, trial, distributions)
    return found


def propose_nothing(study: Any, trial: Any, distributions: dict[str, Any], seed: int, startup: int) -> dict[str, Any]:
    """Leaves everything to chance, or to the grid."""
    return {}


class Proposals:
    """What optuna asks for the settings of a trial (its ``BaseSampler``).

    Every dimension comes out at once, so that nothing is sampled by itself.

    Args:
        strategy: a row of `hfcls.search.STRATEGIES`.
        startup: how many trials a strategy that learns draws at random first.
    """

    def __init__(self, space: Space, strategy: Strategy, *, seed: int, startup: int):
        self._space = space
        self._strategy = strategy
        self._seed = seed
        self._startup = startup
        self._order: np.ndarray | None = None
        if strategy.combines:
            # Also where all are tried: a search may be lengthened, and its order must not hang on its length.
            self._order = np.random.default_rng(seed).permutation(space.count_grid())

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """All dimensions."""
        return self._space.distributions()

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        """The settings of a trial."""
        if self._order is not None:
            return self._space.grid_point(int(self._order[trial.number]))
        seed = int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])
        found = self._strategy.propose(_Others(study, trial.number), trial, search_space, seed, self._startup)
        study._storage.set_trial_user_attr(trial._trial_id, DRAWN, PROPOSED if found else RANDOM)
        if found:
            return found
        random = require("optuna", extra="search").samplers.RandomSampler(seed=seed)
        return {name: random.sample_independent(study, trial, name, one) for name, one in search_space.items()}

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        """Never asked for: `sample_relative` leaves nothing out."""
        raise AssertionError(f"{name} was left out of a proposal")

    def before_trial(self, study: Any, trial: Any) -> None:
        """Nothing to prepare."""

    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        """Nothing to keep."""

    def reseed_rng(self) -> None:
        """There is no state."""


class _Others:
    """A study without one trial, as it was when that was first asked for: samplers reckon with all that run."""

    def __init__(self, study: Any, number: int):
        self._all = study
        self._number = number

    def _get_trials(self, *args: Any, **settings: Any) -> list[Any]:
        return [one for one in self._all._get_trials(*args, **settings) if one.number != self._number]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all, name)
