"""``calibration.json``: what was learned about a classifier's answers from images that it did not learn from.

It says how to scale the logits, which classes to hold possible, from which sureness on to answer, and from which
strangeness on to say that the image shows none of the classes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from hfcls.download import note
from hfcls.errors import UserError
from hfcls.files import write_json
from hfcls.uncertainty.conformal import CONFORMAL, ConformalSets
from hfcls.uncertainty.rejection import Abstention, RiskCoverage, choose_abstention
from hfcls.uncertainty.scaling import Scaling
from hfcls.uncertainty.strangers import DETECTORS, Known, Seen

CALIBRATION = "calibration.json"
# Of the logits alone, so that an answer costs nothing more; see the README's figures.
STRANGENESS = "energy"
# The share of the images with known classes that are not to be held strange.
KNOWN_SHARE = 0.95
# Where the logits are logarithms of probabilities, whose energy says nothing.
STRANGENESS_OF_PROBABILITIES = "msp"
COVERAGE = 0.95
# Without its draws: an image's set is to be the same wherever it is asked for, and never empty.
CONFORMAL_METHOD = "aps"
_WRITER = "hfcls"
# By which files are known that are older than that.
_OLD_KEYS = {"class_names", "scaling", "folded", "sets", "strangers", "abstaining"}
# Of an image's digest, as many hexadecimal digits as tell millions apart.
DIGITS = 12
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
        strange_from: above it an image is strange; 95 % of images like those that it was learned from are not;
            infinite where these were too few to tell.
        curve: the risk of wrong answers by how many are given, of the scaled probabilities.
        folded: the scaling is in the weights already: logits are not scaled again.
        data: fingerprint of the images and labels that it was learned from, as in ``data.json``; empty if unknown.
        images: of each of these images the first 12 hexadecimal digits of the digest of its bytes; empty if unknown.
        weights: digest of the weights whose answers it is about; empty in files that are older than that.
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
    images: frozenset[str] = frozenset()
    weights: str = ""

    def is_fresh(self, images: Sequence[str], *, data: str, split: str) -> np.ndarray:
        """Which images it was not learned from, so that it can be measured on them.

        Args:
            images: of N images the digests, as `images` has them.
            data: fingerprint of all; counts where a file is too old to know its images.
            split: where they are from; where nothing else is known its name must do.

        Returns:
            bool (N,).
        """
        if self.images:
            return np.array([image not in self.images for image in images], dtype=bool)
        same = self.data == data if self.data and data else self.split == split
        return np.full(len(images), not same)

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
        strange = self.strangeness_of(scaled) > self.strange_from
        unsure = np.zeros(len(logits), dtype=bool)
        if abstention is not None:
            unsure = probabilities.max(axis=1) < abstention.threshold
        return Judged(probabilities, self.conformal.sets(probabilities), strange, unsure)

    def abstention(self, risk: float) -> Abstention:
        """From which sureness on to answer so that about a share of `risk` of the answers is wrong."""
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
            "written_by": _WRITER,
            "weights": self.weights,
            "split": self.split,
            "n": self.n,
            "data": self.data,
            "images": "".join(sorted(self.images)),
            "class_names": list(self.class_names),
            "scaling": self.scaling.to_json(),
            "folded": self.folded,
            "sets": {
                "method": self.conformal.method,
                "coverage": self.conformal.coverage,
                "thresholds": [_finite(t) for t in self.conformal.thresholds.tolist()],
            },
            "strangers": {"score": self.strangeness, "threshold": _finite(self.strange_from)},
            "abstaining": {
                "threshold": self.curve.threshold.tolist(),
                "answered": self.curve.answered.tolist(),
                "wrong": self.curve.wrong.tolist(),
            },
        }

    def strangeness_of(self, scaled: np.ndarray) -> np.ndarray:
        """How strange images are, float64 (N,), from their scaled logits (N, K)."""
        # Scores of the logits learn nothing from what is known.
        nothing = Known(Seen(np.zeros((1, len(self.class_names)))), np.zeros(1, np.int64))
        return DETECTORS[self.strangeness](nothing).score(Seen(scaled))


def draws_of(keys: Sequence[str]) -> np.ndarray:
    """A number in [0, 1) for each image, made of its id or of whatever else names it: float64 (N,)."""
    digests = (blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.array([(int.from_bytes(digest, "little") >> 11) / 2**53 for digest in digests])


def load_trust(
    run_dir: Path, class_names: tuple[str, ...], *, weights: str = "", say: Callable[[str], None] = note
) -> Trust | None:
    """Reads ``calibration.json``; None where there is none, or one that is not about this model.

    Args:
        run_dir: the directory of the model.
        class_names: of the model.
        weights: digest of the model's weights; not compared where it is left out, or the file is older than it.
        say: is told why a file is left out.

    Raises:
        UserError: it says that hfcls wrote it, and is not as `Trust.save` writes it.
    """
    file = run_dir / CALIBRATION
    if not file.is_file():
        return None
    anew = f"write it anew with `hfcls evaluate {run_dir} --calibrate`"
    content = _read(file)
    if content is None:
        say(f"{file} is not of hfcls, and is left out; {anew} to have the answers judged.")
        return None
    try:
        trust = _parse(content)
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file} cannot be read: {anew}.") from None
    known_names = trust.conformal.method in CONFORMAL and trust.strangeness in DETECTORS
    points = {part.shape for part in vars(trust.curve).values()}
    known_names = known_names and len(points) == 1 and bool(len(trust.curve.answered))
    count = len(trust.conformal.thresholds)
    if not known_names or DETECTORS[trust.strangeness].needs != "logits" or count != len(trust.class_names):
        raise UserError(f"{file} is not as hfcls writes it: {anew}.")
    if trust.class_names != class_names or (weights and trust.weights and trust.weights != weights):
        what = "other weights" if trust.class_names == class_names else "a model with other classes"
        say(f"{file} was learned from the answers of {what}, and is left out; {anew} to have the answers judged.")
        return None
    return trust


def _read(file: Path) -> dict[str, Any] | None:
    """What the file holds; None where hfcls did not write it."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not (content.get("written_by") == _WRITER or content.keys() >= _OLD_KEYS):
        return None
    return content


def _parse(content: dict[str, Any]) -> Trust:
    """What `Trust.to_json` gave; any error of a conversion where it did not."""
    sets, strangers, abstaining = content["sets"], content["strangers"], content["abstaining"]
    images = str(content.get("images") or "")
    return Trust(
        tuple(map(str, content["class_names"])),
        str(content["split"]),
        int(content["n"]),
        Scaling.from_json(content["scaling"], len(content["class_names"])),
        ConformalSets(str(sets["method"]), float(sets["coverage"]), np.array([_number(t) for t in sets["thresholds"]])),
        str(strangers["score"]),
        _number(strangers["threshold"]),
        RiskCoverage(*(np.array(abstaining[key], dtype=float) for key in ("threshold", "answered", "wrong"))),
        bool(content["folded"]),
        str(content.get("data") or ""),
        frozenset(images[start : start + DIGITS] for start in range(0, len(images), DIGITS)),
        str(content.get("weights") or ""),
    )


def _finite(value: float) -> float | None:
    """JSON has no infinity."""
    return value if np.isfinite(value) else None


def _number(value: Any) -> float:
    return np.inf if value is None else float(value)
