"""The cleaned list: what stays, what goes and why, what belongs together."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hfcls.data.decode import MAX_PIXELS
from hfcls.errors import UserError
from hfcls.inspection.checks import find_all
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


def test_a_burst_across_splits_leaves_train(tmp_path: Path):
    """Frame after frame the picture drifts: the far end of the burst is like no image of test by itself."""
    rng = np.random.default_rng(0)
    others = [(picture(n), "ab"[n % 2]) for n in range(10)]

    def burst(size: int, shift: int) -> list[tuple[Image.Image, str]]:
        view = np.asarray(picture(50, 96).crop((shift, shift, 96, 96)).resize((48, 48)), dtype=int)
        frames = (view + rng.integers(-3, 4, view.shape) for _ in range(size))
        return [(Image.fromarray(frame.clip(0, 255).astype(np.uint8)), "a") for frame in frames]

    train = [*others, *burst(40, 0), *burst(5, 6), *burst(1, 11)]
    splits = {"train": dataset("train", train), "test": dataset("test", [*burst(40, 0), (picture(20), "b")])}
    images = Images(splits)
    facts = scan_images(images, max_pixels=MAX_PIXELS, quiet=True)
    found = {finding.kind: finding for finding in find_all(images, facts, ())}
    assert found["near-duplicates-across-splits"].severity == "error"
    assert found["crowded"].severity == "warning"
    stays, goes = cleaned(splits, tmp_path / "list.csv")
    assert goes.keys() == {f"train/{row}" for row in range(10, 56)}
    assert goes["train/10"].startswith("is nearly 'test/")
    assert goes["train/55"] == "is joined by a chain of near duplicates to 'test/0' in test"
    assert len(stays) == 51


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
