"""Small harms to a picture, by which one sees how firmly an answer stands."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hfcls.errors import UserError

_GREY = (127, 127, 127)


@dataclass(frozen=True)
class Perturbation:
    """What is done to a picture, in this order; the defaults leave it as it is.

    Attributes:
        rotation: degrees, anticlockwise, -180 to 180; the corners become grey.
        blur: standard deviation of a Gaussian, in per cent of the shorter side, 0 to 10.
        brightness: -1 (black) to 1 (white): mixed with black or white by that share.
        noise: standard deviation of Gaussian noise, as a share of white, 0 to 0.5.
        square: side of a grey square, as a share of the shorter side, 0 to 1.
        square_x, square_y: its middle, as shares of width and height, 0 to 1.
        seed: of the noise: the same one gives the same picture.
    """

    rotation: float = 0.0
    blur: float = 0.0
    brightness: float = 0.0
    noise: float = 0.0
    square: float = 0.0
    square_x: float = 0.5
    square_y: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Dial:
    """One number of a `Perturbation`: its name on the page, its range, and the step of its slider."""

    title: str
    low: float
    high: float
    step: float
    unit: str = ""


DIALS = {
    "rotation": Dial("Rotation", -180, 180, 1, "°"),
    "blur": Dial("Blur", 0, 10, 0.1, " % of the side"),
    "noise": Dial("Noise", 0, 0.5, 0.01),
    "brightness": Dial("Brightness", -1, 1, 0.02),
    "square": Dial("Square", 0, 1, 0.02, " of the side"),
}
"""Those of which there can be a curve."""

PLACES = {"square_x": Dial("Square, from the left", 0, 1, 0.02), "square_y": Dial("Square, from the top", 0, 1, 0.02)}


def perturb(image: Image.Image, perturbation: Perturbation) -> Image.Image:
    """The picture after what was done to it, in its own size.

    Args:
        image: RGB.
    """
    harmed = image
    if perturbation.rotation % 360:
        harmed = harmed.rotate(perturbation.rotation, Image.Resampling.BICUBIC, fillcolor=_GREY)
    if perturbation.blur > 0:
        harmed = harmed.filter(ImageFilter.GaussianBlur(perturbation.blur / 100 * min(image.size)))
    if perturbation.brightness:
        target = Image.new("RGB", image.size, "white" if perturbation.brightness > 0 else "black")
        harmed = Image.blend(harmed, target, abs(perturbation.brightness))
    if perturbation.noise > 0:
        harmed = _add_noise(harmed, perturbation.noise, perturbation.seed)
    if perturbation.square > 0:
        harmed = _cover(harmed, perturbation)
    return harmed


def build_perturbation(values: dict[str, Any]) -> Perturbation:
    """A perturbation from what was sent, each number within its range.

    Raises:
        UserError: one is not a number.
    """
    checked: dict[str, float] = {}
    for name, dial in {**DIALS, **PLACES}.items():
        value = values.get(name, getattr(Perturbation, name))
        if isinstance(value, bool) or not isinstance(value, int | float) or not dial.low <= value <= dial.high:
            raise UserError(f"{name} is {str(value)[:40]!r}: expected a number from {dial.low:g} to {dial.high:g}.")
        checked[name] = float(value)
    seed = values.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int | float) or not 0 <= seed < 2**31 or seed != int(seed):
        raise UserError(f"seed is {str(seed)[:40]!r}: expected a whole number from 0 on.")
    return Perturbation(**checked, seed=int(seed))


def sweep(perturbation: Perturbation, dial: str, *, steps: int = 9) -> list[tuple[float, Perturbation]]:
    """The same perturbation with one dial at even strengths from its lowest to its highest, its own among them."""
    limits = DIALS[dial]
    strengths = sorted({*np.linspace(limits.low, limits.high, steps).tolist(), getattr(perturbation, dial)})
    changes: list[dict[str, Any]] = [{dial: strength} for strength in strengths]
    return [(strength, replace(perturbation, **change)) for strength, change in zip(strengths, changes, strict=True)]


def _add_noise(image: Image.Image, deviation: float, seed: int) -> Image.Image:
    pixels = np.asarray(image, dtype=np.float32)
    drawn = np.random.default_rng(seed).standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray((pixels + 255 * deviation * drawn).round().clip(0, 255).astype(np.uint8))


def _cover(image: Image.Image, perturbation: Perturbation) -> Image.Image:
    half = perturbation.square * min(image.size) / 2
    x, y = perturbation.square_x * image.width, perturbation.square_y * image.height
    covered = image.copy()
    corners = (round(x - half), round(y - half), round(x + half) - 1, round(y + half) - 1)
    if corners[2] >= corners[0] and corners[3] >= corners[1]:
        ImageDraw.Draw(covered).rectangle(corners, fill=_GREY)
    return covered
