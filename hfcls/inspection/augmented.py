"""Some images beside what the augmentations of a training make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import ViTImageProcessor

from hfcls.arguments import AugmentationArguments
from hfcls.data.augmentation import (
    AugmentationPlan,
    build_augmentations,
    describe_dials,
    dials_in_effect,
    expand_preset,
)
from hfcls.data.content import map_images, sample_keys
from hfcls.data.decode import decode_image
from hfcls.data.transforms import Preprocessing
from hfcls.errors import BadImage, UserError
from hfcls.inspection.finding import count
from hfcls.inspection.images import Images
from hfcls.inspection.scan import Facts
from hfcls.inspection.sheet import choose_sheet
from hfcls.pages.thumbnails import Thumbnail, make_thumbnail

# Images, and epochs of each.
AUGMENTED_IMAGES, AUGMENTED_EPOCHS = 12, 7
# What TrainingArguments has where no --seed is given.
SEED = 42
# Side of the images where no --image_size is given, at most; largest --image_size; side of the pictures, at most.
DEFAULT_SIDE, MAX_SIDE, PICTURE_SIDE = 224, 2048, 224
# Compression: what is shown pixel by pixel loses nothing, else fine noise is to outlive it.
SMALL_SIDE, SMALL_QUALITY, QUALITY = 64, 100, 85
# Characters that all pictures may take together.
AUGMENTED_BUDGET = 3_000_000


@dataclass(frozen=True)
class AugmentedPicture:
    """An image, or one of its augmented selves.

    Attributes:
        shares: classes and how much of the label each has, in percent; empty where labels are not mixed.
    """

    thumbnail: Thumbnail
    shares: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Augmented:
    """What the page shows of the augmentations.

    Attributes:
        dials: that have an effect, by name, in the order in which they are applied.
        side: pixels a side that the images were scaled to before.
        seed: that the changes are drawn from.
        mixes: images and labels are mixed.
        rows: by the image's row in `Images`: the image itself, then its selves in the first epochs.
        left_out: images of the pick that found no room.
    """

    dials: dict[str, Any]
    side: int
    seed: int
    mixes: bool
    rows: dict[int, list[AugmentedPicture]]
    left_out: int

    @property
    def described(self) -> str:
        """The dials in words, as a training prints them."""
        return describe_dials(self.dials)

    @property
    def summary(self) -> str:
        """For the terminal."""
        return f"{count(len(self.rows), 'image')} of {self.side} pixels a side, {self.described}"

    @property
    def characters(self) -> int:
        """That all pictures take together."""
        return sum(len(picture.thumbnail.uri) for row in self.rows.values() for picture in row)


def build_plan(arguments: AugmentationArguments, image_size: int | None) -> tuple[AugmentationPlan, dict[str, Any]]:
    """What a training with these flags and seed 42 does to its images, and its dials by name.

    Raises:
        UserError: an unknown preset, a value out of range, or no augmentation at all.
    """
    if image_size is not None and not 1 <= image_size <= MAX_SIDE:
        raise UserError(f"--image_size is {image_size}: expected 1 to {MAX_SIDE} pixels.")
    size = None if image_size is None else (image_size, image_size)
    dials = dials_in_effect(expand_preset(arguments, size=size))
    if not dials:
        name, value = next((name, value) for name, value in vars(arguments).items() if value is not None)
        text = value if isinstance(value, str) else f"{value:g}"
        raise UserError(f"--{name} {text} would have no effect: it leaves no augmentation to show.")
    return AugmentationPlan(build_augmentations(arguments), SEED), dials


def augment_some(
    images: Images,
    facts: Facts,
    *,
    plan: AugmentationPlan,
    dials: dict[str, Any],
    image_size: int | None,
    max_pixels: int,
    quiet: bool = False,
) -> Augmented:
    """A fixed random pick over the classes, each image with the changes of its first epochs.

    The draws are those of a training, to the last bit: they hang on seed, epoch and the image's key. What an image is
    mixed with is another one of the pick, as it hangs on the batch.

    Args:
        plan: see `build_plan`.
        dials: of the plan, for the page.
        image_size: pixels a side; None for the median side of the images, at most 224.
        max_pixels: of a stored image.
        quiet: show no progress.
    """
    side = image_size or median_side(facts)
    pixels = _read_pixels(images, choose_rows(images, facts), side=side, max_pixels=max_pixels, quiet=quiet)
    rows = list(pixels)
    shown: dict[int, list[AugmentedPicture]] = {}
    if rows:
        batch, keys = torch.stack(list(pixels.values())), training_keys(images, facts, rows)
        labels = torch.from_numpy(images.labels[rows].astype(np.int64))
        epochs = [
            _augment(plan, batch, keys=keys, labels=labels, names=images.class_names, epoch=epoch)
            for epoch in range(AUGMENTED_EPOCHS)
        ]
        originals = [AugmentedPicture(_thumbnail(image)) for image in batch]
        shown = dict(zip(rows, map(list, zip(originals, *epochs, strict=True)), strict=True))
    fitting = _within_budget(shown)
    return Augmented(dials, side, plan.seed, plan.mixes, fitting, left_out=len(shown) - len(fitting))


def median_side(facts: Facts) -> int:
    """The median of all widths and heights, at most `DEFAULT_SIDE`."""
    table = facts.table[facts.readable]
    sides = np.concatenate([table["width"], table["height"]])
    return min(int(np.median(sides)), DEFAULT_SIDE) if len(sides) else DEFAULT_SIDE


def choose_rows(images: Images, facts: Facts) -> list[int]:
    """The rows that are shown, by class: the first ones of the contact sheet, from train alone where there is one."""
    only = "train" if "train" in images.splits else None
    sheet = [
        [row for row in rows if only in (None, images.split(row))] for rows in choose_sheet(images, facts).values()
    ]
    sheet = [rows for rows in sheet if rows]
    if len(sheet) > AUGMENTED_IMAGES:
        sheet = [sheet[at] for at in np.linspace(0, len(sheet) - 1, AUGMENTED_IMAGES).round().astype(int)]
    taken = [row for row in chain(*zip_longest(*sheet)) if row is not None][:AUGMENTED_IMAGES]
    return [row for rows in sheet for row in rows if row in set(taken)]


def training_keys(images: Images, facts: Facts, rows: Sequence[int]) -> np.ndarray:
    """What a training draws by, uint64 (N,): the column ``key`` of `hfcls.data.labelled.LabelledData`."""
    # Copies are numbered within their split, so all copies of an image are needed for the key of one.
    copies = np.isin(facts.copies, facts.copies[rows]) & facts.readable
    keys: dict[int, int] = {}
    for split in np.unique(images.split_of[rows]):
        own = np.flatnonzero(copies & (images.split_of == split)).tolist()
        digests = [facts.table["digest"][row].astype("<u8").tobytes() for row in own]
        keys |= zip(own, sample_keys(digests, [images.label(row) for row in own]).tolist(), strict=True)
    return np.array([keys[row] for row in rows], dtype=np.uint64)


def _augment(
    plan: AugmentationPlan, pixels: Tensor, *, keys: np.ndarray, labels: Tensor, names: Sequence[str], epoch: int
) -> list[AugmentedPicture]:
    """One epoch of uint8 (N, 3, H, W) with labels (N,)."""
    size = (pixels.shape[2], pixels.shape[3])
    drawn = plan.draw(keys, np.full(len(keys), epoch), size)
    changed = plan.apply(pixels, drawn, then=lambda values: values.float()).round().clamp(0, 255).to(torch.uint8)
    shares: list[tuple[tuple[str, int], ...]] = [()] * len(pixels)
    if plan.mixes:
        targets = plan.mix_targets(labels, drawn, size, len(names))
        shares = [_name_shares(names, own, target) for own, target in zip(labels.tolist(), targets, strict=True)]
    return [AugmentedPicture(_thumbnail(image), share) for image, share in zip(changed, shares, strict=True)]


def _name_shares(names: Sequence[str], own: int, target: Tensor) -> tuple[tuple[str, int], ...]:
    """Class and percent, the image's own class first; what rounds to nothing is left out."""
    percent = (target * 100).round().int().tolist()
    order = sorted(np.flatnonzero(percent).tolist(), key=lambda label: label != own)
    return tuple((names[label], percent[label]) for label in order)


