"""What users say about their data: bad images, a mapping of classes, a list of samples."""

import json
from pathlib import Path

import numpy as np
import pytest

from hfcls.arguments import DataArguments
from hfcls.cli import main
from hfcls.data.labelled import load_data
from hfcls.data.labels import labels_of
from hfcls.errors import UserError
from tests.conftest import write_images

WHOLE = {"validation_fraction": 0, "test_fraction": 0}


def counts(data) -> dict[str, int]:
    names = data.features["label"].names
    return dict(zip(names, np.bincount(labels_of(data), minlength=len(names)).tolist(), strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "photos", {"cat": 10, "dog": 10, "cow": 10}, size=8)


def test_bad_images_are_all_named_before_anything_is_trained(folder: Path, tmp_path: Path, capsys):
    whole = (folder / "cat" / "1.png").read_bytes()
    (folder / "cat" / "1.png").write_bytes(whole[: len(whole) // 2])
    (folder / "dog" / "2.png").write_bytes(b"<html>404</html>")
    (folder / "dog" / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    arguments = ["train", "--train_dir", str(folder), "--architecture", "lenet5", "--max_steps", "2", "--use_cpu"]
    assert main([*arguments, "--output_dir", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("hfcls: 3 of 31 images")
    for name in ("cat/1.png", "dog/2.png", "dog/gone.jpg", "--on_bad_image skip"):
        assert name in said
    assert not (tmp_path / "run").exists()
    assert main([*arguments, "--output_dir", str(tmp_path / "run"), "--on_bad_image", "skip"]) == 0
    assert capsys.readouterr().out.count("3 images cannot be read and are left out") == 1
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert {entry["id"] for entry in data["dropped"]} == {"cat/1.png", "dog/2.png", "dog/gone.jpg"}
    assert all(entry["reason"] for entry in data["dropped"])
    assert sum(split["n"] for split in data["splits"].values()) == 31 - 3
    # what was skipped is skipped again
    assert main(["evaluate", str(tmp_path / "run"), "--use_cpu"]) == 0


def test_a_split_without_a_whole_image_is_an_error(tmp_path: Path):
    write_images(tmp_path / "train", {"a": 3, "b": 3}, size=8)
    for name in ("a", "b"):
        (tmp_path / "test" / name).mkdir(parents=True)
        (tmp_path / "test" / name / "0.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"None of the 2 images of the test split in .* can be read; 'test/a/0.png'"):
        load_data(DataArguments(train_dir=str(tmp_path), on_bad_image="skip"))


def test_classes_are_merged_renamed_and_left_out(folder: Path, tmp_path: Path):
    yaml = tmp_path / "classes.yaml"
    yaml.write_text("cat: pet\ndog: pet\n")
    loaded = load_data(DataArguments(train_dir=str(folder), class_mapping=str(yaml), **WHOLE))
    assert counts(loaded.splits["train"]) == {"pet": 20, "cow": 10}
    table = tmp_path / "classes.csv"
    table.write_text("cow,\ncat,no\ndog,1\n")
    loaded = load_data(DataArguments(train_dir=str(folder), class_mapping=str(table), **WHOLE))
    assert counts(loaded.splits["train"]) == {"no": 10, "1": 10}
    assert "10 images of the class 'cow' were left out" in " ".join(loaded.notices)
    # in YAML, too, a class may be called no or 1
    yaml.write_text("cat: no\ndog: 1\ncow:\n")
    loaded = load_data(DataArguments(train_dir=str(folder), class_mapping=str(yaml), **WHOLE))
    assert counts(loaded.splits["train"]) == {"no": 10, "1": 10}
    yaml.write_text("catt: pet\n")
    with pytest.raises(UserError, match="'catt', which the data has not\\. Did you mean 'cat'"):
        load_data(DataArguments(train_dir=str(folder), class_mapping=str(yaml)))
    yaml.write_text("- cat\n")
    with pytest.raises(UserError, match="expected lines of"):
        load_data(DataArguments(train_dir=str(folder), class_mapping=str(yaml)))


def test_a_list_chooses_relabels_and_moves_samples(folder: Path, tmp_path: Path):
    listed = tmp_path / "list.csv"
    rows = [f"cat/{i}.png,,train,g{i // 2}" for i in range(6)]
    rows += [f"dog/{i}.png,{'' if i else 'cat'},{'test' if i < 3 else ''}," for i in range(8)]
    listed.write_text("id,label,split,group\n" + "\n".join(rows))
    loaded = load_data(DataArguments(train_dir=str(folder), samples=str(listed), validation_fraction=0.3))
    assert counts(loaded.splits["test"]) == {"cat": 1, "dog": 2}
    everything = [i for split in ("train", "validation") for i in loaded.splits[split]["id"]]
    assert len(everything) == 11
    groups = [set(loaded.splits[split]["group"]) - {None} for split in ("train", "validation")]
    assert not groups[0] & groups[1]
    assert "--samples" in loaded.notices[0]
    listed.write_text("id\nelsewhere/0.png\n")
    with pytest.raises(UserError, match="names 1 ids that the data has not, such as 'elsewhere/0\\.png'"):
        load_data(DataArguments(train_dir=str(folder), samples=str(listed)))


def test_leaks_between_given_splits_are_said(tmp_path: Path):
    write_images(tmp_path / "train", {"a": 4, "b": 4}, size=8)
    write_images(tmp_path / "test", {"a": 2, "b": 2}, size=8)  # the same seed: the first of these are copies
    (notice,) = load_data(DataArguments(train_dir=str(tmp_path), validation_fraction=0)).notices
    assert notice.startswith("2 images (byte for byte) are in train and test at once")
