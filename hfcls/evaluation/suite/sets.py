"""Sets of classes that hold the true one as often as asked."""

from typing import Any

import numpy as np

from hfcls.evaluation.suite.subject import Subject
from hfcls.metrics.wilson import wilson_interval
from hfcls.uncertainty.conformal import CONFORMAL, fit_conformal, measure_sets
from hfcls.uncertainty.scaling import fit_temperature
from hfcls.uncertainty.trust import COVERAGE, draws_of


def run(subject: Subject) -> dict[str, Any]:
    """A row for each method, with one threshold and with one a class; on logits scaled by one temperature."""
    scaling = fit_temperature(subject.fitting)
    fitting, fresh = scaling.scale(subject.fitting), scaling.scale(subject.fresh)
    rows = []
    for method in CONFORMAL:
        for by_class in (False, True):
            fitted = fit_conformal(
                fitting.probabilities,
                fitting.labels,
                method=method,
                coverage=COVERAGE,
                draws=draws_of(fitting.ids),
                by_class=by_class,
            )
            sets = fitted.sets(fresh.probabilities, draws_of(fresh.ids))
            held = int(sets[np.arange(len(fresh)), fresh.labels].sum())
            low, high = wilson_interval(held, len(fresh))
            rows.append(
                {
                    "method": method,
                    "by_class": by_class,
                    "low": low,
                    "high": high,
                    "unlimited_classes": int(np.isinf(fitted.thresholds).sum()),
                    **measure_sets(sets, fresh.labels),
                }
            )
    return {"n": len(fresh), "fitted_on": subject.fitted_on, "wanted": COVERAGE, "rows": rows, "passes": 0}
