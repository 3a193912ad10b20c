"""Occlusion."""

from math import ceil

from torch import Tensor

from hfcls.explain.base import BATCH, OneByOne
from hfcls.explain.smoothing import mean_colour
from hfcls.extras import require

# Of the shorter side, a window; and of a window, a step.
WINDOW, STEP = 1 / 4, 1 / 4
# In each direction, however small the budget is.
FEWEST = 3


class Occlusion(OneByOne):
    """How much of the class's probability is lost where a window hides the image, in the image's mean colour.

    The window is a quarter of the shorter side and moves by a quarter of itself, which takes about 170 passes (2 to 6 s
    of MobileNetV2 on two cores); each place has the mean of the windows over it. Smaller windows leave enough of an
    object for a good network to be as sure as before. A budget makes the steps longer, then the window larger.

    Zeiler, Fergus 2014, Visualizing and understanding convolutional networks, arXiv:1311.2901; by captum.
    """

    title = "Occlusion"
    paper = "Zeiler, Fergus 2014, arXiv:1311.2901"
    asks_only = True
    package = "captum"

    def explain(self, pixel_values: Tensor, target: int) -> tuple[Tensor, dict[str, float]]:
        """See `OneByOne.explain`."""
        require("captum", extra="explain")
        from captum.attr import Occlusion as Captum

        height, width = pixel_values.shape[2:]
        window, step = plan(height, width, None)
        pace = self.pace(pixel_values)
        wanted = count(height, width, window, step) + 1
        allowed = self.effort.affordable(wanted, pace=pace)
        if allowed < wanted:
            self.effort.cut_short()
            window, step = plan(height, width, allowed - 1)
        self.effort.expect(count(height, width, window, step) + 1)
        values = Captum(lambda images: self.probability(images, target)).attribute(
            pixel_values,
            sliding_window_shapes=(3, *window),
            strides=(3, *step),
            baselines=mean_colour(pixel_values).contiguous(),
            perturbations_per_eval=BATCH,
        )
        return values[0].mean(dim=0), {"window": float(window[0]), "step": float(step[0])}


Pair = tuple[int, int]


def plan(height: int, width: int, allowed: int | None) -> tuple[Pair, Pair]:
    """Window and step, in pixels down and across, that take no more passes than are allowed.

    At the least 3 x 3 windows side by side.
    """
    side = min(height, width)
    window = max(2, round(side * WINDOW))
    step = max(1, round(window * STEP))
    while allowed is not None and count(height, width, (window, window), (step, step)) > allowed:
        if step < window:
            step += 1
        elif window * FEWEST < side:
            window, step = window + 1, step + 1
        else:
            break
    return (window, window), (step, step)


def count(height: int, width: int, window: Pair, step: Pair) -> int:
    """How many windows there are."""
    return (ceil((height - window[0]) / step[0]) + 1) * (ceil((width - window[1]) / step[1]) + 1)
