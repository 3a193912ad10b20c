"""AlexNet (Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997)."""

import torch
from torch import Tensor, nn
from torchvision.models import alexnet

from .base import IMAGENET_MEAN, IMAGENET_STD, Network, NetworkConfig


class AlexNetConfig(NetworkConfig):
    """Settings of `AlexNet`.

    Attributes:
        dropout: probability of dropping a unit before each of the two dense layers, in [0, 1).
    """

    model_type = "hfcls_alexnet"

    image_size: int = 224
    dropout: float = 0.5


class AlexNet(Network):
    """torchvision's AlexNet: five convolutions, two dense layers of 4,096.

    The one-GPU form of the network of Krizhevsky, Sutskever, Hinton 2012, without local response normalization.
    61,100,840 parameters with 1,000 classes. Takes any square size of 63 pixels and more.
    """

    config_class = AlexNetConfig
    head_name = "network.classifier.6"
    weights_prefix = "network."
    image_mean = IMAGENET_MEAN
    image_std = IMAGENET_STD

    def __init__(self, config: AlexNetConfig):
        super().__init__(config)
        self.network = alexnet(num_classes=config.num_labels, dropout=config.dropout)
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """(N, 3, 224, 224) to (N, 256, 6, 6)."""
        return self.network.features(pixel_values)

    def pool(self, features: Tensor) -> Tensor:
        """(N, 256, h, w) to (N, 4096)."""
        return self.network.classifier[:-1](self.network.avgpool(features).flatten(1))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """PyTorch's own initialization, as torchvision leaves it."""
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()


AlexNetConfig.register_for_auto_class()
AlexNet.register_for_auto_class("AutoModelForImageClassification")
