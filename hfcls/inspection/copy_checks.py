"""Images that come twice: within a split, on both sides of one, under two classes; groups that are torn apart."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from hfcls.inspection.duplicates import MOST_PARTNERS, group_pairs
from hfcls.inspection.finding import Finding, count, listing
from hfcls.inspection.images import Images
from hfcls.inspection.scan import Facts

_HOW_NEAR = "Found are copies that were scaled, recompressed, cropped by up to 4 % of a side or made a little brighter."


def check_copies(images: Images, facts: Facts) -> Iterator[Finding]:
    """Exact duplicates, by the stored bytes."""
    groups = copy_groups(facts.copies)
    across = [rows for rows in groups if len(set(images.split_of[rows])) > 1]
    if across:
        yield Finding(
            "exact-duplicates-across-splits",
            "error",
            f"{count(len(across), 'image is', 'images are')} stored in several splits ({_where(images, across)})",
            "Keep the copy that is tested on and remove the others (--fix does): what was trained on tests nothing.",
            groups=_tuples(across),
            fixable=True,
        )
    double = [rows for rows in groups if len(set(images.labels[rows])) > 1]
    if double:
        yield Finding(
            "two-labels",
            "error",
            f"{count(len(double), 'image is', 'images are')} filed under several classes",
            "Decide what each one shows and remove the other copies (--fix removes all copies).",
            groups=_tuples(double),
            captions=tuple(" / ".join(dict.fromkeys(images.label(row) for row in rows)) for rows in double),
            fixable=True,
        )
    within = [
        rows for rows in groups if len(set(images.split_of[rows])) < len(rows) and len(set(images.labels[rows])) == 1
    ]
    if within:
        surplus = sum(len(rows) - len(set(images.split_of[rows])) for rows in within)
        yield Finding(
            "exact-duplicates",
            "warning",
            f"{count(len(within), 'image is', 'images are')} stored more than once within a split "
            f"({count(surplus, 'copy', 'copies')} too many)",
            "Remove the copies (--fix does): they count double in training and in every figure.",
            groups=_tuples(within),
            fixable=True,
        )


def check_near_duplicates(images: Images, facts: Facts) -> Iterator[Finding]:
    """Images that look the same though their bytes differ."""
    pairs, similarity = facts.pairs, facts.similarity
    first, second = pairs.T
    apart = images.split_of[first] != images.split_of[second]
    if apart.any():
        chosen = pairs[apart]
        yield Finding(
            "near-duplicates-across-splits",
            "error",
            f"{count(len(chosen), 'pair of near duplicates lies', 'pairs of near duplicates lie')} across splits "
            f"({_where(images, chosen)})",
            "Keep the copy that is tested on and remove the other (--fix does): it flatters the figures.",
            how=_how(facts),
            groups=_tuples(chosen),
            captions=_alike(similarity[apart]),
            fixable=True,
        )
    double = images.labels[first] != images.labels[second]
    if double.any():
        yield Finding(
            "near-duplicates-under-two-labels",
            "warning",
            f"{count(int(double.sum()), 'pair of near duplicates is', 'pairs of near duplicates are')} filed under two "
            "classes",
            "Look at them: where they show the same, one of the two labels is wrong.",
            how=_how(facts),
            groups=_tuples(pairs[double]),
            captions=_alike(similarity[double]),
        )
    yield from _near_within(images, facts, ~apart)
    if len(facts.crowded):
        yield Finding(
            "crowded",
            "warning",
            f"{count(len(facts.crowded), 'image has', 'images have')} more than {MOST_PARTNERS} near duplicates within "
            "a split or across splits",
            "Not all pairs of such a burst are listed: keep a few images of each, and inspect what is left.",
            how=_how(facts),
            groups=_tuples(facts.crowded[:, None]),
        )


def _near_within(images: Images, facts: Facts, within: np.ndarray) -> Iterator[Finding]:
    groups = images.group_of[facts.pairs]
    loose = within & ((groups[:, 0] != groups[:, 1]) | (groups[:, 0] < 0))
    pairs, similarity = facts.pairs[loose], facts.similarity[loose]
    if not len(pairs):
        return
    clusters = group_pairs(len(images), pairs)
    number = np.zeros(len(images), dtype=np.int64)
    for index, rows in enumerate(clusters):
        number[rows] = index
    least = np.ones(len(clusters), dtype=np.float32)
    np.minimum.at(least, number[pairs[:, 0]], similarity)
    carved = not {"validation", "test"} <= set(images.splits)
    advice = (
        "They would fall on both sides of the split that training carves: --fix gives them a common group, which keeps "
        "them together."
        if carved
        else "They say the same thing twice; keep them, or leave one of each out."
    )
    yield Finding(
        "near-duplicates",
        "warning" if carved else "note",
        f"{count(len(clusters), 'group', 'groups')} of near duplicates ({count(sum(map(len, clusters)), 'image')}) "
        "within a split",
        advice,
        how=_how(facts),
        groups=tuple(map(tuple, clusters)),
        captions=_alike(least),
        fixable=carved and not images.groups,
    )


def check_groups(images: Images) -> Iterator[Finding]:
    """Groups (a patient, a tile) with images on both sides of the given splits."""
    grouped = images.group_of >= 0
    places = np.unique(np.stack([images.group_of[grouped], images.split_of[grouped]], axis=1), axis=0)
    torn = np.flatnonzero(np.bincount(places[:, 0], minlength=len(images.groups)) > 1)
    if len(torn):
        names = [images.groups[group] for group in torn]
        order = np.argsort(images.group_of, kind="stable")
        bounds = np.searchsorted(images.group_of[order], [torn, torn + 1])
        rows = [np.sort(order[start:end]) for start, end in bounds.T.tolist()]
        yield Finding(
            "group-across-splits",
            "error",
            f"{count(len(torn), 'group has', 'groups have')} images in several splits: {listing(names)}",
            "Move each group to one side, or give train alone and let training carve: it keeps groups together.",
            groups=_tuples(rows),
            captions=tuple(names),
        )


def copy_groups(copies: np.ndarray) -> list[np.ndarray]:
    """Rows of each number that comes more than once, in order of their first row."""
    order = np.argsort(copies, kind="stable")
    starts = np.flatnonzero(np.diff(copies[order], prepend=-1, append=-1))
    groups = [order[starts[i] : starts[i + 1]] for i in np.flatnonzero(np.diff(starts) > 1).tolist()]
    return sorted(groups, key=lambda rows: int(rows[0]))


def _where(images: Images, groups: list[np.ndarray] | np.ndarray) -> str:
    """Such as ``train and test: 15``."""
    places = Counter(tuple(sorted(set(images.split_of[rows].tolist()))) for rows in groups)
    return ", ".join(f"{' and '.join(images.splits[s] for s in place)}: {n:,}" for place, n in sorted(places.items()))


def _how(facts: Facts) -> str:
    if not len(facts.crowded):
        return _HOW_NEAR
    return (
        f"{_HOW_NEAR} {count(len(facts.crowded), 'image has', 'images have')} more than {MOST_PARTNERS} such copies: "
        "the most similar are listed."
    )


def _alike(similarity: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{int(1000 * value) / 10:.1f} % alike" for value in similarity.tolist())


def _tuples(groups: list[np.ndarray] | np.ndarray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(rows.tolist()) for rows in groups)
