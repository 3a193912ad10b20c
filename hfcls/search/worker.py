"""Workers: claim a trial, train it, write down what came of it, until there is nothing left to claim."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from hfcls.data.room import available_cores
from hfcls.errors import UserError
from hfcls.parsing import run_command
from hfcls.search.plan import Plan
from hfcls.search.study import Claim, Outcome, SearchStudy
from hfcls.search.table import value_text, write_table
from hfcls.training.side_by_side import become_worker

Say = Callable[[str], None]
# Then it is not the trials.
_MOST_DEATHS = 10


def work(plan: Plan, say: Say) -> None:
    """Trains trials in this process until there is nothing left to claim.

    Raises:
        UserError: all trials fail.
        KeyboardInterrupt: Ctrl-C; what was trained by then is saved.
    """
    from hfcls.search.trial import run_trial

    study = SearchStudy(plan)
    while (claim := study.claim()) is not None:
        try:
            outcome = run_trial(plan, claim)
        except BaseException:
            study.give_up(claim)
            raise
        study.finish(claim, outcome)
        write_table(study)
        say(_line(study, claim, outcome))


def run_workers(plan: Plan, say: Say) -> None:
    """Trains in `plan.workers` processes, each with its share of the cores; one that is killed is replaced.

    Raises:
        UserError: a worker has ended with an error.
        KeyboardInterrupt: Ctrl-C, once all have saved what they had.
    """
    workers, deaths = _Workers(plan), 0
    try:
        while workers.alive():
            for code in workers.ended():
                if code < 0 and not workers.stopping and deaths < _MOST_DEATHS:
                    say(f"note: A worker was ended by signal {-code}; another one takes its place.")
                    deaths += 1
                    workers.start()
                elif code not in (0, 130):
                    workers.stop()
                    raise UserError("A worker has ended with an error, which is above.")
        if workers.stopping:
            raise KeyboardInterrupt
    finally:
        workers.kill()


class _Workers:
    """The processes. They are in a group of their own, so that one Ctrl-C reaches each of them once, from here."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._context = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess] = []
        self.stopping = False
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        for _ in range(plan.workers):
            self.start()

    def start(self) -> None:
        """One more."""
        threads = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = threads or str(max(available_cores() // self._plan.workers, 1))
        try:
            process = self._context.Process(target=_serve, args=(self._plan,))
            process.start()
        finally:
            os.environ.pop("OMP_NUM_THREADS") if threads is None else None
        self._processes.append(process)

    def alive(self) -> bool:
        """Whether any is at work, or has ended unseen."""
        return bool(self._processes)

    def ended(self) -> list[int]:
        """Waits a little; exit codes of those that have ended since."""
        wait([process.sentinel for process in self._processes], timeout=1)
        over = [process for process in self._processes if process.exitcode is not None]
        self._processes = [process for process in self._processes if process not in over]
        return [process.exitcode or 0 for process in over]

    def stop(self) -> None:
        """Asks all to save and end."""
        self.stopping = True
        for process in self._processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, signal.SIGINT)

    def kill(self) -> None:
        """Ends what is left."""
        for process in self._processes:
            process.join(60 if self.stopping else 0)
            process.kill()
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.stopping:
            raise KeyboardInterrupt("Stopped at once; the last checkpoints are whole.")
        print("\nStopping all workers (Ctrl-C again: at once) ...", flush=True)
        self.stop()


def _serve(plan: Plan) -> None:
    """A worker's life."""
    become_worker()
    sys.exit(run_command(lambda: _quietly(plan)))


def _quietly(plan: Plan) -> int:
    try:
        work(plan, print_line)
    except KeyboardInterrupt:
        return 130  # what there is to say the parent says
    return 0


def print_line(text: str) -> None:
    """To the screen at once."""
    print(text, flush=True)


def _line(study: SearchStudy, claim: Claim, outcome: Outcome) -> str:
    """What a trial was and what came of it, where the search stands, and how long it may take."""
    plan, trials = study.plan, study.trials()
    best = study.best()
    params = ", ".join(f"{name} {value_text(value)}" for name, value in claim.params.items())
    of = f" of {plan.trials}" if plan.trials is not None else ""
    if outcome.state == "complete":
        came = f"{plan.metric} {outcome.value:.4f}"
    elif outcome.state == "pruned":
        came = "pruned" if outcome.epochs is None else f"pruned after epoch {outcome.epochs:g}"
    else:
        came = f"failed: {outcome.reason}"
    parts = [f"trial {claim.number + 1}{of}  {params}: {came}", f"{outcome.seconds:.1f} s"]
    if best is not None:
        own = "the best so far" if best.number == claim.number else f"best {best.value:.4f}, trial {best.number + 1}"
        parts.append(own)
    seconds = [one.user_attrs["seconds"] for one in trials if one.state.is_finished() and "seconds" in one.user_attrs]
    left = study.time_left()
    if plan.trials is not None and seconds:
        left = min(left, max(plan.trials - len(seconds), 0) * sum(seconds) / len(seconds) / plan.workers)
    if 0 < left < float("inf"):
        parts.append(f"about {duration_text(left)} left")
    return "; ".join(parts)


def duration_text(seconds: float) -> str:
    """Such as 40 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
