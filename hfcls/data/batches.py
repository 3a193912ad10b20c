"""From a split to batches of ``pixel_values``, ``labels`` and ``ids``: data set, sampler, collator."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Image
from torch import Tensor
from torch.utils.data import Sampler

from hfcls.data.augmentations import AugmentationPlan
from hfcls.data.decode import MAX_PIXELS, decode_image
from hfcls.data.draws import uniform_draws
from hfcls.data.labels import labels_of
from hfcls.data.reading import column_of, texts_of
from hfcls.data.transforms import Preprocessing


class ImageDataset(torch.utils.data.Dataset):
    """A split as 8-bit pixels of the classifier's size.

    The index may hold the epoch as well, as ``epoch * len(dataset) + position``: so an augmentation knows its epoch in
    whatever worker it runs, also in one that outlives epochs.

    Args:
        data: with the columns id, image, label, key.
        preprocessing: of the classifier.
        max_pixels: of a stored image.
    """

    def __init__(self, data: Dataset, preprocessing: Preprocessing, *, max_pixels: int = MAX_PIXELS):
        self._stored = data.cast_column("image", Image(decode=False))
        self._preprocessing = preprocessing
        self.ids: tuple[str, ...] = tuple(texts_of(data, "id"))
        self.labels = labels_of(data)
        self.keys = column_of(data, "key").to_numpy()
        self._max_pixels = max_pixels
        self.class_names = tuple(data.features["label"].names)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``pixels`` uint8 (3, H, W), ``label``, ``id``, ``key``, ``epoch``.

        Raises:
            UserError: the image cannot be decoded.
        """
        epoch, position = divmod(index, len(self))
        sample_id = self.ids[position]
        image = decode_image(self._stored[position]["image"], sample_id, max_pixels=self._max_pixels)
        return {
            "pixels": self._preprocessing.pixels(image),
            "label": int(self.labels[position]),
            "id": sample_id,
            "key": self.keys[position],
            "epoch": epoch,
        }


class BatchCollator:
    """Stacks samples, augments them, normalizes them.

    Args:
        preprocessing: of the classifier.
        plan: for training; None leaves the images as they are.
    """

    def __init__(self, preprocessing: Preprocessing, plan: AugmentationPlan | None = None):
        self._preprocessing = preprocessing
        self._plan = plan

    def __call__(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
        """``pixel_values`` float32 (N, 3, H, W), ``labels`` int64 (N,), ``ids``; ``dropped`` images of a stream."""
        pixels = torch.stack([sample["pixels"] for sample in samples])
        ids = [sample["id"] for sample in samples]
        if self._plan is not None and self._plan.augmentations:
            epochs = np.array([sample["epoch"] for sample in samples])
            size = (pixels.shape[2], pixels.shape[3])
            keys = np.array([sample["key"] for sample in samples], dtype=np.uint64)
            pixels = self._plan.apply(pixels, self._plan.draw(keys, epochs, size))
        labels = torch.tensor([sample["label"] for sample in samples])
        batch = {"pixel_values": self._preprocessing.normalize(pixels), "labels": labels, "ids": ids}
        if dropped := [entry for sample in samples for entry in sample.get("dropped", ())]:
            batch["dropped"] = dropped
        return batch


class EpochSampler(Sampler[int]):
    """The order of an epoch as a pure function of (seed, epoch), each index holding the epoch; see `ImageDataset`.

    Args:
        dataset: what is sampled.
        seed: of the order.
        balanced: draw with replacement, all classes equally often, instead of a permutation.
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
            order = np.argsort(draws, kind="stable")
        else:
            order = np.minimum(np.searchsorted(self._cumulative, draws, side="right"), self._count - 1)
        yield from (self._positions[order] + self.epoch * self._count).tolist()


def class_weights(labels: np.ndarray, class_count: int) -> Tensor:
    """Inverse class frequency, N / (K N_k), as scikit-learn's "balanced"; 1 for a class without images.

    Returns:
        float32 (K,).
    """
    counts = np.bincount(labels, minlength=class_count)
    present = np.count_nonzero(counts)
    weights = np.where(counts > 0, len(labels) / (present * np.maximum(counts, 1)), 1.0)
    return torch.tensor(weights, dtype=torch.float32)
