"""Streams: each sample once in a pass, over processes and workers; trainings on them."""

import json
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import transformers
from datasets import Dataset, Image
from torch.utils.data import DataLoader

from hfcls.arguments import DataArguments
from hfcls.cli import main
from hfcls.data.batches import BatchCollator
from hfcls.data.streams import StreamDataset, open_stream
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from tests.conftest import write_images

COUNT = 53  # divides by nothing


def write_shard(path: Path, samples: list[tuple[str, bytes, str]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, picture, label in samples:
            for extension, content in (("png", picture), ("cls", label.encode())):
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(content)
                archive.addfile(info, BytesIO(content))


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """Five shards of train, one of test."""
    root = write_images(tmp_path_factory.mktemp("images"), {"cat": 30, "dog": COUNT - 30}, size=16)
    files = [(f"{p.parent.name}{p.stem}", p.read_bytes(), p.parent.name) for p in sorted(root.rglob("*.png"))]
    place = tmp_path_factory.mktemp("shards")
    for shard in range(5):
        write_shard(place / f"train-{shard:03}.tar", files[shard::5])
    write_shard(place / "test-000.tar", files[::10])
    return place


@pytest.fixture
def preprocessing() -> Preprocessing:
    return Preprocessing(transformers.ViTImageProcessor(size={"height": 16, "width": 16}))


def ids_of_a_pass(dataset: StreamDataset, workers: int, epoch: int) -> list[str]:
    class OnePass(torch.utils.data.IterableDataset):
        def __iter__(self):
            return dataset.one_pass(epoch)

    loader = DataLoader(OnePass(), batch_size=4, num_workers=workers, collate_fn=BatchCollator(dataset.preprocessing))
    return [sample_id for batch in loader for sample_id in batch["ids"]]


@pytest.mark.parametrize(("processes", "workers"), [(1, 0), (2, 0), (2, 2), (5, 0)])
def test_each_sample_once_in_a_pass(shards: Path, preprocessing, processes: int, workers: int):
    stream, others = open_stream(DataArguments(train_dir=str(shards), streaming=True))
    assert stream.class_names == ("cat", "dog")
    assert len(others.splits["test"]) == 6
    passes = []
    for epoch in (0, 1):
        seen = []
        for rank in range(processes):
            dataset = StreamDataset(stream, preprocessing, seed=1, buffer_size=8, rank=rank, world_size=processes)
            seen.append(ids_of_a_pass(dataset, workers, epoch))
        together = [sample_id for own in seen for sample_id in own]
        assert len(together) == len(set(together)) == COUNT
        passes.append(together)
    assert passes[0] != passes[1]
    assert passes[0] != sorted(passes[0])


def test_more_workers_than_shards(shards: Path, preprocessing, tmp_path: Path):
    shutil.copy(shards / "train-000.tar", tmp_path)
    stream, _ = open_stream(DataArguments(train_dir=str(tmp_path), streaming=True))
    dataset = StreamDataset(stream, preprocessing)
    loader = DataLoader(dataset, batch_size=8, num_workers=2, collate_fn=BatchCollator(preprocessing))
    batches = [batch for _, batch in zip(range(3), loader, strict=False)]
    assert len({sample_id for batch in batches for sample_id in batch["ids"]}) == 11  # all of the shard, and once more


def test_parquet_streams_too(preprocessing, tmp_path: Path):
    root = write_images(tmp_path / "images", {"cat": 5, "dog": 4}, size=16)
    files = sorted(root.rglob("*.png"))
    cells = [{"bytes": p.read_bytes(), "path": p.name} for p in files]
    columns = {"image": cells, "label": [p.parent.name for p in files]}
    Dataset.from_dict(columns).cast_column("image", Image()).to_parquet(tmp_path / "train.parquet")
    stream, _ = open_stream(DataArguments(train_dir=str(tmp_path / "train.parquet"), streaming=True))
    samples = list(StreamDataset(stream, preprocessing).one_pass(0))
    assert sorted(sample["label"] for sample in samples) == [0] * 5 + [1] * 4
    assert samples[0]["pixels"].shape == (3, 16, 16)


def test_a_stream_reads_no_file_elsewhere(preprocessing, tmp_path: Path):
    root = write_images(tmp_path / "data" / "images", {"cat": 1}, size=16)
    elsewhere = write_images(tmp_path / "private", {"cat": 1}, size=16) / "cat" / "0.png"
    for path, read in (("images/cat/0.png", True), (str(root / "cat" / "0.png"), True), (str(elsewhere), False)):
        table = pa.Table.from_pylist([{"image": {"bytes": None, "path": path}, "label": "cat"}])
        pq.write_table(table, tmp_path / "data" / "train.parquet")
        stream, _ = open_stream(DataArguments(train_dir=str(tmp_path / "data" / "train.parquet"), streaming=True))
        samples = StreamDataset(stream, preprocessing).one_pass(0)
        if read:
            assert len(list(samples)) == 1
        else:
            with pytest.raises(UserError, match="not below the folder of its data set"):
                next(samples)


def test_two_processes_train_on_a_stream(shards: Path, tmp_path: Path):
    """Between them they read all of it: each bad image is met by one of the two."""
    place = tmp_path / "shards"
    shutil.copytree(shards, place)
    bad = {f"bad{number}" for number in range(12)}
    write_shard(place / "train-005.tar", [(key, b"no image", "cat") for key in sorted(bad)])
    write_shard(place / "train-006.tar", [("last", (shards / "train-000.tar").read_bytes(), "cat")])
    shards = place
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = Path(__file__).parents[2] / "scripts" / "train.py"
    flags = ["--train_dir", str(shards), "--streaming", "--architecture", "lenet5"]
    flags += ["--output_dir", str(tmp_path / "run")]
    flags += [
        "--on_bad_image",
        "skip",
        "--max_steps",
        "20",
        "--use_cpu",
        "--per_device_train_batch_size",
        "4",
        "--disable_tqdm",
    ]
    done = subprocess.run([*launch, str(script), *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "run" / "test_results.json").read_text())["test_samples"] == 6
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert data["stream"]["source"] == str(shards)
    assert {entry["id"].rpartition("/")[2].removesuffix(".png") for entry in data["dropped"]} == bad | {"last"}


def test_a_stream_skips_bad_images_and_goes_on_where_it_stopped(shards: Path, tmp_path: Path, capsys):
    place = tmp_path / "shards"
    place.mkdir()
    for shard in shards.glob("*.tar"):
        (place / shard.name).write_bytes(shard.read_bytes())
    write_shard(place / "train-005.tar", [("bad", b"no image", "cat"), ("bad2", b"\x89PNG", "dog")])
    flags = ["train", "--train_dir", str(place), "--streaming", "--architecture", "lenet5", "--use_cpu"]
    flags += ["--disable_tqdm", "--per_device_train_batch_size", "8", "--max_steps", "16", "--shift", "0.2"]
    assert main([*flags, "--output_dir", str(tmp_path / "error")]) == 2
    assert "bad" in capsys.readouterr().err
    skip = [*flags, "--on_bad_image", "skip"]
    assert main([*skip, "--output_dir", str(tmp_path / "whole")]) == 0
    assert "2 images of the stream could not be read" in capsys.readouterr().out
    dropped = json.loads((tmp_path / "whole" / "data.json").read_text())["dropped"]
    assert {entry["id"] for entry in dropped} == {"train-005/bad.png", "train-005/bad2.png"}
    # again by its own settings
    config = ["--config", str(tmp_path / "whole" / "run.yaml"), "--output_dir", str(tmp_path / "again")]
    assert main(["train", *config, "--max_steps", "2"]) == 0
    # a stopped run reads the stream again up to where it was
    stopped = tmp_path / "whole" / "checkpoint-15"
    again = [*skip, "--output_dir", str(tmp_path / "whole"), "--resume_from_checkpoint", str(stopped)]
    before = (tmp_path / "whole" / "model.safetensors").read_bytes()
    (tmp_path / "whole" / "model.safetensors").unlink()
    assert main(again) == 0
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == before


def test_flags_without_effect_on_a_stream(shards: Path, image_folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match="--validation_fraction would have no effect with --streaming"):
        open_stream(DataArguments(train_dir=str(shards), streaming=True, validation_fraction=0.1))
    with pytest.raises(UserError, match="is none"):
        open_stream(DataArguments(train_dir=str(image_folder), streaming=True))
    arguments = ["train", "--train_dir", str(shards), "--streaming", "--architecture", "lenet5"]
    assert main([*arguments, "--output_dir", str(tmp_path / "run")]) == 2


def test_classes_of_a_stream_are_merged(shards: Path, preprocessing, tmp_path: Path):
    (tmp_path / "classes.yaml").write_text("cat: pet\ndog: pet2\n")
    arguments = DataArguments(train_dir=str(shards), streaming=True, class_mapping=str(tmp_path / "classes.yaml"))
    stream, _ = open_stream(arguments)
    assert stream.class_names == ("pet", "pet2")
    labels = np.array([sample["label"] for sample in StreamDataset(stream, preprocessing).one_pass(0)])
    assert np.bincount(labels).tolist() == [30, 23]
