"""Classifiers from scratch: our own networks, those of torchvision and transformers in the catalogue, all of timm."""

from dataclasses import dataclass, field
from typing import Any

import timm
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    BitImageProcessor,
    Dinov2Config,
    PreTrainedConfig,
    PreTrainedModel,
    ViTImageProcessor,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.initialization import no_init_weights
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hfcls.catalogue import CATALOGUE
from hfcls.errors import UserError, suggest
from hfcls.models.memory import use_fast_layout
from hfcls.models.rates import set_rates
from hfcls.models.sizes import check_patches, try_size
from hfcls.networks import (
    CRNN,
    IMAGENET_MEAN,
    IMAGENET_STD,
    AlexNet,
    CifarFast,
    CifarResNet,
    Ensemble,
    GoogLeNet,
    HardImageProcessor,
    LeNet5,
    Network,
    NetworkConfig,
    SimpleCNN,
    SqueezeNet,
)
from hfcls.registry import Registry


@dataclass(frozen=True)
class Own:
    """A network of `hfcls.networks` and the settings that make one architecture of it."""

    network: type[Network]
    settings: dict[str, Any] = field(default_factory=dict)


ARCHITECTURES: Registry[Own] = Registry(
    "architecture",
    {
        "simple_cnn": Own(SimpleCNN),
        "lenet5": Own(LeNet5),
        "alexnet": Own(AlexNet),
        "googlenet": Own(GoogLeNet),
        "squeezenet1_1": Own(SqueezeNet),
        "cifar_resnet20": Own(CifarResNet, {"depth": 20}),
        "cifar_resnet56": Own(CifarResNet, {"depth": 56}),
        "cifar_fast": Own(CifarFast),
        "cifar_fast_wide": Own(CifarFast, {"widths": (128, 384, 512), "depth": 3}),
        "crnn": Own(CRNN),
    },
)

# Networks of transformers that the catalogue knows by a short name, each as its configuration.
TRANSFORMERS: Registry[tuple[type[PreTrainedConfig], dict[str, Any]]] = Registry(
    "architecture", {"dinov2_small": (Dinov2Config, {"hidden_size": 384, "num_attention_heads": 6, "image_size": 224})}
)

_networks: set[type[PreTrainedModel]] = {*(own.network for own in ARCHITECTURES.values()), Ensemble}
for _network in _networks:
    AutoConfig.register(_network.config_class.model_type, _network.config_class)
    AutoModelForImageClassification.register(_network.config_class, _network)
# By its name in preprocessor_config.json it is found for any network: no network has the base of our configurations.
AutoImageProcessor.register(NetworkConfig, image_processor_classes={"torchvision": HardImageProcessor})


