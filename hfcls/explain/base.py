"""What all explainers share: the map that comes out, and the network as they see it."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from hfcls.errors import UserError
from hfcls.explain.effort import Effort, Progress
from hfcls.models.cam_layer import no_weight_gradients

__all__ = [
    "BATCH",
    "Effort",
    "EmptyMap",
    "Explainer",
    "Heatmap",
    "Logits",
    "OneByOne",
    "Progress",
    "device_of",
    "seeded",
    "undisturbed",
]

# Changed images that go through the network together: more gain little on a CPU, and take memory.
BATCH = 16


class EmptyMap(UserError):
    """An explainer found nothing that speaks for the class: its map is zero or the same everywhere."""


@dataclass(frozen=True)
class Heatmap:
    """Which parts of an image speak for a class.

    Attributes:
        values: float32 (H, W) in [0, 1] in the coordinates of the original image, the largest 1; 0 where the
            network does not look, outside its crop.
        method: a name of ``EXPLAINERS``.
        target: index of the class.
        class_name: its name.
        layer: where a class activation map was taken; None for other methods.
        passes: forward passes spent, of one image each.
        seconds: that took.
        complete: False where the budget ended it early.
        facts: figures that the method has to say beside the map, such as ``base_value``.
    """

    values: np.ndarray
    method: str
    target: int
    class_name: str
    layer: str | None = None
    passes: int = 0
    seconds: float = 0.0
    complete: bool = True
    facts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class Logits(nn.Module):
    """A classifier as (N, 3, h, w) → (N, K), whose passes are counted."""

    def __init__(self, model: nn.Module, effort: Effort):
        super().__init__()
        self.model = model
        self._effort = effort

    def forward(self, pixel_values: Tensor) -> Tensor:
        """The logits."""
        logits = self.model(pixel_values=pixel_values).logits
        self._effort.spend(len(pixel_values))
        return logits

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Nothing: the weights get no gradients here, and keep what a training left there."""


class Explainer(ABC):
    """From images and classes to maps, in the network's own frame.

    A leaf says in ``title``, ``paper`` and ``cost`` what it is, and writes `maps`. What follows gradients explains the
    logit of the class, since the probability has none where the network is sure; what changes the image and looks
    again explains the probability, which is what people read.

    Args:
        model: takes ``pixel_values (N, 3, h, w)``, returns an object with ``.logits (N, K)``; in eval mode.
        effort: what it may take.
        seed: of what it draws.
        layer: dotted name of the layer to look at; chosen where None. Only where ``takes_layer``.

    Attributes:
        title: the method's name for people.
        paper: where it is from.
        cost: "fast" where it takes a few passes an image, "slow" where it takes hundreds.
        package: the optional package that it needs.
        needs: what the network must have: nothing, or attention of every place to every other.
        class_agnostic: whether the map is the same for all classes.
        asks_only: whether it looks at answers alone, so that any callable will do for a network.
        takes_layer: whether it looks at one layer.
        facts: for each image, after `maps`, what there is to say beside the map.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    cost: ClassVar[Literal["fast", "slow"]] = "fast"
    package: ClassVar[str | None] = None
    needs: ClassVar[Literal["", "attention"]] = ""
    class_agnostic: ClassVar[bool] = False
    asks_only: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = False

    def __init__(self, model: nn.Module, *, effort: Effort, seed: int = 0, layer: str | None = None):
        self.model = model
        self.logits = Logits(model, effort)
        self.effort = effort
        self.seed = seed
        self.wanted_layer = layer
        self.facts: list[dict[str, float]] = []

    @classmethod
    def suits(cls, model: nn.Module) -> bool:
        """Whether the method can be used on a network at all."""
        return True

    @abstractmethod
    def maps(self, pixel_values: Tensor, targets: Tensor) -> Tensor:
        """What speaks for a class of each image.

        Args:
            pixel_values: (N, 3, h, w), on the model's device.
            targets: int64 (N,).

        Returns:
            (N, h, w), or a coarser grid of it; what is below 0 speaks against the class, and is not shown.
        """

    @property
    def layer(self) -> str | None:
        """The layer that `maps` looked at, if it was one."""
        return None

    def probability(self, pixel_values: Tensor, target: int) -> Tensor:
        """Of the class, float64 (N,), without gradients."""
        with torch.no_grad():
            return self.logits(pixel_values).double().softmax(dim=1)[:, target]


class OneByOne(Explainer):
    """An explainer that takes one image after the other, each with its part of the budget."""

    cost = "slow"

    def maps(self, pixel_values: Tensor, targets: Tensor) -> Tensor:
        """See `Explainer.maps`."""
        found = []
        for image, target in zip(pixel_values, targets.tolist(), strict=True):
            self.effort.next_image()
            values, facts = self.explain(image[None], target)
            found.append(values)
            self.facts.append(facts)
        return torch.stack(found)

    @abstractmethod
    def explain(self, pixel_values: Tensor, target: int) -> tuple[Tensor, dict[str, float]]:
        """The map of one image, (h, w) or coarser, and its facts.

        Args:
            pixel_values: (1, 3, h, w).
        """

    def pace(self, pixel_values: Tensor) -> float | None:
        """Seconds that a pass takes, tried on a few copies of the image; None where no one has asked for haste."""
        if not self.effort.is_timed:
            return None
        copies = self.effort.affordable(BATCH // 2)
        begun = time.monotonic()
        with torch.no_grad():
            self.logits(pixel_values.expand(copies, -1, -1, -1))
        return (time.monotonic() - begun) / copies


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """The network is in eval mode, and its weights get no gradients; afterwards all is as before."""
    if not isinstance(model, nn.Module):
        yield
        return
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with no_weight_gradients(model):
            yield
    finally:
        for module in training:
            module.training = True


def device_of(model: nn.Module) -> torch.device:
    """Where a network is; what has no parameters takes its images on the CPU."""
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


# The global generators are of the whole process, whichever model is explained.
_GENERATORS = threading.RLock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """For libraries that draw from the global generators: seeded inside, afterwards as before; one thread at a time."""
    with _GENERATORS:
        before = np.random.get_state()
        with torch.random.fork_rng():
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            try:
                yield
            finally:
                np.random.set_state(before)
