"""What can be said of the flags of a training before anything heavy is imported."""

from pathlib import Path
from typing import Any

from hfcls.errors import UserError


def check_training(values: dict[str, Any]) -> None:
    """What can be said of the flags before any data is read.

    Raises:
        UserError: one is missing, out of range or without effect.
    """
    if not values.get("output_dir"):
        raise UserError("No --output_dir: say where the run goes, such as --output_dir runs/first.")
    if values.get("model_name_or_path") is None and values.get("architecture") is None:
        raise UserError(
            "No model: give --model_name_or_path CHECKPOINT to fine-tune or --architecture NAME to start anew."
        )
    for name in (
        "train_dir",
        "validation_dir",
        "test_dir",
        "image_dir",
        "samples",
        "class_mapping",
        "exclude",
        "relabel",
    ):
        if values.get(name) and not Path(str(values[name])).exists():
            raise UserError(f"--{name} {values[name]} does not exist: expected the path of a file or folder.")
    if not 0 <= (values.get("cache_gb") or 0) < float("inf"):
        raise UserError(f"--cache_gb is {values['cache_gb']}: expected a number, 0 (no cache) or more.")
    if values.get("cache_gb") and values.get("streaming"):
        raise UserError("--cache_gb would have no effect with --streaming, whose images are decoded as they come.")
