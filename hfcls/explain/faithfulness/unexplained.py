"""Maps that know nothing of the network: what every explanation has to beat."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from hfcls.registry import Registry


def smooth_noise(size: tuple[int, int], *, seed: int | Sequence[int]) -> np.ndarray:
    """White noise, blurred by a tenth of the side, so that its peaks are patches like those of a heat map.

    Returns:
        float32 (h, w) in [0, 1].
    """
    noise = np.random.default_rng(seed).normal(size=size)
    noise = gaussian_filter(noise, min(size) / 10, mode="reflect")
    return ((noise - noise.min()) / max(float(np.ptp(noise)), 1e-12)).astype(np.float32)


def centre_blob(size: tuple[int, int], *, seed: int | Sequence[int] = 0) -> np.ndarray:
    """A Gaussian in the middle, a quarter of the side wide: photos have their subject there.

    Returns:
        float32 (h, w) in [0, 1].
    """
    y, x = (np.linspace(-2, 2, count) for count in size)
    return np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / 2).astype(np.float32)


RANDOM, CENTRE = "random map", "centre blob"
UNEXPLAINED: Registry[Callable[..., np.ndarray]] = Registry("map", {RANDOM: smooth_noise, CENTRE: centre_blob})
