"""GoogLeNet (Szegedy et al. 2014, Going deeper with convolutions, arXiv:1409.4842)."""

import torch
from torch import Tensor, nn
from torchvision.models import GoogLeNet as TorchvisionGoogLeNet

from .base import IMAGENET_MEAN, IMAGENET_STD, Network, NetworkConfig


class GoogLeNetConfig(NetworkConfig):
    """Settings of `GoogLeNet`.

    Attributes:
        dropout: probability of dropping a unit before the head, in [0, 1).
    """

    model_type = "hfcls_googlenet"

    image_size: int = 224
    dropout: float = 0.2


class GoogLeNet(Network):
    """torchvision's GoogLeNet: nine inception modules, with batch normalization.

    Without the paper's two auxiliary classifiers, which carried gradients into early layers: batch normalization
    does that, and the logits at inference never came from them. 6,624,904 parameters with 1,000 classes. Takes any
    square size of 15 pixels and more.
    """

    config_class = GoogLeNetConfig
    head_name = "network.fc"
    weights_prefix = "network."
    image_mean = IMAGENET_MEAN
    image_std = IMAGENET_STD
    # Weights of torchvision hold the auxiliary classifiers.
    _keys_to_ignore_on_load_unexpected = [r"network\.aux[12]\."]

    def __init__(self, config: GoogLeNetConfig):
        super().__init__(config)
        self.network = TorchvisionGoogLeNet(
            num_classes=config.num_labels, aux_logits=False, init_weights=False, dropout=config.dropout
        )
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """(N, 3, 224, 224) to (N, 1024, 7, 7)."""
        net = self.network
        stem = net.maxpool2(net.conv3(net.conv2(net.maxpool1(net.conv1(pixel_values)))))
        third = net.maxpool3(net.inception3b(net.inception3a(stem)))
        fourth = net.inception4e(net.inception4d(net.inception4c(net.inception4b(net.inception4a(third)))))
        return net.inception5b(net.inception5a(net.maxpool4(fourth)))

    def pool(self, features: Tensor) -> Tensor:
        """(N, 1024, h, w) to (N, 1024)."""
        return self.network.dropout(self.network.avgpool(features).flatten(1))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """As torchvision does it: a normal distribution of deviation 0.01, cut at 2."""
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


GoogLeNetConfig.register_for_auto_class()
GoogLeNet.register_for_auto_class("AutoModelForImageClassification")
