"""How large a network is and how much it computes; measured on shapes alone, without memory for the weights."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from hfcls.models.architectures import build_classifier


def measure_architecture(architecture: str, *, classes: int, image_size: int) -> tuple[int, int]:
    """Builds an architecture without memory and passes one image of no content through it.

    Args:
        architecture: a name of the catalogue or of timm.
        classes: K.
        image_size: height and width in pixels that the network takes as it is.

    Returns:
        The number of parameters, and the MACs (half of what `torch.utils.flop_counter` counts) for one image.
    """
    with torch.device("meta"), torch.no_grad():
        model = build_classifier(architecture, class_names=tuple(map(str, range(classes)))).model.eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, image_size, image_size))
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() // 2
