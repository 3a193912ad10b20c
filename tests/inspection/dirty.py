"""A folder of images with known faults planted in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass
class Planted:
    """Ids of what was planted: single images, and pairs of (original, copy)."""

    broken: list[str] = field(default_factory=list)
    across: list[tuple[str, str]] = field(default_factory=list)
    two_labels: list[tuple[str, str]] = field(default_factory=list)
    near: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def stored(image: Image.Image, *, quality: int | None = None) -> tuple[str, bytes]:
    """Suffix and bytes: PNG for small images, JPEG for photos or where a quality is asked for."""
    buffer = BytesIO()
    if quality is None and max(image.size) <= 64:
        image.save(buffer, "PNG")
        return ".png", buffer.getvalue()
    image.save(buffer, "JPEG", quality=quality or 92)
    return ".jpg", buffer.getvalue()


BREAK: list[Callable[[bytes], bytes]] = [
    lambda content: b"",
    lambda content: content[: len(content) // 2],
    lambda content: content[:20],
    lambda content: b"<html>404</html>",
    lambda content: bytes(len(content)),
]


def resize(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    scale = rng.choice([0.75, 0.85, 1.25, 1.5])
    size = (round(image.width * scale), round(image.height * scale))
    return stored(image.resize(size, Image.Resampling.BICUBIC))


def crop(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    """Up to 1 pixel in 16 off each side."""
    most = max(min(image.size) // 16, 1)
    left, top, right, bottom = (int(n) for n in rng.integers(0, most, 4, endpoint=True))
    left += left + top + right + bottom == 0
    return stored(image.crop((left, top, image.width - right, image.height - bottom)))


def recompress(image: Image.Image, rng: np.random.Generator) -> tuple[str, bytes]:
    return stored(image, quality=int(rng.integers(50, 85)))


CHANGES = {"resize": resize, "crop": crop, "recompression": recompress}


def plant(
    root: Path,
    pictures: Sequence[tuple[Image.Image, str]],
    *,
    broken: int,
    across: int,
    two_labels: int,
    near: int,
    seed: int = 0,
) -> Planted:
    """Writes pictures with their classes as train/ and test/ (a fifth), and the faults among them.

    Args:
        near: how many near duplicates, a third of them by each of `CHANGES`.
    """
    rng = np.random.default_rng(seed)
    planted = Planted()
    classes = sorted({name for _, name in pictures})
    trained: list[tuple[str, Image.Image, str]] = []
    for number, (image, name) in enumerate(pictures):
        split = "test" if number % 5 == 4 else "train"
        suffix, content = stored(image)
        sample_id = _write(root, f"{split}/{name}/{number:05}{suffix}", content)
        if split == "train":
            trained.append((sample_id, image, name))
    chosen = [trained[i] for i in rng.permutation(len(trained))[: broken + across + two_labels + near]]
    for number in range(broken):
        sample_id, _, _ = chosen.pop()
        path = root / sample_id
        path.write_bytes(BREAK[number % len(BREAK)](path.read_bytes()))
        planted.broken.append(sample_id)
    for number in range(across):
        sample_id, _, name = chosen.pop()
        copy = f"test/{name}/copy{number}{Path(sample_id).suffix}"
        planted.across.append((sample_id, _write(root, copy, (root / sample_id).read_bytes())))
    for number in range(two_labels):
        sample_id, _, name = chosen.pop()
        other = classes[(classes.index(name) + 1) % len(classes)]
        copy = f"train/{other}/again{number}{Path(sample_id).suffix}"
        planted.two_labels.append((sample_id, _write(root, copy, (root / sample_id).read_bytes())))
    for number in range(near):
        sample_id, image, name = chosen.pop()
        kind = list(CHANGES)[number % len(CHANGES)]
        suffix, content = CHANGES[kind](image, rng)
        copy = _write(root, f"test/{name}/{kind}{number}{suffix}", content)
        planted.near.setdefault(kind, []).append((sample_id, copy))
    return planted


def _write(root: Path, name: str, content: bytes) -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


@dataclass(frozen=True)
class Score:
    """How many of the planted faults an inspection named, and how many images it accused without cause.

    Attributes:
        found: (found, planted) by kind of fault.
        false_alarms: images that a duplicate finding or `broken` names, though nothing was done to them.
        clean: images that nothing was done to.
    """

    found: dict[str, tuple[int, int]]
    false_alarms: list[str]
    clean: int


ACCUSING = ("broken", "exact-duplicates", "exact-duplicates-across-splits", "two-labels", "near-duplicates")
ACCUSING += ("near-duplicates-across-splits", "near-duplicates-under-two-labels")


def score(content: dict, planted: Planted) -> Score:
    """Compares ``inspection.json`` with what was planted."""
    named = {kind: [set(g) for f in content["findings"] if f["kind"] == kind for g in f["images"]] for kind in ACCUSING}

    def hits(kind: str, wanted: list) -> tuple[int, int]:
        groups = [{entry} if isinstance(entry, str) else set(entry) for entry in wanted]
        return sum(any(group <= found for found in named[kind]) for group in groups), len(groups)

    found = {
        "broken": hits("broken", planted.broken),
        "exact across splits": hits("exact-duplicates-across-splits", planted.across),
        "two labels": hits("two-labels", planted.two_labels),
    }
    for kind, pairs in planted.near.items():
        found[f"near: {kind}"] = hits("near-duplicates-across-splits", pairs)
    touched = set(planted.broken)
    for pairs in (planted.across, planted.two_labels, *planted.near.values()):
        touched.update(sample_id for pair in pairs for sample_id in pair)
    accused = {sample_id for groups in named.values() for group in groups for sample_id in group}
    return Score(found, sorted(accused - touched), content["n"] - len(touched))
