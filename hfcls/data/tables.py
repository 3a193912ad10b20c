"""Data sets that are tables: Parquet files, saved data sets, Hub ids."""

import re
from pathlib import Path

import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, Image, Value, disable_progress_bars, load_dataset, load_from_disk
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

from hfcls.data.folder import SPLIT_FOLDERS, natural_order
from hfcls.errors import UserError

disable_progress_bars()

_SPLIT_NAME = re.compile(rf"({'|'.join(SPLIT_FOLDERS)})(?![a-z])", re.IGNORECASE)


def parquet_files(path: Path) -> dict[str, list[str]]:
    """Parquet files by split, told from names such as ``train.parquet`` or ``test-00000-of-00002.parquet``.

    Args:
        path: one file, or a directory that holds them (or has them in ``data/``).
    """
    files = [path] if path.is_file() else sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])
    splits: dict[str, list[str]] = {}
    for file in files:
        match = _SPLIT_NAME.match(file.name)
        splits.setdefault(SPLIT_FOLDERS[match[1].lower()] if match else "train", []).append(str(file))
    return splits


def read_parquet(path: Path) -> dict[str, Dataset]:
    """Reads Parquet files with the images inside."""
    try:
        return dict(load_dataset("parquet", data_files=parquet_files(path)))
    except (DatasetGenerationError, pa.ArrowInvalid, ValueError, OSError) as error:
        cause = _first_line(error.__cause__ or error)  # type: ignore[arg-type]
        raise UserError(f"{path} cannot be read as Parquet: {cause}") from None


def read_saved(path: Path) -> dict[str, Dataset]:
    """Reads what ``save_to_disk`` wrote."""
    try:
        saved = load_from_disk(str(path))
    except (OSError, ValueError, KeyError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is not a data set that save_to_disk wrote: {_first_line(error)}") from None
    return dict(saved) if isinstance(saved, DatasetDict) else {"train": saved}


def read_hub(name: str, config: str | None, revision: str | None) -> dict[str, Dataset]:
    """Downloads (or finds in the cache) a data set of the Hub."""
    try:
        loaded = load_dataset(name, config, revision=revision)
    except (DatasetNotFoundError, ConnectionError, FileNotFoundError) as error:
        raise UserError(
            f"The data set {name} is neither a directory here nor to be had from the Hub ({_first_line(error)})."
        ) from None
    except (DatasetGenerationError, ValueError, OSError) as error:
        raise UserError(f"The data set {name} cannot be loaded: {_first_line(error)}") from None
    return {SPLIT_FOLDERS.get(split, split): data for split, data in loaded.items()}


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def standard_columns(
    splits: dict[str, Dataset], *, image_column_name: str | None, label_column_name: str | None, prefix: str = ""
) -> dict[str, Dataset]:
    """The columns ``id``, ``image``, ``label`` out of any table; text and number labels become class labels.

    Raises:
        UserError: no or several candidates for a column, or labels that are missing.
    """
    first = next(iter(splits.values()))
    image = image_column_name or _find_image_column(first)
    label = label_column_name or _find_label_column(first, image)
    if image == label:
        raise UserError(f"--image_column_name and --label_column_name both name {image!r}: give two columns.")
    for split, data in splits.items():
        if not len(data):
            raise UserError(f"The {split} split has no rows: leave it out or fill it.")
    for name, flag in ((image, "--image_column_name"), (label, "--label_column_name")):
        lacking = [split for split, data in splits.items() if name not in data.column_names]
        if lacking:
            columns = ", ".join(splits[lacking[0]].column_names)
            raise UserError(f"The {lacking[0]} split has no column {name!r}: it has {columns}. Choose with {flag}.")
    splits = {split: data.select_columns([image, label]) for split, data in splits.items()}
    names = _class_names(splits, label)
    return {split: _standard(data, split, image, label, names, prefix) for split, data in splits.items()}


def _find_image_column(data: Dataset) -> str:
    columns = [name for name, feature in data.features.items() if isinstance(feature, Image)]
    columns = columns or [name for name, kind in data.features.items() if isinstance(kind, dict) and "bytes" in kind]
    if len(columns) != 1:
        found = "several image columns: " + ", ".join(columns) if columns else "no image column"
        raise UserError(
            f"The data has {found} among {', '.join(data.column_names)}: choose one with --image_column_name."
        )
    return columns[0]


def _find_label_column(data: Dataset, image: str) -> str:
    columns = [name for name, feature in data.features.items() if isinstance(feature, ClassLabel)]
    columns = columns or [name for name in ("label", "labels", "class", "target") if name in data.column_names]
    if len(columns) != 1:
        others = [name for name in data.column_names if name != image]
        found = "several label columns: " + ", ".join(columns) if columns else "no label column"
        raise UserError(f"The data has {found} among {', '.join(others)}: choose one with --label_column_name.")
    return columns[0]


def _class_names(splits: dict[str, Dataset], label: str) -> list[str] | None:
    """Names for text and number labels; None where every split has class labels already."""
    if all(isinstance(data.features[label], ClassLabel) for data in splits.values()):
        return None
    for split, data in splits.items():
        kind = data.features[label]
        if not isinstance(kind, Value | ClassLabel):
            raise UserError(f"The column {label!r} of the {split} split holds {kind}: expected one class per row.")
    values = {str(value) for data in splits.values() for value in data.unique(label) if value is not None}
    return sorted(values, key=natural_order)


def _standard(data: Dataset, split: str, image: str, label: str, names: list[str] | None, prefix: str) -> Dataset:
    column = data.with_format("arrow")[label]
    values = column.to_pylist() if hasattr(column, "to_pylist") else list(column)
    if names is None:
        feature = data.features[label]
        labels = [-1 if value is None else int(value) for value in values]
    else:
        feature = ClassLabel(names=names)
        positions = {name: index for index, name in enumerate(names)}
        labels = [-1 if value is None else positions[str(value)] for value in values]
    unlabelled = sum(value < 0 for value in labels)
    if unlabelled:
        raise UserError(f"{unlabelled} of {len(labels)} rows of the {split} split have no label in {label!r}.")
    ids = [f"{prefix}{split}/{row}" for row in range(len(labels))]
    data = data.remove_columns(label).rename_column(image, "image") if image != "image" else data.remove_columns(label)
    try:
        data = data.cast_column("image", Image())
    except (TypeError, ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError, NotImplementedError):
        kind = data.features["image"]
        raise UserError(f"The column {image!r} holds {kind}, not images: choose with --image_column_name.") from None
    return data.add_column("id", ids, feature=Value("string")).add_column("label", labels, feature=feature)
