"""Near duplicates: the same picture after resizing, slight cropping, recompression or a change of light."""

from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from hfcls.inspection.alignment import compare
from hfcls.inspection.candidates import ALIKE, nearest, search
from hfcls.inspection.hashes import DESCRIPTOR_BYTES, blocks, brightness, describe, perceptual_hashes

__all__ = ["MOST_PARTNERS", "NearDuplicates", "describe", "find_near_duplicates", "group_pairs", "perceptual_hashes"]

MOST_PARTNERS = 20  # pairs that are kept for each image within its split, and as many across splits
# Measured with scripts/benchmarks/near_duplicates.py on photos, CIFAR-10, MNIST and Omniglot.
_FLAT = 2.0  # grey levels of standard deviation below which a picture is blank
_SAME = 0.01  # unexplained part of low frequencies that copies seldom exceed
_DISAGREEMENT = 0.042  # that copies may have
_CROWD = 2  # look-alikes from which on copies must agree more closely
_COLOUR = 1000.0  # squared levels
_LEAST_CORRELATION = 0.96
_LEAST_GAIN, _MOST_GAIN = 0.6, 1.67
_MOST_COMPARED = 32  # candidates of an image that are laid over it, the most promising in its split and in others
_BATCH, _PENDING = 128, 8192  # pairs: 128 fit a processor's cache


@dataclass(frozen=True)
class NearDuplicates:
    """What `find_near_duplicates` found.

    Attributes:
        pairs: int64 (P, 2), i < j, ascending.
        similarity: float32 (P,), correlation of brightness once the two are laid over each other, 0.96 to 1.
        blank: int64 (B,), images that show next to nothing (one even colour); they are in no pair.
        crowded: int64 (C,), images that had more than `MOST_PARTNERS` near duplicates within their split, or across
            splits. `pairs` has the most similar ones, and those that count the image among their own most similar.
    """

    pairs: np.ndarray
    similarity: np.ndarray
    blank: np.ndarray
    crowded: np.ndarray


def find_near_duplicates(
    descriptors: np.ndarray,
    hashes: np.ndarray,
    *,
    exclude: np.ndarray | None = None,
    split_of: np.ndarray | None = None,
    progress: bool = False,
) -> NearDuplicates:
    """Finds the pairs of images that are the same picture.

    Found are copies that were resized, cropped by up to 4 % of a side, recompressed, stored in another format, changed
    a little in brightness or contrast, or all of these. Out of scope are mirrored and turned copies, larger crops, and
    a picture within a picture.

    Candidates come from the hashes (see `hfcls.inspection.candidates.search`); those whose low frequencies agree are
    laid over each other (`hfcls.inspection.alignment.compare`). How closely two images must agree depends on what else
    is there: of many look-alikes (as drawings of the digit 1 have them), some agree by chance.

    Args:
        descriptors: ``(N, 864)`` uint8, from `describe`; may lie in a file (``np.memmap``).
        hashes: ``(N,)`` uint64, from `perceptual_hashes`.
        exclude: ``(N,)`` int, equal for images that are already known as exact duplicates: pairs of them are not
            reported. One of each such group and split is searched; its pairs are repeated for the first 20 of them.
        split_of: ``(N,)`` int, the split of each image; all are in one where None. Pairs within a split and pairs
            across splits are ranked and capped apart, so that a burst within one never hides its copies in another.
        progress: show a bar.

    Raises:
        ValueError: the shapes don't fit each other.
    """
    count = len(descriptors)
    groups = np.arange(count) if exclude is None else np.unique(exclude, return_inverse=True)[1].ravel()
    split_of = np.zeros(count, dtype=np.int8) if split_of is None else np.asarray(split_of)
    shapes = hashes.shape, groups.shape, split_of.shape
    if descriptors.shape != (count, DESCRIPTOR_BYTES) or set(shapes) != {(count,)}:
        raise ValueError(
            f"Shapes don't fit: descriptors {descriptors.shape}, hashes {shapes[0]}, exclude {shapes[1]}, split_of "
            f"{shapes[2]}; expected (N, {DESCRIPTOR_BYTES}) and three times (N,)."
        )
    flat = np.zeros(count, dtype=bool)
    for rows in blocks(count):
        flat[rows] = brightness(descriptors[rows]).std(axis=(1, 2)) < _FLAT
    places = np.unique(np.stack([groups, split_of]), axis=1, return_inverse=True)[1].ravel()
    firsts = np.sort(np.unique(places, return_index=True)[1])
    pairs, similarity = _find(descriptors, hashes, firsts[~flat[firsts]], groups, split_of, progress)
    pairs, similarity = _repeat_for_copies(pairs, similarity, places)
    pairs, similarity, crowded = _keep_nearest(pairs, similarity, split_of)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return NearDuplicates(pairs[order], similarity[order], np.flatnonzero(flat), crowded)


