"""Logits that are scaled so that their probabilities hold, fitted on samples that the network did not learn from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp, softmax

from hfcls.errors import UserError
from hfcls.registry import Registry
from hfcls.structures import Predictions
from hfcls.uncertainty.calibration import log_loss

# Of logits with a spread of 1.
_TEMPERATURES = (0.01, 100.0)
# Before any sample is seen, logarithms of weights and biases are taken to lie about so far from 0. A few samples that
# are all named right would else make the network certain of everything; of 100 samples little is left of it.
_PRIOR_SPREAD = 1.0


@dataclass(frozen=True)
class Scaling:
    """logits * weight + bias.

    Attributes:
        method: how it was fitted: "temperature" or "vector".
        weight: float64 (K,), above 0.
        bias: float64 (K,).
    """

    method: str
    weight: np.ndarray
    bias: np.ndarray

    @property
    def temperature(self) -> float:
        """What the logits are divided by; of a vector the geometric mean."""
        return float(np.exp(-np.log(self.weight).mean()))

    def apply(self, logits: np.ndarray) -> np.ndarray:
        """Scaled logits, float32 (N, K)."""
        return (logits.astype(np.float64) * self.weight + self.bias).astype(np.float32)

    def scale(self, predictions: Predictions) -> Predictions:
        """The predictions with scaled logits."""
        return replace(predictions, logits=self.apply(predictions.logits))

    def to_json(self) -> dict[str, Any]:
        """For ``calibration.json``."""
        if self.method == "temperature":
            return {"method": self.method, "temperature": self.temperature}
        return {"method": self.method, "weight": self.weight.tolist(), "bias": self.bias.tolist()}

    @classmethod
    def from_json(cls, content: Any, num_classes: int) -> "Scaling":
        """Reads what `to_json` gave.

        Raises:
            UserError: it is something else, or for another number of classes.
        """
        try:
            if content["method"] == "temperature":
                weight = np.full(num_classes, 1 / float(content["temperature"]))
                bias = np.zeros(num_classes)
            else:
                weight, bias = (np.array(content[key], dtype=np.float64) for key in ("weight", "bias"))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise UserError("The scaling of the logits in calibration.json is not as hfcls writes it.") from None
        if weight.shape != (num_classes,) or bias.shape != (num_classes,):
            raise UserError(
                f"calibration.json scales {len(weight)} logits, and the model has {num_classes}: it is not of this one."
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all() and (weight > 0).all()):
            raise UserError("The scaling in calibration.json is not of finite numbers above 0.")
        return cls(str(content["method"]), weight, bias)


def fit_temperature(predictions: Predictions) -> Scaling:
    """One temperature for all logits, which minimizes the log loss; no answer changes.

    Guo, Pleiss, Sun, Weinberger 2017, On calibration of modern neural networks, arXiv:1706.04599. The loss is convex
    in the inverse of the temperature; a weak prior holds the temperature near 1 where there are few samples. It is
    looked for from 0.01 to 100, or so many times the spread of logits that lie closer or wider; where they say
    nothing, or the contrary, it may end there.

    Args:
        predictions: of samples that the network did not learn from.

    Raises:
        ValueError: there is no sample with a known label.
    """
    known = _known(predictions)
    spread = float((known.logits - known.logits.mean(axis=1, keepdims=True)).std()) or 1.0
    low, high = np.log(_TEMPERATURES[0] * min(spread, 1)), np.log(_TEMPERATURES[1] * max(spread, 1))
    prior = 0.5 / (_PRIOR_SPREAD**2 * len(known))
    found = minimize_scalar(
        lambda x: log_loss(known.logits * np.exp(-x), known.labels) + prior * x**2,
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    num_classes = known.logits.shape[1]
    return Scaling("temperature", np.full(num_classes, np.exp(-found.x)), np.zeros(num_classes))


def fit_vector(predictions: Predictions) -> Scaling:
    """A weight and a bias for each class, which minimize the log loss; answers can change (the same paper).

    It has 2 K parameters: with few samples a class it learns them by heart, and a temperature is the better choice.
    The fit begins at the temperature, and weights stay above 0.

    Raises:
        ValueError: there is no sample with a known label.
    """
    known = _known(predictions)
    logits, labels = known.logits.astype(np.float64), known.labels
    n, num_classes = logits.shape
    prior = 0.5 / (_PRIOR_SPREAD**2 * n)
    one_hot = np.zeros_like(logits)
    one_hot[np.arange(n), labels] = 1

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = np.exp(parameters[:num_classes]), parameters[num_classes:]
        scaled = logits * weight + bias
        value = (logsumexp(scaled, axis=1) - scaled[np.arange(n), labels]).mean()
        error = (softmax(scaled, axis=1) - one_hot) / n
        gradient = np.concatenate([(error * logits).sum(axis=0) * weight, error.sum(axis=0)])
        return float(value + prior * (parameters**2).sum()), gradient + 2 * prior * parameters

    start = np.concatenate([np.log(fit_temperature(known).weight), np.zeros(num_classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-7})
    # The mean of the biases changes no probability.
    bias = found.x[num_classes:]
    return Scaling("vector", np.exp(found.x[:num_classes]), bias - bias.mean())


SCALINGS = Registry("scaling", {"temperature": fit_temperature, "vector": fit_vector})


def _known(predictions: Predictions) -> Predictions:
    known = predictions.known
    if not len(known):
        raise ValueError("There is no sample with a known label to fit on.")
    return known