def _read_pixels(images: Images, rows: Sequence[int], *, side: int, max_pixels: int, quiet: bool) -> dict[int, Tensor]:
    """By row, in the given order, uint8 (3, side, side): resized as our networks' own image processor does it."""
    preprocessing = Preprocessing(ViTImageProcessor(size={"height": side, "width": side}))
    work = partial(_decode, preprocessing=preprocessing, max_pixels=max_pixels)
    found: dict[int, Tensor | None] = {}
    for number, data in enumerate(images.data.values()):
        own = [row for row in rows if images.split_of[row] == number]
        chosen = data.select([row - int(images.starts[number]) for row in own])
        found |= zip(own, map_images(chosen, work, description="Augmenting", quiet=quiet), strict=True)
    return {row: pixels for row in rows if (pixels := found[row]) is not None}


def _decode(cell: dict[str, Any], sample_id: str, *, preprocessing: Preprocessing, max_pixels: int) -> Tensor | None:
    try:
        return preprocessing.pixels(decode_image(cell, sample_id, max_pixels=max_pixels))
    except BadImage:
        return None  # it has gone since it was measured


def _thumbnail(pixels: Tensor) -> Thumbnail:
    image = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    quality = SMALL_QUALITY if image.width <= SMALL_SIDE else QUALITY
    return make_thumbnail(image, side=PICTURE_SIDE, quality=quality)


def _within_budget(rows: dict[int, list[AugmentedPicture]]) -> dict[int, list[AugmentedPicture]]:
    """The first rows that have room on the page."""
    taken = np.cumsum([sum(len(picture.thumbnail.uri) for picture in row) for row in rows.values()])
    fitting = int(np.searchsorted(taken, AUGMENTED_BUDGET, side="right"))
    return dict(list(rows.items())[:fitting])
