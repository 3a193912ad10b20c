"""The same by the features, beside what the network made of images that it learned from."""

from typing import Any

from hfcls.evaluation.suite.spotting import measure_strangers
from hfcls.evaluation.suite.step import WITHOUT_TRAIN, CannotDoError, check_numbers
from hfcls.evaluation.suite.subject import Subject
from hfcls.uncertainty.strangers import DETECTORS, usable


def run(subject: Subject) -> dict[str, Any]:
    """A row for each score that needs features, fitted on the train split."""
    if subject.features is None:
        raise CannotDoError("the network has no head whose features could be read")
    if subject.train is None:
        raise CannotDoError(WITHOUT_TRAIN)
    known = subject.known
    check_numbers(known.seen, "the train split")
    able = [name for name in usable(known) if DETECTORS[name].needs != "logits"]
    reasons = {name: f"it needs {missing}" for name, one in DETECTORS.items() if (missing := one.lacks(known))}
    found = measure_strangers(subject, known, able)
    return {**found, "known": subject.train.n, "unable": reasons, "passes": subject.train.n}
