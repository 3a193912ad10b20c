"""Classifiers from scratch: our own networks and every network of timm."""

from dataclasses import dataclass

import timm
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedModel, ViTImageProcessor
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hfcls.errors import UserError, suggest
from hfcls.networks import LeNet5, Network, SimpleCNN
from hfcls.registry import Registry

ARCHITECTURES: Registry[type[Network]] = Registry("architecture", {"simple_cnn": SimpleCNN, "lenet5": LeNet5})

for _network in ARCHITECTURES.values():
    AutoConfig.register(_network.config_class.model_type, _network.config_class)
    AutoModelForImageClassification.register(_network.config_class, _network)


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


def build_classifier(architecture: str, *, class_names: tuple[str, ...], image_size: int | None = None) -> Classifier:
    """Builds a network with fresh weights; seed torch before.

    Args:
        architecture: a name of ours or of timm.
        class_names: K names.
        image_size: height and width in pixels; the architecture's own where None.

    Raises:
        UserError: the name is unknown, or the network cannot take that size.
    """
    try:
        if architecture in ARCHITECTURES:
            return _build_own(ARCHITECTURES[architecture], class_names, image_size)
        if timm.is_model(architecture):
            return _build_timm(architecture, class_names, image_size)
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError) as error:
        raise UserError(
            f"{architecture} cannot be built for images of {image_size} pixels ({_first_line(error)}). "
            "Leave --image_size out or choose a larger one."
        ) from None
    known = sorted(ARCHITECTURES) + timm.list_models()
    raise UserError(
        f"Unknown architecture {architecture!r}.{suggest(architecture, known)} "
        "`hfcls models` lists the names; a checkpoint is given by --model_name_or_path."
    )


def _build_own(network: type[Network], class_names: tuple[str, ...], image_size: int | None) -> Classifier:
    config = network.config_class(**({} if image_size is None else {"image_size": image_size}))
    set_names(config, class_names)
    side = config.image_size
    processor = ViTImageProcessor(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return Classifier(network(config), processor)


def _build_timm(architecture: str, class_names: tuple[str, ...], image_size: int | None) -> Classifier:
    settings = timm.get_pretrained_cfg(architecture)
    pretrained_cfg = settings.to_dict() if settings else {}
    model_args: dict[str, int] = {}
    if image_size is not None:
        if pretrained_cfg.get("fixed_input_size"):
            model_args["img_size"] = image_size
        pretrained_cfg |= {"input_size": (3, image_size, image_size), "crop_pct": 1.0}
        pretrained_cfg.pop("test_input_size", None)
    config = TimmWrapperConfig(architecture=architecture, pretrained_cfg=pretrained_cfg, model_args=model_args)
    set_names(config, class_names)
    model = AutoModelForImageClassification.from_config(config)
    # The wrapper's own initialization touches the linear layers alone: timm's is the one to keep.
    timm_model = timm.create_model(architecture, num_classes=len(class_names), **model_args)
    model.timm_model.load_state_dict(timm_model.state_dict())
    return Classifier(model, TimmWrapperImageProcessor(pretrained_cfg=pretrained_cfg, architecture=architecture))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
