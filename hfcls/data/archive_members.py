"""The files inside an archive from anywhere, one after the other; needs nothing but the standard library."""

import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path

from hfcls.data.archive_rules import Admission, Progress
from hfcls.data.archive_tar import tar_members
from hfcls.data.archive_zip import zip_members
from hfcls.data.decode import MAX_BYTES
from hfcls.errors import UserError

_READ = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz")
# What the standard library makes of hostile bytes.
_DAMAGE = (
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    NotImplementedError,
    struct.error,
    zlib.error,
    LZMAError,
    tarfile.HeaderError,
    zipfile.BadZipFile,
)


def read_members(
    path: Path, progress: Progress = lambda position: None, *, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[str, bytes]]:
    """Names and contents as of `hfcls.data.archives.pack_archive`, in one pass and without the cache.

    What is unsafe further on in a tar shows only when the pass comes to it.

    Args:
        progress: is told how many bytes of the archive have been read.
        max_bytes: of a member; a larger one is an error.
    """
    if path.suffix.lower() not in _READ:
        raise UserError(f"{path} is a kind of archive that is not read: pack it as .zip, .tar, .tar.gz or .tar.xz.")
    _, size, _ = archive_state(path)
    reader = zip_members if path.suffix.lower() == ".zip" else tar_members
    try:
        with path.open("rb") as file:
            yield from reader(file, Admission(path, size, max_bytes=max_bytes), progress)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is refused: its member {error.object[:200]!r} has a name that is not UTF-8.") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} is damaged or cut short ({reason}): fetch or pack it again.") from None


def archive_state(path: Path) -> tuple[str, int, int]:
    """What tells an archive from another one or a later one."""
    try:
        status = path.stat()
        if not path.is_file():
            raise UserError(f"{path} is not a file: expected an archive.")
        if not status.st_size:
            raise UserError(f"{path} is empty: expected an archive.")
        return os.fspath(path.resolve()), status.st_size, status.st_mtime_ns
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
