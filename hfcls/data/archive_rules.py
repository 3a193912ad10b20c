"""What a zip or tar archive from anywhere may hold.

Nothing is ever written under a member's name. All the same an archive with one unsafe member is refused as a whole:
who packed it meant harm or lost something.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from hfcls.data.decode import MAX_BYTES
from hfcls.data.layout import is_system_file
from hfcls.errors import UserError

# A zip's table of contents takes about 800 bytes of memory for each.
MAX_MEMBERS = 5_000_000
MAX_TOTAL_BYTES = 2**40
# Of all unpacked bytes to the archive's own: photos have about 1, flat masks up to 50, bombs 1000 and more.
MAX_RATIO, RATIO_FROM_BYTES = 200, 64 * 2**20
MAX_NAME_BYTES = 4096
ARCHIVE_SUFFIXES = frozenset(
    (
        *(".zip", ".tar", ".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4"),
        *(".br", ".z", ".7z", ".rar", ".cab", ".arj", ".cpio", ".iso"),
    )
)
LINK = "is a symbolic link: pack the file that it points to"
DEVICE = "is a device: leave it out"
PIPE = "is a pipe or a socket: leave it out"


class Admission:
    """Counts and checks the members of one archive.

    Args:
        path: of the archive.
        packed: its size in bytes.
        max_bytes: of a member, which is in memory as a whole.
    """

    def __init__(self, path: Path, packed: int, *, max_bytes: int = MAX_BYTES):
        self.path = path
        self._max_bytes = max_bytes
        self._most_bytes = max(RATIO_FROM_BYTES, MAX_RATIO * packed)
        self._members = 0
        self._unpacked = 0
        self._names: set[str] = set()

    def refusal(self, name: str, reason: str) -> UserError:
        """The error for one member; `reason` is read after its name."""
        shown = name if len(name) <= 200 else f"{name[:100]}…{name[-50:]}"
        return UserError(f"{self.path} is refused: its member {shown!r} {reason}.")

    def count_member(self, count: int = 1) -> None:
        """Counts members of any kind."""
        self._members += count
        if self._members > MAX_MEMBERS:
            raise UserError(f"{self.path} is refused: it has more than {MAX_MEMBERS:,} members; split it up.")

    def count_bytes(self, count: int) -> None:
        """Counts unpacked bytes."""
        self._unpacked += count
        if self._unpacked > MAX_TOTAL_BYTES:
            raise UserError(
                f"{self.path} is refused: it unpacks to more than {MAX_TOTAL_BYTES >> 30} GiB; split it up."
            )
        if self._unpacked > self._most_bytes:
            raise UserError(
                f"{self.path} is refused: it unpacks to more than {MAX_RATIO} times its size, as a bomb does; "
                "if you trust it, unpack it and give the folder."
            )

    def clean_name(self, name: str, size: int) -> str | None:
        """The name by which a member goes on, ``/`` between folders, without ``.`` and ``..``.

        Args:
            name: as it stands in the archive; a folder's ends with ``/``.
            size: in bytes, as the archive says.

        Returns:
            None for what is passed over: folders, hidden files, what systems leave behind.
        """
        parts = self._parts(name)
        if not 0 <= size <= self._max_bytes:
            raise self.refusal(name, f"is larger than {self._max_bytes >> 20} MiB: leave it out")
        clean = "/".join(parts)
        if name.endswith("/") or is_system_file(clean):
            return None
        if not clean:
            raise self.refusal(name, "has no name: rename it")
        if clean in self._names:
            raise self.refusal(clean, "is there twice: keep one of them")
        self._names.add(clean)
        stem, dot, suffix = parts[-1].rpartition(".")
        if stem and dot + suffix.lower() in ARCHIVE_SUFFIXES:
            raise self.refusal(clean, "is an archive itself: unpack it first")
        return clean

    def _parts(self, name: str) -> list[str]:
        try:
            length = len(name.encode())
        except UnicodeEncodeError:
            raise self.refusal(name, "has a name that is not valid UTF-8: rename it") from None
        if length > MAX_NAME_BYTES:
            raise self.refusal(name, f"has a name of more than {MAX_NAME_BYTES} bytes: rename it")
        if "\0" in name:
            raise self.refusal(name, "has a zero byte in its name: rename it")
        if "\\" in name:
            raise self.refusal(name, "has a backslash in its name: pack it with / between folders")
        if name.startswith("/") or re.match("[A-Za-z]:", name):
            raise self.refusal(name, "has an absolute name: pack it by its name below the folder")
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise self.refusal(name, "climbs out of the archive with '..': pack it by its name below the folder")
        return parts


Progress: TypeAlias = Callable[[int], object]
"""Is told how many bytes of the archive have been read."""

Reader: TypeAlias = Callable[[BinaryIO, Admission, Progress], Iterator[tuple[str, bytes]]]
"""From an open archive to names and contents, in the archive's order, in one pass."""
