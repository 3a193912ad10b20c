"""What a classifier's head reads of every image: its pooled features, in a file where they are many."""

import sys
from collections.abc import Iterator
from functools import partial
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from hfcls.data.content import map_images
from hfcls.data.decode import decode_image
from hfcls.data.transforms import Preprocessing
from hfcls.errors import BadImage
from hfcls.inspection.images import Images
from hfcls.models import Classifier, pooled_features

_BATCH = 64


def compute_features(
    images: Images,
    rows: np.ndarray,
    classifier: Classifier,
    *,
    max_pixels: int,
    device: torch.device | str = "cpu",
    quiet: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Pooled features, scaled to length 1, so that a dot product is a cosine similarity.

    Args:
        rows: int64 (M,), ascending: the images wanted.
        max_pixels: of a stored image.
        device: where the network runs.
        quiet: show no progress.

    Returns:
        The rows that can be read, int64 (n,), and float32 (n, D), in a temporary file: memory holds what is looked at.
    """
    model = classifier.model.to(device).eval()
    preprocessing = Preprocessing(classifier.image_processor)
    found: np.ndarray | None = None
    kept: list[int] = []
    hidden = True if quiet or not sys.stderr.isatty() else None
    with (
        TemporaryFile() as file,
        tqdm(total=len(rows), desc="Features", unit="image", leave=False, disable=hidden) as bar,
    ):
        for batch, values in _batches(_decode_all(images, rows, preprocessing, max_pixels)):
            pixel_values = preprocessing.normalize(values.to(device))
            features = F.normalize(pooled_features(model, pixel_values).float()).cpu().numpy()
            if found is None:
                found = np.memmap(file, dtype=np.float32, mode="w+", shape=(len(rows), features.shape[1]))
            found[len(kept) : len(kept) + len(batch)] = features
            kept += batch
            bar.update(len(batch))
    if found is None:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.float32)
    return np.array(kept, dtype=np.int64), found[: len(kept)]


def _decode_all(
    images: Images, rows: np.ndarray, preprocessing: Preprocessing, max_pixels: int
) -> Iterator[tuple[int, Tensor | None]]:
    work = partial(_decode, preprocessing=preprocessing, max_pixels=max_pixels)
    for number, data in enumerate(images.data.values()):
        own = rows[images.split_of[rows] == number]
        if len(own):
            chosen = data.select(own - images.starts[number])
            yield from zip(own.tolist(), map_images(chosen, work, description="Features", quiet=True), strict=True)


def _decode(cell: dict[str, Any], sample_id: str, *, preprocessing: Preprocessing, max_pixels: int) -> Tensor | None:
    try:
        return preprocessing.checked_pixels(decode_image(cell, sample_id, max_pixels=max_pixels), sample_id)
    except BadImage:
        return None  # named among the broken ones, or too odd for this network


def _batches(decoded: Iterator[tuple[int, Tensor | None]]) -> Iterator[tuple[list[int], Tensor]]:
    """Rows, and uint8 (B, 3, H, W) of them."""
    rows: list[int] = []
    pixels: list[Tensor] = []
    for row, image in decoded:
        if image is None:
            continue
        rows.append(row)
        pixels.append(image)
        if len(rows) == _BATCH:
            yield rows, torch.stack(pixels)
            rows, pixels = [], []
    if rows:
        yield rows, torch.stack(pixels)
