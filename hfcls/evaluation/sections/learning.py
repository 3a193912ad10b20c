"""Learning curves: loss and accuracy by epoch."""

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.plots.learning import Series, plot_curves
from hfcls.evaluation.section import Figure, Part


def build(run: MeasuredRun) -> Part | None:
    """The curves of a Trainer state, with the epoch of its best checkpoint."""
    state = run.trainer_state
    log = [entry for entry in state.get("log_history") or [] if isinstance(entry.get("epoch"), int | float)]
    best_step = state.get("best_global_step")
    chosen = [row["epoch"] for row in log if best_step and row.get("step") == best_step and "loss" not in row]
    best = chosen[0] if chosen else None

    def points(key: str) -> list[tuple[float, float]]:
        # A later entry of the same step is the evaluation made once more after training.
        found = [row for row in log if row.get(key) is not None]
        return list({row.get("step"): (row["epoch"], float(row[key])) for row in found}.values())

    loss = [Series("training", points("loss")), Series("validation", points("eval_loss"), "warm", dashed=True)]
    accuracy = [Series("validation", points("eval_accuracy"), "warm", dashed=True)]
    drawn = (
        Figure("loss", "Loss by epoch", plot_curves("loss", loss, y_label="loss", best_epoch=best)),
        Figure(
            "accuracy",
            "Accuracy by epoch",
            plot_curves("accuracy", accuracy, y_label="accuracy", best_epoch=best, percent=True),
        ),
    )
    figures = tuple(figure for figure in drawn if figure.svg)
    return Part({"best": None if best is None else f"{best:.3g}"}, figures) if figures else None
