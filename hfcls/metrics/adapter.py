"""Every row of the metric table as an ``evaluate.Metric``, which works without the Hub."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hfcls.errors import UserError
from hfcls.metrics import METRICS, Metric
from hfcls.structures import Predictions

if TYPE_CHECKING:
    import evaluate

_INPUTS = """
Args:
    predictions: {predictions}
    references: the true class ids, -1 where unknown.
    num_classes: {num_classes}
Returns:
    {name}: a float, or None where it is undefined; then {name}_reason says why.
"""


def as_evaluate_metric(name: str, *, num_classes: int | None = None) -> "evaluate.Metric":
    """Wraps one metric for ``evaluate``: ``compute``, ``add_batch``, ``evaluate.combine`` and ``evaluate.evaluator``.

    A metric of labels takes predicted class ids, which is what the evaluator passes (given ``label_mapping``, such
    as the model's ``label2id``). A metric of scores takes the K logits of each sample.

    Args:
        name: a row of ``METRICS``.
        num_classes: how many classes there are. Without it, as many as there are logits, or as the largest class
            id in use says.

    Returns:
        A metric that keeps what it is given in memory.

    Raises:
        UserError: no metric has this name; from ``compute``, the inputs do not fit each other.
    """
    metric = METRICS[name]
    # Importing evaluate takes seconds, and nothing else in the package wants it.
    import datasets
    import evaluate

    row = datasets.Sequence(datasets.Value("float64")) if metric.needs_scores else datasets.Value("int64")
    info = {
        "description": metric.description,
        "citation": metric.citation,
        "inputs_description": _INPUTS.format(
            name=name,
            predictions="the K logits of each sample." if metric.needs_scores else "the predicted class ids.",
            num_classes="K, for a check." if metric.needs_scores else "how many classes there are.",
        ),
        "features": datasets.Features({"predictions": row, "references": datasets.Value("int64")}),
    }
    given = num_classes

    def _compute(
        self: Any, *, predictions: Sequence[Any], references: Sequence[int], num_classes: int | None = None
    ) -> dict[str, float | str | None]:
        return _measure(name, metric, predictions, references, num_classes=num_classes or given)

    def _info(self: Any) -> Any:
        return evaluate.MetricInfo(**info)

    # evaluate takes the name of a metric, which combine() reports, from the name of its class.
    wrapped = type(name, (evaluate.Metric,), {"_info": _info, "_compute": _compute, "__doc__": metric.description})
    return wrapped(keep_in_memory=True)


def _measure(
    name: str, metric: Metric, predictions: Sequence[Any], references: Sequence[int], *, num_classes: int | None
) -> dict[str, float | str | None]:
    labels = np.asarray(references, dtype=np.int64)
    logits = _as_logits(predictions, num_classes) if metric.needs_scores else _one_hot(predictions, labels, num_classes)
    width = logits.shape[1]
    if len(labels) and labels.max() >= width:
        raise UserError(f"References hold class {labels.max()}, but there are {width} classes, counted from 0.")
    class_names = tuple(str(index) for index in range(width))
    ids = tuple(str(index) for index in range(len(labels)))
    value, reason = metric.compute(Predictions(logits, labels, ids, class_names))
    return {name: value} if value is not None else {name: None, f"{name}_reason": reason}


def _as_logits(predictions: Sequence[Sequence[float]], num_classes: int | None) -> np.ndarray:
    widths = {len(row) for row in predictions} or {num_classes or 1}
    if len(widths) > 1 or (num_classes is not None and widths != {num_classes}):
        expected = "one number of logits for every sample" if num_classes is None else f"{num_classes} logits a sample"
        raise UserError(f"Predictions have {', '.join(map(str, sorted(widths)))} logits; expected {expected}.")
    return np.asarray(predictions, dtype=np.float64).reshape(-1, widths.pop())


def _one_hot(predictions: Sequence[int], labels: np.ndarray, num_classes: int | None) -> np.ndarray:
    """The least that `Predictions` needs to say which class was predicted: float32 (N, K)."""
    predicted = np.asarray(predictions, dtype=np.int64)
    width = num_classes or 1 + max(predicted.max(initial=0), labels.max(initial=0))
    if len(predicted) and not 0 <= predicted.min() <= predicted.max() < width:
        raise UserError(f"Predictions hold classes {predicted.min()} to {predicted.max()}; expected 0 to {width - 1}.")
    logits = np.zeros((len(predicted), width), dtype=np.float32)
    logits[np.arange(len(predicted)), predicted] = 1
    return logits
