"""What a user's own files say about the data: a mapping of classes, a list of samples."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import yaml
from datasets import ClassLabel, Dataset, Value, concatenate_datasets

from hfcls.data.labels import labels_of
from hfcls.data.layout import natural_order
from hfcls.data.reading import set_column, texts_of
from hfcls.errors import UserError, suggest
from hfcls.escaping import spreadsheet_text

SPLITS = ("train", "validation", "test")


def read_class_mapping(path: str) -> dict[str, str | None]:
    """From class to its new name, or None to leave the class out: YAML or JSON ``old: new``, or CSV ``old,new``.

    Raises:
        UserError: the file is missing or of another shape.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() in {".csv", ".tsv"}:
            rows = list(csv.reader(text.splitlines(), delimiter="\t" if file.suffix.lower() == ".tsv" else ","))
            entries = [row for row in rows if row]
            if any(len(row) != 2 for row in entries):
                raise UserError(f"--class_mapping {path}: expected two columns, the old name and the new one.")
            content = {old.strip(): new.strip() or None for old, new in entries}
        else:
            content = json.loads(text) if file.suffix.lower() == ".json" else yaml.load(text, _Texts)
    except OSError as error:
        raise UserError(f"--class_mapping {path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, ValueError, csv.Error, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"--class_mapping {path} is not YAML, JSON or CSV: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict) or any(isinstance(value, list | dict) for value in content.values()):
        raise UserError(f"--class_mapping {path}: expected lines of `old name: new name`.")
    return {str(old): None if new in (None, "") else str(new) for old, new in content.items()}


class _Texts(yaml.SafeLoader):
    """YAML whose scalars stay text: a class may be called 1, no or null (leave one out by an empty value or ~)."""


_Texts.yaml_implicit_resolvers = {
    "~": [("tag:yaml.org,2002:null", yaml.SafeLoader.yaml_implicit_resolvers["~"][0][1])],
    "": [("tag:yaml.org,2002:null", yaml.SafeLoader.yaml_implicit_resolvers[""][0][1])],
}


def map_classes(
    splits: dict[str, Dataset], mapping: dict[str, str | None], path: str
) -> tuple[dict[str, Dataset], list[str]]:
    """Renames and merges classes; one that maps to nothing is left out with its images.

    Raises:
        UserError: the mapping names a class that the data has not, or leaves fewer than one class.
    """
    present = {name for data in splits.values() for name in data.features["label"].names}
    unknown = [name for name in mapping if name not in present]
    if unknown:
        raise UserError(
            f"--class_mapping {path} names the class {unknown[0]!r}"
            f"{f' (and {len(unknown) - 1} more)' if unknown[1:] else ''}, which the data has not."
            f"{suggest(unknown[0], present)}"
        )
    mapped: dict[str, Dataset] = {}
    left_out: Counter[str] = Counter()
    for split, data in splits.items():
        old = data.features["label"].names
        new = [mapping.get(name, name) for name in old]
        names = list(dict.fromkeys(name for name in new if name is not None))
        positions = {name: index for index, name in enumerate(names)}
        labels = np.array([-1 if name is None else positions[name] for name in new])[labels_of(data)]
        left_out.update(old[label] for label in labels_of(data)[labels < 0])
        if (labels < 0).all():
            raise UserError(f"--class_mapping {path} leaves no image in the {split} split.")
        stays = np.flatnonzero(labels >= 0)
        data = data.select(stays) if len(stays) < len(data) else data
        mapped[split] = set_column(data, "label", labels[stays].tolist(), ClassLabel(names=names))
    return mapped, [
        f"{n} images of the class {name!r} were left out by --class_mapping." for name, n in left_out.items()
    ]


