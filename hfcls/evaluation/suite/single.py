"""The model by itself, which the others are to be compared with."""

from typing import Any

from hfcls.evaluation.suite.several import ORDERS, gather, measure_answers
from hfcls.evaluation.suite.subject import Subject
from hfcls.uncertainty.doubt import Votes
from hfcls.uncertainty.scaling import fit_temperature


def run(subject: Subject) -> dict[str, Any]:
    """Its answers as they are, and scaled by one temperature; one member disagrees with nobody."""
    name = "the single network" if subject.networks == 1 else "the ensemble"
    rows = [
        measure_answers(title, gather([Votes(told.probabilities[None])], names=ORDERS), subject, passes=1)
        for title, told in (
            (name, subject.fresh),
            (f"{name}, scaled", fit_temperature(subject.fitting).scale(subject.fresh)),
        )
    ]
    return {"n": len(subject.fresh), "rows": rows, "passes": 0}
