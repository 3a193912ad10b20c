"""Folders, archives, tables and models as bad as they come: a run, or one sentence and exit code 2."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from datasets import Dataset
from PIL import Image

from hfcls.cli import main

CORPUS = "tools/badcorpus/dev.tar.gz"


@pytest.fixture(scope="module")
def corpus(shared: Path, tmp_path_factory) -> tuple[Path, list[dict]]:
    if not (shared / CORPUS).is_file():
        pytest.skip("needs the corpus of bad inputs, which is not here")
    place = tmp_path_factory.mktemp("corpus")
    with tarfile.open(shared / CORPUS) as archive:
        archive.extractall(place, filter="fully_trusted")  # it holds links on purpose
    return place / "dev", json.loads((place / "dev" / "manifest.json").read_text())


def cases_of(corpus: tuple[Path, list[dict]], kind: str) -> list[dict]:
    found = [case for case in corpus[1] if case["kind"] == kind]
    assert found
    return found


def run(arguments: list[str], capsys) -> tuple[int, str]:
    """Exit code and everything said; a traceback would be an exception here."""
    code = main(arguments)
    said = capsys.readouterr()
    assert code in {0, 2}
    assert "\x1b" not in said.out + said.err
    if code == 2:
        assert said.err.startswith("hfcls: ")
        assert said.err.strip().count("\n") == 0, "one sentence"
    return code, said.out + said.err


def train_on(source: Path, run_dir: Path, *flags: str) -> list[str]:
    fixed = ["--architecture", "lenet5", "--max_steps", "1", "--use_cpu", "--disable_tqdm"]
    return ["train", "--train_dir", str(source), "--output_dir", str(run_dir), *fixed, *flags]


SAID = {
    "f_one_image_class": "",
    "f_empty_class": "empty' holds no images",
    "f_no_images": "holds no",
    "f_empty": "holds no class folders",
    "f_class_mismatch": "zebra",
    "f_case_classes": "differ in case",
    "f_dup_leak": "2 images (byte for byte) are in train and test",
    "f_loose_images": "beside the class folders",
    "f_symlink_out": "'cat/pw.png' is not an image",
}


def test_folders(corpus, tmp_path: Path, capsys):
    for case in cases_of(corpus, "folder"):
        code, said = run(train_on(corpus[0] / case["path"], tmp_path / case["id"]), capsys)
        expected = {"accept": {0}, "neutralise": {0}, "reject": {2}, "skip": {2}}.get(case["expect"], {0, 2})
        assert code in expected, (case["id"], said)
        assert SAID.get(case["id"], "") in said, (case["id"], said)
        if case["expect"] == "skip":
            code, said = run(train_on(corpus[0] / case["path"], tmp_path / "s", "--on_bad_image", "skip"), capsys)
            assert code == 0, said
            data = json.loads((tmp_path / "s" / "data.json").read_text())
            assert len(data["dropped"]) == case["bad"]
            assert sum(split["n"] for split in data["splits"].values()) == case["good"]


@pytest.mark.parametrize("kind", ["archive", "table"])
def test_archives_and_tables(kind: str, corpus, tmp_path: Path, capsys):
    for case in cases_of(corpus, kind):
        source = corpus[0] / case["path"]
        if kind == "table" and case["expect"] == "neutralise":  # the images that it names are to be there
            for number in range(2):
                Image.new("RGB", (8, 8), (number, 0, 0)).save(source.parent / f"{number}.png")
        whole = ["--validation_fraction", "0", "--test_fraction", "0"]
        code, said = run(train_on(source, tmp_path / case["id"], *whole), capsys)
        assert code in {"reject": {2}, "neutralise": {0}}.get(case["expect"], {0, 2}), (case["id"], said)
        assert source.name in said, (case["id"], said)


def test_models(corpus, tmp_path: Path, image_folder: Path, capsys):
    tripwires = [Path(case["tripwire"]) for case in corpus[1] if "tripwire" in case]
    for tripwire in tripwires:
        tripwire.unlink(missing_ok=True)
    picture = str(next(image_folder.rglob("*.png")))
    whole = tmp_path / "whole"
    assert main(train_on(image_folder, whole)) == 0
    capsys.readouterr()
    for case in cases_of(corpus, "model"):
        source = corpus[0] / case["path"]
        model = tmp_path / case["id"]
        model.mkdir()
        for name in ("config.json", "preprocessor_config.json"):
            shutil.copy(whole / name, model / name)
        if source.suffix == ".json":
            shutil.copy(source, model / "config.json")
            shutil.copy(whole / "model.safetensors", model)
        elif source.suffix == ".safetensors":
            shutil.copy(source, model / "model.safetensors")
        else:
            shutil.copy(source, model)
            for flags in (
                ["--model_name_or_path", str(source)],
                ["--architecture", "lenet5", "--weights", str(source)],
            ):
                arguments = [
                    "train",
                    "--train_dir",
                    str(image_folder),
                    "--output_dir",
                    str(tmp_path / "x"),
                    "--use_cpu",
                ]
                assert run([*arguments, *flags], capsys)[0] == 2
        code, said = run(["predict", str(model), picture, "--use_cpu"], capsys)
        assert code == 2, (case["id"], said)
    assert not any(tripwire.exists() for tripwire in tripwires)


def test_data_sets_with_hostile_cells(tmp_path: Path, capsys):
    """Cells that are no images, empty, or point elsewhere."""
    cells = []
    for shade in range(0, 120, 10):
        Image.new("RGB", (8, 8), (shade, 0, 0)).save(tmp_path / "good.png")
        cells.append({"bytes": (tmp_path / "good.png").read_bytes(), "path": "a.png"})
    cells += [{"bytes": b"", "path": "b.png"}, {"bytes": None, "path": "/etc/passwd"}, {"bytes": None, "path": None}]
    cells += [{"bytes": None, "path": "http://127.0.0.1:9/x.png"}, {"bytes": b"\x89PNG\r\n\x1a\n", "path": "../x.png"}]
    data = Dataset.from_dict({"image": cells, "label": ["a", "b"] * 8 + ["a"]})
    data.to_parquet(tmp_path / "train.parquet")
    code, said = run(train_on(tmp_path / "train.parquet", tmp_path / "run"), capsys)
    assert code == 2
    assert "5 of 17 images" in said
    assert "root:" not in said
    code, said = run(train_on(tmp_path / "train.parquet", tmp_path / "run", "--on_bad_image", "skip"), capsys)
    assert len(json.loads((tmp_path / "run" / "data.json").read_text())["dropped"]) == 5
