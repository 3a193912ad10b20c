"""How others feed a network on a CPU, for the speed scripts: datasets and PIL, torchvision v2 on tensors, timm."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import ClassLabel, Dataset, Image, load_dataset
from torch import Tensor
from torchvision import io, transforms
from torchvision.transforms import v2

Changes = dict[str, float]


def read_rows(place: str, images: int | None) -> Dataset:
    """Columns image and label, of a Parquet file in the layout of `datasets`, or a folder with one folder per class.

    Args:
        images: so many of them, at random; None for all.
    """
    path = Path(place)
    if path.is_dir():
        rows = load_dataset("imagefolder", data_dir=str(path), split="train")
    else:
        rows = load_dataset("parquet", data_files={"train": str(path)}, split="train")
    if not isinstance(rows.features.get("label"), ClassLabel) or not isinstance(rows.features.get("image"), Image):
        raise SystemExit(f"{path} has the columns {rows.features}: expected image (an Image) and label (a ClassLabel).")
    if images is None or images >= len(rows):
        return rows
    return rows.shuffle(seed=0).select(range(images)).flatten_indices()


def changes(kind: Any, rows: Dataset, size: int, wanted: Changes) -> list[Callable]:
    """Per-sample augmentation by torchvision, in `kind` = transforms (for PIL) or transforms.v2 (for tensors).

    Args:
        size: height and width to come out.
        wanted: strength by name, the names as hfcls has them, and random_resized_crop (its least area).
    """
    steps: list[Callable] = []
    if "random_resized_crop" in wanted:
        steps.append(kind.RandomResizedCrop(size, scale=(wanted["random_resized_crop"], 1.0)))
    elif rows[0]["image"].size != (size, size):
        steps.append(kind.Resize((size, size)))
    if "horizontal_flip" in wanted:
        steps.append(kind.RandomHorizontalFlip(wanted["horizontal_flip"]))
    if "pad_and_crop" in wanted:
        steps.append(kind.RandomCrop(size, padding=int(wanted["pad_and_crop"])))
    rotation, shift, zoom = (wanted.get(name, 0.0) for name in ("rotation", "shift", "zoom"))
    if rotation or shift or zoom:
        bilinear = transforms.InterpolationMode.BILINEAR
        moves = {"translate": (shift, shift), "scale": (1 - zoom, 1 + zoom), "interpolation": bilinear}
        steps.append(kind.RandomAffine(rotation, **moves))
    if "brightness" in wanted or "contrast" in wanted:
        steps.append(kind.ColorJitter(brightness=wanted.get("brightness", 0), contrast=wanted.get("contrast", 0)))
    return steps


def with_pil(rows: Dataset, size: int, wanted: Changes, mean: Any, std: Any) -> Dataset:
    """The way of the examples of transformers: `set_transform`, PIL images, torchvision's first transforms."""
    ends = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    transform = transforms.Compose([*changes(transforms, rows, size, wanted), *ends])

    def prepare(batch: dict[str, list]) -> dict[str, list]:
        return {"pixel_values": [transform(image.convert("RGB")) for image in batch["image"]], "label": batch["label"]}

    rows.set_transform(prepare)
    return rows


def stored_bytes(cell: dict[str, Any]) -> Tensor:
    """A stored image, undecoded: uint8 (length,)."""
    content = cell["bytes"]
    return io.read_file(cell["path"]) if content is None else torch.frombuffer(bytearray(content), dtype=torch.uint8)


class TensorSamples(torch.utils.data.Dataset):
    """torchvision's present way: decoded to a uint8 tensor, transforms v2 on that, floats at the end."""

    def __init__(self, rows: Dataset, size: int, wanted: Changes, mean: Any, std: Any):
        self._stored = rows.cast_column("image", Image(decode=False))
        ends = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
        self._transform = v2.Compose([*changes(v2, rows, size, wanted), *ends])

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self._stored[index]
        image = io.decode_image(stored_bytes(row["image"]), mode="RGB")
        return {"pixel_values": self._transform(image), "label": row["label"]}


class PilSamples(torch.utils.data.Dataset):
    """As timm's ImageDataset: (image, label), the image by `transform`, which timm's loader sets."""

    transform: Callable | None = None

    def __init__(self, rows: Dataset):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        row = self._rows[index]
        image = row["image"].convert("RGB")
        return (image if self.transform is None else self.transform(image)), row["label"]


def timm_loader(rows: Dataset, batch_size: int, size: int, wanted: Changes, mean: Any, std: Any) -> Iterable:
    """timm's loader with its own random resized crop; other changes take the place of that in front of its batching."""
    from timm.data import create_loader
    from timm.data.transforms import MaybePILToTensor

    samples = PilSamples(rows)
    loader = create_loader(
        samples,
        (3, size, size),
        batch_size,
        is_training=True,
        scale=(wanted.get("random_resized_crop", 0.08), 1.0),
        hflip=wanted.get("horizontal_flip", 0.0),
        color_jitter=None,
        mean=mean,
        std=std,
        num_workers=0,
        device=torch.device("cpu"),
    )
    if "random_resized_crop" not in wanted:
        samples.transform = transforms.Compose([*changes(transforms, rows, size, wanted), MaybePILToTensor()])
    return loader


def collate(samples: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Stacks `pixel_values` and labels."""
    labels = torch.tensor([sample["label"] for sample in samples])
    return {"pixel_values": torch.stack([sample["pixel_values"] for sample in samples]), "labels": labels}


def endless(loader: Iterable) -> Iterator[tuple[Tensor, Tensor]]:
    """(pixel values, labels) of epoch after epoch."""
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield (batch["pixel_values"], batch["labels"]) if isinstance(batch, dict) else tuple(batch)
        if empty:
            raise SystemExit("The data has fewer images than one batch.")
