"""``calibration.json``: what was learned about a classifier's answers from images that it did not learn from.

It says how to scale the logits, which classes to hold possible, from which sureness on to answer, and from which
strangeness on to say that the image shows none of the classes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from hfcls.errors import UserError
from hfcls.files import write_json
from hfcls.structures import Predictions
from hfcls.uncertainty.conformal import CONFORMAL, ConformalSets, fit_conformal
from hfcls.uncertainty.detection import threshold_95
from hfcls.uncertainty.rejection import Abstention, RiskCoverage, choose_abstention, compute_risk_coverage, thin_out
from hfcls.uncertainty.scaling import SCALINGS, Scaling
from hfcls.uncertainty.strangers import DETECTORS, Detector, Known, Seen, tells_energy

CALIBRATION = "calibration.json"
# Of the logits alone, so that an answer costs nothing more; see the README's figures.
STRANGENESS = "energy"
# Where the logits are logarithms of probabilities, whose energy says nothing.
STRANGENESS_OF_PROBABILITIES = "msp"
COVERAGE = 0.95
# Without its draws: an image's set is to be the same wherever it is asked for, and never empty.
CONFORMAL_METHOD = "aps"
# Of the curve that is kept.
_POINTS = 1000
# What is to be thought of an answer.
VERDICTS = ("", "not sure", "none of these classes")


@dataclass(frozen=True)
class Judged:
    """What is to be thought of N answers.

    Attributes:
        probabilities: float64 (N, K), of the scaled logits.
        sets: bool (N, K), the classes that are held possible; the likeliest always is.
        strange: bool (N,): the image shows none of the classes, as far as can be told.
        unsure: bool (N,): the answer is not to be given; all False where no error rate was asked for.
    """

    probabilities: np.ndarray
    sets: np.ndarray
    strange: np.ndarray
    unsure: np.ndarray

    @property
    def verdicts(self) -> list[str]:
        """N of ``VERDICTS``."""
        pairs = zip(self.strange.tolist(), self.unsure.tolist(), strict=True)
        return [VERDICTS[2] if strange else VERDICTS[1] if unsure else VERDICTS[0] for strange, unsure in pairs]


@dataclass(frozen=True)
class Trust:
    """What ``calibration.json`` holds.

    Attributes:
        class_names: K names, of the classifier that it belongs to.
        split, n: where it was learned.
        scaling: of the logits.
        conformal: the sets.
        strangeness: a name of ``DETECTORS`` that needs logits alone.
        strange_from: above it an image is strange; 95 % of the images that it was learned from are not.
        curve: the risk of wrong answers by how many are given, of the scaled probabilities.
        folded: the scaling is in the weights already: logits are not scaled again.
        data: fingerprint of the images and labels that it was learned from, as in ``data.json``; empty if unknown.
    """

    class_names: tuple[str, ...]
    split: str
    n: int
    scaling: Scaling
    conformal: ConformalSets
    strangeness: str
    strange_from: float
    curve: RiskCoverage
    folded: bool = False
    data: str = ""

    def is_learned_from(self, data: str, *, split: str) -> bool:
        """Whether it was learned from these images, so that it cannot be measured on them.

        Args:
            data: their fingerprint; where either is not known, the name of the split must do.
            split: where they are from.
        """
        return self.data == data if self.data and data else self.split == split

    def scaled(self, logits: np.ndarray) -> np.ndarray:
        """The logits (N, K) as they are to be read."""
        return logits if self.folded else self.scaling.apply(logits)

    def judge(self, logits: np.ndarray, *, abstention: Abstention | None = None) -> Judged:
        """Judges answers.

        Args:
            logits: (N, K) of the network.
            abstention: from which sureness on to answer.
        """
        scaled = self.scaled(logits)
        probabilities = softmax(scaled.astype(np.float64), axis=1)
        strange = self._detector().score(Seen(scaled)) > self.strange_from
        unsure = np.zeros(len(logits), dtype=bool)
        if abstention is not None:
            unsure = probabilities.max(axis=1) < abstention.threshold
        return Judged(probabilities, self.conformal.sets(probabilities), strange, unsure)

    def abstention(self, risk: float) -> Abstention:
        """From which sureness on to answer so that no more than a share of `risk` of the answers is wrong."""
        return choose_abstention(self.curve, risk=risk)

    @property
    def digest(self) -> str:
        """Of all that it says."""
        return blake2b(json.dumps(self.to_json(), sort_keys=True).encode(), digest_size=8).hexdigest()

    def save(self, run_dir: Path) -> None:
        """Writes ``calibration.json``."""
        write_json(run_dir / CALIBRATION, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """What ``calibration.json`` holds."""
        return {
            "split": self.split,
            "n": self.n,
            "data": self.data,
            "class_names": list(self.class_names),
            "scaling": self.scaling.to_json(),
            "folded": self.folded,
            "sets": {
                "method": self.conformal.method,
                "coverage": self.conformal.coverage,
                # JSON has no infinity: null where no class can be excluded.
                "thresholds": [t if np.isfinite(t) else None for t in self.conformal.thresholds.tolist()],
            },
            "strangers": {"score": self.strangeness, "threshold": self.strange_from},
            "abstaining": {
                "threshold": self.curve.threshold.tolist(),
                "answered": self.curve.answered.tolist(),
                "wrong": self.curve.wrong.tolist(),
            },
        }

    def _detector(self) -> Detector:
        # Those of the logits learn nothing from what is known.
        return DETECTORS[self.strangeness](Known(Seen(np.zeros((1, len(self.class_names)))), np.zeros(1, np.int64)))


def draws_of(keys: Sequence[str]) -> np.ndarray:
    """A number in [0, 1) for each image, made of its id or of whatever else names it: float64 (N,)."""
    digests = (blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.array([(int.from_bytes(digest, "little") >> 11) / 2**53 for digest in digests])


def fit_trust(
    predictions: Predictions,
    *,
    split: str,
    scaling: str = "temperature",
    method: str = CONFORMAL_METHOD,
    coverage: float = COVERAGE,
    by_class: bool = False,
    data: str = "",
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

    Raises:
        ValueError: there is no sample with a known label.
    """
    known = predictions.known
    apart = half_of(known) if scaling == "vector" else np.ones(len(known), dtype=bool)
    fitted = SCALINGS[scaling](_rows(known, ~apart) if scaling == "vector" else known)
    scaled = fitted.scale(_rows(known, apart))
    sets = fit_conformal(scaled.probabilities, scaled.labels, method=method, coverage=coverage, by_class=by_class)
    probabilities = scaled.probabilities
    curve = compute_risk_coverage(probabilities.max(axis=1), probabilities.argmax(axis=1) == scaled.labels)
    score = STRANGENESS if tells_energy(known.logits) else STRANGENESS_OF_PROBABILITIES
    trust = Trust(known.class_names, split, len(known), fitted, sets, score, 0.0, thin_out(curve, _POINTS))
    return replace(trust, data=data, strange_from=threshold_95(trust._detector().score(Seen(scaled.logits))))


