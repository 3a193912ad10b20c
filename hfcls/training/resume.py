"""Going on with a run: its data, its classes and its settings must be what they were."""

import json
from pathlib import Path
from typing import Any

from hfcls.errors import UserError
from hfcls.training.checkpoints import find_checkpoint
from hfcls.training.run_directory import compare_settings, is_run, read_data_summary, read_settings


def find_resumable(
    run_dir: Path, resume: str | None, summary: dict[str, Any], settings: dict[str, Any]
) -> tuple[Path | None, list[str]]:
    """The checkpoint that a run goes on from, and notices.

    Args:
        resume: ``auto``, a path, or None for a new run.
        summary: what ``data.json`` will say; what a stream left out before the stop is added.
        settings: every argument, resolved.

    Raises:
        UserError: the data, the classes or the settings are others than when the run was begun.
    """
    if not resume:
        return None, []
    before = read_data_summary(run_dir)
    if before is not None and before["class_names"] != summary["class_names"]:
        raise UserError(
            f"The classes have changed since {run_dir} was begun, or come in another order (now "
            f"{', '.join(summary['class_names'][:5])}): restore the data as it was given then."
        )
    if before is not None and before["fingerprint"] != summary["fingerprint"]:
        raise UserError(
            f"The data has changed since {run_dir} was begun (fingerprint {before['fingerprint']}, now "
            f"{summary['fingerprint']}): restore it, or train anew in another --output_dir."
        )
    streamed = "stream" in summary
    notices = []
    if is_run(run_dir):
        notices = compare_settings(read_settings(run_dir), settings, streamed=streamed)
    if streamed:
        notices.append("A stream has no fingerprint: that its images are still the same is taken on trust.")
        # What was left out before the stop is not seen again.
        summary["dropped"] += [entry for entry in (before or {}).get("dropped", []) if entry not in summary["dropped"]]
    checkpoint, more = find_checkpoint(run_dir, resume)
    notices += more
    if checkpoint is None:
        return None, [*notices, f"{run_dir} holds no checkpoint yet: the training starts from the beginning."]
    _check_length(checkpoint, settings)
    return checkpoint, [*notices, f"The training goes on from {checkpoint}."]


def _check_length(checkpoint: Path, settings: dict[str, Any]) -> None:
    """A run cannot be made shorter than it is."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    steps = settings.get("max_steps") or 0
    wanted, done, name = (settings.get("num_train_epochs"), state["epoch"], "num_train_epochs")
    if steps > 0:
        wanted, done, name = steps, state["global_step"], "max_steps"
    if wanted is not None and done is not None and wanted < done:
        raise UserError(f"--{name} is {wanted:g}, and {checkpoint} has {done:g} behind it: expected {done:g} or more.")