def choose_samples(splits: dict[str, Dataset], path: str) -> tuple[dict[str, Dataset], list[str]]:
    """Keeps the samples that a list names, with its labels, splits and groups.

    Args:
        path: CSV with the column ``id`` and, where wanted, ``label``, ``split``, ``group``; an empty cell changes
            nothing. `hfcls inspect --fix` writes such a list.

    Raises:
        UserError: the list can't be read, or names an id that the data has not.
    """
    rows = _read_list(path)
    places: dict[str, tuple[str, int]] = {}
    for split, data in splits.items():
        for position, sample_id in enumerate(texts_of(data, "id")):
            # A list that a spreadsheet may open has the harmless form.
            places.setdefault(spreadsheet_text(sample_id), (split, position))
            places[sample_id] = (split, position)
    unknown = [row["id"] for row in rows if row["id"] not in places]
    if unknown:
        raise UserError(
            f"--samples {path} names {len(unknown)} ids that the data has not, such as {unknown[0]!r}: was it written "
            "for other data?"
        )
    grouped = any(row.get("group") for row in rows) or any("group" in data.column_names for data in splits.values())
    chosen: dict[str, list[tuple[str, int, dict[str, str]]]] = {}
    for row in rows:
        split, position = places[row["id"]]
        chosen.setdefault(row.get("split") or split, []).append((split, position, row))
    result = {}
    for split in (name for name in SPLITS if name in chosen):
        result[split] = _gather(splits, chosen[split], grouped=grouped)
    total = sum(map(len, splits.values()))
    before = {name for data in splits.values() for name in data.features["label"].names}
    added = sorted({name for data in result.values() for name in data.features["label"].names} - before)
    notices = [f"--samples {path} brings the new class {name!r}." for name in added]
    notices += [f"--samples {path} keeps {len(rows)} of {total} images."] if len(rows) < total else []
    return result, notices


def _gather(splits: dict[str, Dataset], entries: list, *, grouped: bool) -> Dataset:
    """One split out of rows of several."""
    known = [name for data in splits.values() for name in data.features["label"].names]
    stored = {spreadsheet_text(name): name for name in known} | {name: name for name in known}
    parts, labels, groups = [], [], []
    for source in dict.fromkeys(split for split, _, _ in entries):
        own = [(position, row) for split, position, row in entries if split == source]
        data = splits[source].select([position for position, _ in own])
        names = data.features["label"].names
        labels += [
            stored.get(row.get("label", ""), row.get("label")) or names[label]
            for (_, row), label in zip(own, labels_of(data).tolist(), strict=True)
        ]
        given = texts_of(data, "group") if "group" in data.column_names else [None] * len(own)
        groups += [row.get("group") or group for (_, row), group in zip(own, given, strict=True)]
        parts.append(data.select_columns(["id", "image"]))
    wanted = set(labels)
    order = [name for name in dict.fromkeys(known) if name in wanted]
    order += sorted(wanted - set(order), key=natural_order)
    data = concatenate_datasets(parts) if len(parts) > 1 else parts[0]
    positions = {name: index for index, name in enumerate(order)}
    data = set_column(data, "label", [positions[label] for label in labels], ClassLabel(names=order))
    return set_column(data, "group", groups, Value("string")) if grouped else data


def _read_list(path: str) -> list[dict[str, str]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"--samples {path} cannot be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--samples {path} is not a CSV file in UTF-8: {error}.") from None
    if not rows or any("id" not in row for row in rows):
        raise UserError(f"--samples {path}: expected a CSV file with the column id and at least one row.")
    unknown = [name for name in rows[0] if name not in {"id", "label", "split", "group"}]
    if unknown:
        raise UserError(f"--samples {path} has the column {unknown[0]!r}: expected id, label, split and group.")
    rows = [{name: text for name, text in row.items() if isinstance(text, str)} for row in rows]
    repeated = [sample_id for sample_id, n in Counter(row["id"] for row in rows).items() if n > 1]
    if repeated:
        raise UserError(f"--samples {path} names {repeated[0]!r} more than once.")
    for number, row in enumerate(rows, start=2):
        if row.get("split") and row["split"] not in SPLITS:
            raise UserError(
                f"--samples {path}, line {number}: the split {row['split']!r} is none of {', '.join(SPLITS)}."
            )
    return rows
