"""The study file: which trials there are, who trains them, what came out. Any number of processes may share it."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hfcls.errors import UserError
from hfcls.extras import require
from hfcls.search import PRUNERS, STRATEGIES
from hfcls.search.folder import study_lock, trial_lock
from hfcls.search.plan import Plan
from hfcls.search.proposals import Proposals
from hfcls.search.pruning import Pruner
from hfcls.training.checkpoints import remove_checkpoints

JOURNAL = "study.journal"
# If so many trials fail and none before them did not, the settings that they share are wrong.
_FAILURES = 3
# A trial that takes its process with it so often (memory, mostly), and comes no further meanwhile, has failed.
_DEATHS = 3
# What a trial keeps of how its last process ended: whether on purpose, else how often it was killed and where it stood.
_STOPPED, _DIED = "stopped", "died"


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        state: ``complete``, ``pruned`` or ``failed``.
        value: of the metric on validation; None where it did not come to its end.
        epochs: that were trained.
        best_epoch: whose weights were kept.
        reason: why it failed.
    """

    state: str
    value: float | None = None
    seconds: float = 0.0
    epochs: float | None = None
    best_epoch: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Claim:
    """A trial that this process trains, and no other.

    Attributes:
        trial: optuna's.
        lock: held until it is finished.
    """

    trial: Any
    lock: FileLock

    @property
    def number(self) -> int:
        """Of the trial, from 0 on."""
        return int(self.trial.number)

    @property
    def params(self) -> dict[str, Any]:
        """Its settings by name."""
        return dict(self.trial.params)


