"""Snapshots: the learning rate falls to 0 several times in one training, and the weights at each end are kept.

Huang et al. 2017, Snapshot ensembles: train 1, get M for free, arXiv:1704.00109.
"""

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hfcls.errors import UserError
from hfcls.training.checkpoints import list_checkpoints

_SCHEDULE = "cosine_with_restarts"


def snapshot_settings(number: int | None, values: dict[str, Any]) -> dict[str, Any]:
    """The flags of the schedule that snapshots need; nothing where there are none.

    Args:
        number: of cycles.
        values: flags by name.

    Raises:
        UserError: a flag says otherwise.
    """
    if number is None:
        return {}
    if number < 2:
        raise UserError(f"--snapshots is {number}: expected 2 cycles or more.")
    wanted: dict[str, Any] = {
        "lr_scheduler_type": _SCHEDULE,
        "lr_scheduler_kwargs": {"num_cycles": number},
        "warmup_steps": 0,
    }
    for name, value in wanted.items():
        given = values.get(name)
        if given not in (None, {}) and _plain(given) != value:
            raise UserError(
                f"--{name} would have no effect: with --snapshots {number} the learning rate falls by a cosine from "
                f"its peak to 0, {number} times, without a warm-up."
            )
    if values.get("save_strategy") == "no":
        raise UserError("--snapshots would have no effect: --save_strategy no leaves no checkpoints.")
    if values.get("ema_decay") is not None:
        raise UserError("--ema_decay would average over the restarts of --snapshots: give one of them.")
    return wanted


def snapshot_steps(total: int, number: int) -> list[int]:
    """After which steps the cycles end: the last step of each, in which the learning rate is lowest.

    Args:
        total: steps of the training.
        number: of cycles.

    Raises:
        UserError: there are fewer steps than cycles.
    """
    if total < number:
        raise UserError(f"--snapshots {number} needs as many steps or more, and the training has {total}.")
    # The schedule restarts at the first step that is at or beyond k / number of all.
    return [-(-total * k // number) for k in range(1, number + 1)]


def snapshots_of(run_dir: Path, settings: dict[str, Any]) -> set[int] | None:
    """The steps after which a run has kept its snapshots; None where it was trained without.

    Raises:
        UserError: its length cannot be read.
    """
    number = settings.get("snapshots")
    if number is None:
        return None
    newest = list_checkpoints(run_dir)[:1]
    if not newest:
        return set()
    try:
        state = json.loads((newest[0] / "trainer_state.json").read_text(encoding="utf-8"))
        return set(snapshot_steps(int(state["max_steps"]), int(number)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{newest[0] / 'trainer_state.json'} cannot be read ({error}).") from None


class Snapshots(TrainerCallback):
    """Saves a checkpoint at the end of each cycle, whatever else is saved.

    Args:
        number: of cycles.
    """

    def __init__(self, number: int):
        self._number = number

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs) -> None:
        """Raises a `UserError` where the training is too short."""
        snapshot_steps(state.max_steps, self._number)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs) -> None:
        """Asks for the checkpoint, but where the end of the epoch brings one right away."""
        by_epoch = str(getattr(args.save_strategy, "value", args.save_strategy)) == "epoch"
        if by_epoch and float(state.epoch or 0).is_integer():
            return
        if state.global_step in snapshot_steps(state.max_steps, self._number):
            control.should_save = True


def _plain(value: Any) -> Any:
    """A flag's value as YAML and the command line may have it."""
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    if isinstance(value, str):
        return value
    return getattr(value, "value", value)
