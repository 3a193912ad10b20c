"""What is odd about the classes."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from hfcls.inspection.finding import Finding, count, listing
from hfcls.inspection.images import Images

# Fewer training images than this say little about a class, and leave a carved split one or none.
TINY_CLASS = 10
# Largest class over smallest: from here on it is worth a word, and from there on a measure against it.
UNEVEN, IMBALANCED = 3.0, 10.0


def check_classes(images: Images) -> Iterator[Finding]:
    """Classes that a split lacks, tiny ones, imbalance, names that look like one class twice."""
    counts = images.counts()
    names = np.array(images.class_names, dtype=object)
    reference = images.splits.index("train") if "train" in images.splits else 0
    split, trained = images.splits[reference], counts[reference]
    if np.count_nonzero(counts.sum(axis=0)) < 2:
        yield Finding(
            "one-class",
            "error",
            f"All images are of one class, {listing(names[counts.sum(axis=0) > 0])}",
            "Add images of another class: with one there is nothing to tell apart.",
        )
    if split == "train":
        yield from _unknown_classes(images, counts, trained)
        yield from _absent_classes(images, counts, trained)
        yield from _tiny_classes(images, trained, alone=len(images.splits) == 1)
    yield from _names_alike(images)
    yield from _imbalance(names, trained, split)
    empty = names[counts.sum(axis=0) == 0]
    if len(empty):
        yield Finding(
            "class-without-images",
            "note",
            f"{count(len(empty), 'class has', 'classes have')} no image at all: {listing(empty)}",
            "A model keeps a place for such a class and never learns it: leave it out of the class list.",
            items=tuple(empty),
        )


def _unknown_classes(images: Images, counts: np.ndarray, trained: np.ndarray) -> Iterator[Finding]:
    unknown = (counts.sum(axis=0) > 0) & (trained == 0)
    if not unknown.any():
        return
    lines = []
    for label in np.flatnonzero(unknown).tolist():
        where = ", ".join(f"{n:,} in {s}" for s, n in zip(images.splits, counts[:, label].tolist(), strict=True) if n)
        lines.append(f"{images.class_names[label]}: {where}")
    rows = np.flatnonzero(unknown[images.labels])
    named = listing(images.class_names[label] for label in np.flatnonzero(unknown))
    yield Finding(
        "class-not-in-train",
        "error",
        f"train lacks {count(len(lines), 'class', 'classes')} that another split has: {named}",
        "Rename the class, add it to train, or leave its images out (--fix does that).",
        groups=tuple((row,) for row in rows.tolist()),
        items=tuple(lines),
        fixable=True,
    )


def _absent_classes(images: Images, counts: np.ndarray, trained: np.ndarray) -> Iterator[Finding]:
    for split, own in zip(images.splits, counts, strict=True):
        absent = np.flatnonzero((trained > 0) & (own == 0))
        if split != "train" and len(absent):
            names = [images.class_names[label] for label in absent]
            yield Finding(
                f"class-not-in-{split}",
                "warning",
                f"{split} lacks {count(len(names), 'class', 'classes')} that train has: {listing(names)}",
                f"Add images: no figure on {split} says anything about such a class.",
                items=tuple(names),
            )


def _names_alike(images: Images) -> Iterator[Finding]:
    alike = defaultdict(list)
    for name in images.class_names:
        alike["".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    repeated = [names for names in alike.values() if len(names) > 1]
    if repeated:
        yield Finding(
            "class-names-alike",
            "warning",
            f"{count(len(repeated), 'class name comes', 'class names come')} in several spellings: "
            f"{listing(name for names in repeated for name in names)}",
            "If they mean one class, merge them with --class_mapping, or rename the folders.",
            how="Names that differ by upper and lower case, spaces or the encoding of a character alone.",
            items=tuple(", ".join(map(repr, names)) for names in repeated),
        )


def _tiny_classes(images: Images, trained: np.ndarray, *, alone: bool) -> Iterator[Finding]:
    tiny = np.flatnonzero((trained > 0) & (trained < TINY_CLASS))
    if not len(tiny):
        return
    tiny = tiny[np.argsort(trained[tiny], kind="stable")]
    if alone and trained.max() == 1:
        yield Finding(
            "nothing-to-set-apart",
            "error",
            "No class has two images, and no split is given to validate or to test on",
            "Add images: none can be set apart, and a training stops at once.",
        )
    single = int((trained[tiny] == 1).sum())
    more = f"; {count(single, 'has', 'have')} one alone, which cannot be split" if single else ""
    yield Finding(
        "tiny-class",
        "warning",
        f"{count(len(tiny), 'class has', 'classes have')} fewer than {TINY_CLASS} images in train{more}",
        "Add images or merge classes: so few are learned by heart, and their figures are chance.",
        items=tuple(f"{images.class_names[label]}: {trained[label]}" for label in tiny),
    )


def _imbalance(names: np.ndarray, trained: np.ndarray, split: str) -> Iterator[Finding]:
    present = np.flatnonzero(trained)
    if len(present) < 2:
        return
    most, least = present[trained[present].argmax()], present[trained[present].argmin()]
    ratio = trained[most] / trained[least]
    if ratio > UNEVEN:
        yield Finding(
            "imbalance",
            "warning" if ratio > IMBALANCED else "note",
            f"The largest class of {split} has {ratio:.3g} times the images of the smallest "
            f"({names[most]!r}: {trained[most]:,}, {names[least]!r}: {trained[least]:,})",
            "Train with --class_weight auto or --weighted_sampling, and judge by balanced accuracy and macro F1.",
        )
