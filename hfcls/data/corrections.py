"""What someone who looked at the images says of them: which to leave out, which have another label."""

import csv
from collections import Counter
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path

import numpy as np
from datasets import ClassLabel, Dataset, Value

from hfcls.data.choices import SPLITS
from hfcls.data.labels import labels_of
from hfcls.data.reading import set_column, texts_of
from hfcls.errors import UserError, suggest
from hfcls.escaping import spreadsheet_text

# The column that keeps the class which a relabelled data set was given with: splits hang on it.
GIVEN = "given"
# Where a list of new labels may have them. A model's suggestion counts where someone has cut the list down to it.
_LABEL_COLUMNS = ("new_label", "label", "suggested")


@dataclass(frozen=True)
class Corrections:
    """The user's two lists, by the ids of the data.

    Attributes:
        exclude, relabel: the files, as named; None where there is none.
        excluded: ids to leave out.
        labels: new class by id.
        left_out: how many images of each split, as it is given, are left out.
    """

    exclude: str | None = None
    relabel: str | None = None
    excluded: frozenset[str] = frozenset()
    labels: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.excluded or self.labels)


def read_corrections(splits: dict[str, Dataset], *, exclude: str | None, relabel: str | None) -> Corrections:
    """Reads the lists and finds their ids in the data.

    Args:
        splits: the data as it is stored, before anything is left out, so that a list stays good beside other lists.
        exclude: CSV with the column ``id``, or a text file with an id on each line.
        relabel: CSV with the columns ``id`` and ``new_label``, ``label`` or ``suggested``, the first of these that is
            there; an empty cell changes nothing.

    Raises:
        UserError: a file cannot be read, says nothing, or names an id that the data has not.
    """
    if not exclude and not relabel:
        return Corrections()
    known: dict[str, str] = {}
    for data in splits.values():
        for sample_id in texts_of(data, "id"):
            # A list that a spreadsheet may open has the harmless form.
            known.setdefault(spreadsheet_text(sample_id), sample_id)
            known[sample_id] = sample_id
    excluded = [_find(sample_id, known, f"--exclude {exclude}") for sample_id in _read_ids(exclude)] if exclude else []
    labels = {}
    for sample_id, label in _read_labels(relabel).items() if relabel else ():
        labels[_find(sample_id, known, f"--relabel {relabel}")] = label
    return Corrections(exclude, relabel, frozenset(excluded), labels)


def correct(splits: dict[str, Dataset], corrections: Corrections) -> tuple[dict[str, Dataset], Corrections, list[str]]:
    """Gives images their new labels and leaves out the others; who is on both lists is left out.

    A split of which labels change gets the column `GIVEN`.

    Returns:
        The splits, the corrections with what each split lost, and notices.

    Raises:
        UserError: a new label is no class of the data, or a split would be empty.
    """
    if not corrections:
        return splits, corrections, []
    names = [name for data in splits.values() for name in data.features["label"].names]
    wanted = _match(corrections, {spreadsheet_text(name): name for name in names} | {name: name for name in names})
    corrected: dict[str, Dataset] = {}
    gone, changed, notices = Counter[str](), Counter[str](), []
    for split, data in splits.items():
        ids = texts_of(data, "id")
        stays = [row for row, sample_id in enumerate(ids) if sample_id not in corrections.excluded]
        gone[split] = len(ids) - len(stays)
        if not stays:
            raise UserError(f"--exclude {corrections.exclude} leaves no image in the {split} split.")
        data = data.select(stays) if gone[split] else data
        new = {place: wanted[ids[row]] for place, row in enumerate(stays) if ids[row] in wanted}
        corrected[split], changed[split] = _relabel(data, new)
    if corrections.exclude:
        notices.append(f"--exclude {corrections.exclude} leaves out {_counts(gone)}.")
    if corrections.relabel:
        notices.append(f"--relabel {corrections.relabel} gives a new label to {_counts(changed)}.")
    return corrected, replace(corrections, left_out=dict(gone)), notices


def strata_of(data: Dataset) -> list[np.ndarray]:
    """What shares are kept of, int64 (N,) each, the best first: given labels, so that a new one moves no other image.

    Args:
        data: with the column `GIVEN` where labels have changed; else its labels are all there is.
    """
    labels = labels_of(data)
    if GIVEN not in data.column_names:
        return [labels]
    numbers = {name: index for index, name in enumerate(data.features["label"].names)}
    given = [numbers.setdefault(name, len(numbers)) for name in texts_of(data, GIVEN)]
    return [np.array(given, dtype=np.int64), labels]


