"""Models: names, directories and Hub ids in, classifiers out."""

from hfcls.models.architectures import ARCHITECTURES, Classifier, build_classifier
from hfcls.models.features import features, find_heads, pooled_features
from hfcls.models.load import load_classifier, load_weights

__all__ = [
    "ARCHITECTURES",
    "Classifier",
    "build_classifier",
    "features",
    "find_heads",
    "load_classifier",
    "load_weights",
    "pooled_features",
]
