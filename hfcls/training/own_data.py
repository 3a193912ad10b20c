"""The data of a finished run, found again by what it wrote down."""

from pathlib import Path
from typing import Any

from hfcls.arguments import DataArguments, only
from hfcls.data.labelled import LabelledData, load_data
from hfcls.errors import UserError
from hfcls.parsing import flags_of
from hfcls.training.run_directory import read_data_summary, read_settings


def load_own_data(
    model: str, directory: Path, values: dict[str, Any], *, split: str
) -> tuple[LabelledData, dict[str, Any]]:
    """Loads the splits of a run again, as they were when it was trained; then what is wrong with them is mended.

    Args:
        model: as the user named it.
        directory: where the run lies here.
        values: data flags that go before those of the run; ``exclude`` and ``relabel`` of other files than its own
            change images of its splits and move none.
        split: what it is wanted for, for the message.

    Returns:
        The data and its summary.

    Raises:
        UserError: the data lies elsewhere, or has changed.
    """
    own = own_arguments(model, directory, {})
    mended = {
        name: values[name] for name in ("exclude", "relabel") if values.get(name) not in (None, getattr(own, name))
    }
    values = {name: value for name, value in values.items() if name not in mended}
    loaded = load_data(own_arguments(model, directory, values))
    summary = loaded.summary()
    before = read_data_summary(directory)
    if before is not None and before["fingerprint"] != summary["fingerprint"]:
        raise UserError(
            f"The data of {model} has changed since it was trained (fingerprint {before['fingerprint']}, now "
            f"{summary['fingerprint']}), so its {split} split may hold training images: restore the data, or name "
            "other data with --test_dir."
        )
    if mended:
        loaded = loaded.corrected(exclude=mended.get("exclude"), relabel=mended.get("relabel"))
        summary = loaded.summary()
    return loaded, summary


def own_arguments(model: str, directory: Path, values: dict[str, Any]) -> DataArguments:
    """The data flags of a run, where `values` has no others; see `load_own_data`."""
    return only(DataArguments, {**_own_flags(model, read_settings(directory)), **values})


def _own_flags(model: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The data flags of a run, whoever wrote them down.

    Raises:
        UserError: they are not what a run writes, or the data lies elsewhere.
    """
    flags = {flag.name: flag for flag in flags_of(DataArguments)}
    own = {name: flags[name].convert(value) for name, value in settings.items() if name in flags and value is not None}
    for name in ("train_dir", "validation_dir", "test_dir"):
        if name in own and not Path(own[name]).exists():
            raise UserError(
                f"The data that {model} was trained on is not here (its run.yaml says --{name} {own[name]}): bring it "
                "back, or name data with --test_dir or --dataset_name."
            )
    return own
