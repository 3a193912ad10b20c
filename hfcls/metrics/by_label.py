"""Metrics that need only the true and the predicted class of each sample.

Each takes a `Tally` of R copies and K classes and returns an `Estimate` with values (R,).
"""

from typing import NamedTuple

import numpy as np

from hfcls.metrics.base import Estimate, Tally


class ClassRates(NamedTuple):
    """Rates of each class, (R, K) in [0, 1]; a rate that is 0/0 is 0, as with scikit-learn's ``zero_division=0``."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray


def class_rates(tally: Tally) -> ClassRates:
    """Precision, recall and F1 of each class."""
    return ClassRates(
        precision=_divide(tally.hits, tally.predicted),
        recall=_divide(tally.hits, tally.true),
        f1=_divide(2 * tally.hits, tally.true + tally.predicted),
    )


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Counts int64 (K, K): row = true class, column = predicted class."""
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def accuracy(tally: Tally) -> Estimate:
    """Share of samples that are predicted right, in [0, 1]."""
    return Estimate(tally.hits.sum(axis=1) / tally.n)


def balanced_accuracy(tally: Tally) -> Estimate:
    """Mean recall over the classes that are among the labels, in [0, 1] (Brodersen et al., ICPR 2010)."""
    return Estimate(_mean_where(class_rates(tally).recall, tally.true > 0))


def precision_macro(tally: Tally) -> Estimate:
    """Unweighted mean precision, in [0, 1].

    All three macro means run over the classes that are among the labels or the predictions, as scikit-learn's do by
    default; such a class counts 0 where its own rate is 0/0.
    """
    return _macro(class_rates(tally).precision, tally)


def recall_macro(tally: Tally) -> Estimate:
    """Unweighted mean recall, in [0, 1]; see `precision_macro` for the classes it runs over."""
    return _macro(class_rates(tally).recall, tally)


def f1_macro(tally: Tally) -> Estimate:
    """Unweighted mean of the classes' F1, in [0, 1]; see `precision_macro` for the classes it runs over."""
    return _macro(class_rates(tally).f1, tally)


def precision_weighted(tally: Tally) -> Estimate:
    """Mean precision, each class weighted by its number of samples, in [0, 1]."""
    return _weighted(class_rates(tally).precision, tally)


def recall_weighted(tally: Tally) -> Estimate:
    """Mean recall, each class weighted by its number of samples: the same number as the accuracy."""
    return _weighted(class_rates(tally).recall, tally)


def f1_weighted(tally: Tally) -> Estimate:
    """Mean F1, each class weighted by its number of samples, in [0, 1]."""
    return _weighted(class_rates(tally).f1, tally)


def mcc(tally: Tally) -> Estimate:
    """Matthews correlation coefficient of K classes, in [-1, 1].

    The correlation R_K of Gorodkin, Computational Biology and Chemistry 28, 2004. scikit-learn returns 0 where a side
    has no variance; here that is undefined, for 0 means "measured, and no better than chance".
    """
    agreement = tally.n * tally.hits.sum(axis=1) - (tally.true * tally.predicted).sum(axis=1)
    spread_true = tally.n**2 - (tally.true**2).sum(axis=1)
    spread_predicted = tally.n**2 - (tally.predicted**2).sum(axis=1)
    values = _divide(agreement, np.sqrt(spread_true) * np.sqrt(spread_predicted), otherwise=np.nan)
    return Estimate(values, undefined="all labels, or all predictions, are of one class")


def cohen_kappa(tally: Tally) -> Estimate:
    """Agreement beyond chance, in [-1, 1] (Cohen, Educational and Psychological Measurement 20, 1960)."""
    by_chance = (tally.true * tally.predicted).sum(axis=1)
    values = _divide(tally.n * tally.hits.sum(axis=1) - by_chance, tally.n**2 - by_chance, otherwise=np.nan)
    return Estimate(values, undefined="all labels and all predictions are of one and the same class")


def _macro(rates: np.ndarray, tally: Tally) -> Estimate:
    return Estimate(_mean_where(rates, tally.true + tally.predicted > 0))


def _weighted(rates: np.ndarray, tally: Tally) -> Estimate:
    return Estimate((rates * tally.true).sum(axis=1) / tally.n)


def _mean_where(rates: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return (rates * chosen).sum(axis=1) / chosen.sum(axis=1)


def _divide(numerator: np.ndarray, denominator: np.ndarray, *, otherwise: float = 0.0) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(numerator.shape, otherwise), where=denominator != 0)
