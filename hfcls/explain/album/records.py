"""What is kept of explained images: one JSON file, from which the page and the table are made."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hfcls.errors import UserError
from hfcls.explain.faithfulness import MEASURES
from hfcls.files import write_json

FILE = "explanations.json"
# Measure -> value, passes, seconds and, where there is one, curve.
Scores = dict[str, dict[str, Any]]


@dataclass
class MapRecord:
    """One map, or why there is none.

    Attributes:
        method: a name of ``EXPLAINERS``.
        target: name of the class that it is for.
        target_index: its index.
        probability: of that class.
        error: why there is no map.
        picture: the overlay, relative to the album.
        layer, passes, seconds, complete: see `hfcls.explain.Heatmap`.
        scores: what the measures say of it.
    """

    method: str
    target: str
    target_index: int
    probability: float
    error: str | None = None
    picture: str | None = None
    layer: str | None = None
    passes: int = 0
    seconds: float = 0.0
    complete: bool = True
    scores: Scores = field(default_factory=dict)


@dataclass
class ImageRecord:
    """One image and its maps.

    Attributes:
        id: of the image.
        true: its class, where it is known.
        predicted: the likeliest class.
        probability: of that class.
        picture: the image itself, relative to the album.
        error: why it could not be read.
        maps: in the order in which they were made.
        unexplained: what the measures say of maps that know nothing.
    """

    id: str
    true: str | None = None
    predicted: str | None = None
    probability: float | None = None
    picture: str | None = None
    error: str | None = None
    maps: list[MapRecord] = field(default_factory=list)
    unexplained: dict[str, Scores] = field(default_factory=dict)

    def find(self, method: str, target_index: int) -> MapRecord | None:
        """The map of a method for a class, if it was tried."""
        return next((one for one in self.maps if (one.method, one.target_index) == (method, target_index)), None)


@dataclass
class Album:
    """Explained images.

    Attributes:
        model: as the user named it.
        source: in words, which images they are.
        settings: what decides a map or a figure, by the name that the user knows.
        methods: in the order wanted.
        images: in the order of the data.
        notices: what the reader must know.
    """

    model: str
    source: str
    settings: dict[str, Any]
    methods: list[str]
    images: list[ImageRecord] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def maps(self) -> Iterator[tuple[ImageRecord, MapRecord]]:
        """All maps that were made or tried."""
        return ((image, one) for image in self.images for one in image.maps)

    def values(self) -> dict[tuple[str, str], dict[str, float]]:
        """By (method, measure) the figure of each image; maps that know nothing come last."""
        found: dict[tuple[str, str], dict[str, float]] = {}
        known = [(image.id, one.method, one.scores) for image, one in self.maps()]
        known += [(image.id, name, scores) for image in self.images for name, scores in image.unexplained.items()]
        for sample_id, method, scores in known:
            for measure in MEASURES:
                if measure in scores:
                    found.setdefault((method, measure), {})[sample_id] = scores[measure]["value"]
        return found

    def save(self, directory: Path) -> None:
        """Writes ``explanations.json``."""
        write_json(directory / FILE, asdict(self))

    @classmethod
    def load(cls, directory: Path) -> "Album":
        """Reads what `save` wrote.

        Raises:
            UserError: it is not that.
        """
        try:
            content = json.loads((directory / FILE).read_text(encoding="utf-8"))
            for image in content["images"]:
                image["maps"] = [MapRecord(**one) for one in image["maps"]]
            content["images"] = [ImageRecord(**image) for image in content["images"]]
            return cls(**content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{directory / FILE} is not what `hfcls explain` writes ({reason}).") from None


COLUMNS = (
    *("id", "true", "predicted", "method", "target", "probability"),
    *("seconds", "passes", "complete", "layer", "picture", "error", *MEASURES),
)


def table_rows(album: Album) -> Iterator[list[Any]]:
    """A row for each map, each image without one, and each map that knows nothing, by ``COLUMNS``."""
    for image in album.images:
        about = [image.id, image.true or "", image.predicted or ""]
        if not image.maps:
            yield [*about, "", "", "", "", "", "", "", image.picture or "", image.error or "", *_cells({})]
        for one in image.maps:
            done = [round(one.seconds, 3), one.passes, str(one.complete).lower(), one.layer or "", one.picture or ""]
            done = ["", "", "", "", ""] if one.error else done
            yield [
                *(*about, one.method, one.target, round(one.probability, 6)),
                *(*done, one.error or "", *_cells(one.scores)),
            ]
        for name, scores in image.unexplained.items():
            yield [*about, name, "", "", "", "", "", "", "", "", *_cells(scores)]


def _cells(scores: Scores) -> list[Any]:
    return [round(scores[measure]["value"], 6) if measure in scores else "" for measure in MEASURES]
