"""Small pictures of chosen images, made at the end from the stored ones."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from hfcls.data.content import map_images
from hfcls.data.decode import decode_bytes, read_bytes
from hfcls.errors import BadImage
from hfcls.inspection.images import Images
from hfcls.pages.thumbnails import Thumbnail, make_thumbnail


def make_thumbnails(
    images: Images, rows: Sequence[int], *, side: int, budget: int, max_pixels: int, quiet: bool = False
) -> dict[int, Thumbnail]:
    """Decodes some images and scales them down.

    Args:
        rows: which; the first are made first.
        side: pixels of the longer side; smaller images keep their size.
        budget: characters that all together may take; what comes after is left out.

    Returns:
        By row; without those that can't be read or find no room.
    """
    made: dict[int, Thumbnail] = {}
    work = partial(_make, side=side, max_pixels=max_pixels)
    for number, data in enumerate(images.data.values()):
        own = sorted(row for row in set(rows) if images.split_of[row] == number)
        chosen = data.select([row - int(images.starts[number]) for row in own])
        for row, thumbnail in zip(own, map_images(chosen, work, description="Pictures", quiet=quiet), strict=True):
            if thumbnail is not None:
                made[row] = thumbnail
    kept = {}
    for row in dict.fromkeys(rows):
        if row in made and len(made[row].uri) <= budget:
            budget -= len(made[row].uri)
            kept[row] = made[row]
    return kept


def _make(cell: dict[str, Any], sample_id: str, *, side: int, max_pixels: int) -> Thumbnail | None:
    try:
        content = read_bytes(cell, sample_id)
        image = decode_bytes(content, sample_id, max_pixels=max_pixels, at_least=side).image
    except BadImage:
        return None  # named among the broken ones
    return make_thumbnail(image, side=side)
