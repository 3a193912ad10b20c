"""Plants known faults in a folder of real images: does `hfcls inspect` find them, and nothing else?

    python scripts/benchmarks/dirty_folder.py DATA [--images 2000] [--seed 0] [--keep FOLDER]

DATA is anything that `hfcls inspect` reads. Prints what was found of each kind of fault, and how many untouched images
were accused (real duplicates of DATA count among them); exits with 1 below the goal.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1"}
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from hfcls.arguments import DataArguments
from hfcls.commands.inspect import inspect
from hfcls.data.decode import decode_image
from hfcls.data.sources import read_data
from hfcls.inspection.images import Images
from tests.inspection.dirty import plant, score

BROKEN, ACROSS, TWO_LABELS, NEAR = 20, 15, 10, 30
NEAR_GOAL, FALSE_ALARM_GOAL = 0.9, 0.01


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="empty folder for the images and the page; a temporary one if left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(arguments.keep or temporary)
        planted = plant(
            root / "images",
            read_pictures(arguments.data, arguments.images, arguments.seed),
            broken=BROKEN,
            across=ACROSS,
            two_labels=TWO_LABELS,
            near=NEAR,
            seed=arguments.seed,
        )
        content = inspect({"data": str(root / "images"), "output_dir": str(root / "inspection")})
    result = score(content, planted)
    print()
    for kind, (found, wanted) in result.found.items():
        print(f"{kind:<22}{found:>5} of {wanted}")
    share = len(result.false_alarms) / result.clean
    print(f"{'false alarms':<22}{len(result.false_alarms):>5} of {result.clean} untouched images ({share:.2%})")
    near = [counts for kind, counts in result.found.items() if kind.startswith("near")]
    plain = [counts for kind, counts in result.found.items() if not kind.startswith("near")]
    good = all(found == wanted for found, wanted in plain) and share < FALSE_ALARM_GOAL
    good &= sum(found for found, _ in near) >= NEAR_GOAL * sum(wanted for _, wanted in near)
    return 0 if good else 1


def read_pictures(data: str, most: int, seed: int) -> list:
    """(image, class) of a random choice."""
    images = Images(read_data(DataArguments(dataset_name=data)).splits)
    rows = np.sort(np.random.default_rng(seed).permutation(len(images))[:most])
    pictures = []
    for row in rows.tolist():
        cell = images.data[images.split(row)][row - int(images.starts[images.split_of[row]])]["image"]
        pictures.append((decode_image(cell, str(row)), images.label(row)))
    return pictures


if __name__ == "__main__":
    sys.exit(main())
