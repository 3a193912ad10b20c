"""SqueezeNet (Iandola et al. 2016, AlexNet-level accuracy with 50x fewer parameters, arXiv:1602.07360)."""

import torch
from torch import Tensor, nn
from torchvision.models import squeezenet1_1

from .base import IMAGENET_MEAN, IMAGENET_STD, Network, NetworkConfig


class SqueezeNetConfig(NetworkConfig):
    """Settings of `SqueezeNet`.

    Attributes:
        dropout: probability of dropping a value before the last convolution, in [0, 1).
    """

    model_type = "hfcls_squeezenet"

    image_size: int = 224
    dropout: float = 0.5


class SqueezeNet(Network):
    """torchvision's SqueezeNet 1.1: fire modules (1x1 squeeze, 1x1 and 3x3 expand), no dense layer.

    The head is a 1x1 convolution whose map, after ReLU, is averaged to the logits: they are never negative.
    1,235,496 parameters with 1,000 classes. Takes any square size of 17 pixels and more.
    """

    config_class = SqueezeNetConfig
    head_name = "network.classifier.1"
    weights_prefix = "network."
    image_mean = IMAGENET_MEAN
    image_std = IMAGENET_STD

    def __init__(self, config: SqueezeNetConfig):
        super().__init__(config)
        self.network = squeezenet1_1(num_classes=config.num_labels, dropout=config.dropout)
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """(N, 3, 224, 224) to (N, 512, 13, 13)."""
        return self.network.features(pixel_values)

    def pool(self, features: Tensor) -> Tensor:
        """(N, 512, h, w) to the same, with dropout: the head comes before the average."""
        return self.network.classifier[0](features)

    def classify(self, pooled: Tensor) -> Tensor:
        """(N, 512, h, w) to the logits (N, K), 0 or more."""
        return self.network.classifier[2:](self.head(pooled)).flatten(1)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As torchvision does it."""
        if isinstance(module, nn.Conv2d):
            if module is self.head:
                nn.init.normal_(module.weight, std=0.01)
            else:
                nn.init.kaiming_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


SqueezeNetConfig.register_for_auto_class()
SqueezeNet.register_for_auto_class("AutoModelForImageClassification")
