"""Two classifiers on the same images: which is better, and whether that can be luck; and one on parts of the images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfcls.errors import UserError
from hfcls.metrics.comparison import (
    Difference,
    McNemar,
    compute_difference,
    compute_mcnemar,
    compute_share_difference,
)
from hfcls.metrics.samples import Samples
from hfcls.metrics.wilson import wilson_interval
from hfcls.structures import Predictions

# Images that are named because the two differ most on them.
MOST_DIFFER = 24
# Probabilities that differ by less are the same but for rounding.
_SAME = 1e-6
# Of the p-value, from which on a difference may be luck.
_LEVEL = 0.05


def compare_predictions(
    first: Predictions, second: Predictions, *, names: tuple[str, str], data: tuple[str, str] = ("", "")
) -> dict[str, Any]:
    """Compares two classifiers on the images that both have answered.

    Args:
        first, second: of the same images, in any order, with the same classes.
        names: of the two, for messages.
        data: fingerprints of what either has answered, as in ``data.json``; empty where one is not known. Ids alone,
            such as ``test/3``, may be those of other images.

    Returns:
        ``n``; ``accuracy`` and ``log_loss`` (each with ``first``, ``second`` and the ``difference`` of the second from
        the first with ``low`` and ``high``: Bonett and Price's interval, and of the log loss a paired bootstrap),
        ``mcnemar`` (see `McNemar`), ``per_class`` (a list: ``class_name``, ``n``, and the recall as above, with Bonett
        and Price's interval), ``differ`` (the images on whose true class they differ most: ``id``, ``class_name``, and
        of ``first`` and ``second`` the ``answer``, its ``confidence``, whether it is ``right``, and the
        ``true_probability``), ``sentence``.

    Raises:
        UserError: the images or the classes differ, or there is nothing to compare.
    """
    second = _aligned(first, second, names)
    if all(data) and data[0] != data[1]:
        raise _other_images(names)
    one, other = Samples(first), Samples(second)
    for name, samples in zip(names, (one, other), strict=True):
        if samples.unusable:
            raise UserError(f"{name} cannot be compared: {samples.unusable}.")
    mcnemar = compute_mcnemar(one.correct, other.correct)
    accuracy = compute_share_difference(one.correct, other.correct)
    per_class = []
    for index, class_name in enumerate(first.class_names):
        rows = one.labels == index
        if rows.any():
            per_class.append(
                {"class_name": class_name, "n": int(rows.sum()), **_shares(one.correct[rows], other.correct[rows])}
            )
    return {
        "first": names[0],
        "second": names[1],
        "n": one.n,
        "accuracy": _told(one.correct, other.correct, accuracy),
        "log_loss": _pair(one.softmax.log_loss, other.softmax.log_loss),
        "mcnemar": vars(mcnemar),
        "per_class": per_class,
        "differ": _differ(first.known, one, other),
        "sentence": _sentence(names, accuracy, mcnemar),
    }


def measure_groups(predictions: Predictions, groups: Sequence[str]) -> dict[str, Any]:
    """The accuracy of each group of images, with Wilson's 95 % interval.

    Args:
        predictions: N samples with known labels.
        groups: N names.

    Returns:
        ``groups`` (a list, the worst first: ``group``, ``n``, ``accuracy``, ``low``, ``high``), ``worst``, and
        ``gap``: the difference between the best and the worst group.
    """
    samples, names = Samples(predictions), np.asarray(groups, dtype=object)
    rows: list[dict[str, Any]] = []
    for group in sorted(set(groups)):
        correct = samples.correct[names == group]
        low, high = wilson_interval(int(correct.sum()), len(correct))
        rows.append({"group": group, "n": len(correct), "accuracy": float(correct.mean()), "low": low, "high": high})
    rows.sort(key=lambda row: (row["accuracy"], -row["n"]))
    return {"groups": rows, "worst": rows[0]["group"], "gap": rows[-1]["accuracy"] - rows[0]["accuracy"]}


def _aligned(first: Predictions, second: Predictions, names: tuple[str, str]) -> Predictions:
    """The second in the order of the first, images and classes."""
    if sorted(first.class_names) != sorted(second.class_names) or len(set(first.class_names)) < len(first.class_names):
        raise UserError(
            f"{names[0]} and {names[1]} cannot be compared: their classes differ ({', '.join(first.class_names[:3])} "
            f"... and {', '.join(second.class_names[:3])} ...)."
        )
    places = {sample_id: row for row, sample_id in enumerate(second.ids)}
    missing = [sample_id for sample_id in first.ids if sample_id not in places]
    if missing or len(places) != len(first.ids):
        raise _other_images(names)
    rows = [places[sample_id] for sample_id in first.ids]
    columns = [second.class_names.index(name) for name in first.class_names]
    renumbered = np.argsort(columns)
    labels = np.where(second.labels[rows] < 0, -1, renumbered[second.labels[rows]])
    if not np.array_equal(labels, first.labels):
        raise UserError(f"{names[0]} and {names[1]} were evaluated with different labels: name the same data for both.")
    return Predictions(second.logits[rows][:, columns], labels, first.ids, first.class_names)


def _other_images(names: tuple[str, str]) -> UserError:
    return UserError(
        f"{names[0]} and {names[1]} were evaluated on different images, so they cannot be compared: name the same data "
        "for both, such as with --test_dir."
    )


def _differ(known: Predictions, first: Samples, second: Samples) -> list[dict[str, Any]]:
    """The images to which the two give the most different probabilities of being what they are."""
    true = [np.exp(-one.softmax.log_loss) for one in (first, second)]
    gap = np.abs(true[1] - true[0])
    rows = np.argsort(-gap, kind="stable")[:MOST_DIFFER]
    names = known.class_names

    def told(samples: Samples, probability: np.ndarray, row: int) -> dict[str, Any]:
        answer, confidence = names[samples.predicted[row]], float(samples.confidence[row])
        right = bool(samples.correct[row])
        return {"answer": answer, "right": right, "confidence": confidence, "true_probability": float(probability[row])}

    return [
        {
            "id": known.ids[row],
            "class_name": names[first.labels[row]],
            "first": told(first, true[0], row),
            "second": told(second, true[1], row),
        }
        for row in rows.tolist()
        if gap[row] > _SAME
    ]


def _pair(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    return _told(first, second, compute_difference(first, second))


def _shares(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    return _told(first, second, compute_share_difference(first, second))


def _told(first: np.ndarray, second: np.ndarray, difference: Difference) -> dict[str, float]:
    return {
        "first": float(np.mean(first)),
        "second": float(np.mean(second)),
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
    }


def _sentence(names: tuple[str, str], accuracy: Difference, mcnemar: McNemar) -> str:
    """One is only called better where the interval and the test, which is exact, agree."""
    told = f"McNemar p = {mcnemar.p_value:.2g}"
    if not accuracy.is_certain or mcnemar.p_value >= _LEVEL:
        return f"No difference in accuracy between {names[0]} and {names[1]} can be told ({told})."
    better, worse = (names[1], names[0]) if accuracy.value > 0 else (names[0], names[1])
    low, high = sorted(abs(100 * bound) for bound in (accuracy.low, accuracy.high))
    return (
        f"{better} is better than {worse} by {100 * abs(accuracy.value):.1f} points of accuracy "
        f"[{low:.1f}, {high:.1f}] ({told})."
    )
