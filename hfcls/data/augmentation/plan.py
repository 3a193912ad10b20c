"""The augmentations of a run, drawn for each image and applied in one pass over a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hfcls.data.augmentation.base import Augmentation, Change, Mix, Move, Warp
from hfcls.data.augmentation.mixing import mixed_targets
from hfcls.data.augmentation.warps import warp
from hfcls.data.draws import uniform_draws

# Values worked on at a time on a processor: what its cache holds between one step and the next.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class AugmentationPlan:
    """What is done to the images of a run, and the seed that it is drawn from.

    An augmentation draws its parameters for each image from (seed, epoch, key). So the same image gets the same change
    whatever the batch, the worker, the process, the device or the moment of a resume; what is mixed with what hangs on
    the batch.

    Attributes:
        augmentations: by name, in the order in which they are applied within their kind: first what moves whole
            pixels, then one sampling for all affine maps, then changes of values, then mixtures.
    """

    augmentations: dict[str, Augmentation]
    seed: int

    @property
    def mixes(self) -> bool:
        """Whether labels become probabilities."""
        return bool(self._of_kind(Mix))

    def draw(self, keys: np.ndarray, epochs: np.ndarray, size: tuple[int, int]) -> dict[str, np.ndarray]:
        """Parameters by augmentation for the samples with these keys (N,) in these epochs (N,)."""
        return {
            name: step.parameters(
                uniform_draws(keys, seed=self.seed, epoch=epochs, stream=_stream(name), count=step.draws), size
            )
            for name, step in self.augmentations.items()
        }

    def apply(
        self, pixels: Tensor, parameters: dict[str, np.ndarray], *, then: Callable[[Tensor], Tensor] = lambda x: x
    ) -> Tensor:
        """Applies the drawn parameters.

        Args:
            pixels: uint8 (N, 3, H, W), on any device.
            parameters: see `draw`.
            then: what follows, from pixels in [0, 255], uint8 or float32, to float32, each image for itself.

        Returns:
            What `then` makes, mixed.
        """
        images = self._in_blocks(pixels, parameters, then)
        for name, mix in self._of_kind(Mix):
            images = mix.mix(images, parameters[name])
        return images

    def mix_targets(
        self, labels: Tensor, parameters: dict[str, np.ndarray], size: tuple[int, int], class_count: int
    ) -> Tensor:
        """From labels (N,) to probabilities (N, K) where images are mixed; else the labels."""
        for name, mix in self._of_kind(Mix):
            labels = mixed_targets(labels, mix.shares(parameters[name], size), class_count)
        return labels

    def _of_kind(self, kind: type) -> list[tuple[str, Any]]:
        return self._by_kind[kind]

    @cached_property
    def _by_kind(self) -> dict[type, list[tuple[str, Any]]]:
        """Found once: asking a protocol takes as long as drawing for a batch."""
        return {
            kind: [(name, step) for name, step in self.augmentations.items() if isinstance(step, kind)]
            for kind in (Move, Warp, Change, Mix)
        }

    def _in_blocks(self, pixels: Tensor, parameters: dict[str, np.ndarray], then: Callable[[Tensor], Tensor]) -> Tensor:
        count, size = len(pixels), (pixels.shape[2], pixels.shape[3])
        matrices = self._matrices(parameters, count, size)
        block = max(_BLOCK // pixels[:1].numel(), 1) if pixels.device.type == "cpu" else count
        result: Tensor | None = None
        for at in range(0, count, block):
            rows = slice(at, at + block)
            images = pixels[rows]
            for name, move in self._of_kind(Move):
                images = move.move(images, parameters[name][rows])
            if matrices is not None or self._of_kind(Change):
                images = images.to(torch.float32, memory_format=torch.contiguous_format)
            if matrices is not None:
                images = warp(images, matrices[rows])
            for name, change in self._of_kind(Change):
                images = change.change(images, parameters[name][rows])
            made = then(images)
            if len(made) == count:
                return made
            if result is None:
                result = torch.empty_like(made[:1].expand(count, -1, -1, -1), memory_format=_layout(made))
            result[rows] = made
        return then(pixels) if result is None else result

    def _matrices(self, parameters: dict[str, np.ndarray], count: int, size: tuple[int, int]) -> np.ndarray | None:
        """Those of all affine maps as one, (N, 3, 3); None where there is none."""
        product: np.ndarray | None = None
        for name, step in self._of_kind(Warp):
            # From the last one back to the image.
            matrix = np.broadcast_to(step.matrix(parameters[name], size), (count, 3, 3))
            product = matrix if product is None else product @ matrix
        return product


def _layout(images: Tensor) -> torch.memory_format:
    return torch.channels_last if images.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format


def _stream(name: str) -> int:
    """Tells the augmentations apart, whichever others there are."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "little")
