"""How many altered copies of images `hfcls inspect` finds, and which pairs it reports among the images as they are.

    python scripts/benchmarks/near_duplicates.py data/train.parquet --images 5000 --sheet pairs.png

Takes a Parquet file with a column `image`, or a folder of images. Each transform makes one copy of every image, and
originals and copies are searched together. Found is a copy that is paired with its original; strange are pairs of a
copy and another image than its original (or what the original itself is paired with). Pairs among the originals are
false alarms or copies that the data has: --sheet shows them, the least alike first. Blank images don't count.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hfcls.data.decode import decode_image
from hfcls.data.layout import is_image_name, natural_order
from hfcls.inspection.duplicates import NearDuplicates, describe, find_near_duplicates, perceptual_hashes

SMOOTH = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
Transform = Callable[[Image.Image, np.random.Generator], Image.Image]


def scaled(image: Image.Image, factor: float, resample: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), resample)


def cropped(image: Image.Image, sides: np.ndarray) -> Image.Image:
    """Takes parts of the width and height away: left, top, right, bottom; of a side that loses anything, a pixel."""
    sizes = (image.width, image.height) * 2
    lost = [max(1, round(part * size)) if part else 0 for part, size in zip(sides, sizes, strict=True)]
    return image.crop((lost[0], lost[1], image.width - lost[2], image.height - lost[3]))


def any_sides(draw: np.random.Generator, count: int) -> np.ndarray:
    sides = np.zeros(4)
    sides[draw.permutation(4)[:count]] = draw.uniform(0.01, 0.04, count)
    return sides


def stored(image: Image.Image, kind: str, **options: int) -> Image.Image:
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(file).convert("RGB")


def lit(image: Image.Image, brightness: float, contrast: float) -> Image.Image:
    return ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(brightness)).enhance(contrast)


def combined(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    image = cropped(image, any_sides(draw, draw.integers(1, 5)))
    image = scaled(image, draw.uniform(0.5, 2), SMOOTH[draw.integers(len(SMOOTH))])
    image = lit(image, draw.uniform(0.85, 1.15), draw.uniform(0.85, 1.15))
    return stored(image, "JPEG", quality=int(draw.integers(20, 96)))


def extreme(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    return stored(lit(scaled(cropped(image, np.full(4, 0.04)), 0.5), 0.85, 0.85), "JPEG", quality=20)


TRANSFORMS: dict[str, Transform] = {
    "resized to 50 %": lambda image, draw: scaled(image, 0.5),
    "resized to 200 %": lambda image, draw: scaled(image, 2),
    "resized, 50 to 200 %": lambda image, draw: scaled(image, draw.uniform(0.5, 2), SMOOTH[draw.integers(len(SMOOTH))]),
    "cropped, one side, 1 to 4 %": lambda image, draw: cropped(image, any_sides(draw, 1)),
    "cropped, one side, 4 %": lambda image, draw: cropped(image, 0.04 * np.eye(4)[draw.integers(4)]),
    "cropped, every side, 4 %": lambda image, draw: cropped(image, np.full(4, 0.04)),
    "JPEG, quality 20": lambda image, draw: stored(image, "JPEG", quality=20),
    "JPEG, quality 20 to 95": lambda image, draw: stored(image, "JPEG", quality=int(draw.integers(20, 96))),
    "WebP, quality 50": lambda image, draw: stored(image, "WEBP", quality=50),
    "GIF": lambda image, draw: stored(image, "GIF"),
    "brightness, 80 to 120 %": lambda image, draw: lit(image, draw.uniform(0.8, 1.2), 1),
    "contrast, 80 to 120 %": lambda image, draw: lit(image, 1, draw.uniform(0.8, 1.2)),
    "combined, drawn at random": combined,
    "combined, all at their worst": extreme,
}


def read_images(path: Path) -> Iterator[Image.Image]:
    if path.is_dir():
        names = sorted((str(file) for file in path.rglob("*") if is_image_name(file.name)), key=natural_order)
        yield from (decode_image({"bytes": None, "path": name}, name) for name in names)
        return
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(1024, columns=["image"]):
        yield from (decode_image(cell, path.name) for cell in batch.column(0).to_pylist())


def search(descriptors: np.ndarray) -> NearDuplicates:
    return find_near_duplicates(descriptors, perceptual_hashes(descriptors))


def report_alone(descriptors: np.ndarray) -> NearDuplicates:
    """What is found among the images as they are."""
    count = len(descriptors)
    start = time.process_time()
    found = search(descriptors)
    seconds, memory = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    flagged = len(np.unique(found.pairs))
    print(f"{count:,} images, searched in {seconds:.1f} s of a processor; at most {memory:.2f} GiB of memory")
    print(f"pairs {len(found.pairs):,} of {count * (count - 1) // 2:,}", end="; ")
    print(f"images in pairs {flagged:,} ({flagged / count:.2%})")
    print(f"blank images {len(found.blank):,}; images with more pairs than are kept {len(found.crowded):,}", flush=True)
    return found


def report_copies(images: list[Image.Image], descriptors: np.ndarray, alone: NearDuplicates, seed: int) -> None:
    """What is found when each image has a copy."""
    count, shown = len(images), len(images) - len(alone.blank)
    known = {*map(tuple, alone.pairs.tolist()), *map(tuple, alone.pairs[:, ::-1].tolist())}
    print(f"\n{'copies':<30}{'n':>8}{'found':>9}{'strange':>9}")
    for name, transform in TRANSFORMS.items():
        draw = np.random.default_rng(seed)
        copies = np.stack([describe(transform(image, draw)) for image in images])
        pairs = search(np.concatenate([descriptors, copies])).pairs
        found = np.count_nonzero(pairs[:, 1] - pairs[:, 0] == count)
        mixed = pairs[(pairs[:, 0] < count) & (pairs[:, 1] >= count)] % count
        strange = sum(one != other and (one, other) not in known for one, other in mixed.tolist())
        print(f"{name:<30}{shown:>8,}{found / max(1, shown):>9.2%}{strange:>9,}", flush=True)


def draw_sheet(images: list[Image.Image], found: NearDuplicates, path: Path, *, most: int = 160) -> None:
    """Pairs side by side, 80 pixels each, eight pairs a row."""
    chosen = np.argsort(found.similarity, kind="stable")[:most]
    sheet = Image.new("RGB", (8 * 176, max(1, -(-len(chosen) // 8)) * 86), "white")
    for place, pair in enumerate(found.pairs[chosen].tolist()):
        for column, row in enumerate(pair):
            sheet.paste(images[row].resize((80, 80)), (place % 8 * 176 + column * 82, place // 8 * 86))
    sheet.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a Parquet file or a folder")
    parser.add_argument("--images", type=int, default=1000, help="how many, from the start (default 1000)")
    parser.add_argument("--only", action="store_true", help="search the images as they are, make no copies")
    parser.add_argument("--sheet", type=Path, help="a PNG to write, with the pairs among the images as they are")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    images, described = [], []
    for _, image in zip(range(arguments.images), read_images(arguments.data), strict=False):
        described.append(describe(image))
        if arguments.sheet or not arguments.only:
            images.append(image)
    descriptors = np.stack(described)
    print(f"{arguments.data}: ", end="")
    alone = report_alone(descriptors)
    if arguments.sheet:
        draw_sheet(images, alone, arguments.sheet)
    if not arguments.only:
        report_copies(images, descriptors, alone, arguments.seed)


if __name__ == "__main__":
    main()
