"""Trains a classifier; the same program and flags as `hfcls train`, for `accelerate launch`.

accelerate launch scripts/train.py --dataset_name digits --architecture simple_cnn --output_dir runs/digits
"""

import sys

from hfcls.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
