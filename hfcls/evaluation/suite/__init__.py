"""How far a classifier can be trusted: steps, each of which measures one thing.

To add one, write ``NAME.py`` with a function ``run`` from a `Subject` to what it found, a row in ``STEPS``, and what
the page shows of it.
"""

from hfcls.evaluation.suite import (
    abstaining,
    calibration,
    dropout,
    ensemble,
    features,
    laplace,
    sets,
    single,
    strangers,
    views,
)
from hfcls.evaluation.suite.step import Step
from hfcls.registry import Registry

STEPS: Registry[Step] = Registry(
    "step of the suite",
    {
        "calibration": Step("Calibration", calibration.run),
        "sets": Step("Sets of classes", sets.run),
        "abstaining": Step("Abstaining", abstaining.run),
        "strangers": Step("Strange images, by the logits", strangers.run, ("strangers",)),
        "features": Step("Strange images, by the features", features.run, ("strangers", "train")),
        "single": Step("The model by itself", single.run),
        "ensemble": Step("Members of an ensemble", ensemble.run, suits=lambda subject: subject.networks > 1),
        "dropout": Step("Passes with dropout", dropout.run),
        "views": Step("Views of each image", views.run),
        "laplace": Step("Laplace approximation", laplace.run, ("train",)),
    },
)
QUICK = ("calibration", "sets", "abstaining", "strangers")
SUITES: Registry[tuple[str, ...]] = Registry("suite", {"quick": QUICK, "full": tuple(STEPS)})
