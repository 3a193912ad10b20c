"""Whether two thumbnails show the same picture, up to a small crop, resizing, light and compression."""

from typing import NamedTuple

import numpy as np

from hfcls.inspection.hashes import COLOUR_GRID, GRID, brightness, colours, low_frequencies

_MARGIN = 1 / 12  # part of the side that is not compared: a crop leaves nothing there to compare with
_INSIDE = np.arange(GRID)[round(_MARGIN * GRID) : -round(_MARGIN * GRID)]
_CENTRE = (GRID - 1) / 2
_ARM = ((np.arange(GRID) - _CENTRE) / _CENTRE).astype(np.float32)  # -1 at one border, 1 at the other
_FARTHEST = 0.06  # part of the side that a border may move: a crop of 4 % and what measuring it costs
_BLUR = 0.25
_WINDOW = 5  # samples a side of the places whose disagreement is judged
_NOISE = 1000.0  # squared grey levels: what compression leaves weighs as much as contrast up to here


class Comparison(NamedTuple):
    """How two thumbnails agree once light, sharpness, shift and stretch are made equal.

    Attributes:
        disagreement: (P,) mean squared difference of brightness where it is largest (5 x 5 samples), as a part of
            contrast and noise. Judged by place, because two drawings that differ in one stroke agree elsewhere.
        colour: (P,) squared difference of colour where it is largest, squared levels.
        gain: (P,) contrast of one in terms of the other.
        correlation: (P,) of brightness, -1 to 1.
    """

    disagreement: np.ndarray
    colour: np.ndarray
    gain: np.ndarray
    correlation: np.ndarray


def tangents(pictures: np.ndarray) -> np.ndarray:
    """What the low frequencies of pictures become by small changes of contrast, sharpness, shift and stretch.

    The tangent distance of Simard, LeCun and Denker (1993, Efficient Pattern Recognition Using a New Transformation
    Distance), taken on frequencies.

    Args:
        pictures: ``(N, 24, 24)`` float32.

    Returns:
        ``(N, 64, 6)`` float32: six directions, made such that the squares of what another picture (of length 1) has
        in them add up to the part of it that the changes explain.
    """
    down, right = np.gradient(pictures, axis=(1, 2))
    fields = (pictures, _smooth(pictures, 0.25) - pictures, *_moves(down, right))
    spanned = np.stack([low_frequencies(field) for field in fields], axis=2)
    gram = spanned.transpose(0, 2, 1) @ spanned
    # As stiff as lets a border move by a sample or two, not by ten.
    stiffness = 1e-2 + 1e-4 * gram[:, :1, 0] * np.array([0, 1, 1, 1, 1, 1], dtype=np.float32)
    gram += stiffness[:, :, None] * np.eye(6, dtype=np.float32)
    return spanned @ np.linalg.inv(np.linalg.cholesky(gram)).transpose(0, 2, 1)


