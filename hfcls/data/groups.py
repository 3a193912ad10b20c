"""Groups that must stay on one side of a split: one patient, one tile, one drawer."""

import re
from collections import defaultdict

import numpy as np
from datasets import Dataset, Image, Value
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hfcls.data.draws import uniform_draws
from hfcls.data.reading import set_column, texts_of
from hfcls.errors import UserError

# Groups that fit worse than others are moved until nothing gets better, but not for ever.
_MAX_SWEEPS = 20
# Among many groups any order ends near the best; among few, several are tried.
_ORDERS, _MANY = 8, 2000


def group_by_pattern(splits: dict[str, Dataset], pattern: str) -> dict[str, Dataset]:
    """Adds the column ``group``: what `pattern` finds in the path of each image.

    Args:
        pattern: regular expression; its first bracket is the group, or all of it where it has none.

    Raises:
        UserError: it is no regular expression, or finds nothing in a path.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--group_pattern {pattern!r} is no regular expression: {error}.") from None
    grouped = {}
    for split, data in splits.items():
        paths = _paths(data, split)
        found = [expression.search(path) for path in paths]
        groups = [match and (match[1] if expression.groups else match[0]) for match in found]
        missing = [path for path, group in zip(paths, groups, strict=True) if not group]
        if missing:
            raise UserError(
                f"--group_pattern {pattern!r} finds no group in {len(missing)} of {len(paths)} paths, such as "
                f"{missing[0]!r}: every image needs one."
            )
        grouped[split] = set_column(data, "group", groups, Value("string"))
    return grouped


def groups_of(data: Dataset) -> list[str] | None:
    """The group of each sample; one without is named by its image's digest. None where nothing is grouped.

    Args:
        data: with the column digest, and group where there are groups.
    """
    if "group" not in data.column_names:
        return None
    groups = texts_of(data, "group")
    given = [group for group in groups if group]
    if len(set(given)) == len(given):
        return None
    # By content and not by place, so that another order, or an image fewer, changes no name.
    return [group or f"\0{digest.hex()}" for group, digest in zip(groups, texts_of(data, "digest"), strict=True)]


def join_groups(groups: list[str], keys: np.ndarray) -> list[str]:
    """Makes one of groups that share an image, so that no copy of it ends up on the other side.

    Args:
        groups: N names.
        keys: uint64 (N,), equal for copies.
    """
    names, members = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    images, which = np.unique(keys, return_inverse=True)
    if len(images) == len(keys):
        return groups
    size = len(names) + len(images)
    links = coo_array((np.ones(len(keys), dtype=np.int8), (members, len(names) + which)), shape=(size, size))
    _, parts = connected_components(links, directed=False)
    # Named by the first of them, whatever the order of the samples.
    first: dict[int, str] = {}
    for name, part in zip(names.tolist(), parts[: len(names)].tolist(), strict=True):
        first.setdefault(part, name)
    return [first[part] for part in parts[members].tolist()]


def carve_groups(
    groups: list[str], keys: np.ndarray, labels: np.ndarray, fraction: float, *, seed: int, stream: int
) -> np.ndarray:
    """Takes whole groups out of a split so that each class gives about its share.

    In a seeded order each group goes out if that brings the counts of the classes nearer to what is wanted; then
    groups change sides as long as that brings them nearer still. The first of several orders that comes to
    within one sample is taken, else the best. A group draws by its smallest key: names and places play no part.

    Args:
        groups: N names.
        keys: uint64 (N,), from the images' contents.
        labels: int (N,).
        fraction: of the samples, in (0, 1).
        stream: tells apart who draws.

    Returns:
        bool (N,): which samples go.

    Raises:
        UserError: there is one group only, or a class would lose all its images.
    """
    names, members = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    if len(names) < 2:
        raise UserError(
            f"All images that are left to split are of the group {names[0]!r}, or share copies with it: one group "
            "cannot be split. Set --validation_fraction 0 or --test_fraction 0."
        )
    totals = np.bincount(labels).astype(np.float64)
    smallest = np.full(len(names), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, members, keys)
    # Renumbered by key, which decides between equal draws too.
    by_key = np.argsort(smallest, kind="stable")
    smallest, members = smallest[by_key], np.argsort(by_key)[members]
    counts: list[dict[int, int]] = [defaultdict(int) for _ in names]
    for group, label in zip(members.tolist(), labels.tolist(), strict=True):
        counts[group][label] += 1
    wanted = totals * fraction
    # A class counts by its own size, so that rare ones are not drowned.
    weight = np.where(totals > 0, 1.0 / np.maximum(totals, 1) ** 2, 0.0)
    size_weight = len(np.flatnonzero(totals)) / totals.sum() ** 2
    contents = [(np.array(sorted(c)), np.array([c[label] for label in sorted(c)], dtype=float)) for c in counts]
    draws = uniform_draws(smallest, seed=seed, epoch=0, stream=stream, count=_ORDERS)
    best: tuple[float, np.ndarray] | None = None
    sizes = np.array([values.sum() for _, values in contents])
    for order in draws.T[: _ORDERS if len(names) <= _MANY else 1]:
        # Large groups first: what they leave open, small ones fill.
        sequence = np.lexsort((order, -np.floor(np.log2(sizes))))
        goes = _assign(contents, sequence, wanted, weight, size_weight, totals)
        taken = np.bincount(labels[goes[members]], minlength=len(totals))
        cost = float((weight * (taken - wanted) ** 2).sum() + size_weight * (taken.sum() - wanted.sum()) ** 2)
        if goes.any() and (best is None or cost < best[0]):
            best = cost, goes
            # Near enough: a better order among the rest would be chance, and another chance with one image fewer.
            if max(np.abs(taken - wanted).max(), abs(taken.sum() - wanted.sum())) < 1:
                break
    if best is None:
        raise UserError(
            f"No choice of the {len(names)} groups sets about {fraction:.0%} of the images apart and leaves images of "
            "every class to learn from: set other fractions, or --validation_fraction 0 and --test_fraction 0."
        )
    return best[1][members]


def _assign(
    contents: list[tuple[np.ndarray, np.ndarray]],
    sequence: np.ndarray,
    wanted: np.ndarray,
    weight: np.ndarray,
    size_weight: float,
    totals: np.ndarray,
) -> np.ndarray:
    """bool (G,): which groups go."""
    goes = np.zeros(len(contents), dtype=bool)
    taken, excess = np.zeros_like(wanted), -wanted.sum()
    for _ in range(_MAX_SWEEPS):
        won = 0.0
        for group in sequence.tolist():
            classes, values = contents[group]
            step = -values if goes[group] else values
            now, change = taken[classes] - wanted[classes], step.sum()
            # The cost falls by now^2 - (now + step)^2 for each class, and likewise for the size.
            gain = -(weight[classes] * step * (2 * now + step)).sum() - size_weight * change * (2 * excess + change)
            if gain > 1e-12 and (taken[classes] + step < totals[classes]).all():
                taken[classes] += step
                excess += change
                goes[group] = not goes[group]
                won += gain
        cost = (weight * (taken - wanted) ** 2).sum() + size_weight * excess**2
        if won <= 1e-3 * cost or np.abs(taken - wanted).max() < 1:
            break
    return goes


def _paths(data: Dataset, split: str) -> list[str]:
    """What the pattern looks at: the id where it is a path, else the path that the image is stored with."""
    ids = texts_of(data, "id")
    if not all(re.fullmatch(r"(?:(?:train|validation|test)/)+\d+", sample_id) for sample_id in (ids[0], ids[-1])):
        return ids
    cells = data.select_columns("image").cast_column("image", Image(decode=False))["image"]
    paths = [str((cell or {}).get("path") or "") for cell in cells]
    if not all(paths):
        raise UserError("--group_pattern needs paths, and these images are stored without: use --group_column_name.")
    return paths
