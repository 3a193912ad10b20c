"""The accuracy of parts of the images, such as those of one hospital."""

from hfcls.evaluation.formats import format_interval, format_value
from hfcls.evaluation.measured_run import MeasuredRun, label_classes
from hfcls.evaluation.section import Part

MAX_OPEN = 30


def build(run: MeasuredRun) -> Part | None:
    """A row for each part, the worst first."""
    by = run.measured.get("by")
    if not by or not by["groups"]:
        return None
    names = label_classes([row["group"] for row in by["groups"]])
    rows = [
        {
            "name": name,
            "n": row["n"],
            "accuracy": {"raw": row["accuracy"], "text": format_value(row["accuracy"])},
            "interval": format_interval(row["low"], row["high"]),
        }
        for name, row in zip(names, by["groups"], strict=True)
    ]
    return Part(
        {
            "column": by["column"],
            "rows": rows[:MAX_OPEN],
            "more": rows[MAX_OPEN:],
            "worst": rows[0],
            "gap": {"raw": by["gap"], "text": f"{100 * by['gap']:.1f} points"},
        }
    )
