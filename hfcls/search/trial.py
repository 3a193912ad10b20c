"""One trial: a whole training with the settings of a claim, watched epoch by epoch."""

import errno
import gc
import json
import math
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from hfcls.errors import UserError
from hfcls.files import write_text
from hfcls.parsing import sentence_of
from hfcls.search.plan import Plan
from hfcls.search.study import Claim, Outcome
from hfcls.training.run_directory import is_run
from hfcls.training.whole_run import train_whole

ERROR = "error.txt"
# A full disk is no fault of the settings.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Pruned(Exception):
    """The trial ends here."""


class Watch(TrainerCallback):
    """Reports the metric after each evaluation, and ends the trial where the pruner says so.

    Args:
        trial: optuna's.
        metric: without ``eval_``.
    """

    def __init__(self, trial: Any, metric: str):
        self._trial = trial
        self._key = f"eval_{metric}"

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        """A trial that goes on may be one that was to end."""
        self._judge()

    def on_evaluate(self, args, state, control, metrics=None, **kwargs) -> None:
        """Reports the value, unless the process that was killed had."""
        reported = self._trial.storage.get_trial(self._trial._trial_id).intermediate_values
        step = sum(self._key in entry for entry in state.log_history)
        if step not in reported:
            self._trial.report(float(metrics[self._key]), step)
        self._judge()

    def _judge(self) -> None:
        if self._trial.should_prune():
            raise Pruned


def run_trial(plan: Plan, claim: Claim) -> Outcome:
    """Trains, or goes on where a dead process has stopped.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was trained by then is saved.
        OSError: the disk is full.
    """
    started = time.perf_counter()
    run_dir = plan.run_dir(claim.number)
    outcome = _train(plan, claim, run_dir)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    seconds = max(time.perf_counter() - started, outcome.seconds)
    return Outcome(**{**vars(outcome), "seconds": round(seconds, 2)})


def _train(plan: Plan, claim: Claim, run_dir: Path) -> Outcome:
    try:
        if not (run_dir / "metrics.json").is_file():
            _learn(plan, claim, run_dir)
        return _read_outcome(run_dir, plan.metric)
    except Pruned:
        return Outcome("pruned", epochs=_reported(plan, claim))
    except (UserError, torch.OutOfMemoryError) as error:
        if isinstance(error.__context__, OSError) and error.__context__.errno in _DISK:
            raise
        reason = sentence_of(error) if isinstance(error, UserError) else "The memory of the device does not suffice."
    except MemoryError:
        reason = "The memory does not suffice."
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        write_text(run_dir / ERROR, traceback.format_exc())
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (see {ERROR})"
    return Outcome("failed", epochs=_reported(plan, claim), reason=reason)


def _learn(plan: Plan, claim: Claim, run_dir: Path) -> None:
    values = {**plan.flags(claim.params), "output_dir": str(run_dir), "disable_tqdm": True}
    if is_run(run_dir):
        values["resume_from_checkpoint"] = "auto"
    elif run_dir.exists():
        shutil.rmtree(run_dir)  # killed before it was a run
    train_whole(values, splits=("validation",), callbacks=(Watch(claim.trial, plan.metric),))


def _read_outcome(run_dir: Path, metric: str) -> Outcome:
    """What a finished training has written down."""
    figure = json.loads((run_dir / "metrics.json").read_text())["splits"]["validation"]["headline"][metric]
    train = json.loads((run_dir / "train_results.json").read_text())
    state = json.loads((run_dir / "trainer_state.json").read_text())
    best = state.get("best_global_step")
    kept = [entry["epoch"] for entry in state["log_history"] if entry.get("step") == best]
    value, epochs = figure["value"], train["epoch"]
    if value is None or not math.isfinite(value):
        return Outcome("failed", seconds=train["train_runtime"], epochs=epochs, reason=_undefined(metric, figure))
    return Outcome("complete", value, train["train_runtime"], epochs, kept[0] if kept else epochs)


def _undefined(metric: str, figure: dict[str, Any]) -> str:
    return f"{metric} is undefined: {figure.get('reason') or 'it is not finite'}."


def _reported(plan: Plan, claim: Claim) -> float | None:
    """The epoch of the last evaluation; None where evaluations go by steps."""
    if plan.fixed.get("eval_strategy", "epoch") != "epoch":
        return None
    last = claim.trial.study._storage.get_trial(claim.trial._trial_id).last_step
    return None if last is None else float(last)
