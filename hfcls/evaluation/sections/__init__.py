"""The sections of the report, in the order of the page.

To add one, write ``NAME.py`` with a function from a `MeasuredRun` to a `Part`, its template ``NAME.html.j2``, and one
row here.
"""

from hfcls.evaluation.section import Section
from hfcls.evaluation.sections import (
    calibration,
    classes,
    confusion,
    data,
    folds,
    learning,
    metrics,
    mistakes,
    parts,
    ranking,
    settings,
    speed,
    thresholds,
    trust,
)
from hfcls.registry import Registry

SECTIONS: Registry[Section] = Registry(
    "section",
    {
        "folds": Section("Cross-validation", folds.build),
        "learning": Section("Learning curves", learning.build),
        "confusion": Section("Confusion matrix", confusion.build),
        "mistakes": Section("Most confident mistakes", mistakes.build),
        "classes": Section("Classes", classes.build),
        "ranking": Section("ROC and precision-recall", ranking.build),
        "thresholds": Section("Thresholds", thresholds.build),
        "calibration": Section("Calibration", calibration.build),
        "trust": Section("In doubt", trust.build),
        "parts": Section("Parts of the images", parts.build),
        "metrics": Section("All metrics", metrics.build),
        "speed": Section("Speed", speed.build),
        "data": Section("Data", data.build),
        "settings": Section("Settings", settings.build),
    },
)
