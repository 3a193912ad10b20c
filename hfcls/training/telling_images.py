"""Which images of a run's own split tell most about it: its surest mistakes, and some right answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hfcls.data.reading import texts_of
from hfcls.errors import UserError
from hfcls.structures import Predictions
from hfcls.training.own_data import load_own_data

# Of the images, those that are mistakes, where there are enough.
_MISTAKES = 2 / 3


@dataclass(frozen=True)
class TellingImages:
    """Chosen images.

    Attributes:
        data: the columns id and image; in this order.
        true: their classes.
        split: that they are from.
        mistakes: how many of them are mistakes; they come first.
        notices: of the data.
    """

    data: Dataset
    true: list[str]
    split: str
    mistakes: int
    notices: tuple[str, ...]


def choose_telling_images(
    model: str, directory: Path, values: dict[str, Any], *, count: int, seed: int
) -> TellingImages:
    """The mistakes that a run was surest of, and right answers drawn by the seed.

    Args:
        model: as the user named it.
        directory: where the run lies here.
        values: data flags that go before those of the run.
        count: of images, at most.
        seed: of the draw.

    Raises:
        UserError: the run has no predictions, or not of its data, or its data is not here.
    """
    splits = [split for split in ("test", "validation") if (directory / "predictions" / f"{split}.parquet").is_file()]
    if not splits:
        raise UserError(f"{model} has no predictions of a test or validation split to choose images by: name images.")
    predictions = Predictions.load(directory / "predictions" / f"{splits[0]}.parquet").known
    loaded, _ = load_own_data(model, directory, values, split=splits[0])
    places = {sample_id: row for row, sample_id in enumerate(texts_of(loaded.splits[splits[0]], "id"))}
    if not set(predictions.ids) <= places.keys():
        raise UserError(
            f"The predictions of {model} are not of its {splits[0]} split: run `hfcls evaluate` on it anew."
        )
    wrong, right = _choose(predictions, count, seed)
    rows = [*wrong, *right]
    return TellingImages(
        loaded.splits[splits[0]].select([places[predictions.ids[row]] for row in rows]),
        [predictions.class_names[predictions.labels[row]] for row in rows],
        splits[0],
        len(wrong),
        tuple(loaded.notices),
    )


def _choose(predictions: Predictions, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Rows of mistakes, the surest first, and of right answers, in their order."""
    correct = predictions.logits.argmax(axis=1) == predictions.labels
    confidence = predictions.probabilities.max(axis=1)
    wrong = np.flatnonzero(~correct)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    right = np.flatnonzero(correct)
    mistakes = min(len(wrong), max(round(count * _MISTAKES), count - len(right)))
    rest = min(len(right), count - mistakes)
    drawn = np.random.default_rng(seed).choice(right, size=rest, replace=False) if rest else right[:0]
    return wrong[:mistakes].tolist(), sorted(drawn.tolist())
