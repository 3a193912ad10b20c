"""What all explainers share: the map that comes out, what it may cost, and the network as they see it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from hfcls.errors import UserError
from hfcls.models.cam_layer import CamLayer, find_cam_layer

# Forward passes done, and in all where that is known.
Progress = Callable[[int, int | None], None]


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


class Effort:
    """What an explanation may take, and what it has taken.

    Args:
        seconds, passes: when a method that can be cut short stops; never where None.
        progress: is told after each pass; may raise to stop.

    Attributes:
        spent: forward passes, of one image each.
        total: how many there will be, where the method knows.
        complete: whether nothing was cut short.
    """

    def __init__(self, *, seconds: float | None = None, passes: int | None = None, progress: Progress | None = None):
        self.spent = 0
        self.total: int | None = None
        self.complete = True
        self._begun = time.monotonic()
        self._seconds, self._passes, self._progress = seconds, passes, progress

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._begun

    def spend(self, passes: int) -> None:
        """Counts forward passes and tells of them."""
        self.spent += passes
        if self._progress is not None:
            self._progress(self.spent, self.total)

    def is_used_up(self) -> bool:
        """Whether it is time to stop; whoever stops then sets `complete` to False."""
        too_long = self._seconds is not None and self.seconds >= self._seconds
        return too_long or (self._passes is not None and self.spent >= self._passes)

    def affordable(self, wanted: int) -> int:
        """How many passes of `wanted` the budget leaves, one at least, where it is one of passes."""
        return wanted if self._passes is None else max(1, min(wanted, self._passes - self.spent))


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


class Explainer(ABC):
    """From images and classes to maps, in the network's own frame.

    A leaf says in ``title``, ``paper`` and ``cost`` what it is, and writes `maps`.

    Args:
        model: takes ``pixel_values (N, 3, h, w)``, returns an object with ``.logits (N, K)``; in eval mode.
        effort: what it may take.
        seed: of what it draws.

    Attributes:
        title: the method's name for people.
        paper: where it is from.
        cost: "fast" where it takes a few passes an image, "slow" where hundreds.
        package: the optional package that it needs.
        facts: for each image, after `maps`, what there is to say beside the map.
    """

    title: ClassVar[str]
    paper: ClassVar[str]
    cost: ClassVar[Literal["fast", "slow"]] = "fast"
    package: ClassVar[str | None] = None

    def __init__(self, model: nn.Module, *, effort: Effort, seed: int = 0):
        self.model = model
        self.logits = Logits(model, effort)
        self.effort = effort
        self.seed = seed
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


class CamExplainer(Explainer):
    """A class activation map by pytorch-grad-cam, of the layer that `find_cam_layer` finds.

    Source: https://github.com/jacobgil/pytorch-grad-cam.
    """

    cam_layer: CamLayer | None = None

    @classmethod
    @abstractmethod
    def cam(cls) -> type[Any]:
        """The class of pytorch-grad-cam, imported when it is asked for."""

    def maps(self, pixel_values: Tensor, targets: Tensor) -> Tensor:
        """See `Explainer.maps`."""
        import torch
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        self.cam_layer = find_cam_layer(self.model, pixel_values)
        with self.cam()(self.logits, [self.cam_layer.module], reshape_transform=self.cam_layer.to_maps) as cam:
            wanted = [ClassifierOutputTarget(int(target)) for target in targets]
            found = cam(pixel_values.detach().requires_grad_(), wanted)
        return torch.from_numpy(found)

    @property
    def layer(self) -> str | None:
        """See `Explainer.layer`."""
        return self.cam_layer.name if self.cam_layer else None
