"""What our own networks share: grey images, features, the classifier head, initialization."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

# Of ImageNet's pixels in [0, 1], a channel each: what most networks that began there normalize by.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class NetworkConfig(PreTrainedConfig):
    """Settings that every network of ours has.

    Attributes:
        architecture: the name that it was built by; None for a network built by hand.
        image_size: height and width of the images that it takes, in pixels.
        num_channels: 1 (works on grey; RGB is turned grey inside ``forward``) or 3.
    """

    architecture: str | None = None
    image_size: int = 32
    num_channels: int = 3


class Network(PreTrainedModel):
    """A convolutional classifier: ``features`` → ``pool`` → ``classify``.

    A leaf sets ``self.classifier`` (the last linear layer) or says in ``head_name`` where it is, writes ``features``
    and ``pool``, and calls ``self.post_init()`` last.

    Attributes:
        head_name: dotted name of the layer that makes the logits.
        weights_prefix: what stands before the keys of the library that the layers are from.
        image_mean, image_std: per channel, for pixels in [0, 1]: what the images are normalized by.

    Shape:
        pixel_values (N, 3, H, W) or, where ``num_channels`` is 1, also (N, 1, H, W);
        logits (N, K).
    """

    config_class = NetworkConfig
    base_model_prefix = ""
    main_input_name = "pixel_values"
    # The loss is scaled by the one who trains, not here.
    accepts_loss_kwargs = False
    head_name = "classifier"
    weights_prefix = ""
    image_mean = (0.5, 0.5, 0.5)
    image_std = (0.5, 0.5, 0.5)

    @property
    def head(self) -> nn.Module:
        """The layer that makes the logits."""
        return self.get_submodule(self.head_name)

    def features(self, pixel_values: Tensor) -> Tensor:
        """The last feature map, (N, C, h, w)."""
        raise TypeError(f"{type(self).__name__} does not define features().")

    def pool(self, features: Tensor) -> Tensor:
        """From the feature map to what the classifier head reads, (N, D)."""
        raise TypeError(f"{type(self).__name__} does not define pool().")

    def classify(self, pooled: Tensor) -> Tensor:
        """From what the classifier head reads to the logits (N, K)."""
        return self.head(pooled)

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, return_dict: bool | None = None
    ) -> ImageClassifierOutput | tuple[Tensor, ...]:
        """Logits, and the mean cross-entropy where `labels` (N,) are given."""
        logits = self.classify(self.pool(self.features(self._channels(pixel_values))))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        output = ImageClassifierOutput(loss=loss, logits=logits)
        return output if return_dict is not False else output.to_tuple()

    def _channels(self, pixel_values: Tensor) -> Tensor:
        """RGB to grey for a one-channel network: the mean, exact for images that were grey."""
        if self.config.num_channels == 1 and pixel_values.shape[1] == 3:
            return pixel_values.mean(dim=1, keepdim=True)
        return pixel_values

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """He initialization (2015) for ReLU networks; also what a replaced head gets."""
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
