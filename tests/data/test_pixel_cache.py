"""The pixel cache: the same weights with it, and never a half-written, damaged or oversized one."""

import errno
import multiprocessing
import os
import pickle
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from PIL import Image
from safetensors.torch import load_file

from hfcls.arguments import DataArguments
from hfcls.commands.evaluate import evaluate
from hfcls.commands.train import train
from hfcls.data.batches import BatchCollator, ImageDataset
from hfcls.data.labelled import load_data
from hfcls.data.pixel_building import CacheBuilder
from hfcls.data.transforms import Preprocessing
from hfcls.errors import BadImage, UserError
from hfcls.models import build_classifier

_CONTEXT = multiprocessing.get_context("forkserver")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache directory of the test's own; the pixel caches in it."""
    monkeypatch.setenv("HFCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pixels"


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """60 images of other sizes than any network's, RGB and grey, two of them the same."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 100)):
        (root / name).mkdir()
        for index in range(30):
            shape = (40, 30 + index) if index % 3 == 0 else (25 + index, 40, 3)
            Image.fromarray(rng.integers(low, low + 150, shape, dtype=np.uint8)).save(root / name / f"{index}.png")
    shutil.copy(root / "dark" / "1.png", root / "dark" / "copy.png")
    return root


def builder(photos: Path, size: int = 16, gb: float = 1.0) -> CacheBuilder:
    loaded = load_data(DataArguments(train_dir=str(photos)))
    classifier = build_classifier("simple_cnn", class_names=loaded.class_names, image_size=size)
    return CacheBuilder(loaded.splits, Preprocessing(classifier.image_processor), most_gb=gb, quiet=True)


def check(made: CacheBuilder) -> None:
    """All pixels of all splits are those that decoding gives, in memory as well."""
    cache = made.contents.open()
    assert cache is not None
    for data in made._splits.values():
        decoding = ImageDataset(data, made._preprocessing)
        cached = ImageDataset(data, made._preprocessing, cache=cache)
        indices = [2 * len(data) + position for position in range(len(data))]
        expected, found = decoding.__getitems__(indices), cached.__getitems__(indices)
        assert torch.equal(found["pixels"], expected["pixels"])
        assert found["pixels"].stride() == expected["pixels"].stride()
        assert torch.equal(found["pixels"][3], decoding[indices[3]]["pixels"])


def build_slowly(photos: str, cache: str, answer: str) -> None:
    os.environ["HFCLS_CACHE"] = cache
    made = builder(Path(photos))
    pixels = made._preprocessing.pixels
    made._preprocessing.pixels = lambda image: (time.sleep(0.05), pixels(image))[1]
    heard: list[str] = []
    found, words = made.obtain(heard.append)
    assert found is not None
    Path(answer).write_text(f"{words} {heard}")


def start_building(photos: Path, cache: Path, answer: Path) -> multiprocessing.process.BaseProcess:
    child = _CONTEXT.Process(target=build_slowly, args=(str(photos), str(cache.parent), str(answer)))
    child.start()
    return child


def test_the_same_weights_with_and_without(photos, cache, tmp_path, capsys):
    def weights(name: str, **values) -> dict[str, torch.Tensor]:
        run = tmp_path / name
        train(
            {
                **{"train_dir": str(photos), "architecture": "simple_cnn", "image_size": 16, "output_dir": str(run)},
                **{"num_train_epochs": 2, "use_cpu": True, "disable_tqdm": True, **values},
            }
        )
        return load_file(run / "model.safetensors")

    def said() -> str:
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("input"))

    expected = weights("without", cache_gb=0)
    assert said() == "input     decoded each time: --cache_gb 0"
    assert not cache.exists()
    for name, workers, words in (("built", 0, "60 images of 16x16 (0.0461 MB), built in"), ("read", 2, f"{cache}")):
        found = weights(name, dataloader_num_workers=workers)
        assert all(torch.equal(found[key], expected[key]) for key in expected)
        assert words in said()
    weights("carved", split_seed=5, num_train_epochs=1)  # read where it is, also for one epoch
    assert f"read from {cache}" in said()
    weights("once", image_size=20, num_train_epochs=1)
    assert said() == "input     decoded each time: it pays from 1.5 epochs on"
    with pytest.raises(UserError, match="--cache_gb is -1"):
        weights("negative", cache_gb=-1)
    (place,) = (place for place in cache.iterdir() if place.is_dir())
    os.utime(place / "meta.json", (0, 0))
    evaluate({"model": str(tmp_path / "built"), "use_cpu": True})
    assert (place / "meta.json").stat().st_mtime > 0, "evaluation reads it too"


def test_a_build_that_was_killed_is_never_read(photos, cache, tmp_path):
    child = start_building(photos, cache, tmp_path / "answer")
    made = builder(photos)
    part = cache / f".{made.contents.directory.name}.part"
    while not (part / "pixels.bin").exists() or not (part / "pixels.bin").stat().st_size:
        assert child.exitcode is None
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert child.exitcode == -signal.SIGKILL and part.is_dir() and not made.contents.directory.exists()
    assert made.contents.open() is None
    other = builder(photos, size=20)
    assert "built" in other.obtain()[1]
    assert not part.exists(), "who builds another cache clears away what a killed builder left"
    assert "built" in made.obtain()[1]
    check(made)


def test_two_at_once_build_one(photos, cache, tmp_path):
    answers = [tmp_path / "one", tmp_path / "two"]
    children = [start_building(photos, cache, answer) for answer in answers]
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    first, second = sorted(answer.read_text() for answer in answers)
    assert "built in" in first and first.endswith("[]")
    assert "read from" in second and "waiting for it" in second
    assert sorted(place.name[0] == "." for place in cache.iterdir() if place.is_dir()) == [False]
    check(builder(photos))


@pytest.mark.parametrize("harm", ["cut", "grown", "meta"])
def test_a_damaged_one_is_built_anew(photos, cache, harm):
    made = builder(photos)
    made.obtain()
    directory = made.contents.directory
    if harm == "meta":
        (directory / "meta.json").write_text('{"format"')
    else:
        os.truncate(directory / "pixels.bin", made.contents.bytes + (1 if harm == "grown" else -1))
    assert made.contents.open() is None
    assert "built in" in made.obtain()[1]
    check(made)


def test_old_caches_make_room_and_who_reads_them_goes_on(photos, cache):
    old, middle, new = (builder(photos, size=size) for size in (16, 20, 24))
    bound = (middle.contents.bytes + new.contents.bytes + 1000) / 1e9
    reading, _ = old.obtain()
    middle.obtain()
    before = reading.take(np.arange(5))
    os.utime(middle.contents.directory / "meta.json", (1, 1))
    old.obtain()  # just used: the other one goes
    new._most_gb = bound
    assert "built in" in new.obtain()[1]
    assert old.contents.open() and new.contents.open() and not middle.contents.directory.exists()
    middle._most_gb = bound
    os.utime(old.contents.directory / "meta.json", (1, 1))
    middle.obtain()
    assert not old.contents.directory.exists()
    assert np.array_equal(reading.take(np.arange(5)), before)
    small = builder(photos, gb=1e-6)
    small.reserve()
    assert small.obtain() == (None, "0.0461 MB would exceed --cache_gb 1e-06")
    assert not small._lock.is_locked


def test_a_full_disk_ends_no_training(photos, cache, monkeypatch):
    made = builder(photos)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("posix_fallocate", "fsync"):  # before the first image, after the last
        with monkeypatch.context() as patch:
            patch.setattr(f"hfcls.data.pixel_building.os.{name}", full)
            assert made.obtain() == (None, f"the cache {cache} cannot be written (No space left on device)")
        assert not [place for place in cache.iterdir() if place.is_dir()]
    free = shutil.disk_usage(cache)._replace(free=made.contents.bytes)
    monkeypatch.setattr("hfcls.data.pixel_building.shutil.disk_usage", lambda path: free)
    assert "more than half of the 0.0461 MB that are free" in made.obtain()[1]


def test_a_worker_of_its_own_needs_neither_the_pixels_nor_the_file(photos, cache):
    made = builder(photos)
    data = made._splits["train"]
    dataset = ImageDataset(data, made._preprocessing, cache=made.obtain()[0])
    sent = pickle.dumps(dataset._cache)
    assert len(sent) < 2000
    expected = BatchCollator(made._preprocessing)(dataset.__getitems__([3, 1]))
    one_by_one = BatchCollator(made._preprocessing)([dataset[3], dataset[1]])
    there, removed = pickle.loads(pickle.dumps(dataset)), pickle.loads(pickle.dumps(dataset))
    batches = [there.__getitems__([3, 1])]
    assert there._cache.is_there
    shutil.rmtree(made.contents.directory)
    batches += [there.__getitems__([3, 1]), removed.__getitems__([3, 1])]
    assert not removed._cache.is_there
    for found in (one_by_one, *map(BatchCollator(made._preprocessing), batches)):
        assert torch.equal(found["pixel_values"], expected["pixel_values"])
        assert torch.equal(found["labels"], expected["labels"]) and found["ids"] == expected["ids"]


def test_an_image_that_changes_in_between_is_named(photos, cache, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    made = builder(tmp_path / "photos")
    shutil.copy(photos / "light" / "2.png", tmp_path / "photos" / "dark" / "2.png")
    with pytest.raises(BadImage, match=r"'dark/2.png' was changed"):
        made.obtain()
    assert isinstance(made._splits, DatasetDict) and made.contents.open() is None
