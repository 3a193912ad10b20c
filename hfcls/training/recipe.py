"""What a training does where the user says nothing: from the kind of network, its weights and the size of the data."""

from dataclasses import dataclass, fields
from math import ceil
from typing import Any

from hfcls.arguments import AugmentationArguments
from hfcls.models import Classifier, has_batch_norm, has_layer_norm


@dataclass(frozen=True)
class _Length:
    """Images to be seen, and bounds for the passes that makes."""

    images: int
    fewest: int
    most: int


# From scratch, LeNet-5 on 2,000 MNIST digits reaches 0.908 in 10 passes and 0.963 in 30 (unshifted 0.927 and 0.945).
_TUNING, _SCRATCH = _Length(1700, 3, 30), _Length(60_000, 10, 50)


@dataclass(frozen=True)
class Situation:
    """What the choice hangs on.

    Attributes:
        kind: ``convolutional`` (batch normalization), ``layer-normalized`` (transformers, ConvNeXt) or ``plain``.
        pretrained: the weights have learned from other images before.
        learning: ``all``, ``head`` (the rest is frozen) or ``adapters``.
        images: how many to learn from; None for a stream.
    """

    kind: str
    pretrained: bool
    learning: str
    images: int | None

    def describe(self) -> str:
        """For the user."""
        verb = {"all": "fine-tuning", "head": "training the head of", "adapters": "adapting"}[self.learning]
        begin = f"{verb} a {self.kind} network" if self.pretrained else f"training a {self.kind} network from scratch"
        return begin if self.images is None else f"{begin} on {self.images:,} images"


# Peak learning rates of AdamW for batches of 32.
_FINE_TUNING = {"convolutional": 1e-3, "layer-normalized": 1e-4, "plain": 1e-4}
_HEAD_ALONE, _ADAPTERS, _FROM_SCRATCH = 5e-3, 1e-3, 1e-3


def read_situation(classifier: Classifier, *, pretrained: bool, learning: str, images: int | None) -> Situation:
    """Looks at the network."""
    kind = "plain"
    if has_batch_norm(classifier.model):
        kind = "convolutional"
    elif has_layer_norm(classifier.model):
        kind = "layer-normalized"
    return Situation(kind, pretrained, learning, images)


def choose_recipe(situation: Situation) -> dict[str, Any]:
    """Flags by name. Everything here can be overridden by a flag.

    Mirroring is left to those who fine-tune: weights from other images come from photographs, which look as good the
    other way round; digits and letters, which networks are trained on from scratch, do not.
    """
    small = situation.images is not None and situation.images < 10_000
    recipe: dict[str, Any] = {"learning_rate": _learning_rate(situation)}
    if situation.images is not None:
        recipe["num_train_epochs"] = _epochs(situation)
    if situation.pretrained:
        recipe |= {"horizontal_flip": 0.5, "label_smoothing_factor": 0.1}
    if small or situation.pretrained:
        recipe["shift"] = 0.1
    return recipe


def _learning_rate(situation: Situation) -> float:
    if not situation.pretrained:
        return _FROM_SCRATCH
    if situation.learning == "all":
        return _FINE_TUNING[situation.kind]
    return _HEAD_ALONE if situation.learning == "head" else _ADAPTERS


def _epochs(situation: Situation) -> int:
    length = _TUNING if situation.pretrained else _SCRATCH
    wanted = ceil(length.images / max(situation.images or 1, 1))
    return min(max(wanted, length.fewest), length.most)


def fill_in(
    values: dict[str, Any], situation: Situation, *, before: dict[str, Any] | None
) -> tuple[dict[str, Any], str]:
    """Adds to the flags what the user left open.

    Augmentations are left alone where the user has chosen any.

    Args:
        values: flags by name.
        before: the settings of the run that is to be resumed, which stay as they were, whatever is chosen today.

    Returns:
        The flags, and what was chosen, in words.
    """
    recipe = choose_recipe(situation)
    if before is not None:
        recipe = {name: before[name] for name in recipe if name in before}
    augmentations = {field.name for field in fields(AugmentationArguments)}
    chosen = {name: value for name, value in recipe.items() if values.get(name) is None}
    if any(values.get(name) is not None for name in augmentations):
        chosen = {name: value for name, value in chosen.items() if name not in augmentations}
    if (values.get("max_steps") or 0) > 0:
        chosen.pop("num_train_epochs", None)
    listed = ", ".join(f"{name} {value:g}" for name, value in chosen.items())
    return {**values, **chosen}, f"{listed} (for {situation.describe()})" if chosen else ""