def half_of(predictions: Predictions) -> np.ndarray:
    """About a half of the samples, drawn by their ids: bool (N,)."""
    return draws_of([f"apart {name}" for name in predictions.ids]) < 0.5


def load_trust(run_dir: Path, class_names: tuple[str, ...]) -> Trust | None:
    """Reads ``calibration.json``; None where there is none.

    Raises:
        UserError: it is not as `Trust.save` writes it, or is of a model with other classes.
    """
    file = run_dir / CALIBRATION
    if not file.is_file():
        return None
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        sets, strangers, abstaining = content["sets"], content["strangers"], content["abstaining"]
        thresholds = [np.inf if t is None else float(t) for t in sets["thresholds"]]
        trust = Trust(
            tuple(map(str, content["class_names"])),
            str(content["split"]),
            int(content["n"]),
            Scaling.from_json(content["scaling"], len(content["class_names"])),
            ConformalSets(str(sets["method"]), float(sets["coverage"]), np.array(thresholds)),
            str(strangers["score"]),
            float(strangers["threshold"]),
            RiskCoverage(*(np.array(abstaining[key], dtype=float) for key in ("threshold", "answered", "wrong"))),
            bool(content["folded"]),
            str(content.get("data") or ""),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{file} cannot be read: write it anew with `hfcls evaluate {run_dir} --calibrate`.") from None
    known_names = trust.conformal.method in CONFORMAL and trust.strangeness in DETECTORS
    points = {part.shape for part in vars(trust.curve).values()}
    known_names = known_names and len(points) == 1 and bool(len(trust.curve.answered))
    if not known_names or DETECTORS[trust.strangeness].needs != "logits" or len(thresholds) != len(trust.class_names):
        raise UserError(f"{file} is not as hfcls writes it: write it anew with `hfcls evaluate {run_dir} --calibrate`.")
    if trust.class_names != class_names:
        raise UserError(
            f"{file} is of a model with the classes {', '.join(trust.class_names[:3])} ..., and this one has "
            f"{', '.join(class_names[:3])} ...: take it away, or write it anew with --calibrate."
        )
    return trust


def _rows(predictions: Predictions, rows: np.ndarray) -> Predictions:
    ids = tuple(name for name, taken in zip(predictions.ids, rows.tolist(), strict=True) if taken)
    return replace(predictions, logits=predictions.logits[rows], labels=predictions.labels[rows], ids=ids)