def describe_test(data: Dataset, corrections: Corrections, *, carved: bool) -> list[str]:
    """What must be known before figures of a corrected test split are compared with others.

    Args:
        data: the test split.
        carved: it was carved out of train, from what `corrections` left there.
    """
    relabelled = sum(sample_id in corrections.labels for sample_id in texts_of(data, "id")) if corrections.labels else 0
    left_out = corrections.left_out.get("test", 0)
    what = [f"{relabelled:,} of its {len(data):,} images have the labels of --relabel"] if relabelled else []
    what += [f"--exclude leaves {left_out:,} of its images out"] if left_out else []
    what += ["it is carved from what --exclude leaves"] if carved and any(corrections.left_out.values()) else []
    if not what:
        return []
    return [
        f"THE TEST SPLIT HAS CHANGED: {' and '.join(what)}, so its figures do not compare with those of the data as "
        "given."
    ]


def _relabel(data: Dataset, new: dict[int, str]) -> tuple[Dataset, int]:
    """The data with other classes in some rows, and how many of them had another one before."""
    names: list[str] = list(data.features["label"].names)
    labels = labels_of(data).copy()
    given = [names[label] for label in labels.tolist()]
    new = {row: name for row, name in new.items() if name != given[row]}
    if not new:
        return data, 0
    names += sorted(set(new.values()) - set(names))
    positions = {name: index for index, name in enumerate(names)}
    for row, name in new.items():
        labels[row] = positions[name]
    data = set_column(data, "label", labels.tolist(), ClassLabel(names=names))
    return set_column(data, GIVEN, given, Value("string")), len(new)


def _match(corrections: Corrections, stored: dict[str, str]) -> dict[str, str]:
    """New class by id, as the data calls it.

    Args:
        stored: classes of the data by their names, and by the form of these that a spreadsheet may open.
    """
    for sample_id, label in corrections.labels.items():
        if label not in stored:
            raise UserError(
                f"--relabel {corrections.relabel} gives {sample_id!r} the class {label!r}, which the data has not."
                f"{suggest(label, stored)}"
            )
    return {sample_id: stored[label] for sample_id, label in corrections.labels.items()}


def _find(sample_id: str, known: dict[str, str], flag: str) -> str:
    if sample_id not in known:
        raise UserError(f"{flag} names the id {sample_id!r}, which the data has not: was it written for other data?")
    return known[sample_id]


def _counts(counts: Counter[str]) -> str:
    """Such as ``3 images (train 2, test 1)``."""
    parts = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if counts[split])
    total = counts.total()
    return f"{total:,} image{'' if total == 1 else 's'}{f' ({parts})' if parts else ''}"


def _read_ids(path: str) -> list[str]:
    """The column id of a CSV file, or the lines of another one."""
    text = _read_text(path, "--exclude")
    header, rows = _read_csv(text, path, "--exclude")
    if "id" in header:
        found = [row["id"] or "" for row in rows]
    elif Path(path).suffix.lower() == ".csv":
        raise UserError(f"--exclude {path} has no column id, only {', '.join(map(repr, header)) or 'nothing'}.")
    else:
        found = [line.strip("\r") for line in text.split("\n")]
    found = [sample_id for sample_id in dict.fromkeys(found) if sample_id]
    if not found:
        raise UserError(f"--exclude {path} names no image: expected a CSV file with the column id, or an id on a line.")
    return found


def _read_labels(path: str) -> dict[str, str]:
    header, rows = _read_csv(_read_text(path, "--relabel"), path, "--relabel")
    column = next((name for name in _LABEL_COLUMNS if name in header), None)
    if "id" not in header or column is None:
        raise UserError(
            f"--relabel {path}: expected a CSV file with the columns id and new_label (or label), and found "
            f"{', '.join(map(repr, header)) or 'nothing'}."
        )
    if column == "label" and "suggested" in header:
        raise UserError(f"--relabel {path} has the columns label and suggested: call the one that is right new_label.")
    labels: dict[str, str] = {}
    for row in rows:
        sample_id, label = row["id"] or "", (row[column] or "").strip()
        if sample_id and label and labels.setdefault(sample_id, label) != label:
            raise UserError(f"--relabel {path} gives {sample_id!r} both {labels[sample_id]!r} and {label!r}.")
    if not labels:
        raise UserError(f"--relabel {path} changes nothing: its column {column} is empty.")
    return labels


def _read_csv(text: str, path: str, flag: str) -> tuple[list[str], list[dict[str, str | None]]]:
    """The names of the columns, and the rows."""
    try:
        reader = csv.DictReader(StringIO(text, newline=""))
        return list(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise UserError(f"{flag} {path} is not a CSV file: {error}.") from None


def _read_text(path: str, flag: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{flag} {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{flag} {path} is no text in UTF-8: {error}.") from None
