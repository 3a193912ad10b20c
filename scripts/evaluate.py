"""Evaluates a classifier; the same program and flags as `hfcls evaluate`, for `accelerate launch`.

accelerate launch scripts/evaluate.py runs/digits
"""

import sys

from hfcls.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
