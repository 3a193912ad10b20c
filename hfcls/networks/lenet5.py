"""LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition)."""

import torch
from torch import Tensor, nn

from .base import Network, NetworkConfig


class LeNet5Config(NetworkConfig):
    """Settings of `LeNet5`: grey images of 32x32 pixels, as in the paper."""

    model_type = "hfcls_lenet5"

    num_channels: int = 1


class LeNet5(Network):
    """Two 5x5 convolutions (6, 16) with average pooling, then 120 and 84 units, all with tanh.

    As in the paper but for three things that today's libraries all leave out: the trainable
    coefficients in the pooling, the sparse connections into the second convolution, and the radial
    basis output, which is a linear layer here. 61,706 parameters at 1x32x32 with 10 classes. Takes any
    square size of 16 pixels and more.
    """

    config_class = LeNet5Config

    def __init__(self, config: LeNet5Config):
        super().__init__(config)
        self.convolutions = nn.Sequential(
            nn.Conv2d(config.num_channels, 6, kernel_size=5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        side = ((config.image_size - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError("LeNet-5 needs images of 16 pixels or more")
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(16 * side * side, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh()
        )
        self.classifier = nn.Linear(84, config.num_labels)
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """(N, C, 32, 32) to (N, 16, 5, 5)."""
        return self.convolutions(pixel_values)

    def pool(self, features: Tensor) -> Tensor:
        """(N, 16, 5, 5) to (N, 84)."""
        return self.dense(features)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Glorot initialization, which suits tanh."""
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


LeNet5Config.register_for_auto_class()
LeNet5.register_for_auto_class("AutoModelForImageClassification")
