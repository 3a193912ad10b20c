"""Our own networks and image processor; ``save_pretrained`` copies their files next to the weights."""

from .alexnet import AlexNet, AlexNetConfig
from .base import IMAGENET_MEAN, IMAGENET_STD, Network, NetworkConfig
from .cifar_fast import CifarFast, CifarFastConfig
from .cifar_resnet import CifarResNet, CifarResNetConfig
from .crnn import CRNN, CRNNConfig
from .ensemble import Ensemble, EnsembleConfig
from .googlenet import GoogLeNet, GoogLeNetConfig
from .hard_images import HardImageProcessor
from .lenet5 import LeNet5, LeNet5Config
from .simple_cnn import SimpleCNN, SimpleCNNConfig
from .squeezenet import SqueezeNet, SqueezeNetConfig

__all__ = [
    "CRNN",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "AlexNet",
    "AlexNetConfig",
    "CRNNConfig",
    "CifarFast",
    "CifarFastConfig",
    "CifarResNet",
    "CifarResNetConfig",
    "Ensemble",
    "EnsembleConfig",
    "GoogLeNet",
    "GoogLeNetConfig",
    "HardImageProcessor",
    "LeNet5",
    "LeNet5Config",
    "Network",
    "NetworkConfig",
    "SimpleCNN",
    "SimpleCNNConfig",
    "SqueezeNet",
    "SqueezeNetConfig",
]
