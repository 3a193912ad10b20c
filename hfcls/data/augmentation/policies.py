"""The policies that people know by name: which operations, how strong, in which order."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor
from torchvision.transforms import AutoAugment as TorchvisionAutoAugment
from torchvision.transforms import AutoAugmentPolicy

from hfcls.data.augmentation.base import column
from hfcls.data.augmentation.operations import apply_operations, index_of
from hfcls.data.augmentation.textures import strongest_blur
from hfcls.registry import Registry

# The names that the papers use, where ours differ.
_OURS = {"color": "saturation", "shearx": "shear_x", "sheary": "shear_y", "translatex": "translate_x"}
_OURS |= {"translatey": "translate_y"}


@dataclass(frozen=True)
class Strength:
    """How strong an operation is, from the weakest to the strongest; and whether the sign is drawn."""

    weakest: float = 0.0
    strongest: float = 0.0
    signed: bool = False
    whole: bool = False

    def at(self, level: np.ndarray, sign: np.ndarray) -> np.ndarray:
        """The number for a level in [0, 1], negative where `sign` is below a half."""
        value = self.weakest + (self.strongest - self.weakest) * level
        # Halves go to the even number, as torch rounds them.
        value = self.weakest - np.round((self.weakest - self.strongest) * level) if self.whole else value
        return np.where(sign < 0.5, -value, value) if self.signed else value


def _space(
    *, shear: float, shift: tuple[float, float], rotate: float, factor: float, bits: tuple[float, float]
) -> dict[str, Strength]:
    """The fourteen operations of the three policies that draw one at random."""
    factors = ("brightness", "saturation", "contrast", "sharpness")
    return {
        "identity": Strength(),
        "shear_x": Strength(0, shear, signed=True),
        "shear_y": Strength(0, shear, signed=True),
        "translate_x": Strength(0, shift[0], signed=True),
        "translate_y": Strength(0, shift[1], signed=True),
        "rotate": Strength(0, rotate, signed=True),
        **{name: Strength(0, factor, signed=True) for name in factors},
        "posterize": Strength(bits[0], bits[1], whole=True),
        "solarize": Strength(255, 0),
        "autocontrast": Strength(),
        "equalize": Strength(),
    }


def _rand_augment_space(size: tuple[int, int]) -> dict[str, Strength]:
    """Of RandAugment, and nearly of AutoAugment."""
    shift = (150 / 331 * size[1], 150 / 331 * size[0])
    return _space(shear=0.3, shift=shift, rotate=30, factor=0.9, bits=(8, 4))


def _draw_one(space: dict[str, Strength], choice: np.ndarray, level: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """One operation each: float (N, 2), its number and its strength."""
    names = list(space)
    chosen = np.floor(choice * len(names)).astype(np.int64)
    strengths = np.stack([strength.at(level, sign) for strength in space.values()])
    numbers = np.array([index_of(name) for name in names])[chosen]
    return np.stack([numbers, strengths[chosen, np.arange(len(chosen))]], axis=1)


class _Sequence:
    """Operations one after the other: parameters are float (N, steps, 2), number and strength."""

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """Applies them."""
        for step in range(parameters.shape[1]):
            images = apply_operations(images, parameters[:, step, 0].astype(np.int64), parameters[:, step, 1])
        return images


@dataclass(frozen=True)
class TrivialAugmentWide(_Sequence):
    """One operation of fourteen, at one of 31 strengths. Müller and Hutter 2021, TrivialAugment, arXiv:2103.10158."""

    draws = 3

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 1, 2)."""
        space = _space(shear=0.99, shift=(32, 32), rotate=135, factor=0.99, bits=(8, 2))
        level = np.floor(uniforms[:, 1] * 31) / 30
        return _draw_one(space, uniforms[:, 0], level, uniforms[:, 2])[:, None]


