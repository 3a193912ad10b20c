"""Pictures that a visitor says were taken for the wrong thing: kept in a folder that `hfcls train` reads."""

import json
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image

from hfcls.errors import UserError
from hfcls.escaping import utf8_text

MAX_COUNT = 2000
MAX_TOTAL_BYTES = 2 * 2**30
TABLE = "metadata.jsonl"
# As a folder's name it means itself on every system.
_PLAIN = re.compile(r"[^\W_](?:[\w ,'()&+-]{0,62}[\w)])?")
_RESERVED = re.compile(r"(?i:con|prn|aux|nul|com\d|lpt\d)")


class FlagFolder:
    """A folder with one folder for each class, and ``metadata.jsonl`` with the true names of the classes.

    Pictures are stored as PNG from their bare pixels: nothing of a camera, a place or a comment goes along.

    Args:
        folder: is made if it is missing.
        max_count, max_bytes: of pictures, those that are there already included.

    Raises:
        UserError: the folder cannot be written, or is one that holds other images.
    """

    def __init__(self, folder: Path, *, max_count: int = MAX_COUNT, max_bytes: int = MAX_TOTAL_BYTES):
        self.folder = folder
        self._max_count, self._max_bytes = max_count, max_bytes
        self._lock = Lock()
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} cannot be written: it is a file, and a folder is expected.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()) and not (folder / TABLE).is_file():
                raise UserError(
                    f"{folder} holds other files and no {TABLE}: name an empty folder, or one that was made here."
                )
            (folder / TABLE).touch()
            kept = [path.stat().st_size for path in folder.glob("*/*.png")]
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}.") from None
        self._count, self._bytes = len(kept), sum(kept)

    def add(self, image: Image.Image, label: str, *, predicted: str, score: float, model: str) -> None:
        """Keeps one picture.

        Args:
            image: RGB.
            label: what it shows.
            predicted, score, model: what it was taken for, how firmly, and by whom.

        Raises:
            UserError: it is there already, or there is no more room.
        """
        file = BytesIO()
        Image.fromarray(np.asarray(image)).save(file, "PNG")
        content = file.getvalue()
        name = f"{blake2b(np.asarray(image).tobytes(), digest_size=16).hexdigest()}.png"
        with self._lock:
            if any(self.folder.glob(f"*/{name}")):
                raise UserError("This picture has been kept already: one class for each.")
            if self._count >= self._max_count or self._bytes + len(content) > self._max_bytes:
                raise UserError("There is no more room for pictures: tell whoever runs this page.")
            place = folder_name(label)
            row = {"file_name": f"{place}/{name}", "label": utf8_text(label), "predicted": utf8_text(predicted)}
            row |= {
                "score": f"{score:.6f}",
                "model": utf8_text(model),
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            try:
                self._write(place, name, content, json.dumps(row, ensure_ascii=False))
            except OSError:
                raise UserError("The picture could not be kept: tell whoever runs this page.") from None
            self._count, self._bytes = self._count + 1, self._bytes + len(content)

    def _write(self, place: str, name: str, content: bytes, row: str) -> None:
        (self.folder / place).mkdir(exist_ok=True)
        aside = self.folder / place / f".{name}.{os.getpid()}"
        aside.write_bytes(content)
        aside.replace(self.folder / place / name)
        try:
            with (self.folder / TABLE).open("a", encoding="utf-8") as table:
                table.write(f"{row}\n")
        except OSError:
            (self.folder / place / name).unlink(missing_ok=True)
            raise


def folder_name(label: str) -> str:
    """A folder's name for a class, safe on every system: the class's own where it can be, else one with a digest.

    Capital letters count as other than plain: on some systems ``Cat`` and ``cat`` are one folder.
    """
    if _PLAIN.fullmatch(label) and not _RESERVED.fullmatch(label) and label.isascii() and label == label.lower():
        return label
    words: Iterable[str] = re.findall(r"[A-Za-z0-9]+", label)
    start = "-".join(words)[:40].strip("-") or "class"
    return f"{start}-{blake2b(utf8_text(label).encode(), digest_size=4).hexdigest()}"