class SearchStudy:
    """A search as all its workers see it.

    Args:
        plan: what is searched.
    """

    def __init__(self, plan: Plan):
        self._optuna = require("optuna", extra="search")
        self._optuna.logging.set_verbosity(self._optuna.logging.ERROR)
        self.plan = plan
        self._began = time.time()
        storages = self._optuna.storages
        place = plan.folder / JOURNAL
        with self.alone():
            backend = storages.journal.JournalFileBackend(str(place), lock_obj=_JournalLock(place))
            self.study = self._optuna.create_study(
                storage=storages.JournalStorage(backend),
                sampler=Proposals(plan.space, STRATEGIES[plan.strategy], seed=plan.seed, startup=plan.startup),
                pruner=Pruner(PRUNERS[plan.pruner], plan.longest),
                study_name="search",
                direction="maximize" if plan.greater_is_better else "minimize",
                load_if_exists=True,
            )
            self._before = sum(one.user_attrs.get("seconds", 0.0) for one in self.trials())

    def trials(self) -> list[Any]:
        """All trials as optuna freezes them, by number."""
        found: list[Any] = self.study.get_trials(deepcopy=False)
        return found

    def claim(self) -> Claim | None:
        """A trial to train: one that a dead process has left, else a new one; None where there is no more to do.

        Raises:
            UserError: all trials fail.
        """
        with self.alone():
            trials = self.trials()
            self._check_failures(trials)
            for one in trials:
                lock = trial_lock(self.plan.folder, one.number)
                if one.state.name != "RUNNING" or not _take(lock):
                    continue
                trial = self._optuna.trial.Trial(self.study, one._trial_id)
                if not self._has_failed(trial, one):
                    return Claim(self._with_params(trial), lock)
                lock.release()
            if self._spent(len(trials)):
                return None
            trial = self.study.ask()
            lock = trial_lock(self.plan.folder, trial.number)
            if not _take(lock):
                raise UserError(f"{lock.lock_file} is held by a process that knows nothing of this search: remove it.")
            return Claim(self._with_params(trial), lock)

    def give_up(self, claim: Claim) -> None:
        """Lets go of a trial that its process stops on purpose: whoever takes it over goes on with it."""
        claim.trial.set_user_attr(_STOPPED, True)
        claim.lock.release()

    def finish(self, claim: Claim, outcome: Outcome) -> None:
        """Keeps what came of a trial, and of all weights those of the best one."""
        for name in ("seconds", "epochs", "best_epoch", "reason"):
            claim.trial.set_user_attr(name, getattr(outcome, name))
        states = self._optuna.trial.TrialState
        state = {"complete": states.COMPLETE, "pruned": states.PRUNED, "failed": states.FAIL}[outcome.state]
        with self.alone():
            self.study.tell(claim.trial, outcome.value if outcome.state == "complete" else None, state=state)
            self.tidy()
        claim.lock.release()

    def tidy(self) -> None:
        """Removes what no one needs any more: weights and checkpoints of finished trials that are not the best."""
        best = self.best()
        for one in self.trials():
            run_dir = self.plan.run_dir(one.number)
            if one.state.is_finished() and run_dir.is_dir():
                remove_checkpoints(run_dir)
                if best is None or one.number != best.number:
                    for weights in run_dir.glob("*.safetensors"):
                        weights.unlink()

    def best(self) -> Any | None:
        """The best complete trial, the first of equals; None before there is one."""
        found = None
        for one in self.trials():
            if one.state.name == "COMPLETE" and (found is None or self.plan.better(one.value, found.value)):
                found = one
        return found

    def running(self) -> list[int]:
        """Numbers of the trials that are not finished."""
        return [one.number for one in self.trials() if one.state.name == "RUNNING"]

    def is_over(self) -> bool:
        """Whether all is done that was to be done."""
        return not self.running() and self._spent(len(self.trials()))

    def time_left(self) -> float:
        """Seconds until no new trial begins; infinite without --hours."""
        if self.plan.hours is None:
            return math.inf
        return self.plan.hours * 3600 - self._before / self.plan.workers - (time.time() - self._began)

    def _has_failed(self, trial: Any, frozen: Any) -> bool:
        """Counts the death of the process that left a trial; whether that was one too many."""
        before, reached = frozen.user_attrs, len(frozen.intermediate_values)
        if before.get(_STOPPED):
            trial.set_user_attr(_STOPPED, False)
            return False
        died = before.get(_DIED, {})
        deaths = died["times"] + 1 if died.get("reached") == reached else 1
        trial.set_user_attr(_DIED, {"times": deaths, "reached": reached})
        if deaths < _DEATHS:
            return False
        trial.set_user_attr("reason", f"Its process was killed {deaths} times, as when memory runs out.")
        self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return True

    def _spent(self, count: int) -> bool:
        return (self.plan.trials is not None and count >= self.plan.trials) or self.time_left() <= 0

    def _check_failures(self, trials: list[Any]) -> None:
        first = trials[:_FAILURES]
        if len(first) == _FAILURES and all(one.state.name == "FAIL" for one in first):
            reason = str(first[0].user_attrs.get("reason", "")).rstrip(".")
            raise UserError(
                f"The first {_FAILURES} trials have all failed ({reason}): mend that, then begin anew with "
                "--overwrite_output_dir."
            )

    def _with_params(self, trial: Any) -> Any:
        """Settles the settings of a trial; those that it has already stay."""
        for name, one in self.plan.space.distributions().items():
            kind = type(one).__name__
            if kind == "CategoricalDistribution":
                trial.suggest_categorical(name, one.choices)
            elif kind == "IntDistribution":
                trial.suggest_int(name, one.low, one.high, step=one.step, log=one.log)
            else:
                trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)
        return trial

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process changes the search meanwhile."""
        with study_lock(self.plan.folder):
            yield


class _JournalLock:
    """Whoever writes the journal holds it.

    optuna's own lock is a link that outlives its process and that others wait half a minute for. This one goes with the
    process, and a line that it left half written goes, too.
    """

    def __init__(self, journal: Path):
        self._journal = journal
        self._lock = FileLock(journal.with_name("journal.lock"))

    def acquire(self) -> bool:
        """Waits for it."""
        self._lock.acquire()
        with self._journal.open("rb+") as file:
            content_end = file.seek(0, 2)
            if content_end:
                file.seek(-1, 2)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Gives it back."""
        self._lock.release()


def _take(lock: FileLock) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    return True
