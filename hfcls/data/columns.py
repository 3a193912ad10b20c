"""From the columns that a table happens to have to ``id``, ``image``, ``label`` and ``group``."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, Features, Image, Value

from hfcls.data.layout import natural_order
from hfcls.data.reading import set_column
from hfcls.errors import UserError, suggest

LABEL_NAMES = ("label", "labels", "class", "class_name", "category", "target", "species")


@dataclass(frozen=True)
class Columns:
    """What the user asked for.

    Attributes:
        image: name of the image column (``--image_column_name``); found by its type or name if left out.
        label: name of the label column (``--label_column_name``); found likewise.
        group: name of the column of what must not be torn apart, such as a patient (``--group_column_name``).
        labelled: whether labels are needed. Where they aren't, they are still read if it is clear where they are and
            each row has one.
        path_root: where the paths of a list of files start (``--image_dir``); the folder of the list if left out.
    """

    image: str | None = None
    label: str | None = None
    group: str | None = None
    labelled: bool = True
    path_root: Path | None = None


@dataclass(frozen=True)
class Chosen:
    """The names that the columns have in the table; label and group may be absent."""

    image: str
    label: str | None
    group: str | None

    def names(self) -> list[str]:
        """All that are there."""
        return [name for name in (self.image, self.label, self.group) if name is not None]


def standard_columns(splits: dict[str, Dataset], columns: Columns, *, prefix: str = "") -> dict[str, Dataset]:
    """The columns ``id``, ``image``, ``label`` and ``group`` out of tables with the images inside.

    Text and number labels become class labels in natural order, each split with a list of its own: a whole number
    that is stored as a float (1.0) reads "1", space around a text goes. Class labels keep their list.

    Args:
        prefix: goes before each id, ``SPLIT/ROW`` with rows from 0.

    Raises:
        UserError: no or several candidates for a column, or labels or groups that are missing.
    """
    for split, data in splits.items():
        if not len(data):
            raise UserError(f"The {split} split has no rows: leave it out or fill it.")
    chosen = choose_columns({split: data.features for split, data in splits.items()}, columns)
    labels = {split: column_texts(data, chosen.label) for split, data in splits.items()} if chosen.label else {}
    for split, values in labels.items():
        missing = values.count(None)
        if missing and (columns.labelled or columns.label):
            raise UserError(f"{missing} of {len(values)} rows of the {split} split have no label in {chosen.label!r}.")
    if any(None in values for values in labels.values()):
        labels = {}
    standard = {}
    for split, data in splits.items():
        images = _image_alone(data, chosen.image)
        ids = [f"{prefix}{split}/{row}" for row in range(len(data))]
        images = set_column(images, "id", ids, Value("string"))
        if split in labels:
            names = _class_names(data, chosen.label, labels[split])
            positions = {name: index for index, name in enumerate(names)}
            indices = [positions[str(name)] for name in labels[split]]
            images = set_column(images, "label", indices, ClassLabel(names=names))
        if chosen.group is not None:
            groups = column_texts(data, chosen.group)
            if None in groups:
                raise UserError(
                    f"{groups.count(None)} of {len(groups)} rows of the {split} split have no group in "
                    f"{chosen.group!r}, the first is {ids[groups.index(None)]!r}: give each row one."
                )
            images = set_column(images, "group", groups, Value("string"))
        standard[split] = images
    return standard


def choose_columns(features: dict[str, Features], columns: Columns) -> Chosen:
    """Finds the columns by what was asked for, then by type, then (labels) by name.

    Args:
        features: of each split; the first one decides, the others must agree.

    Raises:
        UserError: no or several candidates, or a column that cannot be what it was chosen for.
    """
    first = next(iter(features.values()))
    image = columns.image or _only(image_columns(first), first, "image")
    flags = {"--image_column_name": image, "--label_column_name": columns.label, "--group_column_name": columns.group}
    asked = [(flag, name) for flag, name in flags.items() if name is not None]
    check_distinct(asked)
    label = columns.label or _find_label(features, {name for _, name in asked}, columns.labelled)
    for flag, name in [*asked, ("--label_column_name", label)]:
        lacking = [split for split, own in features.items() if name is not None and name not in own]
        if lacking:
            there = features[lacking[0]]
            raise UserError(
                f"The {lacking[0]} split has no column {name!r}: it has {listed(there)}. Choose with {flag}."
                f"{suggest(str(name), there)}"
            )
    for own in features.values():
        if is_text(own[image]):
            raise UserError(f"The column {image!r} holds text, not images: choose with --image_column_name.")
        for name in (label, columns.group):
            if name is not None:
                _check_one_value(name, own[name])
    return Chosen(image, label, columns.group)


def check_distinct(asked: Iterable[tuple[str, str]]) -> None:
    """Raises a UserError where two of the (flag, column name) pairs name one column."""
    flags: dict[str, str] = {}
    for flag, name in asked:
        if name in flags:
            raise UserError(f"{flags[name]} and {flag} both name {name!r}: give two columns.")
        flags[name] = flag


def image_columns(features: Features) -> list[str]:
    """Candidates by type: image features, else structs with bytes, else plain bytes."""
    for fits in (lambda f: isinstance(f, Image), lambda f: isinstance(f, dict) and "bytes" in f, _is_bytes):
        found = [name for name, feature in features.items() if fits(feature)]
        if found:
            return found
    return []


def is_text(feature: Any) -> bool:
    """Whether a column holds text."""
    return isinstance(feature, Value) and feature.dtype in {"string", "large_string", "string_view"}


def column_texts(data: Dataset, column: str) -> list[str | None]:
    """One column as text, None where a value is missing; class labels by their names."""
    feature = data.features[column]
    values = data.select_columns(column).with_format("arrow")[:].column(0).to_pylist()
    if isinstance(feature, ClassLabel):
        return [class_name(feature, value, column) for value in values]
    return [text_of(value) for value in values]


def text_of(value: object) -> str | None:
    """A label or group as text; None where it is missing: null, NaN or nothing but space."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    return None if value is None else str(value).strip() or None


