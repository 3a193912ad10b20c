"""A plain sentence on which explanation to believe."""

from collections.abc import Mapping, Sequence

from hfcls.explain.faithfulness.randomization import UNCHANGED
from hfcls.explain.faithfulness.summary import Mean, Summary
from hfcls.explain.faithfulness.unexplained import CENTRE, RANDOM, UNEXPLAINED

# Below so many images an interval says little.
FEW = 10


def verdict(rows: Sequence[Summary], titles: Mapping[str, str]) -> list[str]:
    """Sentences on which method to believe for these images.

    A method beats a map that knows nothing where the interval of their difference lies above 0 in insertion and in
    deletion; of those that beat the random map and change with the weights, the one that is the most above it leads.

    Args:
        rows: of `summarize`.
        titles: of the methods, for people.
    """
    table = {(row.method, row.measure): row for row in rows}
    methods = [name for name in dict.fromkeys(row.method for row in rows) if name not in UNEXPLAINED]
    compared = [name for name in methods if all((name, one) in table for one in ("insertion", "deletion"))]
    if not compared:
        return []
    n = max(table[name, "insertion"].mean.n for name in compared)
    if n < 2:
        return [_of_one_image(table, compared, titles)]
    sentences = []
    unchanged = [name for name in methods if _is_unchanged(table.get((name, "randomization")))]
    honest = [name for name in compared if name not in unchanged]
    over_random = [name for name in honest if _beats(table, name, RANDOM)]
    over_centre = [name for name in over_random if _beats(table, name, CENTRE)]
    best = max(over_centre or over_random, key=lambda name: _gain(table, name, RANDOM), default=None)
    if best is None:
        sentences.append("No method beats the random map here: believe none of these pictures.")
    elif not over_centre:
        sentences.append(
            f"No method beats the centre blob here: {_listed(over_random, titles)} "
            f"{'points' if len(over_random) == 1 else 'point'} better than chance, but no better than the middle of "
            "the picture."
        )
    else:
        sentences.append(
            f"Believe {titles[best]} first: it is the furthest above the random map in insertion and deletion together "
            "and beats the centre blob as well."
        )
        others = [name for name in over_centre if name != best]
        if others:
            sentences.append(f"{_listed(others, titles)} also {'beats' if len(others) == 1 else 'beat'} both.")
        sentences += _not_beaten([name for name in over_random if name not in over_centre], CENTRE, titles)
    if over_random:
        sentences += _not_beaten([name for name in honest if name not in over_random], RANDOM, titles)
    sentences += _insane(unchanged, titles)
    if n < FEW:
        sentences.append(f"These are only {n} images: other images may say otherwise.")
    return sentences


def _of_one_image(table: Mapping[tuple[str, str], Summary], methods: list[str], titles: Mapping[str, str]) -> str:
    best = max(methods, key=lambda name: _gain(table, name, RANDOM))
    ahead = [other for other in (RANDOM, CENTRE) if _gain(table, best, other) > 0]
    if len(ahead) == 2:
        said = f"{titles[best]} does best and better than the random map and the centre blob"
    elif ahead:
        behind = CENTRE if ahead == [RANDOM] else RANDOM
        said = f"no method does better than the {behind}"
    else:
        said = "no method does better than the random map or the centre blob"
    return f"On this one image {said} in insertion and deletion together; one image proves little, so give several."


def _beats(table: Mapping[tuple[str, str], Summary], name: str, other: str) -> bool:
    differences = [_over(table[name, measure], other) for measure in ("insertion", "deletion")]
    return all(one is not None and one.low is not None and one.low > 0 for one in differences)


def _gain(table: Mapping[tuple[str, str], Summary], name: str, other: str) -> float:
    differences = [_over(table[name, measure], other) for measure in ("insertion", "deletion")]
    return sum(one.value for one in differences if one is not None)


def _over(row: Summary, other: str) -> Mean | None:
    return row.over_random if other == RANDOM else row.over_centre


def _is_unchanged(row: Summary | None) -> bool:
    return row is not None and row.mean.value >= UNCHANGED


def _not_beaten(names: list[str], other: str, titles: Mapping[str, str]) -> list[str]:
    if not names:
        return []
    verb = "does" if len(names) == 1 else "do"
    return [f"{_listed(names, titles)} {verb} not beat the {other}."]


def _insane(names: list[str], titles: Mapping[str, str]) -> list[str]:
    if not names:
        return []
    said = "hardly changes when the weights are random, so it is"
    if len(names) > 1:
        said = "hardly change when the weights are random, so they are"
    return [f"{_listed(names, titles)} {said} no evidence of what was learned."]


def _listed(names: Sequence[str], titles: Mapping[str, str]) -> str:
    shown = [titles[name] for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
