"""What networks said of images that they had not seen, matched with the data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hfcls.data.labels import match_names
from hfcls.errors import UserError
from hfcls.inspection.finding import count
from hfcls.inspection.images import Images
from hfcls.structures import Predictions

# How `hfcls crossval` calls its predictions, one file for each repeat.
_FILES = "out_of_fold*.parquet"
# Beyond this share of other labels the predictions are of other data.
_MOST_RELABELLED = 0.5


@dataclass(frozen=True)
class OutOfFold:
    """Probabilities of images by networks that were not trained on them.

    Attributes:
        rows: int64 (M,), the images that are covered.
        labels: int64 (M,), the labels that the data has now, in the order of `class_names`.
        probabilities: float64 (M, K), the mean over the repeats.
        class_names: K names.
        notices: what there is to say of the match.
    """

    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    notices: tuple[str, ...]


def read_out_of_fold(place: Path) -> list[Predictions]:
    """The predictions of each repeat.

    Args:
        place: what `hfcls crossval` wrote, or one Parquet file of predictions.

    Raises:
        UserError: there are none, or the repeats are not of the same images.
    """
    files = [place] if not place.is_dir() else sorted((place / "predictions").glob(_FILES))
    if not place.exists():
        raise UserError(f"--label_errors {place} does not exist: expected what `hfcls crossval` wrote.")
    if not files:
        own = place / "predictions" / "test.parquet"
        hint = f", or {own}, which covers its test images alone" if own.is_file() else ""
        raise UserError(
            f"--label_errors {place} holds no out-of-fold predictions: expected a directory of `hfcls crossval`{hint}."
        )
    read = [Predictions.load(file) for file in files]
    first = read[0]
    for file, other in zip(files[1:], read[1:], strict=True):
        if other.class_names != first.class_names or set(other.ids) != set(first.ids):
            raise UserError(f"{file} and {files[0]} are not of the same images and classes: run `hfcls crossval` anew.")
    return read


def match_out_of_fold(repeats: list[Predictions], images: Images, place: Path) -> OutOfFold:
    """Finds the images of the predictions in the data, by their ids.

    Raises:
        UserError: they are predictions of other data.
    """
    first = repeats[0]
    places = {sample_id: row for row, sample_id in enumerate(images.iter_ids())}
    known = [number for number, sample_id in enumerate(first.ids) if sample_id in places]
    other = f"--label_errors {place} is of other data"
    if len(known) < min(len(first), len(images)) / 2:
        strange = next(sample_id for sample_id in first.ids if sample_id not in places)
        raise UserError(
            f"{other}: {len(first) - len(known):,} of its {len(first):,} ids are not here, such as {strange!r}."
        )
    rows = np.array([places[first.ids[number]] for number in known], dtype=np.int64)
    matches = match_names(list(images.class_names), first.class_names)
    present = np.unique(images.labels[rows])
    unknown = [images.class_names[label] for label in present if matches[label] is None]
    if unknown:
        raise UserError(f"{other}: it does not know the class {unknown[0]!r}. Run `hfcls crossval` on this data.")
    numbers = np.array([-1 if match is None else match for match in matches], dtype=np.int64)
    labels = numbers[images.labels[rows]]
    before = first.labels[known]
    changed = int(np.count_nonzero((before != labels) & (before >= 0)))
    if changed > _MOST_RELABELLED * len(rows):
        raise UserError(
            f"{other}: {changed:,} of {len(rows):,} images had another label. Run `hfcls crossval` on this data."
        )
    notices = []
    if len(rows) < len(images):
        notices.append(f"{count(len(images) - len(rows), 'image is', 'images are')} not covered by the predictions")
    if len(known) < len(first):
        gone = count(len(first) - len(known), "predicted image is", "predicted images are")
        notices.append(f"{gone} no longer in the data")
    if changed:
        notices.append(
            f"{count(changed, 'image has', 'images have')} another label now than when the predictions were made: the "
            "label of now is judged"
        )
    return OutOfFold(rows, labels, _mean(repeats)[known], first.class_names, tuple(notices))


def _mean(repeats: list[Predictions]) -> np.ndarray:
    """The mean probabilities, in the order of the first repeat, float64 (M, K)."""
    total = repeats[0].probabilities
    for other in repeats[1:]:
        places = {sample_id: number for number, sample_id in enumerate(other.ids)}
        total += other.probabilities[[places[sample_id] for sample_id in repeats[0].ids]]
    return total / len(repeats)
