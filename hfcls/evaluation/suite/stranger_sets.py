"""Images that show none of the classes: the user's own, and two kinds that are made."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Image
from torch import Tensor

from hfcls.arguments import DataArguments
from hfcls.data.content import content_digests, sample_keys
from hfcls.data.decode import decode_image
from hfcls.data.draws import uniform_draws
from hfcls.data.images import load_images
from hfcls.data.transforms import Preprocessing
from hfcls.errors import BadImage, UserError
from hfcls.evaluation.fingerprints import ids_digest, sources_digest

# Images of one set.
MOST, MADE = 10_000, 1_000
# Patches along each side.
_PATCHES = 4
_HOW = ("near", "far")
# Below zero: those from zero on belong to the augmentations.
_STREAM = -22


@dataclass(frozen=True)
class StrangerSet:
    """Images that show none of the classes.

    Attributes:
        name: for people; unique.
        kind: "near" or "far", as the user said, "made", or "".
        n: how many, with those that will turn out to be unreadable.
        batches: makes them, as ``pixel_values (N, C, H, W)``.
        record: of what they are.
    """

    name: str
    kind: str
    n: int
    batches: Callable[[], Iterable[Tensor]]
    record: str


def place_of(place: str) -> tuple[str, str]:
    """How strange images are (empty where it is not said), and their path."""
    kind, _, path = place.partition("=")
    return (kind, path) if kind in _HOW else ("", place)


def named_strangers(places: list[str], preprocessing: Preprocessing, *, batch_size: int) -> list[StrangerSet]:
    """The user's own sets, of larger ones 10,000 images, drawn by content; those that cannot be read are left out.

    Args:
        places: paths, as `hfcls.data.images.load_images` reads them; ``near=PATH`` and ``far=PATH`` say how strange.

    Raises:
        UserError: there are no images.
    """
    found: list[StrangerSet] = []
    for place in places:
        kind, path = place_of(place)
        images = load_images([path], DataArguments())
        data = _some(images.data).cast_column("image", Image(decode=False))
        # Many files are called test.parquet.
        name = "/".join(Path(path).parts[-2:]) if Path(path).is_file() else Path(path).name or path
        if any(one.name == name for one in found):
            name = f"{name} ({len(found) + 1})"
        batches = _Reader(path, data, preprocessing, batch_size)
        found.append(StrangerSet(name, kind, len(data), batches, f"{ids_digest(data)} {sources_digest(images)}"))
    return found


def made_strangers(dataset: Any, preprocessing: Preprocessing, *, batch_size: int, record: str) -> list[StrangerSet]:
    """Uniform noise, and images of a split, drawn by content, with their patches in another order.

    Args:
        dataset: of the split; has ``keys``, and its samples ``pixels`` uint8 (3, H, W).
        record: of the split.
    """
    n = min(MADE, len(dataset))
    size = preprocessing.spec.size
    rows = drawn_rows(dataset.keys, n, stream=_STREAM)

    def noise(index: int) -> Tensor:
        drawn = np.random.default_rng([1, index]).integers(0, 256, (3, *size), dtype=np.uint8)
        return torch.from_numpy(drawn)

    def shuffled(index: int) -> Tensor:
        return shuffle_patches(dataset[int(rows[index])]["pixels"], seed=index)

    def batches(make: Callable[[int], Tensor]) -> Callable[[], Iterator[Tensor]]:
        def run() -> Iterator[Tensor]:
            for start in range(0, n, batch_size):
                yield preprocessing.normalize(torch.stack([make(i) for i in range(start, min(start + batch_size, n))]))

        return run

    return [
        StrangerSet("uniform noise", "made", n, batches(noise), f"noise {n} {size}"),
        StrangerSet("shuffled patches", "made", n, batches(shuffled), f"patches of drawn images {n} {record}"),
    ]


def drawn_rows(keys: np.ndarray, n: int, *, stream: int) -> np.ndarray:
    """Rows of `n` images, or of all where there are fewer, in their order: int64 (n,).

    Args:
        keys: uint64 (N,), of the images' contents, so that neither their order nor their names play a part.
        stream: see `hfcls.data.draws.uniform_draws`.
    """
    if len(keys) <= n:
        return np.arange(len(keys))
    draws = uniform_draws(keys, seed=0, epoch=0, stream=stream, count=1)[:, 0]
    return np.sort(np.argsort(draws, kind="stable")[:n])


def _some(data: Any) -> Any:
    """All images of a data set, or as many as one set has."""
    if len(data) <= MOST:
        return data
    digests, _ = content_digests(data)
    return data.select(drawn_rows(sample_keys(digests, [""] * len(digests)), MOST, stream=_STREAM))


def shuffle_patches(pixels: Tensor, *, seed: int) -> Tensor:
    """An image whose 4 by 4 patches have changed places; a rest at the lower and right edges stays.

    Args:
        pixels: (3, H, W).
        seed: of the order.
    """
    height, width = (side // _PATCHES for side in pixels.shape[1:])
    if not height or not width:
        return pixels
    count = _PATCHES**2
    # One round through all of them, so that none stays.
    tour = np.random.default_rng([2, seed]).permutation(count)
    source = np.empty(count, dtype=np.int64)
    source[tour] = np.roll(tour, 1)
    result = pixels.clone()
    for place, other in enumerate(source.tolist()):
        (row, column), (top, left) = divmod(place, _PATCHES), divmod(other, _PATCHES)
        patch = pixels[:, top * height : (top + 1) * height, left * width : (left + 1) * width]
        result[:, row * height : (row + 1) * height, column * width : (column + 1) * width] = patch
    return result


@dataclass(frozen=True)
class _Reader:
    path: str
    data: Any
    preprocessing: Preprocessing
    batch_size: int

    def __call__(self) -> Iterator[Tensor]:
        read = 0
        for start in range(0, len(self.data), self.batch_size):
            part = self.data[start : start + self.batch_size]
            found = map(self._pixels, part["image"], part["id"])
            pixels = [one for one in found if one is not None]
            read += len(pixels)
            if pixels:
                yield self.preprocessing.normalize(torch.stack(pixels))
        if not read:
            raise UserError(f"--strangers {self.path}: none of its {len(self.data):,} images can be read.")

    def _pixels(self, cell: Any, name: str) -> Tensor | None:
        """None of an image that cannot be read."""
        try:
            return self.preprocessing.checked_pixels(decode_image(cell, name), name)
        except BadImage:
            return None
