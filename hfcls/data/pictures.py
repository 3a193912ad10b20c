"""Some images of a split by their ids, small, for people to look at."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from PIL.Image import Image

from hfcls.data.content import map_images
from hfcls.data.decode import MAX_PIXELS, decode_bytes, read_bytes
from hfcls.data.reading import texts_of
from hfcls.errors import BadImage
from hfcls.pages.thumbnails import shrink


class Pictures:
    """Fetches images by id.

    Args:
        data: with the columns id and image.
        side: pixels of the longer side; larger images are scaled down, so that many of them fit the memory.
        max_pixels: of a stored image.
    """

    def __init__(self, data: Dataset, *, side: int = 256, max_pixels: int = MAX_PIXELS):
        self._data, self._side, self._max_pixels = data, side, max_pixels

    def __call__(self, ids: Sequence[str]) -> list[Image | None]:
        """Decodes some images.

        Returns:
            One for each id, upright and RGB; None where the id is unknown or the image can't be read.
        """
        wanted = set(ids)
        rows = {sample_id: row for row, sample_id in enumerate(texts_of(self._data, "id")) if sample_id in wanted}
        found = map_images(self._data.select(list(rows.values())), self._decode, description="Pictures", quiet=True)
        images = dict(zip(rows, found, strict=True))
        return [images.get(sample_id) for sample_id in ids]

    def _decode(self, cell: dict[str, Any], sample_id: str) -> Image | None:
        try:
            content = read_bytes(cell, sample_id)
            decoded = decode_bytes(content, sample_id, max_pixels=self._max_pixels, at_least=self._side)
        except BadImage:
            return None
        return shrink(decoded.image, self._side)
