"""Other weights of the last layer that would be nearly as good."""

from collections.abc import Iterator
from typing import Any

from hfcls.evaluation.suite.several import BLOCK, gather, measure_answers
from hfcls.evaluation.suite.step import WITHOUT_TRAIN, CannotDoError, check_numbers
from hfcls.evaluation.suite.subject import SEED, Subject
from hfcls.uncertainty.doubt import Votes
from hfcls.uncertainty.laplace import LastLayerLaplace
from hfcls.uncertainty.strangers import Seen

MEMBERS = 30


def run(subject: Subject) -> dict[str, Any]:
    """The mean over 30 draws of the last layer's weights, which need no further pass."""
    if subject.features is None:
        raise CannotDoError("the network has no head whose features could be read")
    if subject.train is None:
        raise CannotDoError(WITHOUT_TRAIN)
    known = subject.known
    check_numbers(known.seen, "the train split")
    check_numbers(subject.seen, f"the {subject.split} split")
    if known.weight is None:
        raise CannotDoError("the network's head is not one linear layer with a bias")
    fitted = LastLayerLaplace(known, count=subject.train.of)
    answers = gather(_votes(fitted, subject))
    row = measure_answers(f"{MEMBERS} draws of the last layer (Laplace)", answers, subject, passes=1)
    found = {
        "n": len(subject.fresh),
        "rows": [row],
        "known": subject.train.n,
        "of": subject.train.of,
        "precision": fitted.precision,
    }
    # The images that it was fitted on have passed for the scores of features.
    return {**found, "members": MEMBERS, "passes": 0}


def _votes(fitted: LastLayerLaplace, subject: Subject) -> Iterator[Votes]:
    features = subject.features
    assert features is not None
    for start in range(0, len(subject.measured), BLOCK):
        rows = subject.measured[start : start + BLOCK]
        part = Seen(subject.predictions.logits[rows], features[rows])
        yield fitted.votes(part, members=MEMBERS, seed=SEED + start)