def class_name(feature: ClassLabel, value: int | None, column: str) -> str | None:
    """The name of a class; None where it is missing (null or, as is the custom, -1).

    Raises:
        UserError: the index is beyond the declared classes.
    """
    if value is None or value == -1:
        return None
    if not 0 <= value < feature.num_classes:
        raise UserError(
            f"The column {column!r} holds the class {value}: expected 0 to {feature.num_classes - 1}, as it declares "
            f"{feature.num_classes} classes."
        )
    return feature.names[value]


def several_labels(column: str) -> UserError:
    """For a label that is a list."""
    return UserError(f"The column {column!r} holds a list of labels per image: one class per image is expected.")


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, in their order."""
    names = [name if name.isprintable() and name else repr(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _find_label(features: dict[str, Features], taken: set[str], needed: bool) -> str | None:
    first = {name: kind for name, kind in next(iter(features.values())).items() if name not in taken}
    found = [name for name, kind in first.items() if isinstance(kind, ClassLabel)]
    found = found or [name for name in first if name.casefold() in LABEL_NAMES]
    if needed:
        return _only(found, first, "label")
    fit = [name for name in found if all(_is_one_value(own.get(name)) for own in features.values())]
    return fit[0] if len(fit) == 1 else None


def _only(found: list[str], among: Iterable[str], what: str) -> str:
    if len(found) == 1:
        return found[0]
    several = f"several {what} columns ({listed(found)})" if found else f"no {what} column"
    raise UserError(f"The data has {several} among {listed(among)}: choose one with --{what}_column_name.")


def _is_bytes(feature: Any) -> bool:
    return isinstance(feature, Value) and "binary" in feature.dtype


def _is_one_value(feature: Any) -> bool:
    return isinstance(feature, ClassLabel) or (isinstance(feature, Value) and not _is_bytes(feature))


def _check_one_value(column: str, feature: Any) -> None:
    if _is_one_value(feature):
        return
    if not isinstance(feature, dict | Value) and hasattr(feature, "feature"):
        raise several_labels(column)
    kind = "bytes" if _is_bytes(feature) else "records" if isinstance(feature, dict) else str(feature)
    raise UserError(f"The column {column!r} holds {kind}: expected one text or number per image.")


def _class_names(data: Dataset, column: str | None, values: list[str | None]) -> list[str]:
    feature = data.features[column]
    return feature.names if isinstance(feature, ClassLabel) else sorted({str(v) for v in values}, key=natural_order)


def _image_alone(data: Dataset, image: str) -> Dataset:
    kind = data.features[image]
    if hasattr(kind, "feature") and _innermost(kind) != "uint8":
        # Others are scaled by what their type could hold, which blackens most pictures.
        raise UserError(f"The column {image!r} holds lists of {_innermost(kind)}: expected encoded images, or uint8.")
    alone = data.with_format(None).select_columns(image)
    alone = alone if image == "image" else alone.rename_column(image, "image")
    try:
        return alone.cast_column("image", Image())
    except (TypeError, ValueError, NotImplementedError):
        raise UserError(f"The column {image!r} holds {kind}, not images: choose with --image_column_name.") from None


def _innermost(feature: Any) -> str:
    while hasattr(feature, "feature"):
        feature = feature.feature
    return str(getattr(feature, "dtype", "records"))
