"""Groups and copies stay on one side; classes keep their shares; limits are stratified."""

from pathlib import Path

import numpy as np
import pytest

from hfcls.arguments import DataArguments
from hfcls.data.draws import text_keys
from hfcls.data.labelled import load_data
from hfcls.data.labels import labels_of
from hfcls.data.splits import carve, limit
from hfcls.errors import UserError
from tests.conftest import write_images


def keys_of(count: int) -> np.ndarray:
    return text_keys([str(i) for i in range(count)])


@pytest.mark.parametrize("kind", ["patients", "pure groups", "skewed"])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_groups_stay_together_and_classes_keep_their_shares(kind: str, fraction: float):
    rng = np.random.default_rng(len(kind))
    if kind == "patients":  # 150 patients of 1 to 12 images, each with a leaning of its own
        sizes = rng.integers(1, 13, 150)
        groups = np.repeat(np.arange(150), sizes)
        leaning = rng.dirichlet([2.0, 1.0, 0.5], 150)
        labels = np.array([rng.choice(3, p=leaning[group]) for group in groups])
    elif kind == "pure groups":  # each drawer holds one class
        groups = np.repeat(np.arange(200), 5)
        labels = np.repeat(rng.integers(0, 4, 200), 5)
    else:  # a few large groups among many small ones
        sizes = np.r_[rng.integers(80, 120, 5), rng.integers(1, 6, 300)]
        groups = np.repeat(np.arange(len(sizes)), sizes)
        labels = rng.choice(2, len(groups), p=[0.9, 0.1])
    names = [f"g{group}" for group in groups]
    stays, goes = carve(keys_of(len(labels)), labels, fraction, seed=1, stream=0, groups=names)
    assert sorted([*stays, *goes]) == list(range(len(labels)))
    assert not set(groups[stays]) & set(groups[goes])
    assert abs(len(goes) / len(labels) - fraction) < 0.02
    whole = np.bincount(labels) / len(labels)
    for side in (stays, goes):
        np.testing.assert_allclose(np.bincount(labels[side], minlength=len(whole)) / len(side), whole, atol=0.02)
    again = carve(keys_of(len(labels)), labels, fraction, seed=1, stream=0, groups=names)
    np.testing.assert_array_equal(again[1], goes)
    if kind == "patients":
        other = carve(keys_of(len(labels)), labels, fraction, seed=2, stream=0, groups=names)
        assert not np.array_equal(other[1], goes)


def test_a_class_in_one_group_stays_in_train():
    labels = np.array([0] * 20 + [1] * 20 + [2] * 5)
    groups = [f"a{i // 2}" for i in range(20)] + [f"b{i // 2}" for i in range(20)] + ["only"] * 5
    stays, goes = carve(keys_of(45), labels, 0.5, seed=0, stream=0, groups=groups)
    assert set(labels[stays]) == {0, 1, 2}
    assert set(labels[goes]) == {0, 1}
    with pytest.raises(UserError, match="are of the group 'x'"):
        carve(keys_of(4), np.array([0, 0, 1, 1]), 0.5, seed=0, stream=0, groups=["x"] * 4)


def test_copies_never_part():
    labels = np.array([0, 1] * 100)
    keys = keys_of(200)
    keys[1::2] = keys[::2]  # every image under both labels
    stays, goes = carve(keys, labels, 0.3, seed=0, stream=0)
    assert not set(keys[stays]) & set(keys[goes])
    assert len(goes) > 40


def test_copies_under_two_groups_join_them(tmp_path: Path):
    groups = [f"g{i // 4}" for i in range(200)]
    labels, keys = np.array([0, 1] * 100), keys_of(200)
    keys[::40] = keys[0]  # one image in five groups
    for seed in range(10):
        stays, goes = carve(keys, labels, 0.4, seed=seed, stream=0, groups=groups)
        assert not set(keys[stays]) & set(keys[goes])
        assert not {groups[i] for i in stays} & {groups[i] for i in goes}


