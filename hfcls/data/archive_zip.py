"""The files inside a zip archive."""

import stat
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from hfcls.data.archive_rules import DEVICE, LINK, MAX_MEMBERS, PIPE, Admission, Progress
from hfcls.errors import UserError

MAX_DIRECTORY_BYTES = 2**30
_KINDS = {
    stat.S_IFLNK: LINK,
    stat.S_IFCHR: DEVICE,
    stat.S_IFBLK: DEVICE,
    stat.S_IFIFO: PIPE,
    stat.S_IFSOCK: PIPE,
}
_UTF8_NAME, _ENCRYPTED = 0x800, 0x41


def zip_members(file: BinaryIO, admission: Admission, progress: Progress) -> Iterator[tuple[str, bytes]]:
    """All files of a zip; every entry of its table of contents is checked before the first byte is unpacked."""
    with zipfile.ZipFile(_WeighedFile(file, admission)) as archive:  # type: ignore[call-overload]
        entries = archive.infolist()
        names = [_admit(entry, admission) for entry in entries]
        _refuse_overlaps(archive, admission)
        for entry, name in zip(entries, names, strict=True):
            if name is None:
                continue
            # zipfile stops at the size that the entry says, and checks the sum
            with archive.open(entry) as member:
                content = member.read(entry.file_size + 1)
            if len(content) != entry.file_size:
                raise admission.refusal(name, f"says {entry.file_size} bytes and has {len(content)}: pack it again")
            yield name, content
            progress(entry.header_offset + entry.compress_size)


class _WeighedFile:
    """A zip whose table of contents is weighed before zipfile makes objects of it, some 600 bytes each."""

    def __init__(self, file: BinaryIO, admission: Admission):
        self._file, self._admission = file, admission
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        """As any file."""
        if count > MAX_DIRECTORY_BYTES:
            raise UserError(f"{self._admission.path} is refused: its table of contents is too long; split it up.")
        content = self._file.read(count)
        if len(content) > 46 * MAX_MEMBERS and (entries := content.count(b"PK\1\2")) > MAX_MEMBERS:
            self._admission.count_member(entries)
        return content


def _admit(entry: zipfile.ZipInfo, admission: Admission) -> str | None:
    """The clean name of an entry that nothing speaks against; None for one to pass over."""
    name = entry.orig_filename  # `filename` ends at a zero byte
    if not entry.flag_bits & _UTF8_NAME:
        # Many a zip has UTF-8 names without saying so.
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    admission.count_member()
    clean = admission.clean_name(name, entry.file_size)
    if entry.flag_bits & _ENCRYPTED:
        raise admission.refusal(name, "is encrypted: pack it again without a password")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind in _KINDS:
        raise admission.refusal(name, _KINDS[kind])
    if clean is None:
        return None
    # zipfile unpacks the other methods without a bound on memory
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        method = zipfile.compressor_names.get(entry.compress_type, entry.compress_type)  # type: ignore[attr-defined]
        raise admission.refusal(name, f"is compressed by the method {method}: pack it again with deflate")
    admission.count_bytes(entry.file_size)
    return clean


def _refuse_overlaps(archive: zipfile.ZipFile, admission: Admission) -> None:
    """Members that share bytes: how a small zip becomes a huge one (Fifield 2019, "A better zip bomb")."""
    end = 0
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise admission.refusal(entry.orig_filename, "overlaps the one before it: pack it again")
        # in its place an entry has a header of 30 bytes, its name and perhaps more
        end = entry.header_offset + 30 + len(entry.orig_filename) + entry.compress_size
    if end > archive.start_dir:
        raise zipfile.BadZipFile("a member reaches into the table of contents")