def group_pairs(count: int, pairs: np.ndarray) -> list[list[int]]:
    """Joins pairs that share an image into groups.

    A group may be a chain whose ends are not alike: use groups to keep images together, pairs to say what is alike.

    Args:
        count: number of images.
        pairs: ``(P, 2)`` int, below `count`.

    Returns:
        Groups of two or more indices, ascending, ordered by their first.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), dtype=np.int8), tuple(np.reshape(pairs, (-1, 2)).T)), shape=(count, count))
    member = connected_components(links, directed=False)[1]
    order = np.argsort(member, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(member[order])) + 1)
    return sorted(group.tolist() for group in groups if len(group) > 1)


def _find(
    descriptors: np.ndarray,
    hashes: np.ndarray,
    rows: np.ndarray,
    groups: np.ndarray,
    split_of: np.ndarray,
    progress: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (P, 2) among some rows, each once, and their correlation.

    At most `_MOST_COMPARED` within its split for each row, and as many across splits; none within one of `groups`.
    """
    crowd = np.zeros(len(hashes), dtype=np.int32)
    pending = [np.zeros((0, 2), dtype=np.int64)]
    waiting = 0
    found = []
    results = search(descriptors, hashes, rows, split_of=split_of)
    for row, others, rest, due in tqdm(
        results, total=len(rows), desc="Near duplicates", leave=False, disable=None if progress else True
    ):
        if not len(others):
            continue
        crowd[row] = np.count_nonzero(rest > _SAME)
        # What is left of low frequencies is a square, and so is what is left of brightness: one limit for both.
        due &= (rest <= ALIKE * _allowed(crowd[row]) / _DISAGREEMENT) & (groups[others] != groups[row])
        chosen = np.flatnonzero(due)
        chosen = chosen[nearest(rest[chosen], split_of[others[chosen]] != split_of[row], _MOST_COMPARED)]
        pending.append(np.stack([np.full(len(chosen), row), others[chosen]], axis=1))
        waiting += len(chosen)
        if waiting >= _PENDING:
            found.append(_agreeing(descriptors, np.concatenate(pending)))
            pending, waiting = pending[:1], 0
    found.append(_agreeing(descriptors, np.concatenate(pending)))
    pairs, disagreement, correlation = (np.concatenate(parts) for parts in zip(*found, strict=True))
    same = np.flatnonzero(disagreement <= _allowed(crowd[pairs].max(axis=1, initial=0)))
    pairs = np.sort(pairs[same], axis=1)
    once = np.unique(pairs @ np.array([len(hashes), 1]), return_index=True)[1]
    return pairs[once], correlation[same][once]


def _allowed(crowd: np.ndarray) -> np.ndarray:
    """How much two images may disagree, by the look-alikes that one of them has.

    Those that agree by chance are about as many as the look-alikes times the fourth power of what is allowed, so that
    their number is kept, on drawings to a few images in a thousand.
    """
    return _DISAGREEMENT * np.minimum(1, (_CROWD / np.maximum(crowd, 1)) ** 0.25)


def _agreeing(descriptors: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs that agree well enough where nothing else looks like them; their disagreement and correlation."""
    kept = [(np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32))]
    for some in blocks(len(pairs), _BATCH):
        disagreement, colour, gain, correlation = compare(descriptors[pairs[some, 0]], descriptors[pairs[some, 1]])
        good = (disagreement <= _DISAGREEMENT) & (colour <= _COLOUR) & (correlation >= _LEAST_CORRELATION)
        good &= (gain >= _LEAST_GAIN) & (gain <= _MOST_GAIN)
        kept.append((pairs[some][good], disagreement[good], correlation[good]))
    found, disagreement, correlation = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return found, disagreement, correlation


def _repeat_for_copies(pairs: np.ndarray, similarity: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What holds for the image of a group that was searched holds for its exact copies."""
    sizes = np.bincount(groups)
    alone = (sizes[groups[pairs]] == 1).all(axis=1)
    order = np.argsort(groups, kind="stable")
    starts = np.cumsum(sizes) - sizes
    parts, repeats = [pairs[alone]], [similarity[alone]]
    for (one, other), value in zip(groups[pairs[~alone]].tolist(), similarity[~alone].tolist(), strict=True):
        left, right = (order[starts[g] :][: min(sizes[g], MOST_PARTNERS)] for g in (one, other))
        parts.append(np.stack(np.meshgrid(left, right), axis=-1).reshape(-1, 2))
        repeats.append(np.full(len(parts[-1]), value, dtype=np.float32))
    return np.sort(np.concatenate(parts), axis=1), np.concatenate(repeats)


def _keep_nearest(
    pairs: np.ndarray, similarity: np.ndarray, split_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Leaves each image its `MOST_PARTNERS` most similar, in its split and across; also the images that had more."""
    apart = split_of[pairs[:, 0]] != split_of[pairs[:, 1]]
    sides = 2 * pairs.T.ravel() + np.tile(apart, 2)  # an image has two: its own split and the others
    order = np.lexsort((-np.tile(similarity, 2), sides))
    partners = np.bincount(sides, minlength=2 * len(split_of))
    rank = np.empty(len(sides), dtype=np.int64)
    rank[order] = np.arange(len(sides)) - (np.cumsum(partners) - partners)[sides[order]]
    near = (rank < MOST_PARTNERS).reshape(2, -1).any(axis=0)
    return pairs[near], similarity[near], np.unique(np.flatnonzero(partners > MOST_PARTNERS) // 2)
