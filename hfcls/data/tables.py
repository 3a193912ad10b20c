"""Lists of image files: CSV, TSV, JSONL, JSON, or Parquet with a column of paths."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetInfo, Features, Image, Value
from datasets.table import InMemoryTable

from hfcls.data.columns import LABEL_NAMES, Chosen, Columns, check_distinct, listed, several_labels, text_of
from hfcls.data.layout import SPLIT_FOLDERS, is_image_name, natural_order
from hfcls.data.paths import Roots, below_root, is_url, is_valid_text, roots_of
from hfcls.data.reading import Reading
from hfcls.data.rows import Table, open_table
from hfcls.errors import UserError, suggest

PATH_NAMES = (
    *("file_name", "filename", "file", "file_path", "filepath", "path"),
    *("image", "image_file", "image_name", "image_path", "img", "img_path"),
)
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SPLIT_COLUMN = "split"
# Rows that become Arrow at a time.
_SLICE = 100_000


class _Row(NamedTuple):
    split: str | None
    path: str
    label: str | None
    group: str | None


@dataclass
class _Entries:
    """The rows of one split; paths are relative to the root."""

    ids: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)


@dataclass
class _Listing:
    """All rows so far.

    Attributes:
        labels: of each path, as its first row has it.
        repeats: the paths that came again, and whether with another label.
    """

    splits: dict[str, _Entries] = field(default_factory=dict)
    labels: dict[str, str | None] = field(default_factory=dict)
    repeats: list[tuple[str, bool]] = field(default_factory=list)

    def add(self, row: _Row, default: str, *, number: int, prefix: str) -> None:
        """Appends a row to its split, or to `default` if it names none."""
        entries = self.splits.setdefault(row.split or default, _Entries())
        sample_id = prefix + row.path
        if row.path in self.labels:
            self.repeats.append((row.path, self.labels[row.path] != row.label))
            sample_id += f" (row {number})"
        else:
            self.labels[row.path] = row.label
        entries.ids.append(sample_id)
        entries.paths.append(row.path)
        entries.labels.append(row.label)
        entries.groups.append(row.group)


def metadata_file(folder: Path) -> Path | None:
    """The list of its images that a folder holds by the convention of `datasets`, if it does.

    Raises:
        UserError: there are several.
    """
    found = [folder / name for name in _METADATA if (folder / name).is_file()]
    if len(found) > 1:
        raise UserError(f"{folder} holds {listed(file.name for file in found)}: keep one of them.")
    return found[0] if found else None


def read_table(path: Path, columns: Columns, *, prefix: str = "") -> Reading:
    """Reads a list of image files; the images themselves are not touched.

    A column called ``split`` makes splits. An id is the path below the root; where a path comes again, the number of
    its row (in a text file: of its line) goes with it.

    Args:
        prefix: goes before each id.

    Raises:
        UserError: the file cannot be read, a column cannot be told, a path leaves the root or is a URL, a label, group
            or split is missing, or none of the files exists.
    """
    return read_tables([(path, "train")], columns, prefix=prefix)


def read_tables(files: Sequence[tuple[Path, str]], columns: Columns, *, prefix: str = "") -> Reading:
    """Reads several lists as one: (file, the split that it stands for where it has no column ``split``).

    Relative paths start at the folder of the first file. See `read_table`.
    """
    first = files[0][0]
    roots = roots_of(columns.path_root, first.parent)
    listing = _Listing()
    before = number = 0
    for path, default in files:
        table = open_table(path)
        chosen, split_column = _choose_columns(table, columns)
        before += number
        for number, row in _rows(table, chosen, split_column, columns, roots):
            listing.add(row, default, number=before + number, prefix=prefix)
    if not listing.splits:
        raise UserError(f"{first} lists no images: expected one row per image.")
    _check_complete(listing.splits, chosen, columns, first)
    _check_some_exist(listing.splits, roots[0], first)
    labelled = not any(None in entries.labels for entries in listing.splits.values())
    grouped = columns.group is not None
    splits = {split: listing.splits[split] for split in ("train", "validation", "test") if split in listing.splits}
    return Reading(
        {split: _dataset(own, roots[0], labelled=labelled, grouped=grouped) for split, own in splits.items()},
        _repeat_notice(listing.repeats, first),
    )


# -- columns ---------------------------------------------------------------------------------------------------


def _choose_columns(table: Table, columns: Columns) -> tuple[Chosen, str | None]:
    """The columns, and the one called ``split`` if there is one."""
    flags = {"--image_column_name": columns.image, "--label_column_name": columns.label}
    asked = {flag: name for flag, name in (flags | {"--group_column_name": columns.group}).items() if name is not None}
    for flag, name in asked.items():
        if name not in table.names:
            raise UserError(
                f"{table.path} has no column {name!r}: it has {listed(table.names)}. Choose with {flag}."
                f"{suggest(name, table.names)}"
            )
    check_distinct(asked.items())
    free = [name for name in table.names if name not in asked.values()]
    split = next((name for name in free if name.casefold() == _SPLIT_COLUMN), None)
    free = [name for name in free if name != split]
    image = columns.image or _find_path_column(table, free)
    if is_image_name(image):
        raise UserError(f"{table.path} begins with the image {image!r}: expected a first line that names the columns.")
    label = columns.label
    if label is None:
        free = [name for name in free if name != image]
        found = [name for name in free if name.casefold() in LABEL_NAMES]
        if columns.labelled and len(found) != 1:
            if not free:
                raise UserError(f"{table.path} has no label column: it has {listed(table.names)} alone.")
            several = f"several label columns ({listed(found)})" if found else "no label column"
            raise UserError(f"{table.path} has {several} among {listed(free)}: choose one with --label_column_name.")
        label = found[0] if len(found) == 1 else None
    return Chosen(image, label, columns.group), split


def _find_path_column(table: Table, free: Sequence[str]) -> str:
    """By its name, else the only one whose first values look like image files."""
    named = [name for name in free if name.casefold() in PATH_NAMES]
    shaped = [name for name in free if _looks_like_images([row.get(name) for row in table.sample])]
    found = named if len(named) == 1 else [name for name in shaped if not named or name in named]
    if len(found) != 1:
        several = named or shaped
        what = f"several columns of image paths ({listed(several)})" if several else "no column of image paths"
        raise UserError(f"{table.path} has {what} among {listed(free)}: choose one with --image_column_name.")
    return found[0]


def _looks_like_images(values: Sequence[Any]) -> bool:
    values = [value for value in values if value]
    return bool(values) and all(isinstance(v, str) and (is_image_name(v) or is_url(v)) for v in values)


# -- rows ------------------------------------------------------------------------------------------------------


def _rows(
    table: Table, chosen: Chosen, split_column: str | None, columns: Columns, roots: Roots
) -> Iterator[tuple[int, _Row]]:
    """(number, row) of each row, checked; the path is the one below the root."""
    names = [*chosen.names(), *([split_column] if split_column else [])]
    lenient = not columns.labelled and columns.label is None
    # A million rows share a few labels: each is looked at once and kept once.
    texts: dict[str, str | None] = {}

    def text(value: Any) -> str | None:
        if not isinstance(value, str):
            return _text(value)
        if value not in texts:
            texts[value] = _text(value)
        return texts[value]

    # A column that is absent is the None behind the last one.
    at_label, at_group, at_split = (
        names.index(name) if name is not None else -1 for name in (chosen.label, chosen.group, split_column)
    )
    for number, cells in table.rows(names):
        cells += (None,)
        try:
            path = below_root(cells[0], roots)
            label = cells[at_label]
            if isinstance(label, list | dict) and lenient:
                label = None
            elif isinstance(label, list):
                raise several_labels(str(chosen.label))
            split = _split(cells[at_split]) if split_column else None
            yield number, _Row(split, path, text(label), text(cells[at_group]))
        except ValueError as error:
            raise UserError(f"{table.path}, {table.word} {number}: {error}.") from None


def _split(value: Any) -> str:
    split = SPLIT_FOLDERS.get(str(value).strip().lower())
    if split is None:
        raise ValueError(f"the split {value!r} in {_SPLIT_COLUMN!r}, expected train, validation or test in every row")
    return split


def _text(value: Any) -> str | None:
    if isinstance(value, dict | list | bytes):
        raise ValueError(f"{str(value)[:100]!r} for a label or group, expected one text or number")
    text = text_of(value)
    if text is not None and ("\0" in text or not is_valid_text(text)):
        raise ValueError(f"the label or group {text[:100]!r} is not valid text")
    return text


# -- all rows together -----------------------------------------------------------------------------------------


def _check_complete(splits: dict[str, _Entries], chosen: Chosen, columns: Columns, path: Path) -> None:
    needed = [("label", chosen.label)] if chosen.label and (columns.labelled or columns.label) else []
    for what, name in [*needed, *([("group", chosen.group)] if chosen.group else [])]:
        cells = [getattr(entries, f"{what}s") for entries in splits.values()]
        missing = sum(values.count(None) for values in cells)
        if missing:
            first = next(
                e.ids[values.index(None)] for e, values in zip(splits.values(), cells, strict=True) if None in values
            )
            raise UserError(
                f"{missing} of {sum(map(len, cells))} rows of {path} have no {what} in {name!r}, the first is "
                f"{first!r}: give each row one."
            )


def _check_some_exist(splits: dict[str, _Entries], root: str, path: Path) -> None:
    if not any(os.path.exists(root + relative) for entries in splits.values() for relative in entries.paths):
        number = sum(len(entries.paths) for entries in splits.values())
        first = root + next(iter(splits.values())).paths[0]
        raise UserError(
            f"None of the {number} files that {path} lists exists, the first is {first!r}: if they lie elsewhere, "
            "--image_dir ROOT says where their paths start."
        )


def _repeat_notice(repeats: Sequence[tuple[str, bool]], path: Path) -> list[str]:
    if not repeats:
        return []
    differing = [relative for relative, differs in repeats if differs]
    return [
        f"{len(repeats)} rows of {path} repeat the path of an earlier row ({len(differing)} of them with another "
        f"label), such as {(differing or [repeats[0][0]])[0]!r}."
    ]


def _dataset(entries: _Entries, root: str, *, labelled: bool, grouped: bool) -> Dataset:
    features = Features({"id": Value("string"), "image": Image()})
    if labelled:
        features["label"] = ClassLabel(names=sorted({str(name) for name in entries.labels}, key=natural_order))
    if grouped:
        features["group"] = Value("string")
    positions = {name: index for index, name in enumerate(features["label"].names)} if labelled else {}
    parts = []
    for start in range(0, len(entries.ids), _SLICE):
        part = slice(start, start + _SLICE)
        paths = pa.array([root + relative for relative in entries.paths[part]], pa.string())
        arrays = {"id": pa.array(entries.ids[part], pa.string()), "image": Image().cast_storage(paths)}
        if labelled:
            arrays["label"] = pa.array([positions[str(name)] for name in entries.labels[part]], pa.int64())
        if grouped:
            arrays["group"] = pa.array(entries.groups[part], pa.string())
        parts.append(pa.table(arrays))
    return Dataset(InMemoryTable(pa.concat_tables(parts)), info=DatasetInfo(features=features))
