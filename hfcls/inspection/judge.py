"""What classifiers say of the images: labels by out-of-fold predictions, outliers and near duplicates by features."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hfcls.errors import UserError
from hfcls.inspection.embedding import compute_features
from hfcls.inspection.feature_checks import (
    NEIGHBOURS,
    find_near,
    find_outliers,
    near_finding,
    near_suspects,
    outlier_finding,
)
from hfcls.inspection.finding import Finding
from hfcls.inspection.images import Images
from hfcls.inspection.label_errors import LabelErrors, find_label_errors
from hfcls.inspection.neighbours import find_neighbours
from hfcls.inspection.out_of_fold import OutOfFold, match_out_of_fold
from hfcls.inspection.scan import Facts
from hfcls.inspection.suspects import Suspect, label_finding, label_suspects, merge, save_ranks, save_suspects
from hfcls.models import Classifier, find_heads, load_classifier
from hfcls.pull import local_model
from hfcls.structures import Predictions

LIST, RANKS = "suspects.csv", "label_ranks.csv"


@dataclass(frozen=True)
class Judged:
    """All that classifiers said.

    Attributes:
        suspects: images to look at, each once, the most suspicious first.
        findings: the same in words.
        found, errors: all labels that were judged; None where none was.
    """

    suspects: Sequence[Suspect]
    findings: Sequence[Finding]
    found: OutOfFold | None = None
    errors: LabelErrors | None = None

    def save(self, folder: Path, images: Images) -> list[tuple[Path, str]]:
        """Writes the tables; returns where they are, and what is in each."""
        save_suspects(folder / LIST, images, self.suspects)
        written = [(folder / LIST, "what to look at, for --exclude and --relabel")]
        if self.found is not None and self.errors is not None:
            save_ranks(folder / RANKS, images, self.found, self.errors)
            written.append((folder / RANKS, "every label that was judged"))
        return written


def judge_labels(images: Images, repeats: list[Predictions], place: Path) -> Judged:
    """Which labels look wrong.

    Args:
        repeats: out-of-fold predictions.
        place: where they are from, for messages.

    Raises:
        UserError: they are of other data, or cleanlab is not installed.
    """
    found = match_out_of_fold(repeats, images, place)
    errors = find_label_errors(found.labels, found.probabilities)
    suspects = label_suspects(images, found, errors)
    return Judged(suspects, [label_finding(images, found, errors, suspects)], found, errors)


def judge_features(
    images: Images, facts: Facts, classifier: Classifier, *, max_pixels: int, use_cpu: bool = False, quiet: bool = False
) -> Judged:
    """Which images are unlike the others, and which are nearly the same though their pixels do not show it.

    Args:
        max_pixels: of a stored image.
        use_cpu: use no accelerator.
        quiet: show no progress.
    """
    device = torch.device("cpu")
    if not use_cpu and torch.accelerator.is_available():
        device = torch.accelerator.current_accelerator() or device
    readable = np.flatnonzero(facts.readable)
    rows, features = compute_features(images, readable, classifier, max_pixels=max_pixels, device=device, quiet=quiet)
    if len(rows) < 2:
        return Judged([], [])
    neighbours = find_neighbours(features, images.labels[rows], k=NEIGHBOURS, device=device)
    outliers = find_outliers(images, rows, neighbours)
    pairs, similarity, least = find_near(images, facts, rows, neighbours)
    findings = [*near_finding(images, pairs, similarity, least), *outlier_finding(outliers)]
    return Judged([*outliers, *near_suspects(images, pairs, similarity)], findings)


def join_judged(parts: Sequence[Judged]) -> Judged:
    """All together, each image once."""
    first = next((part for part in parts if part.found is not None), Judged([], []))
    suspects = merge([suspect for part in parts for suspect in part.suspects])
    return Judged(suspects, [finding for part in parts for finding in part.findings], first.found, first.errors)


def load_judge(name: str, *, trust_remote_code: bool = False, allow_pickle: bool = False) -> Classifier:
    """The classifier whose features are taken.

    Raises:
        UserError: it is not to be had, or has no head whose features could be read.
    """
    directory = local_model(name, allow_pickle=allow_pickle)
    classifier = load_classifier(
        name, directory=directory, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle
    )
    try:
        find_heads(classifier.model)
    except TypeError as error:
        raise UserError(f"--features {name}: {error}") from None
    return classifier
