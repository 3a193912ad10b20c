"""From what Gradio says of an upload to its bytes, and from several files and archives to pictures by name."""

import base64
import binascii
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hfcls.data.archive_members import read_members
from hfcls.data.archive_rules import ARCHIVE_SUFFIXES
from hfcls.data.decode import read_bytes
from hfcls.errors import BadImage, UserError
from hfcls.serving.limits import MAX_ARCHIVE_BYTES, MAX_FILES, MAX_MEMBER_BYTES, MAX_UNPACKED_BYTES

NO_PICTURE = "No picture: drop, paste or photograph one."
_NO_FILES = "No pictures: drop several, a folder, or a zip of them."


def content_of(upload: Any) -> bytes:
    """The bytes of an upload.

    Args:
        upload: what Gradio says of it: a dict with a path, or with a ``data:`` URL.

    Raises:
        BadImage: there are none, or they are not where Gradio keeps uploads.
        UserError: nothing was uploaded.
    """
    path, url = (upload.get("path"), upload.get("url")) if isinstance(upload, dict) else (None, None)
    if isinstance(path, str) and path:
        return read_bytes({"bytes": None, "path": str(_kept(path))}, "file")
    if isinstance(url, str) and url.startswith("data:") and ";base64," in url[:100]:
        try:
            return base64.b64decode(url.partition(",")[2], validate=True)
        except binascii.Error:
            raise BadImage("", reason="is not whole: its base64 text cannot be read") from None
    raise UserError(NO_PICTURE)


def pictures_of(uploads: Any) -> Iterator[tuple[str, bytes | UserError]]:
    """All pictures of several uploads, those in archives too, each by its name.

    Yields:
        The name and the bytes, or why there are none. What is over a limit is one entry at the end that says so.

    Raises:
        UserError: nothing was uploaded.
    """
    uploads = [upload for upload in uploads if upload is not None] if isinstance(uploads, Sequence) else []
    if not uploads:
        raise UserError(_NO_FILES)
    unpacked = 0
    for count, (name, content) in enumerate(_all(uploads)):
        if count >= MAX_FILES:
            yield name, UserError(f"is one more than {MAX_FILES} pictures: it and all after it are left out")
            return
        unpacked += len(content) if isinstance(content, bytes) else 0
        if unpacked > MAX_UNPACKED_BYTES:
            limit = MAX_UNPACKED_BYTES >> 20
            yield name, UserError(f"comes after {limit} MiB of pictures: it and all after it are left out")
            return
        yield name, content


def _all(uploads: Sequence[Any]) -> Iterator[tuple[str, bytes | UserError]]:
    for upload in uploads:
        name = name_of(upload)
        try:
            if Path(name).suffix.lower() in ARCHIVE_SUFFIXES:
                yield from _unpacked(upload, name)
            else:
                yield name, content_of(upload)
        except BadImage as error:
            yield name, UserError(error.reason)
        except UserError as error:
            yield name, error


def name_of(upload: Any) -> str:
    """What the visitor calls the file."""
    given = upload.get("orig_name") or upload.get("path") if isinstance(upload, dict) else None
    return str(given or "picture").replace("\\", "/").rpartition("/")[2][:200] or "picture"


def _unpacked(upload: Any, name: str) -> Iterator[tuple[str, bytes]]:
    given = upload.get("path")
    if not isinstance(given, str) or not given:
        raise UserError("is an archive that was not uploaded as a file")
    path = _kept(given)
    try:
        if path.stat().st_size > MAX_ARCHIVE_BYTES:
            raise UserError(f"has more than {MAX_ARCHIVE_BYTES >> 20} MiB: send its pictures in parts")
        empty = True
        for member in read_members(path, max_bytes=MAX_MEMBER_BYTES):
            empty = False
            yield member
        if empty:
            raise UserError("holds no files")
    except OSError:
        raise UserError("cannot be read") from None
    except UserError as error:
        raise UserError(str(error).replace(f"{path} ", "").removesuffix(".")) from None


def _kept(path: str) -> Path:
    """The place of an upload.

    Raises:
        BadImage: it is not where Gradio keeps uploads.
    """
    from gradio.utils import get_upload_folder

    resolved = Path(path).resolve()
    if not resolved.is_relative_to(Path(get_upload_folder()).resolve()):
        raise BadImage("", reason="has not been uploaded")
    return resolved
