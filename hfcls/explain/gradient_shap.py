"""Gradient SHAP."""

import torch
from torch import Tensor

from hfcls.explain.base import BATCH, OneByOne, seeded
from hfcls.explain.smoothing import readable
from hfcls.extras import require

SAMPLES = 64
BLANKS = 8
# Of the standard deviation of the image's values.
NOISE = 0.1


class GradientSHAP(OneByOne):
    """The gradients of the class's logit at random places between blank images and the noisy image, on the average.

    A blank image has one colour, that of a pixel drawn from the picture, so that no colour counts as nothing. The noise
    is a tenth of the standard deviation of the picture. 64 samples with a backward pass each (1 to 4 s of MobileNetV2
    on two cores); the budget ends it between two batches. In the mean of endlessly many samples the values of all
    pixels sum up to the difference between the logits of the image and of the blank ones; the facts ``sum``,
    ``difference`` and ``delta`` tell how far these are from it. The map is made readable (`readable`).

    Lundberg, Lee 2017, A unified approach to interpreting model predictions, arXiv:1705.07874; Erion et al. 2019,
    Learning explainable models using attribution priors (expected gradients), arXiv:1906.10670; by captum.
    """

    title = "Gradient SHAP"
    paper = "Lundberg, Lee 2017, arXiv:1705.07874; Erion et al. 2019, arXiv:1906.10670"
    package = "captum"

    def explain(self, pixel_values: Tensor, target: int) -> tuple[Tensor, dict[str, float]]:
        """See `OneByOne.explain`."""
        require("captum", extra="explain")
        from captum.attr import GradientShap

        self.effort.expect(SAMPLES + BLANKS + 1)
        blanks = self._blanks(pixel_values)
        with torch.no_grad():
            logits = self.logits(torch.cat([pixel_values, blanks]))[:, target].double()
        total, done = torch.zeros_like(pixel_values), 0
        with seeded(self.seed), torch.enable_grad():
            while done < SAMPLES and not (done and self.effort.is_used_up()):
                some = self.effort.affordable(min(BATCH, SAMPLES - done))
                total += some * GradientShap(self.logits).attribute(
                    pixel_values.detach().requires_grad_(),
                    baselines=blanks,
                    target=target,
                    n_samples=some,
                    stdevs=NOISE * float(pixel_values.std()),
                )
                done += some
        if done < SAMPLES:
            self.effort.cut_short()
        values = total / done
        found, difference = float(values.double().sum()), float(logits[0] - logits[1:].mean())
        return readable(values[0]), {"sum": found, "difference": difference, "delta": found - difference}

    def _blanks(self, pixel_values: Tensor) -> Tensor:
        """Images of one colour each, (8, 3, h, w)."""
        generator = torch.Generator().manual_seed(self.seed)
        colours = pixel_values[0].flatten(1)
        drawn = torch.randint(colours.shape[1], (BLANKS,), generator=generator).to(colours.device)
        return colours[:, drawn].T[:, :, None, None].expand(-1, -1, *pixel_values.shape[2:]).contiguous()
