"""The confusion matrix, and the pairs of classes that are taken for each other, with their images."""

from typing import Any

import numpy as np

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.confusion import (
    CELL_STEPS,
    IMAGE_STEPS,
    MAX_NAMED,
    image_block,
    plot_confusion_image,
    plot_confusion_matrix,
)
from hfcls.evaluation.section import Figure, Part

# Up to so many classes every cell has its number.
MAX_CELLS_CLASSES = 30
# Of many classes, how many of the most confused ones get a matrix of their own.
CONFUSED_CLASSES = 20
PICTURED_PAIRS, PICTURES_PER_PAIR = 8, 4
# Ordering takes memory by the square of the classes.
_MAX_ORDERED = 4000


def build(run: MeasuredRun) -> Part | None:
    """The matrix whole, for many classes the worst corner of it as well, and the worst cells."""
    matrix, labels = run.confusion, run.labels
    if matrix is None:
        return None
    k = len(matrix)
    pairs = find_pairs(matrix, most=10 if k <= MAX_CELLS_CLASSES else 25)
    values = {
        "k": k,
        "numbered": k <= MAX_CELLS_CLASSES,
        "named": k <= MAX_NAMED,
        "block": image_block(k),
        "scale": [(f"{100 * edge:g}", step) for edge, step in (CELL_STEPS if k <= MAX_CELLS_CLASSES else IMAGE_STEPS)],
        "pairs": _show_pairs(run, matrix, pairs),
        "pictured": run.pictures is not None,
    }
    if k <= MAX_CELLS_CLASSES:
        return Part(
            values, (Figure("confusion", "Confusion matrix", plot_confusion_matrix("confusion", matrix, labels)),)
        )
    order = order_classes(matrix)
    ordered = matrix[np.ix_(order, order)]
    whole = plot_confusion_image(ordered, [labels[i] for i in order])
    figures = [Figure("confusion", "Confusion matrix", whole)]
    chosen = _most_confused(find_pairs(matrix, most=CONFUSED_CLASSES * 4), order)
    if len(chosen):
        names = [labels[i] for i in chosen]
        totals = matrix.sum(axis=1)[chosen]
        part = plot_confusion_matrix("confused", matrix[np.ix_(chosen, chosen)], names, totals=totals)
        figures.append(Figure("confused", f"The {len(chosen)} most confused of {k:,} classes", part))
    return Part(values | {"chosen": len(chosen)}, tuple(figures))


def find_pairs(matrix: np.ndarray, *, most: int) -> list[tuple[int, int]]:
    """The cells (true, predicted) with the most wrong images; of equal ones first that with the larger share."""
    true, predicted = np.nonzero(np.where(np.eye(len(matrix), dtype=bool), 0, matrix))
    counts = matrix[true, predicted]
    order = np.lexsort((predicted, true, -counts / matrix.sum(axis=1)[true], -counts))[:most]
    return list(zip(true[order].tolist(), predicted[order].tolist(), strict=True))


def order_classes(matrix: np.ndarray) -> np.ndarray:
    """An order (K,) in which classes that are taken for each other are neighbours.

    It is the order of the leaves in a tree of average linkage (Sokal and Michener, 1958), where two classes are the
    closer the larger the shares of them that are taken for the other.
    """
    k = len(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    if k > _MAX_ORDERED or not shares.any():
        return np.arange(k)
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distances = 1 - (shares + shares.T) / 2
    np.fill_diagonal(distances, 0)
    return np.asarray(leaves_list(linkage(squareform(distances, checks=False), "average")))


def _most_confused(pairs: list[tuple[int, int]], order: np.ndarray) -> np.ndarray:
    """The classes of the first pairs, as many as have room, in the given order."""
    chosen: set[int] = set()
    for pair in pairs:
        if len(chosen | set(pair)) <= CONFUSED_CLASSES:
            chosen |= set(pair)
    return np.array([i for i in order.tolist() if i in chosen], dtype=np.int64)


def _show_pairs(run: MeasuredRun, matrix: np.ndarray, pairs: list[tuple[int, int]]) -> list[dict[str, Any]]:
    support = matrix.sum(axis=1)
    shown: list[dict[str, Any]] = []
    for number, (true, predicted) in enumerate(pairs):
        count = int(matrix[true, predicted])
        rows = _rows_of(run, true, predicted)[:PICTURES_PER_PAIR] if number < PICTURED_PAIRS else []
        shown.append(
            {
                "true": run.labels[true],
                "predicted": run.labels[predicted],
                "count": count,
                "share": count / int(support[true]),
                "rows": rows,
            }
        )
    thumbnails = run.thumbnails(row for pair in shown for row in pair["rows"])
    for pair in shown:
        pair["pictures"] = [_show_row(run, row, thumbnails) for row in pair.pop("rows")]
    return shown


def _rows_of(run: MeasuredRun, true: int, predicted: int) -> list[int]:
    """Rows of the predictions in one cell, the most confident first."""
    if run.samples is None:
        return []
    wrong = run.mistakes
    found = wrong[(run.samples.labels[wrong] == true) & (run.samples.predicted[wrong] == predicted)]
    rows: list[int] = found.tolist()
    return rows


def _show_row(run: MeasuredRun, row: int, thumbnails: dict[int, Any]) -> dict[str, Any]:
    assert run.samples is not None and run.predictions is not None
    return {
        "id": run.predictions.ids[row],
        "confidence": float(run.samples.confidence[row]),
        "thumbnail": thumbnails.get(row),
    }
