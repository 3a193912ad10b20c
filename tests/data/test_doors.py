"""The same images through every door: the same contents, the same splits, the same trained weights."""

import csv
import json
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from safetensors.numpy import load_file

from hfcls.arguments import DataArguments
from hfcls.commands.train import train
from hfcls.data.labelled import LabelledData, load_data
from tests.conftest import write_images

CLASSES = {"class 2": 14, "class 10": 12, "rare": 5}


def files_of(root: Path) -> list[tuple[str, str]]:
    return [(p.relative_to(root).as_posix(), p.parent.name) for p in sorted(root.rglob("*.png"))]


def as_zip(folder: Path, place: Path) -> Path:
    with zipfile.ZipFile(place / "photos.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, _ in reversed(files_of(folder)):
            archive.write(folder / name, f"photos/{name}")
    return place / "photos.zip"


def as_tar(folder: Path, place: Path) -> Path:
    with tarfile.open(place / "photos.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname=".")
    return place / "photos.tar.gz"


def as_csv(folder: Path, place: Path) -> Path:
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "class"), *reversed(files_of(folder))])
    return folder / "list.csv"


def as_jsonl(folder: Path, place: Path) -> Path:
    lines = [json.dumps({"file_name": name, "label": label}) for name, label in files_of(folder)]
    (folder / "list.jsonl").write_text("\n".join(lines))
    return folder / "list.jsonl"


def as_dataset(folder: Path) -> Dataset:
    files = files_of(folder)[::2] + files_of(folder)[1::2]
    features = Features({"picture": Image(), "kind": ClassLabel(names=["class 2", "class 10", "rare"])})
    cells = [{"bytes": (folder / name).read_bytes(), "path": name} for name, _ in files]
    return Dataset.from_dict({"picture": cells, "kind": [label for _, label in files]}, features=features)


def as_parquet(folder: Path, place: Path) -> Path:
    as_dataset(folder).to_parquet(place / "photos.parquet")
    return place / "photos.parquet"


def as_paths_in_parquet(folder: Path, place: Path) -> Path:
    columns = {"file_name": [n for n, _ in files_of(folder)], "label": [c for _, c in files_of(folder)]}
    Dataset.from_dict(columns, features=Features(dict.fromkeys(columns, Value("string")))).to_parquet(
        folder / "list.parquet"
    )
    return folder / "list.parquet"


def as_saved(folder: Path, place: Path) -> Path:
    DatasetDict({"train": as_dataset(folder)}).save_to_disk(place / "saved")
    return place / "saved"


def as_webdataset(folder: Path, place: Path) -> Path:
    (place / "shards").mkdir()
    files = files_of(folder)
    for shard in range(3):
        with tarfile.open(place / "shards" / f"train-{shard:04}.tar", "w") as archive:
            for number, (name, label) in enumerate(files[shard::3]):
                members = {"png": (folder / name).read_bytes(), "cls": label.encode()}
                for extension, content in members.items():
                    info = tarfile.TarInfo(f"{number:06}.{extension}")
                    info.size = len(content)
                    archive.addfile(info, BytesIO(content))
    return place / "shards"


DOORS = {
    **{"zip": as_zip, "tar": as_tar, "csv": as_csv, "jsonl": as_jsonl, "parquet": as_parquet},
    **{"paths in parquet": as_paths_in_parquet, "saved": as_saved, "webdataset": as_webdataset},
}


def contents(data: LabelledData) -> dict[str, set]:
    return {split: set(zip(rows["digest"], rows["label"], strict=True)) for split, rows in data.splits.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("photos"), CLASSES, size=16)


@pytest.fixture(scope="module")
def from_folder(folder: Path, tmp_path_factory) -> tuple[LabelledData, dict]:
    return load_data(DataArguments(train_dir=str(folder))), trained(folder, tmp_path_factory.mktemp("run") / "run")


def trained(source: Path, run: Path) -> dict:
    train(
        {"train_dir": str(source), "architecture": "lenet5", "output_dir": str(run), "use_cpu": True, "seed": 3}
        | {"num_train_epochs": 2, "disable_tqdm": True, "shift": 0.1, "weighted_sampling": True}
        | {"per_device_train_batch_size": 8}
    )
    return load_file(run / "model.safetensors")


@pytest.mark.parametrize("door", DOORS)
def test_every_door_leads_to_the_same_run(door: str, folder: Path, from_folder, tmp_path: Path):
    expected, weights = from_folder
    source = DOORS[door](folder, tmp_path)
    loaded = load_data(DataArguments(train_dir=str(source)))
    assert loaded.class_names == expected.class_names == ("class 2", "class 10", "rare")
    assert loaded.summary()["fingerprint"] == expected.summary()["fingerprint"]
    assert contents(loaded) == contents(expected)
    again = trained(source, tmp_path / "run")
    assert all((again[name] == weights[name]).all() for name in weights)


def test_ids_are_paths_where_there_are_paths(folder: Path, tmp_path: Path):
    for door, first in {
        "zip": "photos/class 2/0.png",
        "csv": "class 2/0.png",
        "webdataset": "train-0001/000000.png",
    }.items():
        (tmp_path / door).mkdir()
        loaded = load_data(DataArguments(train_dir=str(DOORS[door](folder, tmp_path / door))))
        ids = {sample_id for data in loaded.splits.values() for sample_id in data["id"]}
        assert first in ids
        assert len(ids) == 31
