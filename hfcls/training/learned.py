"""Which images a classifier has learned from: kept beside it, so that its answers about them prove nothing."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hfcls.training.checkpoints import checkpoint_step

LEARNED = "learned_images.npy"


def keep_learned(directory: Path, keys: np.ndarray, *, before: Path | None = None) -> None:
    """Writes down the images of a training.

    Args:
        directory: of the run.
        keys: uint64, of the train split; see `hfcls.data.content.image_keys`.
        before: directory of the classifier that it began with, whose images it has learned from as well.
    """
    earlier = None if before is None else learned_images(before)
    _save(directory, [keys] if earlier is None else [keys, earlier])


def keep_learned_by_all(directory: Path, members: Iterable[Path]) -> None:
    """Writes down the images of all members of an ensemble or soup; nothing where those of one are not known."""
    found = [learned_images(member) for member in members]
    known = [keys for keys in found if keys is not None]
    if len(known) == len(found):
        _save(directory, known)


def learned_images(directory: Path) -> np.ndarray | None:
    """Keys of the images that weights have learned from, sorted; None where they are not known.

    Args:
        directory: of a run, of a checkpoint in one, or of any model.
    """
    for place in (directory, directory.resolve().parent) if checkpoint_step(directory) is not None else (directory,):
        try:
            found = np.load(place / LEARNED, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            continue  # not there, or no such file
        if found.dtype == np.uint64 and found.ndim == 1:
            return found
    return None


def count_learned(directory: Path, keys: np.ndarray) -> int | None:
    """How many of some images weights have learned from; None where that is not known."""
    learned = learned_images(directory)
    return None if learned is None else int(np.isin(keys, learned).sum())


def _save(directory: Path, parts: list[np.ndarray]) -> None:
    aside = directory / f".{LEARNED}.part"
    with aside.open("wb") as file:
        np.save(file, np.unique(np.concatenate(parts)))
    os.replace(aside, directory / LEARNED)
