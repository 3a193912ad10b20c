"""From the data flags to one `DatasetDict` with ``id``, ``image``, ``label``, and what there is to say about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, Image

from hfcls.arguments import DataArguments
from hfcls.data.digits import read_digits
from hfcls.data.folder import read_folder
from hfcls.data.labels import align_splits, labels_of
from hfcls.data.splits import carve
from hfcls.data.tables import parquet_files, read_hub, read_parquet, read_saved, standard_columns
from hfcls.errors import UserError

VALIDATION_FRACTION, TEST_FRACTION = 0.1, 0.2
# Below zero: those from zero on belong to the augmentations.
VALIDATION_STREAM, TEST_STREAM = -11, -10


@dataclass(frozen=True)
class LabelledData:
    """All splits of a data set.

    Attributes:
        splits: ``train`` and, where they exist or were carved, ``validation`` and ``test``; columns id, image, label.
        origins: for each split, in words, where it came from.
        notices: what was left out or looks odd, for the user.
        source: in words, where all of it came from.
    """

    splits: DatasetDict
    origins: dict[str, str]
    notices: tuple[str, ...]
    source: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names; a label is an index into them."""
        return tuple(next(iter(self.splits.values())).features["label"].names)

    def summary(self) -> dict[str, Any]:
        """What ``data.json`` holds."""
        names = self.class_names
        splits = {}
        for split, data in self.splits.items():
            counts = np.bincount(labels_of(data), minlength=len(names)).tolist()
            splits[split] = {
                "n": len(data),
                "from": self.origins[split],
                "fingerprint": fingerprint(data),
                "label_counts": dict(zip(names, counts, strict=True)),
            }
        total = blake2b("".join(f"{k}{v['fingerprint']}" for k, v in sorted(splits.items())).encode(), digest_size=16)
        return {
            "source": self.source,
            "fingerprint": total.hexdigest(),
            "ids": _digest_of_ids(self.splits),
            "class_names": list(names),
            "splits": splits,
            "dropped": [],
            "notices": list(self.notices),
        }


def load_data(
    arguments: DataArguments, *, splits_needed: tuple[str, ...] = ("train", "validation", "test")
) -> LabelledData:
    """Loads, aligns and splits the data that the flags name.

    Args:
        splits_needed: splits to carve out of train where they don't exist.

    Raises:
        UserError: the flags contradict each other, or the data is not as they say.
    """
    raw, notices, source = _read(arguments)
    splits, more = align_splits(raw)
    origins = dict.fromkeys(splits, "given")
    if "train" in splits:
        for stream, split, given, default in (
            (TEST_STREAM, "test", arguments.test_fraction, TEST_FRACTION),
            (VALIDATION_STREAM, "validation", arguments.validation_fraction, VALIDATION_FRACTION),
        ):
            if split in splits and given is not None:
                raise UserError(f"--{split}_fraction would have no effect: the data has a {split} split of its own.")
            fraction = default if given is None else given
            if not 0 <= fraction < 1:
                raise UserError(f"--{split}_fraction is {fraction}: expected a share of train from 0 up to 1.")
            if split not in splits and fraction and split in splits_needed:
                _carve_out(splits, split, fraction, arguments.split_seed, stream)
                origins[split] = f"{fraction:.0%} of train, stratified, split seed {arguments.split_seed}"
    elif arguments.validation_fraction is not None or arguments.test_fraction is not None:
        raise UserError(
            "--validation_fraction and --test_fraction need a train split to carve from: the data has none."
        )
    ordered = {split: splits[split] for split in ("train", "validation", "test") if split in splits}
    return LabelledData(DatasetDict(ordered), origins, tuple(notices + more), source)


def fingerprint(data: Dataset) -> str:
    """A digest of the images' stored bytes and their class names, whatever their order and container."""
    names = data.features["label"].names
    digests = []
    for cell, label in _cells(data):
        cell = cell or {"bytes": b"", "path": None}
        content = cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()
        digests.append(blake2b(content, digest_size=16).digest() + names[label].encode("utf-8", "surrogatepass"))
    return blake2b(b"".join(sorted(digests)), digest_size=16).hexdigest()


def _digest_of_ids(splits: DatasetDict) -> str:
    """The ids in their order: order and augmentation of a training hang on them."""
    text = "\0".join(f"{split}\0" + "\0".join(data["id"]) for split, data in sorted(splits.items()))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _cells(data: Dataset) -> Iterator[tuple[dict[str, Any], int]]:
    stored = data.cast_column("image", Image(decode=False))
    for batch in stored.iter(batch_size=256):
        yield from zip(batch["image"], batch["label"], strict=True)


