"""Which images stand for their class on the contact sheet."""

from itertools import islice

import numpy as np

from hfcls.data.draws import uniform_draws
from hfcls.inspection.images import Images
from hfcls.inspection.scan import Facts

# Pictures in all, of one class, classes.
SHEET_PICTURES, SHEET_PER_CLASS, SHEET_CLASSES = 600, 24, 1000


def choose_sheet(images: Images, facts: Facts) -> dict[int, list[int]]:
    """Rows for the contact sheet by class: a fixed random pick, from train where there is one.

    The pick hangs on the images' contents, so that it does not change with their order.
    """
    where = facts.readable & (images.is_in("train") if "train" in images.splits else True)
    # A class that train lacks is shown from where it is.
    lacking = np.bincount(images.labels[where], minlength=len(images.class_names)) == 0
    where |= facts.readable & lacking[images.labels]
    rows = np.flatnonzero(where)
    keys = np.ascontiguousarray(facts.table["digest"][rows, 0])
    draws = uniform_draws(keys, seed=0, epoch=0, stream=0, count=1)[:, 0]
    rows = rows[np.lexsort((draws, images.labels[rows]))]
    present, starts, counts = np.unique(images.labels[rows], return_index=True, return_counts=True)
    each = max(1, min(SHEET_PER_CLASS, SHEET_PICTURES // max(len(present), 1)))
    picked = zip(present.tolist(), starts.tolist(), counts.tolist(), strict=True)
    return {label: rows[start : start + min(n, each)].tolist() for label, start, n in islice(picked, SHEET_CLASSES)}
