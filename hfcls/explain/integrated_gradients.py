"""Integrated gradients."""

import time

import torch
from torch import Tensor

from hfcls.explain.base import BATCH, OneByOne
from hfcls.explain.smoothing import mean_colour, readable
from hfcls.extras import require

STEPS = 64
# As few tell where the image matters, and how long a step takes.
FEWEST = 8


class IntegratedGradients(OneByOne):
    """The gradients of the class's logit on the straight way from a blank image to the image, summed up for each pixel.

    The blank image has one colour, the mean of the picture. 64 forward and backward passes (1 to 4 s of MobileNetV2 on
    two cores), fewer where the budget says so, 8 at least. The values of all pixels sum up to the difference between
    the two logits: the facts ``sum``, ``difference`` and ``delta``, the first less the second, tell how nearly, before
    the map is made readable (`readable`).

    Sundararajan, Taly, Yan 2017, Axiomatic attribution for deep networks, arXiv:1703.01365; by captum.
    """

    title = "Integrated gradients"
    paper = "Sundararajan, Taly, Yan 2017, arXiv:1703.01365"
    package = "captum"

    def explain(self, pixel_values: Tensor, target: int) -> tuple[Tensor, dict[str, float]]:
        """See `OneByOne.explain`."""
        require("captum", extra="explain")
        baseline = mean_colour(pixel_values)
        # Beside the steps, the two ends are looked at.
        steps = self.effort.affordable(STEPS + 2, least=FEWEST + 2) - 2
        if self.effort.is_timed:
            begun = time.monotonic()
            values, delta = self._integrate(pixel_values, baseline, target, FEWEST)
            pace = (time.monotonic() - begun) / (FEWEST + 2)
            steps = self.effort.affordable(steps + 2, pace=pace) - 2
            if steps > FEWEST:
                values, delta = self._integrate(pixel_values, baseline, target, steps)
        else:
            self.effort.expect(steps + 2)
            values, delta = self._integrate(pixel_values, baseline, target, steps)
        if steps < STEPS:
            self.effort.cut_short()
        total = float(values.double().sum())
        return readable(values[0]), {"sum": total, "difference": total - delta, "delta": delta}

    def _integrate(self, pixel_values: Tensor, baseline: Tensor, target: int, steps: int) -> tuple[Tensor, float]:
        from captum.attr import IntegratedGradients as Captum

        with torch.enable_grad():
            values, delta = Captum(self.logits).attribute(
                pixel_values,
                baselines=baseline,
                target=target,
                n_steps=steps,
                internal_batch_size=BATCH,
                return_convergence_delta=True,
            )
        return values, float(delta)
