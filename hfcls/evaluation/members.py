"""An ensemble beside its members: what it gains, and how much they disagree."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hfcls.metrics import compute_some
from hfcls.metrics.comparison import Difference, compute_difference, compute_share_difference
from hfcls.metrics.samples import Samples
from hfcls.structures import Predictions

FIGURES = ("accuracy", "log_loss", "ece")


def align(predictions: Predictions, first: Predictions) -> Predictions:
    """Predictions with their classes in the order of others', which are of the same images.

    Args:
        first: whose order of classes is taken.
    """
    if predictions.class_names == first.class_names:
        return predictions
    columns = [predictions.class_names.index(name) for name in first.class_names]
    return Predictions(predictions.logits[:, columns], first.labels, predictions.ids, first.class_names)


def compare_members(
    ensemble: Predictions, members: Sequence[Predictions], *, best: int, seed: int = 0
) -> dict[str, Any]:
    """What an ensemble is worth on images whose classes are known.

    Args:
        ensemble: its predictions.
        members: of the same images and classes, in the same order.
        best: which member is the best on other images, chosen without these.
        seed: of the bootstrap.

    Returns:
        ``n``; ``ensemble``, ``members`` (a list), each with the figures of ``FIGURES`` and their intervals;
        ``mean_member``: their means; ``gain``: by ``mean_member`` and ``best_member`` the ``accuracy`` and ``log_loss``
        of the ensemble less theirs, ``value``, ``low``, ``high`` by a paired bootstrap over the images, but for the
        accuracy beside one member, which is a difference of two shares (Bonett, Price 2012);
        ``disagreement``: the share of images on which two members name different classes, (M, M), and ``mean`` of
        them over the pairs.
    """
    whole, parts = Samples(ensemble), [Samples(one) for one in members]
    rows = [compute_some(one, FIGURES, seed=seed) for one in members]
    correct = np.stack([part.correct for part in parts])
    losses = np.stack([part.softmax.log_loss for part in parts])
    gain = {
        "mean_member": {
            "accuracy": _told(compute_difference(correct.mean(axis=0), whole.correct, seed=seed)),
            "log_loss": _told(compute_difference(losses.mean(axis=0), whole.softmax.log_loss, seed=seed)),
        },
        "best_member": {
            # Of two classifiers: resampling few images on which they differ never finds that it may be luck.
            "accuracy": _told(compute_share_difference(correct[best], whole.correct)),
            "log_loss": _told(compute_difference(losses[best], whole.softmax.log_loss, seed=seed)),
        },
    }
    return {
        "n": whole.n,
        "ensemble": compute_some(ensemble, FIGURES, seed=seed),
        "members": rows,
        "mean_member": {key: float(np.mean([row[key]["value"] for row in rows])) for key in FIGURES},
        "gain": gain,
        "disagreement": measure_disagreement(np.stack([part.predicted for part in parts])),
    }


def measure_disagreement(named: np.ndarray) -> dict[str, Any]:
    """How often members name different classes.

    Args:
        named: (M, N), the classes.

    Returns:
        ``pairs``: (M, M) shares of the images, and ``mean`` over the pairs; 0 where there is one member.
    """
    pairs = (named[:, None] != named[None]).mean(axis=2)
    count = len(named)
    mean = float(pairs.sum() / (count * (count - 1))) if count > 1 else 0.0
    return {"pairs": pairs.tolist(), "mean": mean}


def _told(found: Difference) -> dict[str, float]:
    # A sum that is zero but for rounding is no gain.
    return {name: round(getattr(found, name), 12) + 0.0 for name in ("value", "low", "high")}
