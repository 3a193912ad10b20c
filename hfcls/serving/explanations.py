"""Which explanations a page offers, and one explanation as it is sent."""

from base64 import b64encode
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from hfcls.explain.base import Heatmap


@dataclass(frozen=True)
class Explanation:
    """Where in a picture a class comes from.

    Attributes:
        picture: upright RGB, as it was explained.
        heatmap: `hfcls.explain.Heatmap`, of the picture's size.
    """

    picture: Image.Image
    heatmap: "Heatmap"

    def painted(self) -> Image.Image:
        """The heat map alone, in colours, of the picture's size."""
        from hfcls.explain.overlay import paint

        return paint(self.heatmap.values)

    @staticmethod
    def scale() -> list[list[int]]:
        """Colours from little to much."""
        from hfcls.explain.overlay import paint

        strip = np.asarray(paint(np.linspace(0, 1, 9, dtype=np.float32)[None]))
        return strip[0].tolist()

    def blended(self, opacity: float) -> Image.Image:
        """The heat map laid over the picture."""
        from hfcls.explain.overlay import overlay

        return overlay(self.picture, self.heatmap, opacity=opacity)

    def grey(self) -> Image.Image:
        """The values as 8-bit grey: 0 where nothing speaks for the class, 255 where most does."""
        return Image.fromarray((self.heatmap.values * 255).round().astype(np.uint8))


@dataclass(frozen=True)
class Method:
    """One way to explain: its key in `EXPLAINERS`, what it is called, and whether it takes long."""

    key: str
    title: str
    slow: bool


def list_methods(model: Any = None) -> list[Method]:
    """The explanations whose packages are installed, fast ones first; those that suit a model, where one is given."""
    from hfcls.explain import EXPLAINERS

    found = [
        Method(key, explainer.title, explainer.cost == "slow")
        for key, explainer in EXPLAINERS.items()
        if explainer.package is None or find_spec(explainer.package) is not None
        if model is None or explainer.suits(model)
    ]
    return sorted(found, key=lambda method: method.slow)


def data_uri(image: Image.Image, *, format: str = "PNG") -> str:
    """An image as a ``data:`` URL, from its bare pixels; JPEG at a quality that shows no blocks."""
    file = BytesIO()
    settings = {"quality": 88} if format == "JPEG" else {}
    Image.fromarray(np.asarray(image)).save(file, format, **settings)
    return f"data:image/{format.lower()};base64,{b64encode(file.getvalue()).decode('ascii')}"
