"""What scores of strangeness are worth against sets of strangers."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from hfcls.evaluation.suite.step import CannotDoError, check_numbers
from hfcls.evaluation.suite.subject import SEED, Subject
from hfcls.uncertainty.detection import auroc_interval, measure_detection
from hfcls.uncertainty.strangers import DETECTORS, Known, Seen


def measure_strangers(subject: Subject, known: Known, names: Iterable[str]) -> dict[str, Any]:
    """What scores of strangeness are worth against each set of strangers.

    Args:
        known: what the scores are fitted on.
        names: of ``DETECTORS``.

    Returns:
        ``n`` images of the split, ``sets`` (``name``, ``kind``, ``n``, ``left_out``) and ``rows`` (``score``,
        ``figures``, one a set: ``auroc`` with ``low`` and ``high``, ``aupr``, ``aupr_in``, ``fpr95``; ``means`` over
        the sets of a kind, where there are several near or far ones, as OpenOOD has them, arXiv:2306.09301).
    """
    if not subject.strangers:
        raise CannotDoError("there is no set of strangers")
    seen = [(one, subject.see_strangers(one)) for one in subject.strangers]
    for one, what in seen:
        check_numbers(what, one.name)
    sets = [
        {"name": one.name, "kind": one.kind, "n": len(what.logits), "left_out": one.n - len(what.logits)}
        for one, what in seen
    ]
    names = list(names)
    logits_do = all(DETECTORS[name].needs == "logits" for name in names)
    own = Seen(subject.predictions.logits) if logits_do else subject.seen
    check_numbers(own, f"the {subject.split} split")
    rows = []
    for name in names:
        detector = DETECTORS[name](known)
        base = detector.score(own)
        figures = [_measure(detector.score(what), base) for _, what in seen]
        rows.append({"score": name, "figures": figures, "means": _means(sets, figures)})
    return {"n": len(subject.predictions), "sets": sets, "rows": rows}


def _measure(strange: np.ndarray, base: np.ndarray) -> dict[str, float]:
    low, high = auroc_interval(strange, base, seed=SEED)
    return {**measure_detection(strange, base), "low": low, "high": high}


def _means(sets: list[dict[str, Any]], figures: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """By kind; every set counts the same, however many images it has."""
    found = {}
    for kind in ("near", "far"):
        mine = [figure for one, figure in zip(sets, figures, strict=True) if one["kind"] == kind]
        if len(mine) > 1:
            found[kind] = {key: float(np.mean([one[key] for one in mine])) for key in ("auroc", "fpr95")}
    return found
