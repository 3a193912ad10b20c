"""One answer beside several: what the mean of members is worth, and what their doubt tells of mistakes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfcls.evaluation.suite.subject import SEED, Subject
from hfcls.metrics import compute_some
from hfcls.structures import Predictions
from hfcls.uncertainty.detection import auroc_interval, measure_detection
from hfcls.uncertainty.doubt import DOUBTS, Votes

FIGURES = ("accuracy", "log_loss", "ece")
# The doubts of one answer; the others need several.
ORDERS = ("least_confidence", "predictive_entropy")
# Rows whose votes are held at once.
BLOCK = 256


@dataclass(frozen=True)
class Answers:
    """What several members make of N images.

    Attributes:
        mean: probabilities (N, K).
        doubts: by a name of ``DOUBTS``, (N,).
    """

    mean: np.ndarray
    doubts: dict[str, np.ndarray]


def gather(parts: Iterable[Votes], *, names: Iterable[str] = tuple(DOUBTS)) -> Answers:
    """The votes on all images, a part at a time."""
    means: list[np.ndarray] = []
    doubts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for votes in parts:
        means.append(votes.mean)
        for name, values in doubts.items():
            values.append(DOUBTS[name](votes))
    return Answers(np.concatenate(means), {name: np.concatenate(values) for name, values in doubts.items()})


def measure_answers(title: str, answers: Answers, subject: Subject, *, passes: int) -> dict[str, Any]:
    """A row of the comparison, over the images that nothing was fitted on.

    Args:
        title: for people.
        answers: on the rows `Subject.measured`.
        passes: of the model, for the answer to one image; each is as many of a network as an ensemble has members.
    """
    fresh = subject.fresh
    # A probability of 0 would be an infinite loss.
    logits = np.log(answers.mean.clip(1e-30)).astype(np.float32)
    predictions = Predictions(logits, fresh.labels, fresh.ids, fresh.class_names)
    wrong = logits.argmax(axis=1) != fresh.labels
    return {
        "title": title,
        "passes_each": passes * subject.networks,
        **compute_some(predictions, FIGURES, seed=SEED),
        "detection": {name: _detect(doubt, wrong) for name, doubt in answers.doubts.items()},
    }


def _detect(doubt: np.ndarray, wrong: np.ndarray) -> dict[str, Any]:
    """How well a doubt tells mistakes from right answers."""
    if wrong.all() or not wrong.any():
        return {"value": None, "reason": "all answers are wrong" if wrong.all() else "no answer is wrong"}
    low, high = auroc_interval(doubt[wrong], doubt[~wrong], seed=SEED)
    return {"value": measure_detection(doubt[wrong], doubt[~wrong])["auroc"], "low": low, "high": high}
