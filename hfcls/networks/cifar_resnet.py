"""The residual networks for CIFAR-10 (He, Zhang, Ren, Sun 2015, Deep residual learning for image recognition, section
4.2, arXiv:1512.03385)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import IMAGENET_MEAN, IMAGENET_STD, Network, NetworkConfig


class CifarResNetConfig(NetworkConfig):
    """Settings of `CifarResNet`.

    Attributes:
        depth: layers with weights, 6n + 2: 20, 32, 44, 56, 110 in the paper.
    """

    model_type = "hfcls_cifar_resnet"

    depth: int = 20


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters (option A of the paper).

    Where the map shrinks, the shortcut takes every second pixel and pads the new channels with zeros, half of them
    on each side.

    Shape:
        (N, C, H, W) to (N, width, H / stride, W / stride).
    """

    def __init__(self, channels: int, width: int, *, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride = stride
        self.padding = (width - channels) // 2

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolutions plus shortcut."""
        hidden = functional.relu(self.bn1(self.conv1(inputs)))
        shortcut = inputs[:, :, :: self.stride, :: self.stride]
        shortcut = functional.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(self.bn2(self.conv2(hidden)) + shortcut)


class CifarResNet(Network):
    """A 3x3 convolution, three stages of n blocks with 16, 32 and 64 channels, global average, linear layer.

    With 10 classes 269,722 parameters at depth 20 and 853,018 at 56. Takes any size.
    """

    config_class = CifarResNetConfig
    head_name = "linear"
    image_mean = IMAGENET_MEAN
    image_std = IMAGENET_STD

    def __init__(self, config: CifarResNetConfig):
        super().__init__(config)
        blocks, rest = divmod(config.depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth is {config.depth}: expected 6n + 2, such as 20 or 56")
        self.conv1 = nn.Conv2d(config.num_channels, 16, kernel_size=3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, config.num_labels)
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 64, H/4, W/4)."""
        hidden = functional.relu(self.bn1(self.conv1(pixel_values)))
        return self.layer3(self.layer2(self.layer1(hidden)))

    def pool(self, features: Tensor) -> Tensor:
        """(N, 64, h, w) to (N, 64)."""
        return features.mean(dim=(2, 3))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """He initialization of the convolutions, as in the paper; PyTorch's own of the linear layer."""
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            module.reset_parameters()


def _stage(channels: int, width: int, blocks: int, *, stride: int) -> nn.Sequential:
    rest = [Block(width, width, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(Block(channels, width, stride=stride), *rest)


CifarResNetConfig.register_for_auto_class()
CifarResNet.register_for_auto_class("AutoModelForImageClassification")
