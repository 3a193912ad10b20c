"""How large a network is and how much it computes; an architecture is measured without memory for its weights."""

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

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
    with torch.device("meta"):
        model = build_classifier(architecture, class_names=tuple(map(str, range(classes)))).model
        return measure_model(model, (image_size, image_size))


@torch.no_grad()
def measure_model(model: PreTrainedModel, size: tuple[int, int]) -> tuple[int, int]:
    """Passes one image of no content through a model.

    Args:
        model: any classifier; of an ensemble all members count.
        size: height and width in pixels.

    Returns:
        The number of parameters, and the MACs for one image.
    """
    training = model.training
    model.eval()
    try:
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, *size, device=model.device))
    finally:
        model.train(training)
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() // 2
