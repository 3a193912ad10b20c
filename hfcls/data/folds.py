"""Folds for cross-validation: every image is held out once, classes keep their shares, groups and copies stay whole."""

import warnings

import numpy as np

from hfcls.data.draws import uniform_draws
from hfcls.data.groups import join_groups
from hfcls.errors import UserError

# Of the draws, beside those of carving; see `hfcls.data.labelled`.
FOLD_STREAM = -13


def assign_folds(
    keys: np.ndarray,
    labels: np.ndarray,
    *,
    folds: int,
    seed: int,
    repeat: int = 0,
    groups: list[str] | None = None,
) -> np.ndarray:
    """Deals the samples of a data set out to folds.

    Each image, or group of images, draws a number from (seed, repeat, content), so that names, places and the order of
    the samples play no part. In the order of the draws they are dealt out by scikit-learn's `StratifiedKFold`, or its
    `StratifiedGroupKFold` where samples stay together.

    Args:
        keys: uint64 (N,), from the images' contents: the same for copies, which stay together.
        labels: int (N,).
        folds: how many, 2 or more.
        repeat: another one deals anew.
        groups: N names; samples of one group stay together, and so do groups that share an image.

    Returns:
        int (N,) in [0, folds): the fold in which each sample is held out.

    Raises:
        UserError: there are fewer images or groups than folds, or a class has one alone, so that nothing could be
            learned of it when that is held out.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if groups is None:
        _, units = np.unique(keys, return_inverse=True)
        what = "different images"
    else:
        _, units = np.unique(np.asarray(join_groups(groups, keys), dtype=object), return_inverse=True)
        what = "groups without a copy in common"
    count = int(units.max()) + 1
    if not 2 <= folds <= count:
        raise UserError(f"--folds is {folds}: expected from 2 to the number of {what}, {count:,}.")
    smallest = np.full(count, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, units, keys)
    draws = uniform_draws(smallest, seed=seed, epoch=repeat, stream=FOLD_STREAM, count=1)[:, 0]
    order = np.lexsort((smallest, draws))
    if groups is None:
        # One sample stands for all copies of an image: groups are dealt out one by one, which takes long.
        splitter, rows, members = StratifiedKFold(folds), np.unique(units, return_index=True)[1][order], None
    else:
        ranks = np.argsort(order)[units]
        splitter, rows = StratifiedGroupKFold(folds), np.lexsort((keys, ranks))
        members = ranks[rows]
    dealt = np.empty(count, dtype=int)
    with warnings.catch_warnings():
        # Of classes with fewer members than there are folds: they are missing from some, which metrics say.
        warnings.simplefilter("ignore", UserWarning)
        try:
            for fold, (_, held_out) in enumerate(splitter.split(rows, labels[rows], members)):
                dealt[units[rows[held_out]]] = fold
        except ValueError:
            raise UserError(f"--folds is {folds}, more than any class has images: expected fewer.") from None
    return dealt[units]


def check_folds(assigned: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
    """Each class has images outside each fold.

    Args:
        assigned: from `assign_folds`.

    Raises:
        UserError: a class lies in one fold alone.
    """
    for label in np.unique(labels):
        if len(np.unique(assigned[labels == label])) < 2:
            count = int((labels == label).sum())
            are = "1 image" if count == 1 else f"{count} images, all of them copies, or in groups held out together"
            raise UserError(
                f"The class {class_names[label]!r} has {are}: when it is held out, nothing is left to learn it from. "
                "Add images of it, or leave the class out with --class_mapping."
            )
