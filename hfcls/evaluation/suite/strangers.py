"""Whether images that show none of the classes are told by the logits alone."""

from typing import Any

from hfcls.evaluation.suite.spotting import measure_strangers
from hfcls.evaluation.suite.subject import Subject
from hfcls.uncertainty.strangers import DETECTORS, Known, Seen, tells_energy


def run(subject: Subject) -> dict[str, Any]:
    """A row for each score that needs logits alone."""
    names = [name for name, detector in DETECTORS.items() if detector.needs == "logits"]
    unable = {}
    if not tells_energy(subject.predictions.logits):
        names.remove("energy")
        unable["energy"] = "the logits are logarithms of probabilities"
    # They learn nothing.
    known = Known(Seen(subject.predictions.logits), subject.predictions.labels)
    rows = measure_strangers(subject, known, names)
    return {**rows, "unable": unable, "passes": sum(one["n"] for one in rows["sets"])}
