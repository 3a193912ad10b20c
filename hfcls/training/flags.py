"""What can be said of the flags of a training before anything heavy is imported."""

from pathlib import Path
from typing import Any

from hfcls.errors import UserError

# Flags that name what lies on the disk.
_DATA = ("train_dir", "validation_dir", "test_dir", "image_dir")
_LISTS = ("samples", "class_mapping", "exclude", "relabel")


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
    for name in (*_DATA, *_LISTS):
        if values.get(name) and not Path(str(values[name])).exists():
            expected = "a folder, archive, table or saved data set" if name in _DATA else "a file"
            raise UserError(f"--{name} {values[name]} does not exist: expected {expected}.")
    if not 0 <= (values.get("cache_gb") or 0) < float("inf"):
        raise UserError(f"--cache_gb is {values['cache_gb']}: expected a number, 0 (no cache) or more.")
    if values.get("cache_gb") and values.get("streaming"):
        raise UserError("--cache_gb would have no effect with --streaming, whose images are decoded as they come.")
