"""Several classifiers that answer as one: the weighted mean of their probabilities."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

from .alexnet import AlexNet
from .base import Network
from .cifar_fast import CifarFast
from .cifar_resnet import CifarResNet
from .crnn import CRNN
from .googlenet import GoogLeNet
from .lenet5 import LeNet5
from .simple_cnn import SimpleCNN
from .squeezenet import SqueezeNet

# By the type in their configurations; any other network is one of transformers or timm.
_OWN: dict[str, type[Network]] = {
    network.config_class.model_type: network
    for network in (AlexNet, CRNN, CifarFast, CifarResNet, GoogLeNet, LeNet5, SimpleCNN, SqueezeNet)
}


class EnsembleConfig(PreTrainedConfig):
    """Settings of `Ensemble`, for M members and K classes.

    Attributes:
        architecture: what it is made of, in words.
        image_size: height and width of the images that all members take, in pixels.
        num_channels: always 3.
        members: their configurations, each without class names, which are those of the ensemble.
        member_weights: M numbers above 0 with sum 1.
        member_orders: of each member, None or K numbers: which of its logits belongs to each class of the ensemble.
        member_inputs: of each member, None or ``{"scale": 3 numbers, "shift": 3 numbers}``, by which the ensemble's
            ``pixel_values`` become those that this member was trained with.
        logit_scale, logit_bias: None or K numbers each: what calibration makes of the logits.
    """

    model_type = "hfcls_ensemble"

    architecture: str | None = None
    image_size: int | tuple[int, ...] = 32
    num_channels: int = 3
    members: list[dict[str, Any]] | None = None
    member_weights: list[float] | None = None
    member_orders: list[list[int] | None] | None = None
    member_inputs: list[dict[str, list[float]] | None] | None = None
    logit_scale: list[float] | None = None
    logit_bias: list[float] | None = None


class Ensemble(PreTrainedModel):
    """The weighted mean of the probabilities of several networks (Lakshminarayanan, Pritzel, Blundell 2017, Simple and
    scalable predictive uncertainty estimation using deep ensembles, arXiv:1612.01474).

    Its logits are the logarithm of that mean, so that their softmax is the mean. All members see the same images, each
    normalized as it was in its training. It is made of trained networks, and is not trained itself.

    Shape:
        pixel_values (N, 3, H, W); logits (N, K).
    """

    config_class = EnsembleConfig
    base_model_prefix = ""
    main_input_name = "pixel_values"
    accepts_loss_kwargs = False

    def __init__(self, config: EnsembleConfig):
        super().__init__(config)
        names = [config.id2label[index] for index in range(config.num_labels)]
        orders = config.member_orders or [None] * len(config.members or ())
        self.members = nn.ModuleList(
            _build_member(settings, names, order) for settings, order in zip(config.members or (), orders, strict=True)
        )
        self.post_init()

    def votes(self, pixel_values: Tensor) -> Tensor:
        """What each member says: the logarithms of its probabilities, float32 (M, N, K), in the ensemble's classes."""
        config, said = self.config, []
        for index, member in enumerate(self.members):
            logits = member(pixel_values=self.inputs_of(index, pixel_values)).logits.float()
            order = config.member_orders[index] if config.member_orders else None
            said.append((logits if order is None else logits[:, order]).log_softmax(-1))
        return torch.stack(said)

    def inputs_of(self, index: int, pixel_values: Tensor) -> Tensor:
        """The images (N, 3, H, W) as a member was trained to see them."""
        change = self.config.member_inputs[index] if self.config.member_inputs else None
        if change is None:
            return pixel_values
        scale, shift = (pixel_values.new_tensor(change[key]).view(-1, 1, 1) for key in ("scale", "shift"))
        return pixel_values * scale + shift

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, return_dict: bool | None = None
    ) -> ImageClassifierOutput | tuple[Tensor, ...]:
        """Logits, and the mean cross-entropy where `labels` (N,) are given."""
        votes, config = self.votes(pixel_values), self.config
        # Every member counts alike where nothing is said.
        weights = votes.new_tensor(config.member_weights or [1 / len(votes)] * len(votes))
        logits = (votes + weights.log().view(-1, 1, 1)).logsumexp(0)
        if config.logit_scale is not None:
            logits = logits * logits.new_tensor(config.logit_scale) + logits.new_tensor(config.logit_bias)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        output = ImageClassifierOutput(loss=loss, logits=logits)
        return output if return_dict is not False else output.to_tuple()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: there are no weights beside those of the members."""


def _build_member(settings: dict[str, Any], names: list[str], order: list[int] | None) -> PreTrainedModel:
    """A network as its configuration has it, its classes named as those of the ensemble."""
    settings = dict(settings)
    kind = settings.pop("model_type")
    own = _OWN.get(kind)
    config = AutoConfig.for_model(kind, **settings) if own is None else own.config_class(**settings)
    # A choice of kernels can lead to code on the Hub; the default computes the same.
    config._attn_implementation = config._experts_implementation = None
    named = dict(enumerate(names)) if order is None else {place: names[k] for k, place in enumerate(order)}
    config.id2label = {place: named[place] for place in sorted(named)}
    config.label2id = {name: place for place, name in config.id2label.items()}
    if kind == "timm_wrapper":
        config.label_names = list(config.id2label.values())
    return AutoModelForImageClassification.from_config(config) if own is None else own(config)


EnsembleConfig.register_for_auto_class()
Ensemble.register_for_auto_class("AutoModelForImageClassification")
