"""From a split to batches of ``pixel_values``, ``labels`` and ``ids``: data set, sampler, collator."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Image
from torch import Tensor
from torch.utils.data import Sampler

from hfcls.data.augmentation import AugmentationPlan
from hfcls.data.content import image_keys
from hfcls.data.decode import MAX_PIXELS, decode_image
from hfcls.data.draws import uniform_draws
from hfcls.data.labels import labels_of
from hfcls.data.pixel_cache import PixelCache
from hfcls.data.reading import column_of, texts_of
from hfcls.data.transforms import Preprocessing

# Epochs between one copy of an image and the next one in the same epoch: more than a training has, so that none of
# them draws as another does, and few enough for indices of 64 bits.
_COPY = 1 << 16


class ImageDataset(torch.utils.data.Dataset):
    """A split as 8-bit pixels of the classifier's size.

    The index may hold the epoch as well, as ``epoch * len(dataset) + position``: so an augmentation knows its epoch in
    whatever worker it runs, also in one that outlives epochs. What comes more than once in an epoch comes as if in
    later ones, see `EpochSampler`.

    Args:
        data: with the columns id, image, label, key.
        preprocessing: of the classifier.
        max_pixels: of a stored image.
        cache: holds the same pixels, decoded before; `data` then has the column digest.
    """

    def __init__(
        self,
        data: Dataset,
        preprocessing: Preprocessing,
        *,
        max_pixels: int = MAX_PIXELS,
        cache: PixelCache | None = None,
    ):
        self._stored = data.cast_column("image", Image(decode=False))
        self._preprocessing = preprocessing
        self.ids: tuple[str, ...] = tuple(texts_of(data, "id"))
        self.labels = labels_of(data)
        self.keys = column_of(data, "key").to_numpy()
        self._max_pixels = max_pixels
        self.class_names = tuple(data.features["label"].names)
        self._cache = cache
        self._rows = None if cache is None else cache.rows_of(texts_of(data, "digest"))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_keys(self) -> np.ndarray | None:
        """See `hfcls.data.content.image_keys`; None where `data` has no column digest."""
        stored = self._stored
        return image_keys(texts_of(stored, "digest")) if "digest" in stored.column_names else None

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``pixels`` uint8 (3, H, W), ``label``, ``id``, ``key``, ``epoch``; always decoded, as measuring wants it.

        Raises:
            UserError: the image cannot be decoded.
        """
        epoch, position = divmod(index, len(self))
        return {
            "pixels": self._decode(position),
            "label": int(self.labels[position]),
            "id": self.ids[position],
            "key": self.keys[position],
            "epoch": epoch,
        }

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """A whole batch, as a data loader asks for it: from the cache, where there is one.

        Returns:
            ``pixels`` uint8 (N, 3, H, W), channels last in memory; ``labels`` int64 (N,); ``ids``, N strings; ``keys``
            uint64 (N,) and ``epochs`` int64 (N,), numpy.

        Raises:
            UserError: an image cannot be decoded.
        """
        epochs, positions = np.divmod(np.asarray(indices, dtype=np.int64), len(self))
        return {
            "pixels": self._pixels(positions),
            "labels": torch.from_numpy(self.labels[positions].astype(np.int64)),
            "ids": [self.ids[position] for position in positions.tolist()],
            "keys": self.keys[positions],
            "epochs": epochs,
        }

    def _pixels(self, positions: np.ndarray) -> Tensor:
        # None as well where another run has removed the cache before this worker came to it.
        cached = None if self._cache is None or self._rows is None else self._cache.take(self._rows[positions])
        if cached is not None:
            return torch.from_numpy(cached).permute(0, 3, 1, 2)
        decoded = torch.stack([self._decode(position) for position in positions.tolist()])
        return decoded.contiguous(memory_format=torch.channels_last)

    def _decode(self, position: int) -> Tensor:
        cell, sample_id = self._stored[position]["image"], self.ids[position]
        return self._preprocessing.pixels(decode_image(cell, sample_id, max_pixels=self._max_pixels))


