"""Folds: each sample held out once, classes keep their shares, copies and groups stay whole, order plays no part."""

import numpy as np
import pytest

from hfcls.data.folds import assign_folds, check_folds
from hfcls.errors import UserError

RNG = np.random.default_rng(0)
KEYS = RNG.integers(0, 2**63, 200).astype(np.uint64)
LABELS = RNG.choice(3, 200, p=[0.6, 0.3, 0.1])


@pytest.mark.parametrize("groups", [None, [f"g{number // 4}" for number in range(200)]], ids=["images", "groups"])
def test_folds_hang_on_content_alone(groups: list[str] | None):
    assigned = assign_folds(KEYS, LABELS, folds=5, seed=1, groups=groups)
    order = np.random.default_rng(3).permutation(200)
    moved = [f"renamed {groups[place]}" for place in order] if groups else None
    assert np.array_equal(assign_folds(KEYS[order], LABELS[order], folds=5, seed=1, groups=moved), assigned[order])
    assert not np.array_equal(assign_folds(KEYS, LABELS, folds=5, seed=1, repeat=1, groups=groups), assigned)
    assert not np.array_equal(assign_folds(KEYS, LABELS, folds=5, seed=2, groups=groups), assigned)
    wanted = np.bincount(LABELS) / 5
    for fold in range(5):
        # Stratified to one image; of whole groups of four, to a group.
        assert np.abs(np.bincount(LABELS[assigned == fold], minlength=3) - wanted).max() <= (4 if groups else 1)


def test_copies_and_groups_stay_on_one_side():
    keys = KEYS.copy()
    keys[150:] = keys[:50]  # copies, some of another class
    assigned = assign_folds(keys, LABELS, folds=4, seed=0)
    assert np.array_equal(assigned[150:], assigned[:50])
    groups = [f"g{number % 20}" for number in range(200)]
    keys = KEYS.copy()
    keys[1] = keys[0]  # groups 0 and 1 share an image, and so stay together
    assigned = assign_folds(keys, LABELS, folds=4, seed=0, groups=groups)
    for group in range(20):
        assert len(set(assigned[np.arange(200) % 20 == group])) == 1
    assert assigned[0] == assigned[1]


def test_one_image_more_hardly_disturbs_the_rest():
    assigned = assign_folds(KEYS, LABELS, folds=5, seed=1)
    fewer = assign_folds(KEYS[:-1], LABELS[:-1], folds=5, seed=1)
    assert (fewer != assigned[:-1]).mean() < 0.05


def test_impossible_folds_are_told():
    with pytest.raises(UserError, match="--folds is 300: expected from 2 to the number of different images, 200"):
        assign_folds(KEYS, LABELS, folds=300, seed=0)
    labels = LABELS.copy()
    labels[0] = 3
    with pytest.raises(UserError, match="'d' has 1 image: when it is held out, nothing is left"):
        check_folds(assign_folds(KEYS, labels, folds=5, seed=0), labels, ("a", "b", "c", "d"))
