"""What the features of a classifier say of the images: outliers, and near duplicates that pixels do not show.

A distance is one less the cosine similarity of pooled features. Limits are set by the data: a distance is unusual that
lies so many robust standard deviations (1.4826 times the median absolute deviation) from the median. Distances within a
class and those of near duplicates are compared by their logarithms, as they run over powers of ten.
"""

from collections.abc import Sequence

import numpy as np

from hfcls.inspection.duplicates import group_pairs
from hfcls.inspection.finding import Finding, count
from hfcls.inspection.image_checks import ENOUGH
from hfcls.inspection.images import Images
from hfcls.inspection.neighbours import Neighbours
from hfcls.inspection.scan import Facts
from hfcls.inspection.suspects import CLASS_OUTLIER, NEAR, NEAR_LABEL, OUTLIER, Suspect

# Neighbours that are looked at, and limits in robust deviations. Measured: MobileNetV2's features of flower photos put
# 5 of 20 photos of other things beyond the first limit, no flower of 150, and mirrored copies beyond the second one.
# LeNet-5's of digits with 5 % wrong labels put half of these beyond the first one in their class; of what lies there,
# four of five are wrong.
NEIGHBOURS = 10
_FAR, _NEAR = 3.0, 3.5
_LEAST_DISTANCE = 1e-6
# A share of the neighbours from which on their class is suggested.
_AGREED = 0.6


def find_outliers(images: Images, rows: np.ndarray, found: Neighbours) -> list[Suspect]:
    """Images far from all others, and images far from their class, the farthest first.

    Args:
        rows: int64 (n,), of the images in `found`.
    """
    if len(rows) < ENOUGH:
        return []
    deviation = _excess(1 - found.similarity.mean(axis=1))
    alone = [
        Suspect(int(rows[at]), (OUTLIER,), float(deviation[at]), detail="unlike all other images")
        for at in np.argsort(-deviation, kind="stable").tolist()
        if deviation[at] > _FAR
    ]
    labels = images.labels[rows]
    own = np.zeros(len(rows))
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & np.isfinite(found.own))
        if len(members) >= ENOUGH:
            own[members] = _deviations(np.log(np.maximum(1 - found.own[members], _LEAST_DISTANCE)))
    strange = [
        _of_class(images, rows, found, at, float(own[at]))
        for at in np.argsort(-own, kind="stable").tolist()
        if own[at] > _FAR
    ]
    return [*strange, *alone]


def _of_class(images: Images, rows: np.ndarray, found: Neighbours, at: int, deviation: float) -> Suspect:
    row = int(rows[at])
    labels = images.labels[rows[found.nearest[at]]]
    votes = np.bincount(labels, minlength=len(images.class_names))
    winner = int(votes.argmax())
    if winner == images.labels[row] or votes[winner] < _AGREED * len(labels):
        return Suspect(row, (CLASS_OUTLIER,), deviation, detail=f"unlike other images of {images.label(row)}")
    name = images.class_names[winner]
    beside = int(rows[found.nearest[at][labels == winner][0]])
    detail = f"{votes[winner]} of its {len(labels)} nearest images are {name}"
    return Suspect(row, (CLASS_OUTLIER,), deviation, name, detail, beside)


def outlier_finding(suspects: Sequence[Suspect]) -> list[Finding]:
    """What is said of outliers."""
    if not suspects:
        return []
    unique = list({suspect.row: suspect for suspect in reversed(suspects)}.values())[::-1]
    return [
        Finding(
            "outliers",
            "note",
            f"{count(len(unique), 'image is', 'images are')} unlike the others in what the classifier sees",
            "See suspects.html: strange images, rare views and wrong labels look like this.",
            how=f"The mean distance of its features to the {NEIGHBOURS} nearest images, of all or of its class, lies "
            f"more than {_FAR:g} robust standard deviations above the median.",
            groups=tuple((suspect.row,) for suspect in unique),
            captions=tuple(suspect.detail for suspect in unique),
        )
    ]


