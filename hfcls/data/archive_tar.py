"""The files inside a tar archive, compressed or not.

`tarfile` parses the headers. It does not walk the archive: it takes a broken header for the end, reads extended
headers of any size, and an archive that was cut between two members is a whole one to it.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from hfcls.data.archive_rules import DEVICE, LINK, PIPE, Admission, Progress
from hfcls.errors import UserError

MAX_HEADER_BYTES = 2**20
# `xz -9` needs 65 MiB to unpack.
MAX_XZ_MEMORY = 256 * 2**20
_CHUNK = 2**20
_FILES = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE}
_PAX = {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}
_EXTENDED = {*_PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_SPARSE = "is stored as a sparse file: pack it again without --sparse"
_KINDS = {
    tarfile.SYMTYPE: LINK,
    tarfile.LNKTYPE: "is a hard link: pack it again with --hard-dereference",
    tarfile.CHRTYPE: DEVICE,
    tarfile.BLKTYPE: DEVICE,
    tarfile.FIFOTYPE: PIPE,
    tarfile.GNUTYPE_SPARSE: _SPARSE,
}


def tar_members(file: BinaryIO, admission: Admission, progress: Progress) -> Iterator[tuple[str, bytes]]:
    """All files of a tar; the compression is told from its first bytes."""
    stream = _Stream(file, admission)
    long_name: str | None = None
    pax: dict[str, str] = {}
    while (header := stream.header()) is not None:
        admission.count_member()
        if header.type in _EXTENDED:
            content = stream.extended_header(header.size)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                long_name = content.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif header.type in _PAX:
                pax = _pax_records(content)
            elif header.type == tarfile.XGLTYPE and {"path", "size"} & _pax_records(content).keys():
                raise ValueError("a header for all members names one")
            continue
        name, size = pax.get("path", long_name or header.name), int(pax.get("size", header.size))
        if any(key.startswith("GNU.sparse") for key in pax):
            raise admission.refusal(name, _SPARSE)
        is_folder = header.type == tarfile.DIRTYPE or (header.type in _FILES and name.endswith("/") and not size)
        clean = admission.clean_name(name.rstrip("/") + "/" * is_folder, 0 if is_folder else size)
        if not is_folder:
            if header.type not in _FILES:
                raise admission.refusal(name, _KINDS.get(header.type, f"is of an unknown kind, {header.type!r}"))
            content = stream.read(size)
            stream.read(-size % tarfile.BLOCKSIZE)
            if clean is not None:
                yield clean, content
        long_name, pax = None, {}
        progress(file.tell())
    stream.expect_end()


class _Stream:
    """The bytes of a tar, unpacked and counted."""

    def __init__(self, file: BinaryIO, admission: Admission):
        self._file = _decompressed(file)
        self._admission = admission
        self._started = False

    def header(self) -> tarfile.TarInfo | None:
        """The next header; None at the mark of the end, which every whole archive has."""
        block = self.read(tarfile.BLOCKSIZE)
        if block.count(0) == len(block):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            if self._started:
                raise
            raise UserError(
                f"{self._admission.path} holds no tar archive: expected .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz."
            ) from None
        self._started = True
        return header

    def extended_header(self, size: int) -> bytes:
        """What stands before a member: its long name, or records of pax."""
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise ValueError(f"an extended header of {size} bytes")
        content = self.read(size)
        self.read(-size % tarfile.BLOCKSIZE)
        return content

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        chunks = []
        while count > 0:
            chunk = self._file.read(min(count, _CHUNK))
            if not chunk:
                raise EOFError("its end is missing")
            self._admission.count_bytes(len(chunk))
            chunks.append(chunk)
            count -= len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def expect_end(self) -> None:
        """Reads on to the end, where the compression has its checksum, and wants only padding there."""
        while chunk := self._file.read(_CHUNK):
            self._admission.count_bytes(len(chunk))
            if chunk.count(0) != len(chunk):
                raise UserError(
                    f"{self._admission.path} goes on after its end, as joined archives do: give them one by one."
                )


def _pax_records(content: bytes) -> dict[str, str]:
    """Records ``LENGTH KEY=VALUE\\n`` (POSIX.1-2001, pax)."""
    records: dict[str, str] = {}
    start = 0
    while start < len(content) and content[start]:
        space = content.find(b" ", start, start + 20)
        digits = content[start : max(space, start)]
        end = start + int(digits) if digits.isdigit() else 0
        if not space + 1 < end <= len(content) or content[end - 1] != ord("\n"):
            raise ValueError("a broken pax header")
        key, _, value = content[space + 1 : end - 1].decode("utf-8", "surrogateescape").partition("=")
        if key == "size" and not (value.isascii() and value.isdigit() and len(value) < 20):
            raise ValueError("a broken pax header")
        records[key] = value
        start = end
    return records


class _Readable(Protocol):
    def read(self, count: int, /) -> bytes: ...


def _decompressed(file: BinaryIO) -> _Readable:
    start = file.read(6)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return _XZFile(file) if start == b"\xfd7zXZ\0" else file


class _XZFile:
    """As `lzma.LZMAFile`, with a bound on the memory that a header may ask for."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._decompressor: lzma.LZMADecompressor | None = None

    def read(self, count: int, /) -> bytes:
        """At most `count` bytes; none at the end."""
        while True:
            packed = b""
            if self._decompressor is None or self._decompressor.eof:
                packed = self._decompressor.unused_data if self._decompressor else b""
                while not (packed := packed.lstrip(b"\0")):  # padding between streams
                    packed = self._file.read(_CHUNK)
                    if not packed:
                        return b""
                self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY)
            elif self._decompressor.needs_input:
                packed = self._file.read(_CHUNK)
                if not packed:
                    raise EOFError("its end is missing")
            content = self._decompressor.decompress(packed, count)
            if content:
                return content
