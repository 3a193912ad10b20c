"""Going on with a run: its data, its classes and its settings must be what they were."""

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
    return checkpoint, [*notices, f"The training goes on from {checkpoint}."]