def test_groups_in_another_order_and_an_image_fewer_change_no_split(tmp_path: Path):
    write_images(tmp_path / "data", {"ill": 60, "well": 60})
    ids = [f"{name}/{index}.png" for name in ("ill", "well") for index in range(60)]
    grouped = np.random.default_rng(0).permutation(120)[:20].tolist()

    def ids_of_test(order: list[int], name: str) -> set[str]:
        names = {ids[row]: f"{name}{place // 2}" for place, row in enumerate(grouped)}
        lines = [f"{ids[row]},{names.get(ids[row], '')}" for row in order]
        (tmp_path / "list.csv").write_text("\n".join(["id,group", *lines]))
        loaded = load_data(DataArguments(train_dir=str(tmp_path / "data"), samples=str(tmp_path / "list.csv")))
        return set(loaded.splits["test"]["id"])

    whole = ids_of_test(list(range(120)), "near-")
    shuffled = np.random.default_rng(1).permutation(120).tolist()
    assert ids_of_test(shuffled, "near-") == whole
    assert ids_of_test(list(range(120)), "other-") == whole
    lone = next(row for row in range(120) if row not in grouped and ids[row] not in whole)
    fewer = ids_of_test([row for row in range(120) if row != lone], "near-")
    assert len(fewer ^ whole) <= 2  # the share of its class is smaller by a fifth of an image


def test_the_order_of_the_classes_plays_no_part():
    labels = np.repeat(np.arange(60), 3)  # every remainder is the same
    keys = keys_of(180)
    _, goes = carve(keys, labels, 0.2, seed=0, stream=0)
    _, turned = carve(keys, 59 - labels, 0.2, seed=0, stream=0)
    np.testing.assert_array_equal(goes, turned)
    assert np.ptp(labels[goes]) > 45
    np.testing.assert_array_equal(
        limit(keys, labels, 70, seed=0, stream=0), limit(keys, 59 - labels, 70, seed=0, stream=0)
    )


def test_limit_keeps_shares_and_rare_classes():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    chosen = limit(keys_of(1000), labels, 100, seed=0, stream=0)
    assert np.bincount(labels[chosen]).tolist() == [90, 9, 1]
    assert np.bincount(labels[limit(keys_of(1000), labels, 5, seed=0, stream=0)]).tolist() == [3, 1, 1]
    # a smaller choice lies inside a larger one, so that learning curves compare
    smaller = limit(keys_of(1000), labels, 50, seed=0, stream=0)
    assert set(smaller) <= set(chosen)


def test_a_pattern_over_the_path_groups(tmp_path: Path):
    for patient in range(12):
        write_images(tmp_path, {"ill": 3, "well": 2}, size=8, seed=patient)
        for name, count in (("ill", 3), ("well", 2)):
            for index in range(count):
                (tmp_path / name / f"{index}.png").rename(tmp_path / name / f"p{patient}_{index}.jpg")
    arguments = {"train_dir": str(tmp_path), "group_pattern": r"/(p\d+)_"}
    loaded = load_data(DataArguments(**arguments))
    sides = {split: set(data["group"]) for split, data in loaded.splits.items()}
    assert sum(map(len, sides.values())) == len(set.union(*sides.values())) == 12
    assert loaded.summary()["splits"]["test"]["groups"] == len(sides["test"])
    with pytest.raises(UserError, match="finds no group in 24 of 60 paths, such as 'well/p0_0\\.jpg'"):
        load_data(DataArguments(train_dir=str(tmp_path), group_pattern="ill/(p.+)_"))
    with pytest.raises(UserError, match="no regular expression"):
        load_data(DataArguments(train_dir=str(tmp_path), group_pattern="(p"))


def test_limits_show_in_the_origin(image_folder: Path):
    loaded = load_data(DataArguments(train_dir=str(image_folder), max_train_samples=10, max_test_samples=3))
    assert {split: len(data) for split, data in loaded.splits.items()} == {"train": 10, "validation": 4, "test": 3}
    assert "3 of its 10 images" in loaded.summary()["splits"]["test"]["from"]
    assert np.bincount(labels_of(loaded.splits["train"])).min() >= 2
    with pytest.raises(UserError, match="--max_train_samples is 0"):
        load_data(DataArguments(train_dir=str(image_folder), max_train_samples=0))


def test_no_class_leaves_train_by_a_limit(image_folder: Path):
    with pytest.raises(UserError, match="train has 3 classes"):
        load_data(DataArguments(train_dir=str(image_folder), max_train_samples=2))
    loaded = load_data(DataArguments(train_dir=str(image_folder), max_test_samples=2))
    assert "1 of its 3 classes without one" in loaded.summary()["splits"]["test"]["from"]
