"""The images to look at first: wrong labels, outliers, near duplicates; as a table, and as findings."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hfcls.inspection.finding import Finding, count
from hfcls.inspection.images import Images
from hfcls.inspection.label_errors import LabelErrors
from hfcls.inspection.out_of_fold import OutOfFold
from hfcls.inspection.tables import write_table

# Reasons, the gravest first: in this order they are listed.
LABEL, NEAR_LABEL, CLASS_OUTLIER, OUTLIER, NEAR = (
    *("label", "near duplicate under another label", "outlier of its class", "outlier"),
    "near duplicate",
)
REASONS = (LABEL, NEAR_LABEL, CLASS_OUTLIER, OUTLIER, NEAR)
COLUMNS = ("rank", "id", "split", "label", "suggested", "new_label", "reason", "score", "detail")
RANK_COLUMNS = ("rank", "id", "split", "label", "suggested", "probability_of_label", "flagged")


@dataclass(frozen=True)
class Suspect:
    """An image to look at.

    Attributes:
        row: of the image.
        reasons: why, the gravest first.
        score: of the first reason: for a label its probability, for an outlier robust standard deviations from the
            median, for a near duplicate the cosine similarity.
        suggested: the class that it looks like; empty where nothing says so.
        detail: a few words.
        beside: the row of an image to look at beside it: a near duplicate, or a typical image of the suggested class.
    """

    row: int
    reasons: tuple[str, ...]
    score: float
    suggested: str = ""
    detail: str = ""
    beside: int | None = None


def merge(suspects: Sequence[Suspect]) -> list[Suspect]:
    """Each image once, with all its reasons; in the order of their first reasons, and as they come within one."""
    found: dict[int, Suspect] = {}
    for suspect in sorted(suspects, key=lambda one: REASONS.index(one.reasons[0])):
        first = found.get(suspect.row)
        more = tuple(reason for reason in suspect.reasons if first is None or reason not in first.reasons)
        if first is None:
            found[suspect.row] = suspect
        elif more:
            detail = "; ".join(filter(None, (first.detail, suspect.detail)))
            found[suspect.row] = replace(first, reasons=first.reasons + more, detail=detail)
    return list(found.values())


def label_suspects(images: Images, found: OutOfFold, errors: LabelErrors) -> list[Suspect]:
    """The labels that confident learning takes for wrong, the most suspicious first."""
    typical = _typical(found, errors)
    suspects = []
    for place in errors.order[: int(errors.flagged.sum())].tolist():
        likeliest, row = int(errors.likeliest[place]), int(found.rows[place])
        given, suggested = found.probabilities[place, found.labels[place]], found.probabilities[place, likeliest]
        name = found.class_names[likeliest]
        detail = f"{name}: {100 * suggested:.0f} %, {images.label(row)}: {100 * given:.0f} %"
        suspects.append(Suspect(row, (LABEL,), float(given), name, detail, typical.get(likeliest)))
    return suspects


def _typical(found: OutOfFold, errors: LabelErrors) -> dict[int, int]:
    """For each class the row of an unsuspected image that the networks are surest of."""
    sure = np.lexsort((-errors.quality, found.labels))
    sure = sure[~errors.flagged[sure]]
    classes, firsts = np.unique(found.labels[sure], return_index=True)
    return dict(zip(classes.tolist(), found.rows[sure[firsts]].tolist(), strict=True))


def label_finding(images: Images, found: OutOfFold, errors: LabelErrors, suspects: Sequence[Suspect]) -> Finding:
    """What is said of the labels."""
    judged = len(found.rows)
    how = " ".join(
        [
            "Confident learning (arXiv:1911.00068) over predictions of networks that had not seen the image: of each "
            "class as many of the least probable labels are listed as are estimated to be wrong.",
            *(f"{notice[0].upper()}{notice[1:]}." for notice in found.notices),
        ]
    )
    noise = f"estimated noise {100 * errors.noise:.1f} %"
    if not suspects:
        title = f"None of {judged:,} labels looks wrong ({noise})"
        return Finding("label-errors", "note", title, "Nothing to do.", how=how)
    pairs = Counter((images.label(suspect.row), suspect.suggested) for suspect in suspects)
    (given, suggested), times = pairs.most_common(1)[0]
    share = f"{100 * len(suspects) / judged:.1f} %"
    return Finding(
        "label-errors",
        "warning",
        f"{len(suspects):,} of {judged:,} labels look wrong ({share}; {noise}), most often {given!r} where "
        f"{suggested!r} fits better ({times:,})",
        "See suspects.html; write the right labels into the column new_label of suspects.csv for --relabel, or cut the "
        "list down to what is to be left out by --exclude.",
        how=how,
        groups=tuple((suspect.row,) for suspect in suspects),
        captions=tuple(suspect.detail for suspect in suspects),
    )


def save_suspects(path: Path, images: Images, suspects: Sequence[Suspect]) -> None:
    """Writes the list of what to look at: ``--exclude`` and ``--relabel`` take it, cut and filled in by hand."""
    write_table(path, COLUMNS, _suspect_rows(images, suspects))


def _suspect_rows(images: Images, suspects: Sequence[Suspect]) -> Iterator[tuple[str | int, ...]]:
    ids = images.ids([suspect.row for suspect in suspects])
    for rank, (sample_id, one) in enumerate(zip(ids, suspects, strict=True), start=1):
        place = (rank, sample_id, images.split(one.row), images.label(one.row), one.suggested, "")
        yield (*place, ", ".join(one.reasons), f"{one.score:.4g}", one.detail)


def save_ranks(path: Path, images: Images, found: OutOfFold, errors: LabelErrors) -> None:
    """Writes every label that was judged, the most suspicious first."""
    ids = images.ids(found.rows[errors.order])
    rows = (
        (
            *(rank, sample_id, images.split(found.rows[at]), images.label(found.rows[at])),
            *(found.class_names[errors.likeliest[at]], f"{errors.quality[at]:.4g}", int(errors.flagged[at])),
        )
        for rank, (sample_id, at) in enumerate(zip(ids, errors.order.tolist(), strict=True), start=1)
    )
    write_table(path, RANK_COLUMNS, rows)


def describe_suspects(suspects: Sequence[Suspect]) -> str:
    """Such as ``540 images (label 523, outlier 17)``."""
    kinds = Counter(suspect.reasons[0] for suspect in suspects)
    parts = ", ".join(f"{reason} {kinds[reason]:,}" for reason in REASONS if kinds[reason])
    return count(len(suspects), "image") + (f" ({parts})" if parts else "")
