"""Contrast Limited Adaptive Histogram Equalization, in numpy alone."""

import numpy as np

# Tiles along each side, as OpenCV has them.
TILES = 8
# Row n: in which of the 256 bins one count each goes where n counts are left over, evenly spread.
_BINS = np.arange(256)
_STEPS = 256 // _BINS.clip(1)[:, None]
_LEFT_OVER = (_BINS % _STEPS == 0) & (_BINS[:, None] > _BINS // _STEPS)


def clahe(grey: np.ndarray, clip_limit: float) -> np.ndarray:
    """Equalizes each neighbourhood by its own histogram (Zuiderveld, Graphics Gems IV, 1994).

    The image is cut into 8x8 tiles. Each has a table from old to new values, its cumulative histogram, after counts
    above the limit were spread over all bins; a pixel's value is interpolated bilinearly between the tables of the
    four nearest tiles. Equal to ``cv2.createCLAHE(clip_limit, (8, 8))``.

    Args:
        grey: uint8 (H, W).
        clip_limit: how many times the average a bin may count, above 0; the smaller, the weaker the effect.

    Returns:
        uint8 (H, W).
    """
    padded = grey
    if grey.shape[0] % TILES or grey.shape[1] % TILES:
        # OpenCV adds to both sides where one needs it.
        padded = np.pad(grey, [(0, TILES - side % TILES) for side in grey.shape], mode="reflect")
    height, width = (side // TILES for side in padded.shape)
    rows = (np.arange(padded.shape[0]) // height * TILES * 256)[:, None]
    columns = np.arange(padded.shape[1]) // width * 256
    counts = np.bincount((padded + columns + rows).ravel(), minlength=TILES * TILES * 256).reshape(-1, 256)
    tables = _tables(counts, height * width, clip_limit).ravel()

    above, below, down = _neighbours(grey.shape[0], height)
    before, after, across = _neighbours(grey.shape[1], width)
    left, right = grey + before * 256, grey + after * 256
    above, below, down = (above * TILES * 256)[:, None], (below * TILES * 256)[:, None], down[:, None]
    upper = tables.take(left + above) * (1 - across) + tables.take(right + above) * across
    lower = tables.take(left + below) * (1 - across) + tables.take(right + below) * across
    return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)


def _tables(counts: np.ndarray, area: int, clip_limit: float) -> np.ndarray:
    """From the histograms (64, 256) of tiles of so many pixels to new values, float32 (64, 256)."""
    # No bin counts more than 256 times the average, whatever number was given.
    limit = max(int(min(clip_limit, 256) * area / 256), 1)
    clipped = np.minimum(counts, limit)
    excess = area - clipped.sum(axis=1)
    clipped += (excess // 256)[:, None] + _LEFT_OVER[excess % 256]
    return np.rint(clipped.cumsum(axis=1).astype(np.float32) * np.float32(255 / area))


def _neighbours(length: int, tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel along a side: the tiles whose centres lie before and after it, and the share of the latter."""
    position = np.arange(length, dtype=np.float32) * np.float32(1 / tile) - np.float32(0.5)
    first = np.floor(position)
    tiles = first.astype(np.intp)
    return tiles.clip(0), (tiles + 1).clip(max=TILES - 1), position - first
