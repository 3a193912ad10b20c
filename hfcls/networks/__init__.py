"""Our own networks; ``save_pretrained`` copies their files next to the weights."""

from .base import Network, NetworkConfig
from .lenet5 import LeNet5, LeNet5Config
from .simple_cnn import SimpleCNN, SimpleCNNConfig

__all__ = ["LeNet5", "LeNet5Config", "Network", "NetworkConfig", "SimpleCNN", "SimpleCNNConfig"]
