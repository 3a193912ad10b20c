"""What stands out in a run, in a few lines for the top of its report."""

from dataclasses import dataclass, replace

import numpy as np

from hfcls.evaluation.formats import format_value
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.pages.svg import shorten

# A mistake above this confidence is one that no threshold would have caught.
_SURE = 0.9
# Points between confidence and accuracy that round to none.
_GAP = 0.05


@dataclass(frozen=True)
class Highlight:
    """One line.

    Attributes:
        title: what it is about.
        names: class names it begins with; of two the first is taken for the second.
        text: the rest.
        section: where more of it is.
    """

    title: str
    names: tuple[str, ...]
    text: str
    section: str


def find_highlights(run: MeasuredRun) -> list[Highlight]:
    """The mistakes, the weakest class, the most confused pair and the trust that confidence deserves."""
    matrix = run.confusion
    if matrix is None or not matrix.sum():
        return []
    found = [_mistakes(run, matrix), _weakest(run, matrix), _most_confused(run, matrix), _trust(run)]
    return [replace(one, names=tuple(shorten(name, 60) for name in one.names)) for one in found if one is not None]


def _mistakes(run: MeasuredRun, matrix: np.ndarray) -> Highlight:
    total, right = int(matrix.sum()), int(np.trace(matrix))
    wrong, images = total - right, f"{total:,} image{'' if total == 1 else 's'}"
    if not wrong:
        return Highlight("Mistakes", (), f"none in {images}", "confusion")
    text = f"{wrong:,} of {images}"
    if run.samples is None:
        return Highlight("Mistakes", (), text, "confusion")
    sure = int((run.samples.confidence[run.mistakes] > _SURE).sum())
    count = f"{sure:,}" if sure else "none"
    return Highlight("Mistakes", (), f"{text}, {count} of them with more than {_SURE * 100:g} % confidence", "mistakes")


def _weakest(run: MeasuredRun, matrix: np.ndarray) -> Highlight | None:
    support, hits = matrix.sum(axis=1), np.diag(matrix)
    present = np.flatnonzero(support)
    index = present[np.argmin(hits[present] / support[present])]
    recall = float(hits[index] / support[index])
    if recall == 1:
        return None
    text = f"recall {format_value(recall)}, {hits[index]:,} of {support[index]:,}"
    return Highlight("Weakest class", (run.labels[index],), text, "classes")


def _most_confused(run: MeasuredRun, matrix: np.ndarray) -> Highlight | None:
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    true, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
    count, support = int(wrong[true, predicted]), int(matrix[true].sum())
    if not count:
        return None
    return Highlight(
        "Most confused", (run.labels[true], run.labels[predicted]), f"{count:,} of {support:,}", "confusion"
    )


def _trust(run: MeasuredRun) -> Highlight | None:
    if run.samples is None:
        return None
    confidence, accuracy = float(run.samples.confidence.mean()), float(run.samples.correct.mean())
    gap = 100 * (confidence - accuracy)
    side = f"{abs(gap):.1f} points too {'sure' if gap > 0 else 'unsure'}" if abs(gap) >= _GAP else "as often right"
    text = f"{format_value(confidence)} on average, {side}"
    return Highlight("Confidence", (), text, "calibration")
