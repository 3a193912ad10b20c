"""Pictures that were taken for the wrong thing become a folder that training takes, and nothing else."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hfcls.arguments import DataArguments
from hfcls.data.labelled import load_data
from hfcls.errors import UserError
from hfcls.serving.flags import FlagFolder, folder_name

LABELS = ("cat", "../x", "/", "", "a/b", "con", "-rf", "Größe", "=1+1", "\ud800", "x" * 300, ".hidden", "a\nb")


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8))


def add(folder: FlagFolder, seed: int, label: str) -> None:
    folder.add(picture(seed), label, predicted="dog", score=0.5, model="m")


def test_training_takes_the_folder(tmp_path: Path):
    folder = FlagFolder(tmp_path / "wrong")
    for seed in range(20):
        add(folder, seed, ("cat", "../x")[seed % 2])
    data = load_data(DataArguments(train_dir=str(tmp_path / "wrong")))
    assert set(data.class_names) == {"cat", "../x"}
    assert sum(len(split) for split in data.splits.values()) == 20
    folders = {path.name for path in (tmp_path / "wrong").iterdir() if path.is_dir()}
    assert folders == {"cat", folder_name("../x")}
    again = FlagFolder(tmp_path / "wrong")
    with pytest.raises(UserError, match="kept already"):
        add(again, 0, "../x")
    (tmp_path / "wrong" / "metadata.jsonl").unlink()
    data = load_data(DataArguments(train_dir=str(tmp_path / "wrong")))
    assert len(data.class_names) == 2, "the folders alone will do"


@pytest.mark.parametrize("label", LABELS)
def test_names_of_folders(label: str, tmp_path: Path):
    name = folder_name(label)
    assert name and name == Path(name).name and name[0] not in ".-" and len(name) < 80 and name.isprintable()
    folder = FlagFolder(tmp_path / "wrong")
    add(folder, 0, label)
    (stored,) = (tmp_path / "wrong").glob("*/*.png")
    assert stored.parent.name == name and stored.resolve().is_relative_to(tmp_path / "wrong")
    row = json.loads((tmp_path / "wrong" / "metadata.jsonl").read_text(encoding="utf-8"))
    assert row["file_name"] == f"{name}/{stored.name}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wrong"]


def test_different_classes_have_different_folders():
    assert len({folder_name(label) for label in LABELS}) == len(LABELS)


def test_nothing_but_pixels_is_kept(tmp_path: Path):
    image = picture(0)
    image.info["comment"] = b"secret"
    exif = image.getexif()
    exif[0x010F] = "secret"
    FlagFolder(tmp_path).add(image, "cat", predicted="dog", score=0.5, model="m")
    (stored,) = tmp_path.glob("*/*.png")
    with Image.open(stored) as opened:
        assert not opened.getexif() and np.array_equal(np.asarray(opened), np.asarray(image))
    assert b"secret" not in stored.read_bytes()


def test_there_is_an_end_to_it(tmp_path: Path):
    folder = FlagFolder(tmp_path / "few", max_count=2)
    add(folder, 0, "cat")
    add(FlagFolder(tmp_path / "few", max_count=2), 1, "cat")
    with pytest.raises(UserError, match="no more room"):
        add(FlagFolder(tmp_path / "few", max_count=2), 2, "cat")
    with pytest.raises(UserError, match="no more room"):
        add(FlagFolder(tmp_path / "small", max_bytes=100), 0, "cat")


def test_a_folder_of_something_else(tmp_path: Path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UserError, match="holds other files"):
        FlagFolder(tmp_path)
    with pytest.raises(UserError, match="cannot be written"):
        FlagFolder(tmp_path / "mine.txt")
    shutil.rmtree(tmp_path)
