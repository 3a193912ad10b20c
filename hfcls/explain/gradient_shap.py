"""Gradient SHAP."""

import time

import torch
from torch import Tensor

from hfcls.explain.base import BATCH, OneByOne, seeded
from hfcls.explain.smoothing import readable
from hfcls.extras import require

SAMPLES = 64
BLANKS = 8
# In the first batch, which tells how long a sample takes.
FEW = 2
# Of the standard deviation of the image's values.
NOISE = 0.1


class GradientSHAP(OneByOne):
    """The gradients of the class's logit at random places between blank images and the noisy image, on the average.

    A blank image has one colour, that of a pixel drawn from the picture, so that no colour counts as nothing. The noise
    is a tenth of the standard deviation of the picture. 64 samples with a backward pass each (1 to 4 s of MobileNetV2
    on two cores); the budget ends it between two batches, which are small where it is one of seconds. In the mean of
    endlessly many samples the values of all pixels sum up to the mean logit of the noisy image less that of the blank
    ones; the facts ``sum``, ``difference`` (of eight noisy images and the eight blank ones, or of two each under a
    budget of seconds) and ``delta``, the first less the second, tell how far these are from it. The map is made
    readable (`readable`).

    Lundberg, Lee 2017, A unified approach to interpreting model predictions, arXiv:1705.07874; Erion et al. 2019,
    Learning explainable models using attribution priors (expected gradients), arXiv:1906.10670; by captum.
    """

    title = "Gradient SHAP"
    paper = "Lundberg, Lee 2017, arXiv:1705.07874; Erion et al. 2019, arXiv:1906.10670"
    package = "captum"

    def explain(self, pixel_values: Tensor, target: int) -> tuple[Tensor, dict[str, float]]:
        """See `OneByOne.explain`."""
        require("captum", extra="explain")
        ends = FEW if self.effort.is_timed else BLANKS
        self.effort.expect(SAMPLES + 2 * ends)
        blanks = self._blanks(pixel_values)
        noise = NOISE * float(pixel_values.std())
        with torch.no_grad():
            noisy = pixel_values + noise * self._noise(pixel_values, ends)
            logits = self.logits(torch.cat([noisy, blanks[:ends]]))[:, target].double()
        values = self._sample(pixel_values, blanks, target, noise)
        found, difference = float(values.double().sum()), float(logits[:ends].mean() - logits[ends:].mean())
        return readable(values[0]), {"sum": found, "difference": difference, "delta": found - difference}

    def _sample(self, pixel_values: Tensor, blanks: Tensor, target: int, noise: float) -> Tensor:
        """The mean over as many samples as the budget has, (1, 3, h, w)."""
        from captum.attr import GradientShap

        total, done, pace = torch.zeros_like(pixel_values), 0, None
        batch = FEW if self.effort.is_timed else BATCH
        with seeded(self.seed), torch.enable_grad():
            while done < SAMPLES:
                some = self.effort.affordable(min(batch, SAMPLES - done), pace=pace, least=0 if done else 1)
                if some < 1 or (done and self.effort.is_used_up()):
                    break
                begun = time.monotonic()
                total += some * GradientShap(self.logits).attribute(
                    pixel_values.detach().requires_grad_(),
                    baselines=blanks,
                    target=target,
                    n_samples=some,
                    stdevs=noise,
                )
                pace, batch = max((time.monotonic() - begun) / some, 1e-6), BATCH
                done += some
        if done < SAMPLES:
            self.effort.cut_short()
        return total / done

    def _noise(self, pixel_values: Tensor, count: int) -> Tensor:
        """Of standard deviation 1, (count, 3, h, w)."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn((count, *pixel_values.shape[1:]), generator=generator).to(pixel_values)

    def _blanks(self, pixel_values: Tensor) -> Tensor:
        """Images of one colour each, (8, 3, h, w)."""
        generator = torch.Generator().manual_seed(self.seed)
        colours = pixel_values[0].flatten(1)
        drawn = torch.randint(colours.shape[1], (BLANKS,), generator=generator).to(colours.device)
        return colours[:, drawn].T[:, :, None, None].expand(-1, -1, *pixel_values.shape[2:]).contiguous()