class BatchCollator:
    """Stacks samples, augments them, normalizes them.

    Args:
        preprocessing: of the classifier.
        plan: for training; None leaves the images as they are.
        class_count: K, where the plan mixes images.
        on_device: leave what is done to the pixels to `finish`, which whoever trains calls where the batch has gone.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        plan: AugmentationPlan | None = None,
        *,
        class_count: int | None = None,
        on_device: bool = False,
    ):
        self._preprocessing = preprocessing
        self._plan = plan if plan is not None and plan.augmentations else None
        self._class_count = class_count
        self._on_device = on_device

    def __call__(self, samples: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
        """A batch.

        Args:
            samples: a batch as of `ImageDataset.__getitems__`, or a list of samples.

        Returns:
            ``pixel_values`` float32 (N, 3, H, W), ``labels`` int64 (N,) or, where images are mixed, probabilities
            (N, K), ``ids``; ``dropped`` images of a stream. With `on_device` ``pixels`` uint8 (N, 3, H, W) and
            ``changes`` (the drawn parameters) instead of ``pixel_values``.
        """
        stacked = samples if isinstance(samples, dict) else _stack(samples)
        pixels, labels = stacked["pixels"], stacked["labels"]
        batch = {"pixels": pixels, "labels": labels, "ids": stacked["ids"]}
        if self._plan is not None:
            size = (pixels.shape[2], pixels.shape[3])
            changes = self._plan.draw(stacked["keys"], stacked["epochs"], size)
            batch["labels"] = self._plan.mix_targets(labels, changes, size, self._class_count or 0)
            batch["changes"] = changes
        if dropped := stacked.get("dropped"):
            batch["dropped"] = dropped
        return batch if self._on_device else self.finish(batch)

    def finish(self, batch: dict[str, Any]) -> dict[str, Any]:
        """``pixel_values`` from ``pixels`` and ``changes``, on the device where they are."""
        pixels, changes = batch.pop("pixels"), batch.pop("changes", None)
        if self._plan is None or changes is None:
            batch["pixel_values"] = self._preprocessing.normalize(pixels)
        else:
            batch["pixel_values"] = self._plan.apply(pixels, changes, then=self._preprocessing.normalize)
        return batch


def _stack(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Single samples as a batch of `ImageDataset.__getitems__`, with what a stream ``dropped``."""
    return {
        "pixels": torch.stack([sample["pixels"] for sample in samples]),
        "labels": torch.tensor([sample["label"] for sample in samples]),
        "ids": [sample["id"] for sample in samples],
        "keys": np.array([sample["key"] for sample in samples], dtype=np.uint64),
        "epochs": np.array([sample["epoch"] for sample in samples], dtype=np.int64),
        "dropped": [entry for sample in samples for entry in sample.get("dropped", ())],
    }


class EpochSampler(Sampler[int]):
    """The order of an epoch as a pure function of (seed, epoch), each index holding the epoch; see `ImageDataset`.

    Args:
        dataset: what is sampled.
        seed: of the order.
        balanced: draw with replacement, all classes equally often, instead of a permutation. The second copy of an
            image in an epoch comes as if 2**16 epochs later, the third twice that, so that each is augmented anew.
    """

    def __init__(self, dataset: ImageDataset, seed: int, *, balanced: bool = False):
        self._count = len(dataset)
        # In the order of the keys, so that the order of the container plays no part.
        self._positions = np.argsort(dataset.keys, kind="stable")
        self._keys = dataset.keys[self._positions]
        self._seed = seed
        self._cumulative: np.ndarray | None = None
        if balanced:
            labels = dataset.labels[self._positions]
            weights = 1.0 / np.bincount(labels)[labels]
            self._cumulative = np.cumsum(weights) / weights.sum()
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        draws = uniform_draws(self._keys, seed=self._seed, epoch=self.epoch, stream=-2, count=1)[:, 0]
        if self._cumulative is None:
            order, copies = np.argsort(draws, kind="stable"), np.zeros(self._count, dtype=np.int64)
        else:
            order = np.minimum(np.searchsorted(self._cumulative, draws, side="right"), self._count - 1)
            copies = _occurrences(order)
        yield from (self._positions[order] + (self.epoch + _COPY * copies) * self._count).tolist()


def _occurrences(numbers: np.ndarray) -> np.ndarray:
    """How often each number came before, int64 (N,): 0 for the first of its kind, then 1, ..."""
    alike = np.argsort(numbers, kind="stable")
    _, starts, counts = np.unique(numbers[alike], return_index=True, return_counts=True)
    result = np.empty(len(numbers), dtype=np.int64)
    result[alike] = np.arange(len(numbers)) - np.repeat(starts, counts)
    return result


def class_weights(labels: np.ndarray, class_count: int) -> Tensor:
    """Inverse class frequency, N / (K N_k), as scikit-learn's "balanced"; 1 for a class without images.

    Returns:
        float32 (K,).
    """
    counts = np.bincount(labels, minlength=class_count)
    present = np.count_nonzero(counts)
    weights = np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 1.0)
    return torch.tensor(weights, dtype=torch.float32)
