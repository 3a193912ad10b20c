"""Cross-validation's folds: which samples take part, and the list of samples that each training is given."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hfcls.arguments import DataArguments, only
from hfcls.command_arguments import CrossvalArguments
from hfcls.data.content import image_keys
from hfcls.data.folds import assign_folds, check_folds
from hfcls.data.labelled import LabelledData, load_data
from hfcls.data.labels import labels_of
from hfcls.data.reading import texts_of
from hfcls.errors import UserError
from hfcls.files import write_json, write_text
from hfcls.training.run_directory import DATA

# Data flags that the list of a fold takes the place of.
_DEALT = (
    *("test_fraction", "max_train_samples", "max_eval_samples", "max_test_samples", "streaming"),
    *("class_mapping", "exclude", "relabel", "group_column_name", "group_pattern"),
)


@dataclass(frozen=True)
class Pool:
    """The samples that are dealt out.

    Attributes:
        ids: N.
        labels: int (N,).
        keys: uint64 (N,), equal for copies of an image.
        groups: N names, or None.
        class_names: K names; a label is an index into them.
        left_out: in words, what of the data takes no part; empty where all of it does.
    """

    ids: tuple[str, ...]
    labels: np.ndarray
    keys: np.ndarray
    groups: list[str] | None
    class_names: tuple[str, ...]
    left_out: str


@dataclass(frozen=True)
class Fold:
    """One training of the cross-validation.

    Attributes:
        repeat, number: from 1 on.
        run_dir: of its training; the list of its samples lies beside it.
        values: flags of ``hfcls train``.
    """

    repeat: int
    number: int
    run_dir: Path
    values: dict[str, Any]

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.run_dir.name


def pool_samples(loaded: LabelledData) -> Pool:
    """All images but those of a test split, which stay unseen.

    Raises:
        UserError: there is no train split.
    """
    if loaded.stream is not None:
        raise UserError("--streaming has no list of images that could be dealt into folds: give the images as files.")
    if "train" not in loaded.splits:
        raise UserError(f"{loaded.source} has no train split.")
    parts = [loaded.splits[split] for split in ("train", "validation") if split in loaded.splits]
    digests = [digest for data in parts for digest in texts_of(data, "digest")]
    test = loaded.splits.get("test")
    return Pool(
        tuple(sample_id for data in parts for sample_id in texts_of(data, "id")),
        np.concatenate([labels_of(data) for data in parts]),
        image_keys(digests),
        _groups_of_all(parts, digests),
        loaded.class_names,
        "" if test is None else f"the {len(test):,} images of the test split ({loaded.origins['test']})",
    )


def _groups_of_all(parts: Sequence[Dataset], digests: Sequence[bytes]) -> list[str] | None:
    """The group of each sample, as `groups_of` has it of one split: a group may lie in several."""
    given = [
        g for data in parts for g in (texts_of(data, "group") if "group" in data.column_names else [""] * len(data))
    ]
    named = [group for group in given if group]
    if len(set(named)) == len(named):
        return None
    return [group or f"\0{digest.hex()}" for group, digest in zip(given, digests, strict=True)]


def check_pool(directory: Path, pool: Pool, loaded: LabelledData) -> None:
    """The samples are those that the cross-validation was begun with; kept in ``data.json``.

    Raises:
        UserError: they are others.
    """
    file = directory / DATA
    rows = zip(pool.ids, pool.keys.tolist(), pool.labels.tolist(), pool.groups or [""] * len(pool.ids), strict=True)
    text = "\n".join(f"{i}\t{key}\t{pool.class_names[label]}\t{group}" for i, key, label, group in sorted(rows))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))["samples_fingerprint"]
        if before != digest:
            raise UserError(
                f"The images, their labels or their groups have changed since {directory} was begun (fingerprint "
                f"{before}, now {digest}): restore them, choose another --output_dir, or begin anew with "
                "--overwrite_output_dir."
            )
        return
    write_json(file, {**loaded.summary(), "samples_fingerprint": digest})


def load_pool(values: dict[str, Any]) -> tuple[Pool, LabelledData]:
    """The samples that the flags name; a test split is carved only where its share is given."""
    needed = ("test",) if values.get("test_fraction") else ()
    data = {name: value for name, value in values.items() if name != "validation_fraction"}
    loaded = load_data(only(DataArguments, data), splits_needed=needed)
    return pool_samples(loaded), loaded


def assign_all(pool: Pool, values: dict[str, Any], arguments: CrossvalArguments) -> list[np.ndarray]:
    """The fold of each sample, int (N,), of each repeat.

    Args:
        values: flags of ``hfcls train``.

    Raises:
        UserError: too few images for so many folds.
    """
    assigned = []
    for repeat in range(arguments.repeats):
        folds = assign_folds(
            pool.keys,
            pool.labels,
            folds=arguments.folds,
            seed=values.get("split_seed", 0),
            repeat=repeat,
            groups=pool.groups,
        )
        check_folds(folds, pool.labels, pool.class_names)
        assigned.append(folds)
    return assigned


def deal(directory: Path, pool: Pool, values: dict[str, Any], assigned: Sequence[np.ndarray]) -> list[Fold]:
    """Writes the list of each fold, and says what its training is given.

    Args:
        values: flags of ``hfcls train``.
        assigned: of `assign_all`.
    """
    base = {name: value for name, value in values.items() if name not in _DEALT}
    dealt = []
    for repeat, folds in enumerate(assigned, start=1):
        for number in range(int(folds.max()) + 1):
            run_dir = directory / "folds" / f"repeat-{repeat}-fold-{number + 1}"
            samples = run_dir.with_suffix(".csv")
            text = _list_text(pool, folds == number)
            if not samples.is_file() or samples.read_text(encoding="utf-8") != text:
                write_text(samples, text)
            own = {**base, "output_dir": str(run_dir), "samples": str(samples)}
            dealt.append(Fold(repeat, number + 1, run_dir, own))
    return dealt


def _list_text(pool: Pool, held_out: np.ndarray) -> str:
    """A list of samples, as ``--samples`` takes it."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "label", "split", *(["group"] if pool.groups else [])])
    for row, (sample_id, label, out) in enumerate(zip(pool.ids, pool.labels.tolist(), held_out, strict=True)):
        group = pool.groups[row] if pool.groups else ""
        # Labels and groups as they are: this list is for training, which would take an apostrophe for theirs.
        own = [group.lstrip("\0")] if pool.groups else []
        writer.writerow([sample_id, pool.class_names[label], "test" if out else "train", *own])
    return file.getvalue()