def _carve_out(splits: dict[str, Dataset], split: str, fraction: float, seed: int, stream: int) -> None:
    train = splits["train"]
    stays, goes = carve(list(train["id"]), labels_of(train), fraction, seed=seed, stream=stream)
    splits["train"], splits[split] = train.select(stays), train.select(goes)


def _read(arguments: DataArguments) -> tuple[dict[str, Dataset], list[str], str]:
    """The splits as they are stored, notices, and the source in words."""
    directories = {
        split: directory
        for split in ("train", "validation", "test")
        if (directory := getattr(arguments, f"{split}_dir")) is not None
    }
    if arguments.dataset_name is not None and directories:
        raise UserError(
            f"--dataset_name and --{next(iter(directories))}_dir both say where the data is: give one of them."
        )
    if arguments.dataset_name is not None:
        return _read_named(arguments, arguments.dataset_name)
    if not directories:
        raise UserError("No data: give --train_dir FOLDER or --dataset_name NAME (`digits` is built in).")
    for unused in ("dataset_config_name", "dataset_revision"):
        if getattr(arguments, unused) is not None:
            raise UserError(f"--{unused} would have no effect: it goes with a Hub id in --dataset_name.")
    splits: dict[str, Dataset] = {}
    notices: list[str] = []
    alone = len(directories) == 1
    for split, directory in directories.items():
        read, more = read_path(Path(directory), arguments, prefix="" if alone or split == "train" else f"{split}/")
        notices += more
        if alone and split == "train":
            splits = read
        elif len(read) > 1:
            raise UserError(
                f"{directory} has splits of its own ({', '.join(read)}): give it alone, as --train_dir, "
                f"or name the folder of the {split} split."
            )
        else:
            splits[split] = next(iter(read.values()))
    return splits, notices, ", ".join(directories.values())


def _read_named(arguments: DataArguments, name: str) -> tuple[dict[str, Dataset], list[str], str]:
    hub = False
    notices: list[str] = []
    if name == "digits":
        for unused in ("image_column_name", "label_column_name"):
            if getattr(arguments, unused) is not None:
                raise UserError(f"--{unused} would have no effect: digits has one image and one label column.")
        read, source = read_digits(), "the handwritten digits of scikit-learn"
    elif Path(name).exists():
        (read, notices), source = read_path(Path(name), arguments, prefix=""), name
    elif name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise UserError(f"--dataset_name {name} does not exist: expected a directory, a Hub id or `digits`.")
    else:
        hub = True
        loaded = read_hub(name, arguments.dataset_config_name, arguments.dataset_revision)
        known = {split: data for split, data in loaded.items() if split in {"train", "validation", "test"}}
        notices = [f"The split {split!r} of {name} was left out." for split in loaded if split not in known]
        if not known:
            raise UserError(f"{name} has the splits {', '.join(loaded)}: expected train, validation or test.")
        read, source = _columns(known, arguments, ""), f"the Hub data set {name}"
    if not hub and (arguments.dataset_config_name or arguments.dataset_revision):
        raise UserError("--dataset_config_name and --dataset_revision would have no effect: they go with a Hub id.")
    return read, notices, source


def read_path(path: Path, arguments: DataArguments, *, prefix: str) -> tuple[dict[str, Dataset], list[str]]:
    """Reads a local file or directory, whatever its kind.

    Args:
        prefix: goes before each id, so that ids of several directories differ.

    Raises:
        UserError: it does not exist, or holds no images in any known layout.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: expected a folder with one folder of images per class.")
    if path.is_file() and path.suffix != ".parquet":
        raise UserError(f"{path} is a file: expected a folder with one folder of images per class.")
    if path.is_dir() and ((path / "dataset_dict.json").is_file() or (path / "state.json").is_file()):
        return _columns(read_saved(path), arguments, prefix), []
    if parquet_files(path):
        return _columns(read_parquet(path), arguments, prefix), []
    for unused in ("image_column_name", "label_column_name"):
        if getattr(arguments, unused) is not None:
            raise UserError(f"--{unused} would have no effect: {path} is a folder of images, not a table.")
    reading = read_folder(path)
    if not prefix:
        return reading.splits, reading.notices
    renamed = {}
    for split, data in reading.splits.items():
        ids = [prefix + sample_id for sample_id in data["id"]]
        renamed[split] = data.remove_columns("id").add_column("id", ids, feature=data.features["id"])
    return renamed, reading.notices


def _columns(splits: dict[str, Dataset], arguments: DataArguments, prefix: str) -> dict[str, Dataset]:
    return standard_columns(
        splits,
        image_column_name=arguments.image_column_name,
        label_column_name=arguments.label_column_name,
        prefix=prefix,
    )
