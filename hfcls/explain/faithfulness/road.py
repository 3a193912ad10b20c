"""ROAD: pixels are taken away by filling them in from around, so that the hole itself tells the network nothing.

Rong, Leemann, Borisov, Kasneci, Kasneci 2022, A consistent and efficient evaluation strategy for attribution methods,
arXiv:2202.00449; as in pytorch-grad-cam.
"""

import numpy as np
import torch

from hfcls.explain.faithfulness.base import Case, Outcome

# Of the pixels that stay. Below half, the equations of the filling take seconds a map, and nine of them minutes.
PERCENTILES = (70, 90)


def road(case: Case) -> Outcome:
    """Half of what the probability loses more without the most important pixels than without the least important.

    The map goes in as ranks: where it is 0 at most places, a percentile of it would take away the whole image.
    """
    from pytorch_grad_cam.metrics.road import ROADCombined
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    subject = case.subject
    importance = 1 - case.ranks.astype(np.float32) / max(case.ranks.size - 1, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(subject.seed)  # it adds a little noise to what it fills in
        found = ROADCombined(percentiles=list(PERCENTILES))(
            subject.pixel_values[None],
            importance[None],
            [ClassifierOutputSoftmaxTarget(subject.target)],
            subject.logits,
        )
    return Outcome(float(found[0]))
