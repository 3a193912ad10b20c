"""The samples of a WebDataset shard: files that share their name up to the first dot."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from hfcls.data.archive_members import read_members
from hfcls.data.columns import text_of
from hfcls.data.layout import is_image_name
from hfcls.errors import UserError

SIDECARS = ("cls", "json")
LABEL_KEYS = ("label", "labels", "class", "cls", "target")
# A class name or the facts about an image; what is larger is something else.
MAX_SIDECAR_BYTES = 4 * 2**20

File: TypeAlias = tuple[str, bytes | pa.Buffer]
"""Name and content."""


def split_name(name: str) -> tuple[str, str]:
    """The key of a sample and the lower-case extension, which may hold dots."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return folder + slash + stem, extension.lower()


def group_samples(path: Path, names: Sequence[str]) -> tuple[dict[str, dict[str, int]], list[str]]:
    """The samples of a shard.

    Args:
        path: of the shard, for messages.
        names: of all its files.

    Returns:
        For each key the positions of its ``image`` (one) and of its ``cls`` and ``json`` (one or none); and the names
        of files that are no part of a sample.

    Raises:
        UserError: a sample with no image or several.
    """
    samples: dict[str, dict[str, int]] = {}
    others = []
    for row, name in enumerate(names):
        key, extension = split_name(name)
        kind = _kind(name, extension)
        if kind is None:
            others.append(name)
            continue
        members = samples.setdefault(key, {})
        if kind in members:
            raise _several(path, key, kind, (names[members[kind]], name))
        members[kind] = row
    for key, members in samples.items():
        if "image" not in members:
            raise _no_image(path, key, names[min(members.values())])
    return samples, others


def samples_in_turn(path: Path, *, images: bool) -> Iterator[tuple[str, dict[str, File]]]:
    """The samples of a shard whose files lie together, in one pass.

    Args:
        images: without it their content is empty.

    Yields:
        The key of a sample and its files: ``image`` (one), ``cls`` and ``json`` (one or none).

    Raises:
        UserError: a sample with no image or several, or whose files lie apart.
    """
    seen: set[str] = set()
    current = ""
    files: dict[str, File] = {}
    for name, content in read_members(path):
        key, extension = split_name(name)
        kind = _kind(name, extension)
        if kind is None:
            continue
        if key != current or not files:
            if files:
                yield current, _with_image(path, current, files)
            if key in seen:
                raise UserError(
                    f"{path}: the files of the sample {key!r} do not lie together, which streaming needs: sort the "
                    "names when you pack it."
                )
            seen.add(key)
            current, files = key, {}
        if kind in files:
            raise _several(path, key, kind, (files[kind][0], name))
        files[kind] = (name, content if images or kind != "image" else b"")
    if files:
        yield current, _with_image(path, current, files)


class Sidecars:
    """The ``.cls`` and ``.json`` of one sample, read when they are asked for.

    Args:
        path: of the shard, for messages.
        files: name and content of the files, by their extension.
    """

    def __init__(self, path: Path, files: dict[str, File]):
        self._path, self._files = path, files
        self._record: dict[str, Any] | None = None

    def label(self, key: str | None) -> str | None:
        """The class name: from a key of ``.json``, or where none is named, from ``.cls``, else the usual keys.

        Raises:
            UserError: a file is not what its name says, or several of `LABEL_KEYS` are there.
        """
        if key is not None:
            return self.text(key)
        if "cls" in self._files:
            try:
                return text_of(self._content("cls").decode("utf-8-sig"))
            except UnicodeDecodeError:
                raise self._error("cls", "is not text: expected the name or number of a class") from None
        found = [key for key in LABEL_KEYS if key in self._json()]
        if len(found) > 1:
            raise self._error("json", f"has {' and '.join(map(repr, found))}: choose one with --label_column_name")
        return self.text(found[0]) if found else None

    def text(self, key: str) -> str | None:
        """The value of a key of ``.json``, if it has one.

        Raises:
            UserError: the file is not JSON, or the value is neither text nor number.
        """
        value = self._json().get(key)
        if isinstance(value, list | dict):
            raise self._error("json", f"has a {type(value).__name__} in {key!r}: expected one text or number")
        text = text_of(value)
        if text is not None and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise self._error("json", f"has half a character in {key!r}: write it again")
        return text

    def _json(self) -> dict[str, Any]:
        if self._record is None:
            self._record = {}
            if "json" in self._files:
                try:
                    self._record = json.loads(self._content("json"))
                except (ValueError, RecursionError) as error:
                    raise self._error("json", f"is not JSON ({error}): write it again") from None
                if not isinstance(self._record, dict):
                    raise self._error("json", 'is not a JSON object: expected one such as {"label": "cat"}')
        return self._record

    def _content(self, extension: str) -> bytes:
        content = self._files[extension][1]
        if len(content) > MAX_SIDECAR_BYTES:
            raise self._error(extension, f"is larger than {MAX_SIDECAR_BYTES >> 20} MiB: expected a label")
        return bytes(content)

    def _error(self, extension: str, reason: str) -> UserError:
        return UserError(f"{self._path}: {self._files[extension][0]!r} {reason}.")


def _kind(name: str, extension: str) -> str | None:
    if is_image_name(name):
        return "image"
    return extension if extension in SIDECARS else None


def _with_image(path: Path, key: str, files: dict[str, File]) -> dict[str, File]:
    if "image" not in files:
        raise _no_image(path, key, next(iter(files.values()))[0])
    return files


def _no_image(path: Path, key: str, name: str) -> UserError:
    return UserError(f"{path}: the sample {key!r} has {name!r} and no image: add one or leave the sample out.")


def _several(path: Path, key: str, kind: str, names: tuple[str, str]) -> UserError:
    found = "images" if kind == "image" else f".{kind} files"
    return UserError(
        f"{path}: the sample {key!r} has several {found}, {names[0]!r} and {names[1]!r}: expected one (the files of a "
        "sample share their name up to the first dot)."
    )