def find_near(
    images: Images, facts: Facts, rows: np.ndarray, found: Neighbours
) -> tuple[np.ndarray, np.ndarray, float]:
    """Pairs that are nearer than chance, without those that their pixels have told.

    Returns:
        Pairs of rows, int64 (P, 2), those under two labels first, then those across splits, each by similarity; their
        similarity, float32 (P,); and the least similarity that counts.
    """
    none = np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.float32), 1.0
    if len(rows) < ENOUGH:
        return none
    logarithms = np.log(np.maximum(1 - found.similarity[:, 0], _LEAST_DISTANCE))
    middle, spread = _middle_and_spread(logarithms)
    least = float(1 - np.exp(middle - _NEAR * spread))
    at, which = np.nonzero(found.similarity >= least)
    pairs = np.sort(np.stack([rows[at], rows[found.nearest[at, which]]], axis=1), axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    similarity = found.similarity[at, which][first]
    told = _told_by_pixels(facts)
    new = told[pairs[:, 0]] != told[pairs[:, 1]]
    pairs, similarity = pairs[new], similarity[new]
    double = images.labels[pairs[:, 0]] != images.labels[pairs[:, 1]]
    apart = images.split_of[pairs[:, 0]] != images.split_of[pairs[:, 1]]
    order = np.lexsort((-similarity, ~apart, ~double))
    return pairs[order], similarity[order], least


def near_suspects(images: Images, pairs: np.ndarray, similarity: np.ndarray) -> list[Suspect]:
    """Both images of a pair under two labels; else the one that is not tested on, or the later one."""
    suspects = []
    for (one, other), value in zip(pairs.tolist(), similarity.tolist(), strict=True):
        if images.labels[one] != images.labels[other]:
            suspects += [
                Suspect(
                    row,
                    (NEAR_LABEL,),
                    value,
                    images.label(twin),
                    f"like {_name(images, twin)}, cosine {value:.3f}",
                    twin,
                )
                for row, twin in ((one, other), (other, one))
            ]
            continue
        trained = [row for row in (other, one) if images.split(row) == "train"]
        row = trained[0] if trained else other
        twin = one if row == other else other
        suspects.append(
            Suspect(row, (NEAR,), value, detail=f"like {_name(images, twin)}, cosine {value:.3f}", beside=twin)
        )
    return suspects


def near_finding(images: Images, pairs: np.ndarray, similarity: np.ndarray, least: float) -> list[Finding]:
    """What is said of near duplicates."""
    if not len(pairs):
        return []
    double = int((images.labels[pairs[:, 0]] != images.labels[pairs[:, 1]]).sum())
    apart = int((images.split_of[pairs[:, 0]] != images.split_of[pairs[:, 1]]).sum())
    told = ((double, "under two labels"), (apart, "across splits"))
    where = ", ".join(f"{n:,} {what}" for n, what in told if n)
    return [
        Finding(
            "near-duplicates-by-features",
            "warning" if where else "note",
            f"{count(len(pairs), 'pair of images looks', 'pairs of images look')} nearly the same to the classifier, "
            f"though not by pixels{f' ({where})' if where else ''}",
            "See suspects.html: mirrored, turned and cropped copies and other views of one thing look like this.",
            how=f"The cosine similarity of their features is {least:.3f} or more: the distance of nearest images is "
            f"seldom so small (its logarithm lies {_NEAR:g} robust standard deviations below the median). Pairs that "
            "are found by their pixels are left out here.",
            groups=tuple(map(tuple, pairs.tolist())),
            captions=tuple(f"cosine {value:.3f}" for value in similarity.tolist()),
        )
    ]


def _name(images: Images, row: int) -> str:
    return f"{images.ids([row])[0]} ({images.label(row)}, {images.split(row)})"


def _told_by_pixels(facts: Facts) -> np.ndarray:
    """int64 (N,): equal for images that are copies or near duplicates of each other, or joined by a chain of such."""
    size = len(facts.copies)
    order = np.argsort(facts.copies, kind="stable")
    same = facts.copies[order[1:]] == facts.copies[order[:-1]]
    links = np.stack([order[:-1][same], order[1:][same]], axis=1)
    number = np.arange(size)
    for members in group_pairs(size, np.concatenate([links, facts.pairs])):
        number[members] = members[0]
    return number


def _deviations(values: np.ndarray) -> np.ndarray:
    middle, spread = _middle_and_spread(values)
    return (values - middle) / spread if spread > 0 else np.zeros_like(values)


def _excess(values: np.ndarray) -> np.ndarray:
    """The same by the deviations of the upper half alone, which on distances to all images has the longer tail."""
    above = values - np.median(values)
    spread = 1.4826 * float(np.median(above[above > 0])) if (above > 0).any() else 0.0
    return above / spread if spread > 0 else np.zeros_like(values)


def _middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    """Median, and 1.4826 times the median absolute deviation."""
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))
