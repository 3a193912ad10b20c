"""Every container gives the same data set; labels go by name; splits are stratified and fixed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Image, load_dataset

from hfcls.arguments import DataArguments
from hfcls.data.draws import text_keys, uniform_draws
from hfcls.data.labelled import load_data
from hfcls.data.labels import labels_of, match_names
from hfcls.data.sources import read_data
from hfcls.data.splits import carve
from hfcls.errors import UserError
from tests.conftest import write_images

WHOLE = {"validation_fraction": 0, "test_fraction": 0}


def names(data: Dataset) -> list[str]:
    feature = data.features["label"]
    return [feature.names[label] for label in labels_of(data)]


@pytest.fixture(scope="module")
def split_folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("split")
    write_images(root / "train", {"class 10": 6, "class 2": 5}, size=8)
    # by position alone, this class would be taken for "class 2"
    write_images(root / "test", {"class 10": 3}, size=8, seed=1)
    return root


def test_folder_with_splits(split_folder: Path):
    loaded = load_data(DataArguments(train_dir=str(split_folder), validation_fraction=0))
    assert loaded.class_names == ("class 2", "class 10")
    assert loaded.splits["train"]["id"][0] == "train/class 2/0.png"
    assert names(loaded.splits["test"]) == ["class 10"] * 3
    assert loaded.splits["train"][0]["image"].size == (8, 8)
    assert any("no image of 'class 2'" in notice for notice in loaded.notices)
    apart = load_data(
        DataArguments(train_dir=f"{split_folder}/train", test_dir=f"{split_folder}/test", validation_fraction=0)
    )
    assert names(apart.splits["test"]) == ["class 10"] * 3
    assert apart.splits["test"]["id"][0] == "test/class 10/0.png"
    assert apart.splits["train"]["id"][0] == "class 2/0.png"


def test_tables_hold_what_the_folder_holds(split_folder: Path, tmp_path: Path):
    folder = load_data(DataArguments(train_dir=str(split_folder), validation_fraction=0))
    splits = {
        split: Dataset.from_dict(
            {
                "picture": [{"path": p, "bytes": Path(split_folder, p).read_bytes()} for p in data["id"]],
                "kind": names(data),
            }
        ).cast_column("picture", Image())
        for split, data in folder.splits.items()
    }
    (tmp_path / "parquet").mkdir()
    for split, data in splits.items():
        data.to_parquet(tmp_path / "parquet" / f"{split}-00000-of-00001.parquet")
    DatasetDict(splits).save_to_disk(tmp_path / "saved")
    for place in ("parquet", "saved"):
        flags = {"dataset_name": str(tmp_path / place), "label_column_name": "kind", "validation_fraction": 0}
        table = load_data(DataArguments(**flags))
        assert table.class_names == folder.class_names
        assert table.splits["test"]["id"] == ["test/0", "test/1", "test/2"]
        assert table.summary()["fingerprint"] == folder.summary()["fingerprint"]
    with pytest.raises(UserError, match="no label column among kind"):
        load_data(DataArguments(dataset_name=str(tmp_path / "saved")))


def test_digits_are_real_and_complete():
    loaded = load_data(DataArguments(dataset_name="digits", **WHOLE))
    assert len(loaded.splits["train"]) == 1797
    assert loaded.splits["train"][0]["image"].size == (8, 8)
    assert loaded.summary()["splits"]["train"]["label_counts"]["8"] == 174  # as scikit-learn documents


def test_splits_are_stratified_fixed_and_disjoint(tmp_path: Path):
    write_images(tmp_path, {"many": 60, "few": 20, "one": 1}, size=8)
    arguments = DataArguments(train_dir=str(tmp_path))
    loaded, again = load_data(arguments), load_data(arguments)
    other = load_data(DataArguments(train_dir=str(tmp_path), split_seed=1))
    ids = {split: set(data["id"]) for split, data in loaded.splits.items()}
    assert {split: len(found) for split, found in ids.items()} == {"train": 59, "validation": 6, "test": 16}
    assert len(set.union(*ids.values())) == 81
    assert names(loaded.splits["test"]).count("few") == 4
    assert ids["test"] == set(again.splits["test"]["id"]) != set(other.splits["test"]["id"])
    assert loaded.summary() == again.summary()
    # a class of one image stays in train; a new image moves no other one across
    assert "one/0.png" in ids["train"]
    write_images(tmp_path, {"new": 1}, size=8)
    moved = set(load_data(arguments).splits["test"]["id"]) ^ ids["test"]
    assert len(moved) <= 1


def test_carve_takes_the_asked_share_of_each_class():
    labels = np.repeat([0, 1, 2], [500, 100, 3])
    stays, goes = carve(text_keys([str(i) for i in range(603)]), labels, 0.25, seed=0, stream=0)
    assert np.bincount(labels[goes]).tolist() == [125, 25, 1]
    assert sorted([*stays, *goes]) == list(range(603))
    with pytest.raises(UserError, match="too few"):
        carve(text_keys(["a", "b"]), np.array([0, 1]), 0.5, seed=0, stream=0)


def test_odd_folders_are_said(tmp_path: Path):
    write_images(tmp_path, {"cat": 5, "dog": 5}, size=8)
    (tmp_path / "empty").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"")
    (tmp_path / "cat" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / "deep" / "er" / "0.png")
    (tmp_path / "dog" / "0.png").rename(tmp_path / "loose.png")
    loaded = load_data(DataArguments(train_dir=str(tmp_path), **WHOLE))
    assert names(loaded.splits["train"]) == ["cat"] * 5 + ["dog"] * 4
    assert "cat/deep/er/0.png" in loaded.splits["train"]["id"]
    text = " ".join(loaded.notices)
    assert "empty' holds no images" in text
    assert "notes.txt" in text
    assert "loose.png" in text


def test_strays_beside_class_folders_make_no_class(tmp_path: Path):
    write_images(tmp_path / "data" / "photos", {"cat": 5, "dog": 5}, size=8)
    for place in ("data/photos", "data"):
        (tmp_path / "data/photos/cat/0.png").rename(tmp_path / place / "stray.png")
        shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "data")
        for source in ("data", "packed.zip"):
            loaded = load_data(DataArguments(train_dir=str(tmp_path / source), **WHOLE))
            assert names(loaded.splits["train"]) == ["cat"] * 4 + ["dog"] * 5
            assert any("1 image lies beside" in notice and "'stray.png'" in notice for notice in loaded.notices)
        (tmp_path / place / "stray.png").rename(tmp_path / "data/photos/cat/0.png")
    # a class that has folders inside stays a class
    write_images(tmp_path / "only", {"cat": 9}, size=8)
    write_images(tmp_path / "only" / "cat", {"young": 2, "old": 2}, size=8)
    assert names(read_data(DataArguments(test_dir=str(tmp_path / "only"))).splits["test"]) == ["cat"] * 13


def test_links_to_folders_are_followed_once(tmp_path: Path):
    write_images(tmp_path / "elsewhere", {"dog": 3}, size=8)
    root = write_images(tmp_path / "data", {"cat": 3}, size=8)
    (root / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
    for name, target in (("dog too", tmp_path / "elsewhere" / "dog"), ("cat too", root / "cat"), ("round", tmp_path)):
        (root / name).symlink_to(target)
    loaded = load_data(DataArguments(train_dir=str(root), **WHOLE))
    assert names(loaded.splits["train"]) == ["cat"] * 3 + ["dog"] * 3
    assert sum("was not followed" in notice for notice in loaded.notices) == 3


def test_images_that_are_not_read_are_said(tmp_path: Path):
    root = write_images(tmp_path / "photos", {"cat": 6, "dog": 6}, size=8)
    (root / "metadata.csv").write_text(
        "file_name\n" + "".join(f"{k}/{i}.png\n" for k in ("cat", "dog") for i in (0, 1))
    )
    said = read_data(DataArguments(train_dir=str(root))).notices
    assert (
        f"8 images lie unread in {root}, such as 'cat/2.png': only what metadata.csv lists there is the data." in said
    )
    (root / "metadata.csv").write_text(
        "file_name\n" + "".join(f"{k}/{i}.png\n" for k in ("cat", "dog") for i in range(6))
    )
    assert not any("unread" in notice for notice in read_data(DataArguments(train_dir=str(root))).notices)
    (root / "metadata.csv").unlink()
    shutil.make_archive(str(root / "more"), "zip", root / "dog")
    said = read_data(DataArguments(train_dir=str(root))).notices
    assert any("1 archive or Parquet file lies unread" in notice and "'more.zip'" in notice for notice in said)


def test_names_match_the_checkpoint_by_name_and_cranes_by_index():
    assert match_names(["dog", "cat"], ("cat", "dog", "cow")) == [1, 0]
    assert match_names(["dog", "zebra"], ("cat", "dog")) == [1, None]
    assert match_names(["n01 x", "n02012849 crane"], ("crane", "n01 x")) == [1, 0]
    cranes = ("crane", "limpkin", "crane")
    assert match_names(["n02012849 crane", "n02013706 limpkin", "n03126707 crane"], cranes) == [0, 1, 2]
    assert match_names(["limpkin", "crane"], cranes) == [1, None]
    # two classes of the data never become one
    assert match_names(["n02012849 crane", "n03126707 crane"], ("crane", "x")) == [None, None]


def test_real_files_load(shared: Path):
    loaded = load_data(DataArguments(dataset_name=str(shared / "data" / "flower_photos"), validation_fraction=0))
    assert (len(loaded.splits["train"]), len(loaded.splits["test"])) == (600, 200)
    files = {"test": str(shared / "data" / "flower_photos" / "test.parquet")}
    theirs = load_dataset("parquet", data_files=files)["test"]
    assert isinstance(theirs.features["label"], ClassLabel)
    assert names(loaded.splits["test"]) == [theirs.features["label"].names[i] for i in theirs["label"]]


def test_draws_depend_on_seed_epoch_and_id_alone():
    keys = text_keys([f"train/{i}" for i in range(20_000)])
    draws = uniform_draws(keys, seed=1, epoch=2, stream=0, count=2)
    np.testing.assert_array_equal(draws[37:39], uniform_draws(keys[37:39], seed=1, epoch=2, stream=0, count=2))
    # n = 20,000: a standard error of 0.002 on the mean and 0.007 on a correlation; four of them allowed
    assert abs(draws.mean() - 0.5) < 0.008
    assert abs(np.var(draws) - 1 / 12) < 0.003
    others = [{"seed": 2}, {"epoch": 3}, {"stream": 1}]
    columns = [uniform_draws(keys, **{"seed": 1, "epoch": 2, "stream": 0, "count": 1} | o)[:, 0] for o in others]
    correlations = np.corrcoef(np.vstack([draws.T, *columns])) - np.eye(5)
    assert np.abs(correlations).max() < 0.03
    # seed and stream must not cancel each other out
    assert not np.array_equal(draws, uniform_draws(keys, seed=2, epoch=2, stream=1, count=2))
