"""Confident learning: which labels are wrong, judged by networks that had not seen them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcls.extras import require

# Measured with scripts/benchmarks/label_errors.py on planted errors.
FILTER, RANKING = "prune_by_class", "self_confidence"


@dataclass(frozen=True)
class LabelErrors:
    """Every label, judged.

    Attributes:
        flagged: bool (M,), labels that confident learning takes for wrong.
        quality: float64 (M,), the probability of the label, from 0 (wrong) to 1.
        likeliest: int64 (M,), the class that the networks name.
        order: int64 (M,), the most suspicious first: those that are flagged, then the others, each by quality.
        noise: share of wrong labels that the estimated joint distribution of given and true labels holds, 0 to 1.
    """

    flagged: np.ndarray
    quality: np.ndarray
    likeliest: np.ndarray
    order: np.ndarray
    noise: float


def find_label_errors(labels: np.ndarray, probabilities: np.ndarray) -> LabelErrors:
    """Judges labels by out-of-fold probabilities, with cleanlab.

    Images whose probability of another class is at least the mean probability that images of that class have of it
    count as of that class; these counts, scaled to the classes' sizes, estimate how many labels of each class truly
    are of each other one. Of each class so many of the least probable labels are flagged (Northcutt, Jiang and Chuang
    2021, "Confident Learning", arXiv:1911.00068).

    Args:
        labels: int64 (M,), in [0, K).
        probabilities: float64 (M, K), of networks that did not learn from these labels.

    Raises:
        UserError: cleanlab is not installed.
    """
    counting: Any = require("cleanlab.count", extra="labels")
    filtering: Any = require("cleanlab.filter", extra="labels")
    ranking: Any = require("cleanlab.rank", extra="labels")
    joint = counting.compute_confident_joint(labels, probabilities)
    flagged = filtering.find_label_issues(labels, probabilities, filter_by=FILTER, confident_joint=joint, n_jobs=1)
    quality = ranking.get_label_quality_scores(labels, probabilities, method=RANKING)
    noise = 1 - float(np.trace(counting.estimate_joint(labels, probabilities, confident_joint=joint)))
    order = np.lexsort((quality, ~flagged))
    return LabelErrors(flagged, quality, probabilities.argmax(axis=1), order, noise)