@dataclass(frozen=True)
class Classifier:
    """A model and the image processor that goes with it.

    Attributes:
        model: takes ``pixel_values (N, C, H, W)``, returns an object with ``.logits (N, K)``.
        image_processor: what plain ``pipeline()`` will use on the saved directory.
        notices: what the user should know about how it was loaded.
    """

    model: PreTrainedModel
    image_processor: BaseImageProcessor
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for network in self.model.members if isinstance(self.model, Ensemble) else (self.model,):
            use_fast_layout(network)

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the logits."""
        return names_of(self.model.config)


def names_of(config) -> tuple[str, ...]:
    """The class names of a transformers config, in the order of the logits."""
    return tuple(str(config.id2label[i]) for i in range(config.num_labels))


def set_names(config, class_names: tuple[str, ...]) -> None:
    """Writes the class names into a transformers config, wherever that family keeps them."""
    config.id2label = dict(enumerate(class_names))
    config.label2id = {name: index for index, name in enumerate(class_names)}
    if config.model_type == "timm_wrapper":
        config.label_names = list(class_names)


def build_classifier(
    architecture: str,
    *,
    class_names: tuple[str, ...],
    image_size: int | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
) -> Classifier:
    """Builds a network with fresh weights; seed torch before.

    Args:
        architecture: a name of the catalogue or of timm.
        class_names: K names.
        image_size: height and width in pixels; the architecture's own where None.
        dropout: probability of dropping a unit, in [0, 1); the architecture's own where None.
        drop_path: probability of skipping the last residual block (stochastic depth; earlier blocks less), in
            [0, 1); the architecture's own where None.

    Raises:
        UserError: the name is unknown, or the network cannot take that size or has no such dropout.
    """
    config, processor = _settings(architecture, image_size)
    set_names(config, class_names)
    set_rates(config, architecture, dropout=dropout, drop_path=drop_path)
    try:
        model = _wrapped_timm(config) if config.model_type == "timm_wrapper" else _from_config(config)
        if image_size is not None:
            check_patches(model, image_size)
            try_size(model, image_size)
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError, IndexError) as error:
        raise UserError(
            f"{architecture} cannot be built for images of {image_size} pixels ({_first_line(error)}). "
            "Leave --image_size out or choose a larger one."
        ) from None
    return Classifier(model, processor)


def _settings(architecture: str, image_size: int | None) -> tuple[Any, BaseImageProcessor]:
    """The configuration and the image processor of a named architecture."""
    if image_size is not None and image_size < 1:
        raise UserError(f"--image_size is {image_size}: expected 1 pixel or more.")
    if architecture in ARCHITECTURES:
        return _own_settings(architecture, image_size)
    if architecture in TRANSFORMERS:
        make, settings = TRANSFORMERS[architecture]
        config = make(**settings | ({} if image_size is None else {"image_size": image_size}))
        return config, photo_processor(config.image_size)
    entry = CATALOGUE.get(architecture)
    name = entry.source_name if entry else architecture
    if timm.is_model(name):
        return _timm_settings(name, image_size)
    raise unknown_architecture(architecture)


def check_architecture(name: str) -> None:
    """Whether there is such a network; builds none.

    Raises:
        UserError: there is none.
    """
    entry = CATALOGUE.get(name)
    if (
        name not in ARCHITECTURES
        and name not in TRANSFORMERS
        and not timm.is_model(entry.source_name if entry else name)
    ):
        raise unknown_architecture(name)


def unknown_architecture(name: str) -> UserError:
    """The error that names the closest one."""
    known = sorted(CATALOGUE) + timm.list_models()
    return UserError(
        f"Unknown architecture {name!r}.{suggest(name, known)} "
        "`hfcls models` lists the names; a checkpoint is given by --model_name_or_path."
    )


def _own_settings(architecture: str, image_size: int | None) -> tuple[Any, BaseImageProcessor]:
    own = ARCHITECTURES[architecture]
    size = {} if image_size is None else {"image_size": image_size}
    config = own.network.config_class(architecture=architecture, **own.settings, **size)
    side, mean, std = config.image_size, list(own.network.image_mean), list(own.network.image_std)
    if image_size is None and side >= 224:
        return config, photo_processor(side)
    processor = ViTImageProcessor(size={"height": side, "width": side}, image_mean=mean, image_std=std)
    return config, processor


def photo_processor(side: int) -> BitImageProcessor:
    """How photos are prepared since AlexNet: the short side to 8/7 of the size, then the middle."""
    return BitImageProcessor(
        size={"shortest_edge": side * 8 // 7},
        crop_size={"height": side, "width": side},
        image_mean=list(IMAGENET_MEAN),
        image_std=list(IMAGENET_STD),
    )


def _timm_settings(name: str, image_size: int | None) -> tuple[Any, BaseImageProcessor]:
    settings = timm.get_pretrained_cfg(name)
    pretrained_cfg = settings.to_dict() if settings else {}
    model_args: dict[str, Any] = {}
    if image_size is not None:
        if pretrained_cfg.get("fixed_input_size"):
            model_args["img_size"] = image_size
        pretrained_cfg |= {"input_size": (3, image_size, image_size), "crop_pct": 1.0}
        pretrained_cfg.pop("test_input_size", None)
    config = TimmWrapperConfig(architecture=name, pretrained_cfg=pretrained_cfg, model_args=model_args)
    return config, TimmWrapperImageProcessor(pretrained_cfg=pretrained_cfg, architecture=name)


def _from_config(config: Any) -> PreTrainedModel:
    return AutoModelForImageClassification.from_config(config)


def _wrapped_timm(config: Any) -> PreTrainedModel:
    """timm's network as timm initializes it; the wrapper's own initialization would redraw the linear layers."""
    with no_init_weights():
        model = _from_config(config)
    model.timm_model = timm.create_model(
        config.architecture, num_classes=config.num_labels, **(config.model_args or {})
    )
    return model


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
