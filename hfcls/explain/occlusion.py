"""Occlusion."""

from math import ceil

from torch import Tensor

from hfcls.explain.base import BATCH, OneByOne
from hfcls.explain.smoothing import mean_colour
from hfcls.extras import require

# Of a side, a window; and of a window, a step.
WINDOW, STEP = 1 / 4, 1 / 4
# In each direction, however small the budget is.
FEWEST = 3


class Occlusion(OneByOne):
    """How much of the class's probability is lost where a window hides the image, in the image's mean colour.

    The window is a quarter of the image high and wide and moves by a quarter of itself, which takes about 170 passes
    (2 to 6 s of MobileNetV2 on two cores); each place has the mean of the windows over it. Smaller windows leave enough
    of an object for a good network to be as sure as before. A budget makes the steps longer, then the window larger.

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
        facts = {"window_height": window[0], "window_width": window[1], "step_down": step[0], "step_across": step[1]}
        return values[0].mean(dim=0), {name: float(value) for name, value in facts.items()}


Pair = tuple[int, int]


def plan(height: int, width: int, allowed: int | None) -> tuple[Pair, Pair]:
    """Window and step, in pixels down and across, that take no more passes than are allowed.

    At the least 3 x 3 windows side by side. The direction with more windows gives up some first.
    """
    size = (height, width)
    window = [min(side, max(2, round(side * WINDOW))) for side in size]
    step = [max(1, round(part * STEP)) for part in window]
    while allowed is not None and count(height, width, (window[0], window[1]), (step[0], step[1])) > allowed:
        growing = [axis for axis in (0, 1) if step[axis] < window[axis] or window[axis] * FEWEST < size[axis]]
        if not growing:
            break
        axis = max(growing, key=lambda one: (step[one] < window[one], _along(size[one], window[one], step[one])))
        if step[axis] == window[axis]:
            window[axis] += 1
        step[axis] += 1
    return (window[0], window[1]), (step[0], step[1])


def count(height: int, width: int, window: Pair, step: Pair) -> int:
    """How many windows there are."""
    return _along(height, window[0], step[0]) * _along(width, window[1], step[1])


def _along(side: int, window: int, step: int) -> int:
    return ceil((side - window) / step) + 1
