"""Which of Pillow's plugins opens which format, and what looks at its header first."""

import warnings
from collections.abc import Callable
from threading import Lock

from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.IcoImagePlugin import IcoImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hfcls.data import headers
from hfcls.data.headers import Size


class _Jpeg(JpegImageFile):
    """Does not look for the resolution in EXIF blocks, which takes time and warns of damaged ones."""

    def _read_dpi_from_exif(self) -> None:
        return


class Quiet:
    """While any thread is inside, Pillow's own warnings are off: of odd tags, which are no news for a classifier."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


# Filters for warnings belong to the process, and so does this.
QUIET = Quiet()
MAY_WARN = {"TIFF", "ICO", "AVIF", "GIF"}
PLUGINS: dict[str, tuple[type[ImageFile], Callable[[bytes], tuple[bytes, Size | None]] | None]] = {
    "JPEG": (_Jpeg, headers.look_at_jpeg),
    "PNG": (PngImageFile, headers.look_at_png),
    "GIF": (GifImageFile, headers.look_at_gif),
    "WEBP": (WebPImageFile, headers.look_at_webp),
    "BMP": (BmpImageFile, None),
    "TIFF": (TiffImageFile, headers.look_at_tiff),
    "PPM": (PpmImageFile, headers.look_at_ppm),
    "ICO": (IcoImageFile, headers.look_at_ico),
    "AVIF": (AvifImageFile, None),
    "JPEG2000": (Jpeg2KImageFile, None),
}
