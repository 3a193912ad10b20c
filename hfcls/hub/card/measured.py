"""What a card says of the results: Markdown made from predictions and their figures, and from nothing else.

So it can be made again from the predictions that are published with a card, and compared with it letter by letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hfcls.escaping import terminal_text
from hfcls.evaluation.formats import METRICS, describe_interval, format_figure, format_interval, format_value
from hfcls.evaluation.measured_run import MeasuredRun, choose_split
from hfcls.evaluation.sections.confusion import find_pairs
from hfcls.evaluation.trusted import measure_trust
from hfcls.hub.card.markdown import distinct_names, fence, fold, inline, join_words, table
from hfcls.metrics import compute_metrics
from hfcls.metrics.wilson import wilson_interval
from hfcls.structures import Predictions
from hfcls.uncertainty.trust import Trust

# What the first table shows; the other figures are a click away.
FIRST_FIGURES = frozenset(
    ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "roc_auc_macro", "top5_accuracy", "log_loss", "ece")
)
# Up to so many classes the table of classes is open; of more than `MAX_CLASSES`, only the worst have a row.
OPEN_CLASSES, MAX_CLASSES, MAX_PAIRS = 12, 200, 10
# Recall below which a class is named among the limits, and how many are named.
LOW_RECALL, MAX_NAMED = 0.8, 10
# Images of a class below which its own figures say little, and of all below which a point in accuracy does.
FEW_IMAGES, SMALL_TEST = 30, 1000
# A mistake above this confidence is one that hardly any threshold would catch.
SURE = 0.9
TOP_K = 5


@dataclass(frozen=True)
class MeasuredText:
    """The parts of a card that rest on predictions.

    Attributes:
        lead: one sentence with accuracy and its interval.
        results: the table of all figures.
        classes: the table of classes.
        confusions: what is taken for what.
        limits: sentences.
        splits: the measured ones, the one that the card is about first.
    """

    lead: str
    results: str
    classes: str
    confusions: str
    limits: tuple[str, ...]
    splits: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """All of them, each as it stands in the card."""
        return tuple(part for part in (self.lead, self.results, self.classes, self.confusions, *self.limits) if part)


def run_from_predictions(predictions: Mapping[str, Predictions], *, trust: Trust | None = None) -> MeasuredRun:
    """A run of which nothing but the predictions of some splits, and perhaps the calibration, is known."""
    measured = {split: compute_metrics(one) for split, one in predictions.items()}
    split = choose_split(measured)
    if trust is not None:
        measured[split]["trust"] = measure_trust(predictions[split], trust)
    return MeasuredRun(Path(), split, measured, predictions=predictions[split].known)


def describe_results(run: MeasuredRun) -> MeasuredText:
    """Writes what was measured."""
    order = (run.split, *(split for split in run.splits if split != run.split))
    return MeasuredText(_lead(run), _results(run, order), _classes(run), _confusions(run), tuple(_limits(run)), order)


def example_answers(predictions: Predictions, row: int) -> list[tuple[str, float]]:
    """The likeliest classes of one image and their probabilities, as `pipeline` gives them."""
    probabilities = predictions.probabilities[row]
    best = np.argsort(-probabilities, kind="stable")[:TOP_K]
    return [(predictions.class_names[index], float(probabilities[index])) for index in best.tolist()]


def example_output(predictions: Predictions, row: int) -> str:
    """What the example of the card prints for one image."""
    answers = example_answers(predictions, row)
    return fence("\n".join(f"{score:.3f}  {terminal_text(label)}" for label, score in answers), "text")


def images(count: int, kind: str = "") -> str:
    """``1 test image``, ``359 test images``."""
    return f"{count:,} {kind}{' ' if kind else ''}image{'' if count == 1 else 's'}"


def _lead(run: MeasuredRun) -> str:
    matrix, accuracy = run.confusion, run.headline.get("accuracy") or {}
    if matrix is None or accuracy.get("value") is None:
        return ""
    n, right = int(matrix.sum()), int(np.trace(matrix))
    figure = format_figure("accuracy", accuracy, digits=1)
    interval = f" (95 % interval {figure['interval']})" if figure["interval"] else ""
    return (
        f"Of {images(n, run.split)}{_learned_from(run, n)} it names {right:,} right: "
        f"an accuracy of **{figure['value']}**{interval}."
    )


def _learned_from(run: MeasuredRun, n: int) -> str:
    """Whether the images are new to it, where that is known; in words, since it does not rest on the predictions."""
    shared = (run.data.get("overlap") or {}).get(f"train/{run.split}")
    if shared is None:
        return ","
    if not shared:
        return " that it did not learn from,"
    if n == 1:
        return " that it learned from,"
    return f", {'all' if shared >= n else 'some'} of which it learned from as well,"


def _results(run: MeasuredRun, order: tuple[str, ...]) -> str:
    headlines = [run.splits[split].get("headline") or {} for split in order]
    rows: dict[bool, list[list[str]]] = {True: [], False: []}
    for key, (title, meaning) in METRICS.items():
        entries = [headline.get(key) or {} for headline in headlines]
        if any(entry.get("value") is not None for entry in entries):
            cells = (_cell(key, entry) for entry in entries)
            rows[key in FIRST_FIGURES].append([f"{title}<br><sub>{meaning}</sub>", *cells])
    if not any(rows.values()):
        return ""
    titles = ["", *(f"{split} ({images(run.splits[split]['n'])})" for split in order)]
    first, others = (table(titles, some, right=range(1, len(titles))) if some else "" for some in rows.values())
    note = inline(describe_interval(run.measured.get("interval") or {}))
    return "\n\n".join(part for part in (first, note, fold("All other figures", others) if others else "") if part)


def _cell(key: str, entry: dict[str, Any]) -> str:
    if entry.get("value") is None:
        return "undefined" if entry else ""
    figure = format_figure(key, entry, digits=2)
    return f"**{figure['value']}**" + (f"<br>{figure['interval']}" if figure["interval"] else "")


def _classes(run: MeasuredRun) -> str:
    per_class = [row for row in run.measured.get("per_class") or [] if row["support"]]
    if not per_class:
        return ""
    names = distinct_names(run.labels)
    rows = sorted(per_class, key=lambda row: (row["f1"] is None, row["f1"] or 0.0, row["index"]))
    shown = rows[:MAX_CLASSES]
    titles = ["class", f"{run.split} images", "F1", "precision", "recall", "95 % interval of recall"]
    text = table(titles, [_class_row(row, names) for row in shown], right=range(1, 6))
    which = (
        f"The {len(shown):,} worst of {len(rows):,} classes" if len(shown) < len(rows) else "All classes, worst first"
    )
    return text if len(rows) <= OPEN_CLASSES else fold(which, text)


def _class_row(row: dict[str, Any], names: list[str]) -> list[str]:
    figures = [format_value(row[key]) for key in ("f1", "precision", "recall")]
    return [names[row["index"]], f"{row['support']:,}", *figures, _recall_interval(row)]


def _recall_interval(row: dict[str, Any]) -> str:
    if row["recall"] is None:
        return ""
    return format_interval(*wilson_interval(round(row["recall"] * row["support"]), row["support"]))


def _confusions(run: MeasuredRun) -> str:
    matrix = run.confusion
    if matrix is None:
        return ""
    pairs = find_pairs(matrix, most=MAX_PAIRS)
    n, wrong = int(matrix.sum()), int(matrix.sum() - np.trace(matrix))
    if not pairs:
        return f"Nothing: all {images(n, run.split)} are named right."
    names, support = distinct_names(run.labels), matrix.sum(axis=1)
    rows = [
        [names[true], names[said], f"{matrix[true, said]:,}", format_value(matrix[true, said] / support[true])]
        for true, said in pairs
    ]
    text = table(["class", "taken for", "images", "share of the class"], rows, right=(2, 3))
    shown = int(sum(matrix[pair] for pair in pairs))
    which = "All of them" if shown == wrong else f"The most frequent ones, {shown:,} of them"
    are = "is" if wrong == 1 else "are"
    return f"{wrong:,} of {images(n, run.split)} {are} named wrong. {which}:\n\n{text}"


def _limits(run: MeasuredRun) -> list[str]:
    matrix = run.confusion
    if matrix is None:
        return []
    return [*_low_recall(run, matrix), *_small_test(run, matrix), *_confidence(run)]


def _low_recall(run: MeasuredRun, matrix: np.ndarray) -> list[str]:
    names = distinct_names(run.labels)
    rows = [row for row in run.measured["per_class"] if row["recall"] is not None and row["recall"] < LOW_RECALL]
    rows.sort(key=lambda row: (row["recall"], row["index"]))
    told = [f"{names[row['index']]} ({format_value(row['recall'])} of {row['support']:,})" for row in rows[:MAX_NAMED]]
    if not told:
        return []
    more = f", and {len(rows) - MAX_NAMED:,} more" if len(rows) > MAX_NAMED else ""
    classes = "1 class is" if len(rows) == 1 else f"{len(rows):,} classes are"
    return [
        f"**Often missed.** {classes} found in less than {100 * LOW_RECALL:g} % of their {run.split} images: "
        f"{join_words(told) if not more else ', '.join(told) + more}."
    ]


def _small_test(run: MeasuredRun, matrix: np.ndarray) -> list[str]:
    n, support = int(matrix.sum()), matrix.sum(axis=1)
    found = []
    accuracy = run.headline.get("accuracy") or {}
    if n < SMALL_TEST and accuracy.get("low") is not None:
        width = 100 * (accuracy["high"] - accuracy["low"])
        found.append(
            f"**Small {run.split} set.** {images(n)} leave a range of {width:.1f} points for the accuracy; "
            "it hardly tells models apart that differ by less."
        )
    few, none = int(((support > 0) & (support < FEW_IMAGES)).sum()), int((support == 0).sum())
    if few:
        found.append(
            f"**Few {run.split} images a class.** {few:,} of {len(support):,} classes have fewer than {FEW_IMAGES}: "
            "what is said of each of them alone is rough."
        )
    if none:
        found.append(f"**Not measured.** {none:,} of {len(support):,} classes have no {run.split} image at all.")
    return found


def _confidence(run: MeasuredRun) -> list[str]:
    if run.samples is None:
        return []
    confidence, right = run.samples.confidence, run.samples.correct
    gap = 100 * (float(confidence.mean()) - float(right.mean()))
    trust = (
        f"{abs(gap):.1f} points {'more' if gap > 0 else 'less'} than it is right"
        if abs(gap) >= 0.05
        else "as it is right"
    )
    sure = int((confidence[~right] > SURE).sum())
    wrong = int((~right).sum())
    found = f"**Confidence.** On average it is {format_value(float(confidence.mean()))} sure, {trust}"
    if wrong:
        found += f"; {f'{sure:,}' if sure else 'none'} of {f'its {wrong:,} mistakes' if wrong > 1 else 'one mistake'} "
        found += f"{'has' if sure < 2 else 'have'} more than {100 * SURE:g} %"
    return [f"{found}."]
