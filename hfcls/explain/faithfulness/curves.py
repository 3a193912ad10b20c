"""Deletion and insertion: how the probability moves as pixels go or come in the order of the map.

Petsiuk, Das, Saenko 2018, RISE: randomized input sampling for explanation of black-box models, arXiv:1806.07421.
"""

import numpy as np
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from hfcls.explain.faithfulness.base import Case, Outcome

# The paper goes on by a row of pixels at a time; a sixteenth of the image tells maps apart at a fraction of the passes.
STEPS = 16


def deletion(case: Case) -> Outcome:
    """The area under the probability while the most important pixels take the image's mean colour, a step at a time."""
    gone = _first(case, np.arange(STEPS + 1) / STEPS)
    return _under(case.subject.probabilities(case.subject.replaced(gone, case.subject.mean_colour)))


def insertion(case: Case) -> Outcome:
    """The area under the probability while the most important pixels come into a blurred image, a step at a time."""
    still_blurred = ~_first(case, np.arange(STEPS + 1) / STEPS)
    return _under(case.subject.probabilities(case.subject.replaced(still_blurred, blurred(case.subject.pixel_values))))


def blurred(pixel_values: Tensor) -> Tensor:
    """The image without its details: a Gaussian of a twentieth of the shorter side; (3, h, w) to (3, h, w)."""
    side = min(pixel_values.shape[1:])
    sigma = max(side / 20, 0.5)
    # Its kernel may not be larger than the image.
    reach = min(int(3 * sigma) + 1, (side - 1) // 2)
    return gaussian_blur(pixel_values, [2 * reach + 1] * 2, [sigma, sigma])


def _first(case: Case, shares: np.ndarray) -> np.ndarray:
    """The most important pixels, so many of them: bool (N, h, w)."""
    counts = np.rint(shares * case.ranks.size)
    return case.ranks < counts[:, None, None]


def _under(probabilities: np.ndarray) -> Outcome:
    """By the trapezoidal rule."""
    return Outcome(float(np.trapezoid(probabilities, dx=1 / (len(probabilities) - 1))), tuple(probabilities.tolist()))
