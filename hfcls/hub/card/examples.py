"""Test images that are published with a card, and what the model said of them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from hfcls.arguments import DataArguments, only
from hfcls.errors import UserError
from hfcls.escaping import terminal_text
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.hub.card.measured import example_answers
from hfcls.pages.svg import shorten

FOLDER = "examples"
# Pixels of the longer side: from there on an image would have to be shrunk, and the answers would no longer be its own.
MAX_SIDE = 1024
_TITLE_WIDTH = 60


@dataclass(frozen=True)
class Example:
    """One image.

    Attributes:
        path: within the repository.
        title: its true class, to show.
        row: of the predictions.
        answers: the likeliest classes and their probabilities.
        content: a PNG without anything but pixels.
    """

    path: str
    title: str
    row: int
    answers: tuple[tuple[str, float], ...]
    content: bytes


def choose_rows(labels: np.ndarray, count: int) -> list[int]:
    """The first row of each of `count` classes that are evenly spaced, whether its answer is right or wrong."""
    present = np.unique(labels)
    wanted = present[np.linspace(0, len(present) - 1, min(count, len(present))).round().astype(int)]
    return [int(np.flatnonzero(labels == label)[0]) for label in wanted.tolist()]


def find_examples(run: MeasuredRun, count: int) -> list[Example]:
    """Fetches the images from the run's data; what lies in the run under their names is not asked.

    Raises:
        UserError: the data can't be read or are others than they were, or none of the images is small enough.
    """
    if not count or run.predictions is None or run.samples is None:
        return []
    ids, rows = run.predictions.ids, choose_rows(run.predictions.labels, count)
    paths = {row: _path(number, ids[row]) for number, row in enumerate(rows, start=1)}
    contents = dict(zip(rows, _fetch(run, [ids[row] for row in rows]), strict=True))
    examples = []
    for row in rows:
        if content := contents[row]:
            title = shorten(terminal_text(run.labels[run.predictions.labels[row]]), _TITLE_WIDTH)
            examples.append(Example(paths[row], title, row, tuple(example_answers(run.predictions, row)), content))
    if not examples:
        raise UserError(
            f"None of the images that --examples {count} chose can be published: they have {MAX_SIDE} pixels a side "
            "or more, or can't be read. Leave examples out with --examples 0."
        )
    return examples


def _path(number: int, sample_id: str) -> str:
    return f"{FOLDER}/{number}-{blake2b(sample_id.encode('utf-8', 'surrogatepass'), digest_size=3).hexdigest()}.png"


def _fetch(run: MeasuredRun, ids: Sequence[str]) -> list[bytes]:
    """PNGs, empty for what can't be had as it is."""
    from hfcls.data.labelled import load_data
    from hfcls.data.pictures import Pictures

    try:
        loaded = load_data(only(DataArguments, run.settings))
    except UserError as error:
        raise UserError(f"The examples are images of the run's data, which can't be read: {error}") from None
    if run.split not in loaded.splits:
        raise UserError(f"The run's data have no {run.split} split any more: leave examples out with --examples 0.")
    # By the content of all images, so that none is another under its old name.
    before = ((run.data.get("splits") or {}).get(run.split) or {}).get("fingerprint")
    if before != loaded.summary()["splits"][run.split]["fingerprint"]:
        raise UserError(
            f"The {run.split} images are others than those that were measured: restore the data, or leave examples out "
            "with --examples 0."
        )
    pictures = Pictures(loaded.splits[run.split], side=MAX_SIDE, max_pixels=loaded.max_image_pixels)
    found = []
    for image in pictures(ids):
        buffer = io.BytesIO()
        if image is not None and max(image.size) < MAX_SIDE:
            image.info.clear()
            image.convert("RGB").save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found
