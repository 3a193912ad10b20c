"""WebDataset: tar shards in which the files of one sample share their name up to the first dot."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, Value, concatenate_datasets

from hfcls.data.archives import images_of, pack_archive
from hfcls.data.layout import SPLIT_FOLDERS, is_image_name, listing, natural_order
from hfcls.data.reading import Reading, set_column
from hfcls.data.shard_samples import SIDECARS, Sidecars, group_samples, samples_in_turn, split_name
from hfcls.errors import UserError

__all__ = ["images_of", "looks_like_webdataset", "read_shards", "split_of", "stream_samples"]

_ARCHIVE_SUFFIX = re.compile(r"(\.tar)?\.[^.]+$", re.IGNORECASE)
_SPLIT_NAME = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_FOLDERS)})(?![a-z])", re.IGNORECASE)


def looks_like_webdataset(names: Iterable[str]) -> bool:
    """Whether an image among these files has a ``.cls`` or ``.json`` of its own beside it."""
    images, sidecars = set(), set()
    for name in names:
        key, extension = split_name(name)
        if is_image_name(name):
            images.add(key)
        elif extension in SIDECARS:
            sidecars.add(key)
    return not images.isdisjoint(sidecars)


def read_shards(
    paths: Sequence[Path], *, labelled: bool = True, label_key: str | None = None, group_key: str | None = None
) -> Reading:
    """Reads shards; the images stay in the files that `pack_archive` keeps.

    The split is told from a shard's name (``cats-train-0000.tar``); without one it is train. A sample's class is the
    text of its ``.cls``, else what its ``.json`` has in the only one of `shard_samples.LABEL_KEYS` that is there.

    Args:
        paths: at least one; read in natural order.
        labelled: without it labels are not looked at.
        label_key: takes the class from this key of ``.json``, whether there is a ``.cls`` or not.
        group_key: key of ``.json`` for the column ``group``.

    Returns:
        All splits with one class list, in natural order. The ids are the names of the image files, where there are
        several shards with the shard's name before them (``SHARD/NAME``).

    Raises:
        UserError: a sample without an image or with several, without a label or a group, or with a sidecar that cannot
            be read; two shards of one name; or what `pack_archive` refuses.
    """
    ordered = sorted(paths, key=lambda path: natural_order(path.name))
    shards = [_read_shard(path, labelled=labelled, label_key=label_key, group_key=group_key) for path in ordered]
    if labelled:
        _refuse_missing(shards, "label", [shard.labels for shard in shards], _place_of_label(label_key))
    if group_key is not None:
        _refuse_missing(shards, "group", [shard.groups for shard in shards], f"{group_key!r} in .json")
    if len(shards) > 1:
        _put_shard_before_ids(shards)
    names = sorted({label for shard in shards for label in shard.labels if label is not None}, key=natural_order)
    positions = {name: index for index, name in enumerate(names)}
    reading = Reading(notices=_notices(shards))
    for split in dict.fromkeys(shard.split for shard in shards):
        own = [shard for shard in shards if shard.split == split]
        data = _images([shard.packed for shard in own], [shard.rows for shard in own])
        data = set_column(data, "id", [sample_id for shard in own for sample_id in shard.ids], Value("string"))
        if labelled:
            labels = [positions[label] for shard in own for label in shard.labels if label is not None]
            data = set_column(data, "label", labels, ClassLabel(names=names))
        if group_key is not None:
            data = set_column(data, "group", [group for shard in own for group in shard.groups], Value("string"))
        reading.splits[split] = data
    return reading


def stream_samples(path: Path, label_key: str | None = None, *, images: bool = True) -> Iterator[dict[str, Any]]:
    """The samples of one shard in one pass, with one of them in memory and nothing on disk.

    Args:
        label_key: as of `read_shards`.
        images: without it the images are empty: for the labels alone.

    Yields:
        ``id`` (``SHARD/NAME``), ``image`` (``{"bytes": ..., "path": the name}``), ``label`` (the name of the class).

    Raises:
        UserError: as of `read_shards`, and where the files of a sample do not lie together.
    """
    for key, files in samples_in_turn(path, images=images):
        name, content = files.pop("image")
        label = Sidecars(path, files).label(label_key)
        if label is None:
            raise UserError(f"{path}: the sample {key!r} has no label: expected {_place_of_label(label_key)}.")
        yield {"id": f"{_stem(path)}/{name}", "image": {"bytes": content, "path": name}, "label": label}


@dataclass
class _Shard:
    """The samples of one shard; the lists but `others` go together.

    Attributes:
        packed: all of its files.
        others: names of those that are no part of a sample.
        rows: of the images, in `packed`.
        labels: None where there is none, or none was wanted; `groups` likewise.
    """

    path: Path
    split: str
    packed: Dataset
    others: list[str]
    rows: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)


def _read_shard(path: Path, *, labelled: bool, label_key: str | None, group_key: str | None) -> _Shard:
    split = split_of(path)
    packed = pack_archive(path)
    table = packed.with_format("arrow")[:]
    names = table["name"].to_pylist()
    samples, others = group_samples(path, names)
    shard = _Shard(path, split, packed, others)
    for key, members in samples.items():
        image = members.pop("image")
        files = {kind: (names[row], table["content"][row].as_buffer()) for kind, row in members.items()}
        sidecars = Sidecars(path, files)
        shard.rows.append(image)
        shard.ids.append(names[image])
        shard.keys.append(key)
        shard.labels.append(sidecars.label(label_key) if labelled else None)
        shard.groups.append(None if group_key is None else sidecars.text(group_key))
    if not shard.rows:
        raise UserError(f"{path} holds no images: expected samples such as 0001.jpg with 0001.cls.")
    return shard


def split_of(path: Path) -> str:
    """The split that the name of a shard tells of; train where it tells of none.

    Raises:
        UserError: it tells of several.
    """
    found = {SPLIT_FOLDERS[name.lower()] for name in _SPLIT_NAME.findall(path.name)}
    if len(found) > 1:
        raise UserError(f"The name of {path} tells of several splits, {listing(found)}: rename it.")
    return found.pop() if found else "train"


def _images(packed: Sequence[Dataset], rows: Sequence[Sequence[int]]) -> Dataset:
    """The images of several shards as one data set."""
    chosen: list[int] = []
    start = 0
    for data, own in zip(packed, rows, strict=True):
        chosen += [start + row for row in own]
        start += len(data)
    return images_of(concatenate_datasets(list(packed)), chosen)


def _place_of_label(label_key: str | None) -> str:
    return "a .cls file or a label in .json" if label_key is None else f"{label_key!r} in .json"


def _refuse_missing(shards: list[_Shard], what: str, values: list[list[str | None]], expected: str) -> None:
    lacking = [
        (shard.path, key)
        for shard, own in zip(shards, values, strict=True)
        for key, value in zip(shard.keys, own, strict=True)
        if value is None
    ]
    if lacking:
        path, key = lacking[0]
        total = sum(map(len, values))
        raise UserError(
            f"{len(lacking)} of {total} samples have no {what}, the first is {key!r} in {path}: expected {expected}."
        )


def _stem(path: Path) -> str:
    return _ARCHIVE_SUFFIX.sub("", path.name)


def _put_shard_before_ids(shards: list[_Shard]) -> None:
    seen: dict[str, Path] = {}
    for shard in shards:
        stem = _stem(shard.path)
        if stem in seen:
            raise UserError(f"{seen[stem]} and {shard.path} have one name: rename one of them, as ids start with it.")
        seen[stem] = shard.path
        shard.ids = [f"{stem}/{sample_id}" for sample_id in shard.ids]


def _notices(shards: list[_Shard]) -> list[str]:
    others = [(shard.path, name) for shard in shards for name in shard.others]
    if not others:
        return []
    path, name = others[0]
    count = f"{len(others)} files" if len(others) > 1 else "1 file"
    return [f"{count} in shards are neither images nor .cls or .json and were left out, such as {name!r} in {path}."]