@dataclass(frozen=True)
class RandAugment(_Sequence):
    """Two operations of fourteen at strength 9 of 30. Cubuk et al. 2019, RandAugment, arXiv:1909.13719."""

    operations: int = 2
    magnitude: int = 9

    @property
    def draws(self) -> int:
        """Choice and sign for each."""
        return 2 * self.operations

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, operations, 2)."""
        space, level = _rand_augment_space(size), np.full(len(uniforms), self.magnitude / 30)
        steps = [_draw_one(space, uniforms[:, i], level, uniforms[:, i + 1]) for i in range(0, self.draws, 2)]
        return np.stack(steps, axis=1)


@dataclass(frozen=True)
class AutoAugment(_Sequence):
    """One of 25 pairs of operations that were searched for on a data set. Cubuk et al. 2018, arXiv:1805.09501.

    Args:
        searched_on: imagenet, cifar10 or svhn, as torchvision names them; its table of the pairs is used.
    """

    searched_on: str = "imagenet"
    draws = 5

    @cached_property
    def _pairs(self) -> list:
        return TorchvisionAutoAugment(AutoAugmentPolicy(self.searched_on)).policies

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 2, 2)."""
        space = _rand_augment_space(size) | {"invert": Strength()}
        chosen = np.floor(uniforms[:, 0] * len(self._pairs)).astype(np.int64)
        drawn = np.zeros((len(uniforms), 2, 2))
        for step in range(2):
            applied, sign = uniforms[:, 1 + 2 * step], uniforms[:, 2 + 2 * step]
            for pair in np.unique(chosen):
                name, probability, level = self._pairs[pair][step]
                name = _OURS.get(name.lower(), name.lower())
                rows = np.flatnonzero((chosen == pair) & (applied < probability))
                drawn[rows, step, 0] = index_of(name)
                drawn[rows, step, 1] = space[name].at(np.full(len(rows), (level or 0) / 9), sign[rows])
        return drawn


@dataclass(frozen=True)
class ThreeAugment(_Sequence):
    """Grey, solarized or blurred, a third each. Touvron et al. 2022, DeiT III, arXiv:2204.07118.

    Its mirroring, crops and colour jitter are dials of their own.
    """

    draws = 2

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 1, 2)."""
        names = ("grey", "solarize", "blur")
        chosen = np.floor(uniforms[:, 0] * 3).astype(np.int64)
        sigma = 0.1 + (strongest_blur(size) - 0.1) * uniforms[:, 1]
        strengths = np.stack([np.zeros(len(chosen)), np.full(len(chosen), 128.0), sigma], axis=1)
        numbers = np.array([index_of(name) for name in names])[chosen]
        return np.stack([numbers, strengths[np.arange(len(chosen)), chosen]], axis=1)[:, None]


_AUGMIX_WIDTH, _AUGMIX_DEPTH, _AUGMIX_SEVERITY = 3, 3, 3


@dataclass(frozen=True)
class AugMix:
    """Mixes the image with three chains of one to three operations. Hendrycks et al. 2019, arXiv:1912.02781.

    The images alone, without the paper's consistency loss.
    """

    draws = 1 + _AUGMIX_WIDTH * (2 + 3 * _AUGMIX_DEPTH)

    def parameters(self, uniforms: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """float (N, 1 + 3 + 18): how much is changed; the chains' weights; number and strength of their operations."""
        space = _space(shear=0.3, shift=(size[1] / 3, size[0] / 3), rotate=30, factor=0, bits=(4, 0))
        changed = ("autocontrast", "equalize", "posterize", "rotate", "solarize")
        space = {name: space[name] for name in (*changed, "shear_x", "shear_y", "translate_x", "translate_y")}
        ours, chains = uniforms[:, 0], uniforms[:, 1:].reshape(len(uniforms), _AUGMIX_WIDTH, -1)
        # Dirichlet(1, 1, 1) from exponential numbers.
        weights = -np.log1p(-chains[:, :, 0])
        depth = 1 + np.floor(chains[:, :, 1] * _AUGMIX_DEPTH)
        parts = [ours[:, None], weights / weights.sum(1, keepdims=True)]
        for chain in range(_AUGMIX_WIDTH):
            for step in range(_AUGMIX_DEPTH):
                choice, level, sign = chains[:, chain, 2 + 3 * step : 5 + 3 * step].T
                one = _draw_one(space, choice, np.floor(level * _AUGMIX_SEVERITY) / 9, sign)
                one[depth[:, chain] <= step] = index_of("identity"), 0
                parts.append(one)
        return np.concatenate(parts, axis=1)

    def change(self, images: Tensor, parameters: np.ndarray) -> Tensor:
        """The mixture."""
        kept = column(parameters[:, 0], images)
        mixed = images * kept
        operations = parameters[:, 1 + _AUGMIX_WIDTH :].reshape(len(images), _AUGMIX_WIDTH, _AUGMIX_DEPTH, 2)
        for chain in range(_AUGMIX_WIDTH):
            changed = images.clone()
            for step in range(_AUGMIX_DEPTH):
                number, strength = operations[:, chain, step].T
                changed = apply_operations(changed, number.astype(np.int64), strength)
            mixed += (1 - kept) * column(parameters[:, 1 + chain], images) * changed
        return mixed


POLICIES: Registry = Registry(
    "policy",
    {
        "trivialaugment": TrivialAugmentWide(),
        "randaugment": RandAugment(),
        "autoaugment": AutoAugment("imagenet"),
        "autoaugment_cifar10": AutoAugment("cifar10"),
        "autoaugment_svhn": AutoAugment("svhn"),
        "three_augment": ThreeAugment(),
        "augmix": AugMix(),
    },
)