def unexplained(tangent: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The part of other pictures that small changes of one picture leave unexplained.

    Args:
        tangent: ``(64, 6)``, of the one picture; see `tangents`.
        others: ``(M, 64)``, low frequencies, each row of length 1.

    Returns:
        ``(M,)`` float32, from 0 (the same picture) to 1 (nothing in common).
    """
    return 1 - np.sum((others @ tangent) ** 2, axis=1)


def compare(one: np.ndarray, other: np.ndarray) -> Comparison:
    """Lays thumbnails over each other, pair by pair, and says how they differ then.

    Two steps of Gauss-Newton on shift and stretch along either axis, with contrast, offset and sharpness as further
    unknowns. The sharper of the two is moved: blur can be imitated, sharpness cannot.

    Args:
        one: ``(P, 864)`` uint8 descriptors.
        other: likewise; row by row against `one`.
    """
    still, moved = (_smooth(brightness(each), _BLUR) for each in (one, other))
    swap = _sharpness(still) > _sharpness(moved)
    still[swap], moved[swap] = moved[swap], still[swap]
    still_colour, moved_colour = colours(one), colours(other)
    still_colour[swap], moved_colour[swap] = moved_colour[swap], still_colour[swap]
    target = still[:, _INSIDE[:, None], _INSIDE].reshape(len(still), -1)
    target -= target.mean(axis=1, keepdims=True)
    soft = _smooth(moved, 0.25) - moved
    down, right = np.gradient(moved, axis=(1, 2))
    sources = np.stack([moved, soft, down, right], axis=1)
    weights, _ = _fit(sources[:, :, _INSIDE[:, None], _INSIDE], target)
    steps = (weights[:, 2:] / np.maximum(weights[:, :1], 0.2)).reshape(-1, 2, 2)  # axis, (shift, stretch)
    borders = np.stack([steps[..., 0] - steps[..., 1], steps[..., 0] + steps[..., 1]], axis=2) / GRID
    borders = np.clip(borders, -_FARTHEST, _FARTHEST)
    weights, left = _fit(_warp(sources, borders), target)

    contrast = np.mean(target**2, axis=1)
    largest = _box_means(left.reshape(-1, len(_INSIDE), len(_INSIDE)) ** 2, _WINDOW).max(axis=(1, 2))
    explained = 1 - np.mean(left**2, axis=1) / np.maximum(contrast, 1e-3)
    gain = weights[:, 0]
    return Comparison(
        largest / (contrast + _NOISE),
        _colour_difference(still_colour, moved_colour, borders, gain),
        gain,
        np.sign(gain) * np.sqrt(np.maximum(explained, 0)),
    )


def _moves(down: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, ...]:
    """From gradients, what a shift and a stretch by one sample at the border change, along either axis."""
    arm = _ARM[(len(_ARM) - down.shape[-1]) // 2 :][: down.shape[-1]]
    return down, down * arm[:, None], right, right * arm


def _fit(sources: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of targets ``(P, S)`` by fields ``(P, 4, n, n)``: weights ``(P, 6)`` and what is left."""
    fields = np.stack([sources[:, 0], sources[:, 1], *_moves(sources[:, 2], sources[:, 3])], axis=1)
    regressors = fields.reshape(*fields.shape[:2], -1)
    regressors -= regressors.mean(axis=2, keepdims=True)
    gram = regressors @ regressors.transpose(0, 2, 1)
    stiffness = np.array([0, 1e-3, 1e-4, 1e-4, 1e-4, 1e-4], dtype=np.float32) * gram[:, :1, 0] + 1e-3 * target.shape[1]
    gram += stiffness[:, :, None] * np.eye(6, dtype=np.float32)
    weights = np.linalg.solve(gram, regressors @ target[:, :, None])[:, :, 0]
    return weights, target - (weights[:, None] @ regressors)[:, 0]


def _warp(pictures: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """The inside of pictures whose borders are moved, by cubic interpolation (Catmull-Rom).

    Args:
        pictures: ``(P, C, S, S)``.
        borders: ``(P, 2, 2)``, parts of the side that the near and the far border move along either axis.
    """
    side = pictures.shape[-1]
    margin = round(_MARGIN * side)
    inside = np.arange(margin, side - margin, dtype=np.float32)
    part = inside / (side - 1)
    places = inside + side * (borders[..., :1] * (1 - part) + borders[..., 1:] * part)
    t = np.abs(np.clip(places, 0, side - 1)[..., None] - np.arange(side, dtype=np.float32))
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    kernel = np.where(t < 1, near, np.where(t < 2, far, 0)).astype(np.float32)
    kernel /= kernel.sum(axis=3, keepdims=True)
    return kernel[:, None, 0] @ pictures @ kernel[:, None, 1].transpose(0, 1, 3, 2)


def _colour_difference(still: np.ndarray, moved: np.ndarray, borders: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """(P,) the largest squared difference of colours ``(P, 2, 12, 12)``, as a mean over 3 x 3 places."""
    margin = round(_MARGIN * COLOUR_GRID)
    inside = still[:, :, margin:-margin, margin:-margin]
    # Contrast multiplies colour too. A picture without any colour is taken for the grey copy of the other.
    difference = np.sum((inside - gain[:, None, None, None] * _warp(moved, borders)) ** 2, axis=1)
    grey = np.minimum(np.mean(still**2, axis=(1, 2, 3)), np.mean(moved**2, axis=(1, 2, 3))) < 4
    return np.where(grey, 0, _box_means(difference, COLOUR_GRID // 4).max(axis=(1, 2)))


def _sharpness(pictures: np.ndarray) -> np.ndarray:
    """(P,) the part of contrast that a blur takes away; 100 squared levels more, lest it be noise in flat pictures."""
    return np.mean((_smooth(pictures, 0.25) - pictures) ** 2, axis=(1, 2)) / (pictures.var(axis=(1, 2)) + 100)


def _smooth(pictures: np.ndarray, share: float) -> np.ndarray:
    """A blur of three samples a side, in which either neighbour counts `share`."""
    for axis in (1, 2):
        padded = np.pad(pictures, [(1, 1) if k == axis else (0, 0) for k in range(3)], mode="edge")
        middle = np.arange(1, GRID + 1)
        pictures = (1 - 2 * share) * pictures + share * (padded.take(middle - 1, axis) + padded.take(middle + 1, axis))
    return pictures


def _box_means(values: np.ndarray, side: int) -> np.ndarray:
    """Means over all squares of `side` in maps ``(P, n, n)``: ``(P, n - side + 1, n - side + 1)``."""
    for axis in (1, 2):
        sums = np.cumsum(values, axis=axis)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis)
        upper, lower = np.arange(side, sums.shape[axis]), np.arange(sums.shape[axis] - side)
        values = (sums.take(upper, axis) - sums.take(lower, axis)) / side
    return values
