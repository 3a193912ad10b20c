"""From a folder of labelled images to a measured, published, explained classifier.

The commands as functions, and the parts that they are made of; each is imported when it is first asked for.
"""

from importlib import import_module
from typing import Any

# `hfcls.explain` is the package of that name: a function in its place would vanish as soon as anything in it is
# imported. So the command is `write_explanations`, and what it is made of `explain_images` and `Faithfulness`.
_PLACES = {
    "train": "hfcls.commands.train",
    "crossval": "hfcls.commands.crossval",
    "search_hyperparameters": "hfcls.commands.search",
    "ensemble": "hfcls.commands.ensemble",
    "evaluate": "hfcls.commands.evaluate",
    "predict": "hfcls.commands.predict",
    "write_explanations": "hfcls.commands.explain",
    "build_card": "hfcls.hub.card",
    "publish": "hfcls.hub.publish",
    "CardArguments": "hfcls.command_arguments",
    "PushArguments": "hfcls.command_arguments",
    "load_data": "hfcls.data.labelled",
    "DataArguments": "hfcls.arguments",
    "load_classifier": "hfcls.models.load",
    "explain_images": "hfcls.explain",
    "EXPLAINERS": "hfcls.explain",
    "Heatmap": "hfcls.explain",
    "Faithfulness": "hfcls.explain.faithfulness",
    "build_classifier": "hfcls.models.architectures",
    "build_ensemble": "hfcls.models.ensemble",
    "compute_metrics": "hfcls.metrics",
    "METRICS": "hfcls.metrics",
    "as_evaluate_metric": "hfcls.metrics.adapter",
    "Predictions": "hfcls.structures",
    "ImageSpec": "hfcls.structures",
    "UserError": "hfcls.errors",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hfcls")
    if name not in _PLACES:
        raise AttributeError(f"module 'hfcls' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
