"""The small convolutional network that courses teach on CIFAR-10."""

from torch import Tensor, nn

from .base import Network, NetworkConfig


class SimpleCNNConfig(NetworkConfig):
    """Settings of `SimpleCNN`.

    Attributes:
        dropout: probability of dropping a unit of the dense layer, in [0, 1).
    """

    model_type = "hfcls_simple_cnn"

    dropout: float = 0.5


class SimpleCNN(Network):
    """3x3 convolutions of 32 and 64 filters, each with max pooling; dense 512; dropout 0.5.

    Takes any square size of 4 pixels and more. 2,122,186 parameters at 3x32x32 with 10 classes.
    """

    config_class = SimpleCNNConfig

    def __init__(self, config: SimpleCNNConfig):
        super().__init__(config)
        if config.image_size < 4:
            raise ValueError("the simple CNN needs images of 4 pixels or more")
        self.convolutions = nn.Sequential(
            nn.Conv2d(config.num_channels, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.dense = nn.Sequential(
            nn.Flatten(), nn.Linear(64 * (config.image_size // 4) ** 2, 512), nn.ReLU(), nn.Dropout(config.dropout)
        )
        self.classifier = nn.Linear(512, config.num_labels)
        self.post_init()

    def features(self, pixel_values: Tensor) -> Tensor:
        """(N, C, H, W) to (N, 64, H/4, W/4)."""
        return self.convolutions(pixel_values)

    def pool(self, features: Tensor) -> Tensor:
        """(N, 64, H/4, W/4) to (N, 512)."""
        return self.dense(features)


SimpleCNNConfig.register_for_auto_class()
SimpleCNN.register_for_auto_class("AutoModelForImageClassification")
