"""A CRNN (Shi, Bai, Yao 2015, An end-to-end trainable neural network for image-based sequence recognition,
arXiv:1507.05717) that names the whole image instead of a sequence of letters."""

import torch
from torch import Tensor, nn

from .base import Network, NetworkConfig


class CRNNConfig(NetworkConfig):
    """Settings of `CRNN`.

    Attributes:
        hidden_size: units of the LSTM in each direction.
        dropout: probability of dropping a unit before the head, in [0, 1).
    """

    model_type = "hfcls_crnn"

    hidden_size: int = 256
    dropout: float = 0.0


class CRNN(Network):
    """Convolutions turn the image into columns of features; a bidirectional LSTM reads them from left to right.

    From the paper: seven convolutions of 64 to 512 channels, pooling that keeps more of the width than of the height,
    two LSTM layers of 256 units in each direction. Instead of the transcription, the mean over the columns goes into a
    linear head, and instead of a last convolution that needs 32 pixels of height, the mean over the height makes the
    columns. 10,020,746 parameters at 3 channels with 10 classes. Takes any square size of 16 pixels and more.
    """

    config_class = CRNNConfig

    def __init__(self, config: CRNNConfig):
        super().__init__(config)
        self.convolutions = nn.Sequential(
            *_convolution(config.num_channels, 64),
            nn.MaxPool2d(2),
            *_convolution(64, 128),
            nn.MaxPool2d(2),
            *_convolution(128, 256),
            *_convolution(256, 256),
            nn.MaxPool2d((2, 1)),
            *_convolution(256, 512, normalize=True),
            *_convolution(512, 512, normalize=True),
            nn.MaxPool2d((2, 1)),
            *_convolution(512, 512),
        )
        self.recurrent = nn.LSTM(512, config.hidden_size, num_layers=2, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(2 * config.hidden_size, config.num_labels)
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 512, H/16, W/4)."""
        return self.convolutions(pixel_values)

    def pool(self, features: Tensor) -> Tensor:
        """(N, 512, h, w) to (N, 2 * hidden_size)."""
        columns = features.mean(dim=2).transpose(1, 2)
        read, _ = self.recurrent(columns)
        return self.dropout(read.mean(dim=1))

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """He initialization of the convolutions, PyTorch's own of the LSTM."""
        if isinstance(module, nn.LSTM):
            module.reset_parameters()
        else:
            super()._init_weights(module)


def _convolution(channels: int, width: int, *, normalize: bool = False) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=not normalize)
    return [convolution, *([nn.BatchNorm2d(width)] if normalize else []), nn.ReLU(inplace=True)]


CRNNConfig.register_for_auto_class()
CRNN.register_for_auto_class("AutoModelForImageClassification")
