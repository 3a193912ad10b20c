"""Whether images that show none of the classes are told by the logits alone."""

from typing import Any

import numpy as np

from hfcls.evaluation.suite.spotting import measure_strangers
from hfcls.evaluation.suite.subject import Subject
from hfcls.metrics.wilson import wilson_interval
from hfcls.uncertainty.conformal import quantile_of_one_more
from hfcls.uncertainty.scaling import fit_temperature
from hfcls.uncertainty.strangers import DETECTORS, Known, Seen, tells_energy
from hfcls.uncertainty.trust import KNOWN_SHARE, STRANGENESS, STRANGENESS_OF_PROBABILITIES


def run(subject: Subject) -> dict[str, Any]:
    """A row for each score that needs logits alone, and what ``hfcls predict`` would say.

    Returns:
        See `measure_strangers`; ``as_predict``: the ``score`` of scaled logits that ``calibration.json`` goes by, with
        a ``threshold`` that was chosen on other images; ``found``: what share of each set is taken for strange, and
        ``false_alarms``: of the split, over the images that nothing was fitted on; with Wilson's intervals.
    """
    names = [name for name, detector in DETECTORS.items() if detector.needs == "logits"]
    unable = {}
    if not tells_energy(subject.predictions.logits):
        names.remove("energy")
        unable["energy"] = "the logits are logarithms of probabilities"
    # They learn nothing.
    known = Known(Seen(subject.predictions.logits), subject.predictions.labels)
    rows = measure_strangers(subject, known, names)
    score = STRANGENESS if "energy" in names else STRANGENESS_OF_PROBABILITIES
    return {
        **rows,
        "as_predict": _as_predict(subject, known, score),
        "unable": unable,
        "passes": sum(one["n"] for one in rows["sets"]),
    }


def _as_predict(subject: Subject, known: Known, score: str) -> dict[str, Any]:
    detector, scaling = DETECTORS[score](known), fit_temperature(subject.fitting)

    def strangeness(logits: np.ndarray) -> np.ndarray:
        return detector.score(Seen(scaling.apply(logits)))

    threshold = quantile_of_one_more(strangeness(subject.fitting.logits), KNOWN_SHARE)

    def strange(logits: np.ndarray) -> dict[str, Any]:
        n, count = len(logits), int((strangeness(logits) > threshold).sum())
        low, high = wilson_interval(count, n)
        return {"value": count / n, "low": low, "high": high, "n": n}

    return {
        "score": score,
        "threshold": threshold,
        "found": [strange(subject.see_strangers(one).logits) for one in subject.strangers],
        "false_alarms": strange(subject.fresh.logits),
    }
