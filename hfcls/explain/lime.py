"""LIME."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hfcls.explain.base import BATCH, OneByOne
from hfcls.extras import require

SAMPLES = 500
FEWEST = 10
# As many superpixels as 500 samples can tell apart.
SUPERPIXELS = 64


class Lime(OneByOne):
    """A linear model of the class's probability in what is left of the image, superpixel by superpixel.

    The image is cut into about 64 superpixels (SLIC), random halves of them are painted in their mean colours, and a
    ridge regression, in which samples nearer to the whole image count more, gives each its weight. 500 samples (5 to
    15 s of MobileNetV2 on two cores); the budget ends the sampling. The fact ``score`` is the share of the variance
    that the linear model explains: where it is low, so is the worth of the map.

    Ribeiro, Singh, Guestrin 2016, "Why should I trust you?": explaining the predictions of any classifier,
    arXiv:1602.04938; by the authors' package.
    """

    title = "LIME"
    paper = "Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938"
    asks_only = True
    package = "lime"

    def explain(self, pixel_values: Tensor, target: int) -> tuple[Tensor, dict[str, float]]:
        """See `OneByOne.explain`."""
        lime_image = require("lime.lime_image", extra="explain")
        image = pixel_values[0].permute(1, 2, 0).cpu().numpy().astype(np.float64)
        self.effort.expect(SAMPLES)
        explainer = _frugal(lime_image, self)(random_state=self.seed % 2**32)
        explanation = explainer.explain_instance(
            image,
            lambda images: self._probabilities(images, pixel_values, target),
            labels=(0,),
            top_labels=None,
            num_samples=self.effort.affordable(SAMPLES, least=FEWEST),
            batch_size=BATCH,
            segmentation_fn=superpixels,
        )
        weights = np.zeros(explanation.segments.max() + 1)
        for segment, weight in explanation.local_exp[0]:
            weights[segment] = weight
        facts = {"score": float(explanation.score), "superpixels": float(len(weights))}
        return torch.from_numpy(weights[explanation.segments]), facts

    def _probabilities(self, images: np.ndarray, pixel_values: Tensor, target: int) -> np.ndarray:
        """Of the class, (n, 1), for images (n, h, w, 3)."""
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).to(pixel_values)
        return self.probability(batch, target)[:, None].cpu().numpy()


def superpixels(image: np.ndarray) -> np.ndarray:
    """Numbers from 0 of about 64 superpixels, int (h, w).

    Args:
        image: (h, w, 3), of any range.
    """
    from skimage.segmentation import slic

    low, high = image.min(), image.max()
    scaled = (image - low) / max(high - low, 1e-12)
    # In noise and fine patterns the edges tear the superpixels apart; the larger this is, the more they are squares.
    for compactness in (20, 100, 1000):
        found = slic(scaled, n_segments=SUPERPIXELS, compactness=compactness, sigma=1, start_label=0)
        numbers, found = np.unique(found, return_inverse=True)
        if len(numbers) >= SUPERPIXELS // 2:
            break
    return found.reshape(image.shape[:2])


def _frugal(lime_image: Any, lime: Lime) -> type[Any]:
    """The package's explainer, without its bar, and ended by the budget; the samples are the same."""

    class Frugal(lime_image.LimeImageExplainer):
        def data_labels(self, image, fudged_image, segments, classifier_fn, num_samples, batch_size=10):
            kept = self.random_state.randint(0, 2, (num_samples, len(np.unique(segments))))
            kept[0, :] = 1
            answers: list[np.ndarray] = []
            done = 0
            while done < num_samples and not (done >= FEWEST and lime.effort.is_used_up()):
                some = kept[done : done + batch_size].astype(bool)
                images = np.where(some[:, segments][..., None], image, fudged_image)
                answers.extend(classifier_fn(images))
                done += len(some)
            if done < SAMPLES:
                lime.effort.cut_short()
            return kept[:done], np.array(answers)

    return Frugal
