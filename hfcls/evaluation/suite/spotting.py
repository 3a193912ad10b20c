"""What scores of strangeness are worth against sets of strangers."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from hfcls.evaluation.suite.step import CannotDoError
from hfcls.evaluation.suite.subject import SEED, Subject
from hfcls.uncertainty.detection import bootstrap_auroc, measure_detection
from hfcls.uncertainty.strangers import DETECTORS, Known, Seen


def measure_strangers(subject: Subject, known: Known, names: Iterable[str]) -> dict[str, Any]:
    """What scores of strangeness are worth against each set of strangers.

    Args:
        known: what the scores are fitted on.
        names: of ``DETECTORS``.

    Returns:
        ``n`` images of the split, ``sets`` (``name``, ``kind``, ``n``, ``left_out``) and ``rows`` (``score``,
        ``figures``, one a set: ``auroc`` with ``low`` and ``high``, ``aupr``, ``aupr_in``, ``fpr95``).
    """
    if not subject.strangers:
        raise CannotDoError("there is no set of strangers")
    seen = [(one, subject.see_strangers(one)) for one in subject.strangers]
    sets = [
        {"name": one.name, "kind": one.kind, "n": len(what.logits), "left_out": one.n - len(what.logits)}
        for one, what in seen
    ]
    names = list(names)
    logits_do = all(DETECTORS[name].needs == "logits" for name in names)
    own = Seen(subject.predictions.logits) if logits_do else subject.seen
    rows = []
    for name in names:
        detector = DETECTORS[name](known)
        base = detector.score(own)
        rows.append({"score": name, "figures": [_measure(detector.score(what), base) for _, what in seen]})
    return {"n": len(subject.predictions), "sets": sets, "rows": rows}


def _measure(strange: np.ndarray, base: np.ndarray) -> dict[str, float]:
    low, high = bootstrap_auroc(strange, base, seed=SEED)
    return {**measure_detection(strange, base), "low": low, "high": high}
