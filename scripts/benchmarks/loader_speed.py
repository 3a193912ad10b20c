"""Images per processor second of hfcls' training batches on a CPU, beside other loaders; no network is run.

    python scripts/benchmarks/loader_speed.py DATA --size 32 --json loaders.json

DATA is as for training_speed.py. All bring the image to size x size pixels and change it by the same kinds of random
augmentation, each image in its own way; --augment says which and how strongly. Each contender builds batches in a
process of its own, first --warmup of them, then for --seconds on the clock, without worker processes. Processor time is
that of all threads.

    pil               datasets, PIL, torchvision per sample
    hfcls             ImageDataset, BatchCollator, EpochSampler; every image is decoded anew
    hfcls-cache       the same with what `hfcls train` chooses by itself for this data: its pixel cache
    torchvision-v2    transforms v2 on uint8 tensors per sample
    timm-loader       timm's loader around PIL and torchvision per sample
    indexing          the limit: uint8 pixels of random images picked from one tensor, unchanged
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

from measuring import (
    Runner,
    describe_machine,
    print_table,
    ratios,
    save,
    spread,
    take_turns,
    training_part,
)

CONTENDERS = ("pil", "hfcls", "hfcls-cache", "torchvision-v2", "timm-loader", "indexing")
STRENGTHS = {
    **{"horizontal_flip": 0.5, "pad_and_crop": 4, "rotation": 15, "shift": 0.1, "zoom": 0.1},
    **{"brightness": 0.2, "contrast": 0.2},
}
SEED = 0
HALF = (0.5, 0.5, 0.5)  # mean and deviation for the others; which ones plays no part in the time
MOST_INDEXED = 10_000
COLUMNS = ("contender", "images per CPU second", "images per second", "over pil", "peak MB")


def main() -> int:
    arguments = parse()
    if arguments.contender is not None:
        print(json.dumps(time_batches(json.loads(arguments.contender))))
        return 0
    settings = {"data": str(training_part(arguments.data)), "changes": read_changes(arguments.augment)}
    settings |= {name: getattr(arguments, name) for name in ("images", "size", "batch_size", "seconds", "warmup")}
    with Runner(arguments.threads, arguments.timeout) as runner:
        machine = describe_machine(runner)
        print(machine["text"], flush=True)

        def measure(name: str) -> dict[str, float]:
            cost = runner.run(__file__, arguments.data, "--contender", json.dumps(settings | {"name": name}))
            return {**json.loads(cost.output.splitlines()[-1]), "peak_mb": cost.peak_mb}

        figures, errors = take_turns(arguments.contenders, measure, rounds=arguments.rounds)
    print_table(COLUMNS, table(figures), errors)
    save(arguments.json, settings, machine, figures, errors)
    return 1 if errors else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--images", type=int, help="use so many of the training images; all if left out")
    parser.add_argument("--size", type=int, default=32, help="height and width in pixels")
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--augment", nargs="+", default=list(STRENGTHS), help="NAME or NAME=STRENGTH, as hfcls' flags")
    parser.add_argument("--seconds", type=float, default=10.0, help="time on the clock that is measured")
    parser.add_argument("--warmup", type=int, default=3, help="batches before that")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds that one process may take")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--json", help="file to write all figures to")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    return parser.parse_args()


def read_changes(texts: list[str]) -> dict[str, float]:
    """Strength by name, from NAME or NAME=STRENGTH."""
    changes = {}
    for text in texts:
        name, _, strength = text.partition("=")
        if name not in STRENGTHS:
            raise SystemExit(f"Unknown augmentation {name!r}. Choose among: {', '.join(STRENGTHS)}.")
        changes[name] = float(strength) if strength else STRENGTHS[name]
    return changes


def table(figures: dict[str, list[dict[str, float]]]) -> list[list[str]]:
    """Median (least-most) over the rounds."""
    lines = []
    for name, rows in figures.items():
        if rows:
            speed, clock, peak = (
                spread([row[column] for row in rows], 0)
                for column in ("images_per_cpu_second", "images_per_second", "peak_mb")
            )
            lines.append([name, speed, clock, spread(ratios(rows, figures.get("pil", [])), 2), peak])
    return lines


def time_batches(settings: dict[str, Any]) -> dict[str, float]:
    """In the process of a contender."""
    batches, warmup = build(settings)
    for _ in range(warmup):
        next(batches)
    images, cpu, start = 0, _cpu_seconds(), time.perf_counter()
    while (wall := time.perf_counter() - start) < settings["seconds"] or not images:
        images += len(next(batches)[0])
    wall, cpu = time.perf_counter() - start, _cpu_seconds() - cpu
    return {"images_per_cpu_second": images / cpu, "images_per_second": images / wall, "images": images}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def build(settings: dict[str, Any]) -> tuple[Iterator[tuple[Any, ...]], int]:
    """Endless batches, and how many of them come before the measurement."""
    if settings["name"].startswith("hfcls"):
        return build_hfcls(settings)
    from peers import TensorSamples, collate, endless, read_rows, timm_loader, with_pil
    from torch.utils.data import DataLoader

    name, batch_size = settings["name"], settings["batch_size"]
    rows = read_rows(settings["data"], settings["images"])
    look = (settings["size"], settings["changes"], HALF, HALF)
    if name == "indexing":
        return index_pixels(rows, settings["size"], batch_size), settings["warmup"]
    if name == "timm-loader":
        return endless(timm_loader(rows, batch_size, *look)), settings["warmup"]
    data: Any = with_pil(rows, *look) if name == "pil" else TensorSamples(rows, *look)
    return endless(DataLoader(data, batch_size, shuffle=True, collate_fn=collate)), settings["warmup"]


def index_pixels(rows: Any, size: int, batch_size: int) -> Iterator[tuple[Any, ...]]:
    """Batches of what is in memory already, of MOST_INDEXED images at most."""
    import torch
    from torchvision.transforms.v2.functional import pil_to_tensor

    rows = rows.select(range(min(len(rows), MOST_INDEXED)))
    pixels = torch.stack([pil_to_tensor(row["image"].convert("RGB").resize((size, size))) for row in rows])
    while True:
        yield from ((pixels[chosen],) for chosen in torch.randperm(len(pixels)).split(batch_size))


def build_hfcls(settings: dict[str, Any]) -> tuple[Iterator[tuple[Any, ...]], int]:
    """As `hfcls.training.fit` puts them together."""
    import tempfile
    from itertools import count

    from torch.utils.data import DataLoader

    from hfcls.arguments import AugmentationArguments, DataArguments
    from hfcls.data.augmentation import AugmentationPlan, build_augmentations
    from hfcls.data.batches import BatchCollator, EpochSampler
    from hfcls.data.labelled import load_data
    from hfcls.training.memory import keep_freed_memory
    from hfcls.training.start import prepare_training

    keep_freed_memory()  # as `hfcls train` does

    none = {"validation_fraction": 0.0, "test_fraction": 0.0}
    data = DataArguments(train_dir=settings["data"], max_train_samples=settings["images"], **none)
    values = {
        **{name: value for name, value in vars(data).items() if value is not None},
        **settings["changes"],
        **{"architecture": "simple_cnn", "image_size": settings["size"], "seed": SEED},
        **{"output_dir": tempfile.mkdtemp(), "per_device_train_batch_size": settings["batch_size"]},
    }
    start = prepare_training(values, load_data(data, splits_needed=("train",)))
    if settings["name"] == "hfcls-cache":
        from hfcls.training.start import cache_pixels

        start = cache_pixels(start, None)
        if not start.input.startswith("cache"):
            raise SystemExit(f"hfcls keeps no cache of this data: {start.input}")
    dataset = start.splits["train"]
    plan = AugmentationPlan(build_augmentations(AugmentationArguments(**settings["changes"])), SEED)
    sampler = EpochSampler(dataset, SEED)
    collator = BatchCollator(start.preprocessing, plan)
    loader = DataLoader(dataset, settings["batch_size"], sampler=sampler, collate_fn=collator)

    def batches() -> Iterator[tuple[Any, ...]]:
        for epoch in count():
            sampler.set_epoch(epoch)
            yield from ((batch["pixel_values"], batch["labels"]) for batch in loader)

    return batches(), settings["warmup"]


if __name__ == "__main__":
    sys.exit(main())
