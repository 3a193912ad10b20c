"""Images per second of `hfcls predict`, beside a loop that does the same work step by step.

    python scripts/benchmarks/predict_throughput.py MODEL IMAGES

IMAGES is a folder, an archive or a Parquet file. The reference decodes a batch, transforms it, runs the model on it,
all in one process with torch's own threads, and writes nothing. The other side is the whole of what the command does
once model and list are loaded: decoding ahead, the model, the rows, the finished CSV file. Both take turns on the same
slices of the images, so that what else the machine does falls on both. Prints a ratio for each slice and over all;
exits with 1 where that is below --at_least.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}

import torch
from datasets import Image

from hfcls.arguments import DataArguments
from hfcls.data.decode import decode_image
from hfcls.data.images import load_images
from hfcls.data.transforms import Preprocessing
from hfcls.evaluation.answer_formats import CsvFormat
from hfcls.evaluation.answers import RowLayout
from hfcls.evaluation.part_file import PartFile
from hfcls.evaluation.speed import describe_hardware
from hfcls.evaluation.stream_predictions import predict_answers
from hfcls.models import load_classifier


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--count", type=int, default=2000, help="images in all")
    parser.add_argument(
        "--slice", type=int, default=256, help="images that one side does before it is the other's turn"
    )
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument(
        "--num_workers", type=int, nargs="*", help="numbers of threads to try; the default one if left out"
    )
    parser.add_argument("--at_least", type=float, default=0.0)
    arguments = parser.parse_args()
    classifier = load_classifier(arguments.model)
    data = load_images([arguments.images], DataArguments()).data
    data = data.select(range(min(arguments.count, len(data))))
    print(
        f"{len(data)} images, batches of {arguments.batch_size}, {describe_hardware(torch.device('cpu'))}", flush=True
    )
    sides = {"reference": lambda part: reference(classifier, part, arguments.batch_size)}
    for workers in arguments.num_workers or [None]:
        name = "predict" if workers is None else f"{workers} threads"
        sides[name] = lambda part, workers=workers: whole(classifier, part, arguments.batch_size, workers)
    for side in sides.values():
        side(data.select(range(min(2 * arguments.batch_size, len(data)))))
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number, first in enumerate(range(0, len(data), arguments.slice)):
        part = data.select(range(first, min(first + arguments.slice, len(data))))
        for name in sorted(sides, reverse=bool(number % 2)):
            start = time.perf_counter()
            sides[name](part)
            seconds[name].append(time.perf_counter() - start)
        shown = "  ".join(f"{name} {len(part) / times[-1]:7.1f}/s" for name, times in seconds.items())
        print(f"{len(part):>5} images  {shown}", flush=True)
    worst = 0
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(seconds["reference"], times, strict=True)]
        total = sum(seconds["reference"]) / sum(times)
        median = statistics.median(ratios)
        print(f"{name:<12}{len(data) / sum(times):7.1f}/s  ratio {total:.3f}  median of slices {median:.3f}")
        worst |= total < arguments.at_least
    return worst


def reference(classifier: Any, data: Any, batch_size: int) -> None:
    preprocessing = Preprocessing(classifier.image_processor)
    model = classifier.model.eval()
    stored = data.cast_column("image", Image(decode=False))
    with torch.inference_mode():
        for first in range(0, len(stored), batch_size):
            batch = stored[first : first + batch_size]
            pixels = [
                preprocessing.pixels(decode_image(cell, sample_id))
                for cell, sample_id in zip(batch["image"], batch["id"], strict=True)
            ]
            model(pixel_values=preprocessing.normalize(torch.stack(pixels))).logits.softmax(-1)


def whole(classifier: Any, data: Any, batch_size: int, num_workers: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        layout = RowLayout(classifier.class_names, 5)
        part = PartFile(Path(folder, "out.csv"), CsvFormat(layout), {}, batch_size=batch_size, total=len(data))
        for answers in predict_answers(classifier, data, batch_size=batch_size, num_workers=num_workers):
            part.append(answers)
        part.finish()


if __name__ == "__main__":
    sys.exit(main())
