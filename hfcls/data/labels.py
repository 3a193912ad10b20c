"""One list of class names for all splits, and for the checkpoint."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from datasets import ClassLabel, Dataset

from hfcls.data.reading import column_of, set_column
from hfcls.errors import UserError, suggest

# ImageNet-style names: "n02012849 crane" and plain "crane" mean the same class.
_WORDNET_ID = re.compile(r"^n\d{8}[ _]")


def align_splits(
    splits: dict[str, Dataset], trained_on: Sequence[str] | None = None
) -> tuple[dict[str, Dataset], list[str]]:
    """Gives all splits the class list of ``train`` (of the only split where there is none), matched by name.

    Args:
        trained_on: the class list, where train itself is not here.

    Returns:
        The splits, and notices for the user.

    Raises:
        UserError: a split has images of a class that train has none of.
    """
    if trained_on is None:
        reference = "train" if "train" in splits else next(iter(splits))
        names = splits[reference].features["label"].names
        trained = _counts(splits[reference])
    else:
        reference, names, trained = "train", list(trained_on), np.ones(len(trained_on), dtype=int)
    notices = []
    aligned = {}
    positions = {name: index for index, name in enumerate(names)}
    trained_names = dict(zip(names, trained.tolist(), strict=True))
    for split, data in splits.items():
        own = data.features["label"].names
        present = {own[index] for index, count in enumerate(_counts(data)) if count}
        unknown = [name for name in present if not trained_names.get(name)]
        if unknown:
            first = sorted(unknown)[0]
            raise UserError(
                f"The {split} split has the class {first!r}{_and_more(unknown)} that {reference} has no image of."
                f"{suggest(first, names)} Rename or remove it, or add it to {reference}."
            )
        absent = [name for name, count in zip(names, trained, strict=True) if count and name not in present]
        if absent:
            notices.append(f"The {split} split has no image of {absent[0]!r}{_and_more(absent)}.")
        aligned[split] = data if own == names else relabel(data, [positions.get(n, -1) for n in own], names)
    notices += _look_alikes(names)
    idle = [name for name, count in zip(names, trained, strict=True) if not count]
    if idle:
        notices.append(f"{len(idle)} declared classes have no image at all, such as {idle[0]!r}.")
    return aligned, notices


def _look_alikes(names: list[str]) -> list[str]:
    """Says which classes differ in case or spaces alone."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(" ".join(name.casefold().replace("_", " ").split()), []).append(name)
    return [
        f"The classes {' and '.join(map(repr, group))} differ in case or spaces alone: if they are one class, merge "
        "them with --class_mapping."
        for group in alike.values()
        if len(group) > 1
    ]


def match_names(data_names: list[str], model_names: tuple[str, ...]) -> list[int | None]:
    """For each class of the data, the index of the same class in the checkpoint, or None.

    Matched by name. Where names repeat in the checkpoint (ImageNet has two cranes) and both lists have the same
    names in the same order, by index.
    """
    plain = [_WORDNET_ID.sub("", name) for name in data_names]
    repeated = {name for name, count in Counter(model_names).items() if count > 1}
    same_order = plain == list(model_names)
    # Two classes of the data whose names differ by the id alone must not become one.
    repeated |= {name for name, count in Counter(plain).items() if count > 1}
    positions = {name: index for index, name in enumerate(model_names)}
    matches: list[int | None] = []
    for index, (name, short) in enumerate(zip(data_names, plain, strict=True)):
        if same_order:
            matches.append(index)
        elif name in positions and name not in repeated:
            matches.append(positions[name])
        else:
            matches.append(positions[short] if short in positions and short not in repeated else None)
    return matches


def relabel(data: Dataset, mapping: list[int], names: list[str]) -> Dataset:
    """Replaces the labels by ``mapping[label]`` and the class list by `names`.

    Names that repeat are told apart by their index, since a class list must not repeat itself.
    """
    counts = Counter(names)
    unique = [f"{name} ({index})" if counts[name] > 1 else name for index, name in enumerate(names)]
    labels = np.asarray(mapping)[labels_of(data)]
    return set_column(data, "label", labels.tolist(), ClassLabel(names=unique))


def in_order_of(data: Dataset, class_names: tuple[str, ...], name: str) -> Dataset:
    """A split with labels as a model numbers them.

    Args:
        class_names: of the model, in the order of its logits.
        name: of the model, for the message.

    Raises:
        UserError: the split has images of a class that the model does not know.
    """
    names = data.features["label"].names
    matches = match_names(names, class_names)
    unknown = [names[label] for label in np.unique(labels_of(data)) if matches[label] is None]
    if unknown:
        raise UserError(
            f"The data has the class {unknown[0]!r}{_and_more(unknown)}, which {name} does not know: it knows "
            f"{', '.join(class_names[:5])}{' ...' if len(class_names) > 5 else ''}."
        )
    return relabel(data, [-1 if index is None else index for index in matches], list(class_names))


def labels_of(data: Dataset) -> np.ndarray:
    """The labels, int64 (N,)."""
    return column_of(data, "label").to_numpy()


def _counts(data: Dataset) -> np.ndarray:
    return np.bincount(labels_of(data), minlength=len(data.features["label"].names))


def _and_more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
