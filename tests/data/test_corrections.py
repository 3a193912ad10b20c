"""What someone who has looked at the images says of them: left out, relabelled, and nothing else moves."""

import json
from pathlib import Path

import pytest

from hfcls.arguments import DataArguments
from hfcls.cli import main
from hfcls.data.labelled import LabelledData, load_data
from hfcls.data.labels import labels_of
from hfcls.errors import UserError
from tests.conftest import write_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_images(tmp_path / "photos", {"cat": 30, "dog": 30, "=cow": 30}, size=8)


def listed(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def places(loaded: LabelledData) -> dict[str, tuple[str, str]]:
    """Split and class of each image."""
    return {
        sample_id: (split, loaded.class_names[label])
        for split, data in loaded.splits.items()
        for sample_id, label in zip(data["id"], labels_of(data).tolist(), strict=True)
    }


def test_a_new_label_moves_no_other_image(folder: Path, tmp_path: Path):
    before = places(load_data(DataArguments(train_dir=str(folder))))
    text = "rank,id,label,new_label\n1,cat/1.png,cat,dog\n2,cat/2.png,cat,\n3,dog/3.png,dog,'=cow\n4,=cow/4.png,,cat\n"
    loaded = load_data(DataArguments(train_dir=str(folder), relabel=listed(tmp_path / "new.csv", text)))
    after = places(loaded)
    new = {"cat/1.png": "dog", "dog/3.png": "=cow", "=cow/4.png": "cat"}
    assert after == {i: (split, new.get(i, label)) for i, (split, label) in before.items()}
    assert "gives a new label to 3 images (train 3)" in " ".join(loaded.notices)


def test_images_that_are_left_out_move_as_few_others_as_shares_allow(folder: Path, tmp_path: Path):
    before = places(load_data(DataArguments(train_dir=str(folder))))
    gone = [i for i, (split, _) in before.items() if split == "test"][::3]
    loaded = load_data(DataArguments(train_dir=str(folder), exclude=listed(tmp_path / "gone.txt", "\r\n".join(gone))))
    after = places(loaded)
    assert before.keys() - after.keys() == set(gone)
    moved = {(before[i][0], after[i][0]) for i in after if before[i] != after[i]}
    # test has its share of fewer images: who takes the places of those that went comes from train alone
    assert moved <= {("train", "test"), ("validation", "test"), ("train", "validation")}
    assert sum(before[i] != after[i] for i in after) <= len(gone) + 3
    assert "THE TEST SPLIT HAS CHANGED: it is carved from what --exclude leaves" in loaded.notices[-1]


def test_the_only_image_of_a_class_is_learned_from(tmp_path: Path):
    photos = write_images(tmp_path / "photos", {"a": 40, "b": 1}, size=8)
    whole = places(load_data(DataArguments(train_dir=str(photos))))
    tested = next(i for i, (split, _) in whole.items() if split == "test")
    relabel = listed(tmp_path / "new.csv", f"id,label\nb/0.png,a\n{tested},b\n")
    assert places(load_data(DataArguments(train_dir=str(photos), relabel=relabel)))[tested] == ("train", "b")


def test_corrections_go_before_a_list_of_samples_and_stay_good_beside_one(folder: Path, tmp_path: Path):
    samples = listed(
        tmp_path / "clean.csv", "id,label\n" + "".join(f"{c}/{n}.png,{c}\n" for c in ("cat", "dog") for n in range(20))
    )
    exclude = listed(tmp_path / "gone.csv", "score,id\n0.1,dog/2.png\n0.2,=cow/2.png\n0.2,dog/25.png\n")
    relabel = listed(tmp_path / "new.csv", "id,suggested\ncat/5.png,dog\n")
    arguments = DataArguments(train_dir=str(folder), samples=samples, exclude=exclude, relabel=relabel)
    loaded = load_data(arguments)
    after = places(loaded)
    assert len(after) == 39
    assert after["cat/5.png"][1] == "dog"
    assert f"--exclude {exclude} leaves out 1 image (train 1)." in loaded.notices


def test_a_broken_image_can_be_left_out(folder: Path, tmp_path: Path):
    (folder / "cat" / "1.png").write_bytes(b"<html>")
    exclude = listed(tmp_path / "gone", "cat/1.png\n")
    assert "cat/1.png" not in places(load_data(DataArguments(train_dir=str(folder), exclude=exclude)))


@pytest.mark.parametrize(
    ("flag", "text", "said"),
    [
        ("exclude", "id\ncat/99.png\n", "names the id 'cat/99.png', which the data has not"),
        ("exclude", "file,label\na,b\n", "has no column id, only 'file', 'label'"),
        ("exclude", "id,label\n", "names no image"),
        (
            "exclude",
            "id\n" + "".join(f"cat/{n}.png\ndog/{n}.png\n=cow/{n}.png\n" for n in range(30)),
            "leaves no image",
        ),
        ("relabel", "id,new_label\ncat/1.png,\n", "changes nothing: its column new_label is empty"),
        ("relabel", "id,new_label\ncat/1.png,dogg\n", "which the data has not. Did you mean 'dog'?"),
        ("relabel", "id,new_label\ncat/1.png,dog\ncat/1.png,=cow\n", "gives 'cat/1.png' both 'dog' and '=cow'"),
        ("relabel", "id,label,suggested\ncat/1.png,cat,dog\n", "call the one that is right new_label"),
        ("relabel", "id;label\ncat/1.png;cat\n", "expected a CSV file with the columns id and new_label"),
    ],
)
def test_a_list_that_does_not_fit_is_an_error(folder: Path, tmp_path: Path, flag: str, text: str, said: str):
    arguments = DataArguments(train_dir=str(folder), **{flag: listed(tmp_path / "list.csv", text)})
    with pytest.raises(UserError) as error:
        load_data(arguments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_keeps_its_corrections(tmp_path: Path, capsys):
    photos = write_images(tmp_path / "photos/train", {"red": 12, "blue": 12}, size=8).parent
    write_images(photos / "test", {"red": 4, "blue": 4}, size=8, seed=1)
    exclude = listed(tmp_path / "gone.csv", "id\ntrain/red/3.png\ntest/blue/0.png\n")
    relabel = listed(tmp_path / "new.csv", "id,new_label\ntest/red/1.png,blue\n")
    command = ["train", "--train_dir", str(photos), "--architecture", "lenet5", "--max_steps", "2", "--use_cpu"]
    assert main([*command, "--output_dir", str(tmp_path / "plain")]) == 0
    corrected = [*command, "--exclude", exclude, "--relabel", relabel]
    assert main([*corrected, "--output_dir", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "leaves out 2 images (train 1, test 1)" in said
    assert "1 of its 7 images have the labels of --relabel and --exclude leaves 1 of its images out" in said
    data, plain = (json.loads((tmp_path / name / "data.json").read_text()) for name in ("run", "plain"))
    assert data["fingerprint"] != plain["fingerprint"]
    assert data["corrections"] == {"excluded": {"train": 1, "test": 1}, "relabelled": {"test": 1}}
    assert "corrections" not in plain
    assert main(["evaluate", str(tmp_path / "run"), "--use_cpu"]) == 0
    # a finished run can be measured on labels that were mended since
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "plain"), "--exclude", exclude, "--relabel", relabel, "--use_cpu"]) == 0
    assert "THE TEST SPLIT HAS CHANGED: 1 of its 7 images" in capsys.readouterr().out
    labels = json.loads((tmp_path / "plain/evaluation/test-corrected/data.json").read_text())["splits"]["test"][
        "label_counts"
    ]
    assert labels == {"blue": 4, "red": 3}
    Path(exclude).write_text("id\ntrain/red/3.png\n")
    assert main(["evaluate", str(tmp_path / "run"), "--use_cpu"]) == 2
    assert "has changed since it was trained" in capsys.readouterr().err
