"""`hfcls inspect` as its user meets it: exit codes, files, a cleaned list that cleans."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfcls.arguments import DataArguments
from hfcls.cli import main
from hfcls.data.sources import read_data
from tests.conftest import write_images
from tests.inspection.dirty import plant, score
from tests.inspection.pictures import picture


def test_planted_faults_are_found_and_the_cleaned_list_is_clean(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pictures = [(picture(number, 64), ("=cat", "dog", "cow")[number % 3]) for number in range(150)]
    planted = plant(tmp_path / "photos", pictures, broken=5, across=5, two_labels=4, near=12)
    assert main(["inspect", "photos", "--fix", "photos.csv"]) == 1
    said = capsys.readouterr().out
    assert "5 images cannot be read" in said
    assert "--samples photos.csv" in said
    content = json.loads(Path("inspection/photos/inspection.json").read_text())
    result = score(content, planted)
    assert all(found == wanted for found, wanted in result.found.values()), result.found
    assert not result.false_alarms

    with Path("inspection/photos/images.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) == content["n"]
    assert {sample_id for sample_id, row in rows.items() if "broken" in row["flags"].split()} == set(planted.broken)
    assert rows[planted.across[0][0]]["digest"] == rows[planted.across[0][1]]["digest"] != ""
    assert {row["label"] for row in rows.values()} == {"'=cat", "dog", "cow"}

    kept = read_data(DataArguments(dataset_name="photos", samples="photos.csv")).splits
    test_copies = {copy for pairs in (planted.across, *planted.near.values()) for _, copy in pairs}
    assert test_copies <= set(kept["test"]["id"])
    assert not {original for original, _ in planted.across} & set(kept["train"]["id"])
    assert main(["inspect", "photos", "--samples", "photos.csv", "--output_dir", "again"]) == 0
    assert not score(json.loads(Path("again/inspection.json").read_text()), planted).false_alarms


def test_sound_data_is_left_in_peace(image_folder: Path, tmp_path: Path, capsys):
    assert main(["inspect", "--train_dir", str(image_folder), "--output_dir", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "Nothing that would spoil a training" in said
    assert f"hfcls train --train_dir {image_folder}" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["images.csv", "index.html", "inspection.json"]


def test_the_cleaned_list_takes_the_place_of_nothing_but_an_older_one(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", {"cat": 3, "dog": 3}, size=8)
    rows = [f"photos/{name}/{number}.png,{name}" for name in ("cat", "dog") for number in range(3)]
    Path("labels.removed.csv").write_text("\n".join(["file_name,label", *rows]))
    Path("notes.csv").write_text("mine")

    def refused(*arguments: str) -> str:
        assert main(["inspect", *arguments, "--overwrite"]) == 2
        return capsys.readouterr().err

    # the list of what was left out must not take the place of the table either
    assert "would replace labels.removed.csv, which is read" in refused("labels.removed.csv", "--fix", "labels.csv")
    assert "which it did not write" in refused("photos", "--fix", "notes.csv")
    assert "labels.removed.csv, which it did not write" in refused("photos", "--fix", "labels.csv")
    assert Path("notes.csv").read_text() == "mine"
    assert main(["inspect", "photos", "--fix", "kept.csv"]) == 0
    assert "kept.csv, which is read" in refused("photos", "--samples", "kept.csv", "--fix", "kept.csv")
    assert main(["inspect", "photos", "--fix", "kept.csv"]) == 2
    assert "add --overwrite" in capsys.readouterr().err
    Path("photos/dog/2.png").unlink()
    assert main(["inspect", "photos", "--fix", "kept.csv", "--overwrite"]) == 0
    assert len(Path("kept.csv").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No data"),
        (["{}/photos", "--train_dir", "{}/photos"], "both say where the data is"),
        (["{}/nowhere"], "does not exist"),
        (["{}/photos", "--output_dir", "{}/photos/cat"], "lies in the data"),
        (["{}/photos", "--fix", "{}/list.txt"], "ends in .csv"),
        (["{}/photos", "--fix", "{}/photos/metadata.csv"], "lies in the data"),
        (["{}/photos", "--fix", "{}/kept.csv"], "which it did not write"),
        (["{}/photos", "--fix", "{}/other.csv"], "other.removed.csv"),
        (["{}/photos", "--validation_fraction", "0.1"], "Unknown flag"),
        (["{}/photos", "--output_dir", "{}/site"], "that no inspection wrote"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path, capsys, arguments: list[str], said: str):
    write_images(tmp_path / "photos", {"cat": 2, "dog": 2}, size=8)
    (tmp_path / "site").mkdir()
    for name in ("kept.csv", "other.removed.csv", "site/index.html"):
        (tmp_path / name).write_text("a user's own")
    code = main(["inspect", *(argument.format(tmp_path) for argument in arguments)])
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert said in error


@pytest.mark.parametrize("buffering", ["", "1"])
def test_a_reader_who_goes_away_is_no_error(image_folder: Path, tmp_path: Path, buffering: str):
    gone, end = os.pipe()
    os.close(gone)
    command = [sys.executable, "-m", "hfcls", "inspect", str(image_folder), "--output_dir", str(tmp_path / "out")]
    environment = os.environ | {"PYTHONUNBUFFERED": buffering}
    with os.fdopen(end, "wb") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, env=environment)
    assert (done.returncode, done.stderr) == (141, "")
