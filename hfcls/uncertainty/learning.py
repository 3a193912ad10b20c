"""What is learned about a classifier's answers, from images that the classifier did not learn from."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from hfcls.structures import Predictions
from hfcls.uncertainty.conformal import fit_conformal, quantile_of_one_more
from hfcls.uncertainty.rejection import compute_risk_coverage, thin_out
from hfcls.uncertainty.scaling import SCALINGS
from hfcls.uncertainty.strangers import tells_energy
from hfcls.uncertainty.trust import (
    CONFORMAL_METHOD,
    COVERAGE,
    KNOWN_SHARE,
    STRANGENESS,
    STRANGENESS_OF_PROBABILITIES,
    Trust,
    draws_of,
)

# Of the curve that is kept.
_POINTS = 1000


def fit_trust(
    predictions: Predictions,
    *,
    split: str,
    scaling: str = "temperature",
    method: str = CONFORMAL_METHOD,
    coverage: float = COVERAGE,
    by_class: bool = False,
    data: str = "",
    images: Collection[str] = (),
    weights: str = "",
) -> Trust:
    """Learns from the answers to images that the network did not learn from.

    A vector has so many numbers that it would be too good on the images that it was fitted on: it gets one half of
    them, and sets, curve and strangeness the other. One temperature is no such danger.

    Args:
        predictions: N samples, at least one with a known label.
        split: where they are from.
        scaling: a name of ``SCALINGS``.
        method: a name of ``CONFORMAL``.
        coverage: how often the sets are to hold the true class, in (0, 1).
        by_class: each class is covered so often.
        data: fingerprint of the images and labels.
        images: of each image its digest, as `Trust.images` has them.
        weights: digest of the network's weights.

    Raises:
        ValueError: there is no sample with a known label.
    """
    known = predictions.known
    apart = half_of(known) if scaling == "vector" else np.ones(len(known), dtype=bool)
    fitted = SCALINGS[scaling](known.only(~apart) if scaling == "vector" else known)
    scaled = fitted.scale(known.only(apart))
    sets = fit_conformal(scaled.probabilities, scaled.labels, method=method, coverage=coverage, by_class=by_class)
    probabilities = scaled.probabilities
    curve = compute_risk_coverage(probabilities.max(axis=1), probabilities.argmax(axis=1) == scaled.labels)
    score = STRANGENESS if tells_energy(known.logits) else STRANGENESS_OF_PROBABILITIES
    trust = Trust(known.class_names, split, len(known), fitted, sets, score, 0.0, thin_out(curve, _POINTS))
    trust = replace(trust, data=data, images=frozenset(images), weights=weights)
    return replace(trust, strange_from=quantile_of_one_more(trust.strangeness_of(scaled.logits), KNOWN_SHARE))


def half_of(predictions: Predictions) -> np.ndarray:
    """About a half of the samples, drawn by their ids: bool (N,)."""
    return draws_of([f"apart {name}" for name in predictions.ids]) < 0.5
