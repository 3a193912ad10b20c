"""The cleaned list: what stays, what goes and why, what belongs together."""

import csv
from pathlib import Path

import pytest

from hfcls.data.decode import MAX_PIXELS
from hfcls.errors import UserError
from hfcls.inspection.fix import clean, save_cleaned
from hfcls.inspection.images import Images
from hfcls.inspection.scan import scan_images
from tests.inspection.pictures import dataset, picture


def cleaned(splits: dict, path: Path) -> tuple[dict[str, dict], dict[str, str]]:
    """What stays, by id, and the reasons of what goes."""
    images = Images(splits)
    result = clean(images, scan_images(images, max_pixels=MAX_PIXELS, quiet=True))
    removed = save_cleaned(result, images, path)
    with path.open(newline="") as file:
        stays = {row["id"]: row for row in csv.DictReader(file)}
    with removed.open(newline="") as file:
        goes = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    assert len(stays) + len(goes) == len(images)
    assert not set(stays) & set(goes)
    return stays, goes


def test_evaluation_stays_whole_and_near_duplicates_together(tmp_path: Path):
    near = [picture(n).crop((1, 0, 48, 48)) for n in range(10)]
    train = [(picture(n), "ab"[n % 2]) for n in range(10)]
    train += [(near[8], "a"), (b"broken", "a"), (picture(9), "a")]
    validation = [(picture(1), "b"), (picture(20), "a"), (near[2], "a")]
    test = [(picture(1), "b"), (picture(20), "a"), (near[3], "b"), (picture(30), "only here")]
    splits = {"train": train, "validation": validation, "test": test}
    stays, goes = cleaned({split: dataset(split, rows) for split, rows in splits.items()}, tmp_path / "list.csv")
    assert goes.keys() == {
        *("train/11", "train/9", "train/12"),  # broken; one image under two labels
        *("train/1", "validation/0", "validation/1"),  # copies of test/0, test/0, test/1
        *("train/2", "train/3"),  # nearly validation/2, test/2
        "test/3",  # a class that train lacks
    }
    assert "'a' and 'b'" in goes["train/9"]
    assert goes["validation/1"] == "is a copy of 'test/1' in test"
    assert goes["train/3"] == "is nearly 'test/2' in test"
    assert {row["group"] for row in stays.values()} == {"", "near-1"}
    assert {sample_id for sample_id, row in stays.items() if row["group"]} == {"train/8", "train/10"}
    assert stays["validation/2"] == {"id": "validation/2", "label": "a", "split": "validation", "group": ""}


def test_own_groups_and_cells_that_look_like_formulas_are_kept(tmp_path: Path):
    rows = [(picture(0), "=1+1"), (picture(1), "b"), (picture(0).crop((1, 1, 48, 48)), "=1+1")]
    stays, goes = cleaned({"train": dataset("train", rows, ["p1", "p2", "p2"])}, tmp_path / "list.csv")
    assert not goes
    assert [row["group"] for row in stays.values()] == ["p1", "p2", "p2"]
    assert stays["train/0"]["label"] == "'=1+1"


def test_a_class_whose_last_training_image_goes_is_left_out(tmp_path: Path):
    train = [(picture(0), "a"), (picture(1), "b")]
    test = [(picture(1), "b"), (picture(2), "a")]
    stays, goes = cleaned({"train": dataset("train", train), "test": dataset("test", test)}, tmp_path / "list.csv")
    assert set(stays) == {"train/0", "test/1"}
    assert "that train lacks" in goes["test/0"]
    nothing = {"train": dataset("train", [(picture(0), "a")]), "test": dataset("test", [(picture(0), "a")])}
    with pytest.raises(UserError, match="no image to train on"):
        cleaned(nothing, tmp_path / "none.csv")
