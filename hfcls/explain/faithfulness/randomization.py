"""The sanity check: a map that stays when the network has forgotten everything says nothing of the network.

Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, Sanity checks for saliency maps, arXiv:1810.03292.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hfcls.explain.faithfulness.base import Case, Outcome, agreement

# From here on a map "hardly changes".
UNCHANGED = 0.5


def randomization(case: Case) -> Outcome:
    """Rank correlation of the map with that of the same network with random weights, all layers at once."""
    (values,) = case.again(case.randomized(), [case.subject.pixels])
    return Outcome(agreement(case.values, values))


def randomize_weights(model: nn.Module, pixel_values: Tensor, *, seed: int) -> nn.Module:
    """A copy of a network that has forgotten what it learned.

    The numbers of each tensor change places at random: they keep their sizes, so that signals neither die out nor
    explode on their way, whatever the family. The statistics of batch normalization are taken anew.

    Args:
        model: is left as it is.
        pixel_values: (N, 3, h, w), the images to take them from.
        seed: of the places.
    """
    copy = deepcopy(model).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in copy.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
        norms = [module for module in copy.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean
            norm.train()
        if norms:
            # The mirror image as well, since of one value alone there is no variance.
            copy(pixel_values=torch.cat([pixel_values, pixel_values.flip(-1)]))
    return copy.eval()
