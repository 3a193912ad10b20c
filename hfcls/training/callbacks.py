"""What happens beside the training: progress, Ctrl-C, early stopping, the clock."""

import signal
import sys
import threading
import time
from typing import Any

import torch
import torch.distributed
from transformers import ProgressCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from hfcls.launcher import is_first_process


class Progress(ProgressCallback):
    """One line per evaluation and, on a terminal, a bar below with the loss and the last evaluation's metric.

    Args:
        metric: the one to show, without ``eval_``.
        quiet: show nothing.
    """

    def __init__(self, metric: str, *, quiet: bool = False):
        super().__init__()
        self._metric = f"eval_{metric}"
        self._quiet = quiet
        self._bar = sys.stderr.isatty() and not quiet
        self._shown: dict[str, str] = {}

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        """Opens the bar."""
        if self._bar:
            super().on_train_begin(args, state, control, **kwargs)
        if self._bar and self.training_bar is not None:
            self.training_bar.set_description("Training")
            self.training_bar.update(state.global_step)
            self.current_step = state.global_step

    def on_step_end(self, args, state, control, **kwargs) -> None:
        """Moves the bar."""
        if self._bar:
            super().on_step_end(args, state, control, **kwargs)

    def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs) -> None:
        """Moves the second bar."""
        if self._bar:
            super().on_prediction_step(args, state, control, eval_dataloader=eval_dataloader, **kwargs)

    def on_log(self, args, state, control, logs=None, **kwargs) -> None:
        """Keeps the newest figures beside the bar, or prints them."""
        if not state.is_world_process_zero or self._quiet or not logs:
            return
        for key in ("loss", self._metric):
            if isinstance(logs.get(key), int | float):
                self._shown[key] = f"{logs[key]:.4f}"
        if self.training_bar is not None:
            self.training_bar.set_postfix(self._shown)
        if self._metric in logs:
            figures = ", ".join(f"{key} {value}" for key, value in self._shown.items())
            line = f"epoch {state.epoch:.4g} of {state.num_train_epochs}, step {state.global_step}: {figures}"
            if self.training_bar is not None:
                self.training_bar.write(line)
            else:
                print(line, flush=True)

    def on_train_end(self, args, state, control, **kwargs) -> None:
        """Closes the bar."""
        if self._bar:
            super().on_train_end(args, state, control, **kwargs)


class Interruptible(TrainerCallback):
    """Ctrl-C ends the training after the current step, with a checkpoint; a second one ends it at once.

    Use it as a context: it takes over the signal there, and gives it back.

    Attributes:
        interrupted: whether that happened.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._within_epoch = False
        self._before: Any = None

    def __enter__(self) -> "Interruptible":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)

    def on_step_end(self, args, state: TrainerState, control: TrainerControl, **kwargs) -> None:
        """Within an epoch: saves and stops; an evaluation that is due here is made, as an undisturbed run does."""
        self._agree(args)
        if self.interrupted and not float(state.epoch or 0).is_integer():
            self._within_epoch = True
            control.should_save = control.should_training_stop = True

    def on_epoch_end(self, args, state, control: TrainerControl, **kwargs) -> None:
        """At its end: after what is due there. An epoch cut short leaves that to the resumed run."""
        if self._within_epoch:
            control.should_save = control.should_evaluate = control.should_log = False
        elif self.interrupted:
            control.should_save = control.should_training_stop = True

    def _agree(self, args: TrainingArguments) -> None:
        """All processes stop at the same step, whichever saw the signal first."""
        if args.world_size > 1:
            flag = torch.tensor(float(self.interrupted), device=args.device)
            torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
            self.interrupted = bool(flag.item())

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.interrupted:
            raise KeyboardInterrupt("Stopped at once; the last checkpoint is whole.")
        self.interrupted = True
        if is_first_process():
            print("\nStopping after this step (Ctrl-C again: at once) ...", flush=True)


class EarlyStopping(TrainerCallback):
    """Stops when the metric has not improved for so many evaluations.

    It counts in the logged history and keeps no count of its own, so that a resumed run stops where an undisturbed one
    does.

    Args:
        patience: evaluations without improvement.
        threshold: by how much a better value must be better.
    """

    def __init__(self, patience: int, threshold: float = 0.0):
        self._patience = patience
        self._threshold = threshold

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs) -> None:
        """A resumed run may be one that had stopped already."""
        self.on_evaluate(args, state, control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs) -> None:
        """Counts the evaluations since the last improvement."""
        key = f"eval_{(args.metric_for_best_model or 'loss').removeprefix('eval_')}"
        values = [entry[key] for entry in state.log_history if key in entry]
        best, waiting = None, 0
        for value in values if args.greater_is_better else [-value for value in values]:
            if best is None or value > best + self._threshold:
                best, waiting = value, 0
            else:
                waiting += 1
        if waiting >= self._patience:
            control.should_training_stop = True


class Clock(TrainerCallback, ExportableState):
    """Training time over all sessions of a run, in seconds; it travels in the checkpoints."""

    def __init__(self) -> None:
        self._before = 0.0
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Up to now."""
        return self._before + time.perf_counter() - self._started

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"args": {}, "attributes": {"seconds": self.seconds}}

    def on_train_begin(self, args, state: TrainerState, control, **kwargs) -> None:
        """Takes up the time of the sessions before."""
        saved = state.stateful_callbacks.get(type(self).__name__, {})
        saved = saved[-1] if isinstance(saved, list) else saved
        self._before = float(saved.get("attributes", {}).get("seconds", 0.0))
        self._started = time.perf_counter()
