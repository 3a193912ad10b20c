"""Whether a map stays where it is when the image changes by what no eye sees.

Alvarez-Melis, Jaakkola 2018, On the robustness of interpretability methods, arXiv:1806.08049, put the question.
"""

import numpy as np
import torch
from torch import Tensor

from hfcls.explain.faithfulness.base import Case, Outcome, agreement

# Standard deviation of the noise, of the range of a pixel that the network sees, and how often it is drawn. On the
# pixels of a large photo it would be averaged away on the way to the network.
SIGMA, DRAWS = 0.02, 3


def stability(case: Case) -> Outcome:
    """Mean rank correlation of the map with those of the image plus a little noise."""
    noisy = [_noisy(case.subject.pixels, (case.subject.seed, 3, draw)) for draw in range(DRAWS)]
    found = case.again(case.subject.classifier, noisy)
    return Outcome(float(np.mean([agreement(case.values, values) for values in found])))


def _noisy(pixels: Tensor, seed: tuple[int, ...]) -> Tensor:
    noise = np.random.default_rng(seed).normal(0, 255 * SIGMA, pixels.shape)
    return torch.from_numpy(np.rint(pixels.numpy() + noise).clip(0, 255).astype(np.uint8))
