"""The mistakes that the model was surest of, with their images."""

import numpy as np

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.section import Part
from hfcls.pages.thumbnails import Thumbnail

MAX_MISTAKES, OPEN_MISTAKES = 24, 12


def build(run: MeasuredRun) -> Part | None:
    """The first of the wrong answers by falling confidence."""
    samples, predictions = run.samples, run.predictions
    if samples is None or predictions is None or not len(run.mistakes):
        return None
    rows = run.mistakes[:MAX_MISTAKES].tolist()
    thumbnails = run.thumbnails(rows)
    overlays = run.overlays([row for row in rows if row in thumbnails])
    shown = [
        {
            "id": predictions.ids[row],
            "true": run.labels[samples.labels[row]],
            "predicted": run.labels[samples.predicted[row]],
            "confidence": float(samples.confidence[row]),
            "true_probability": float(np.exp(-samples.softmax.log_loss[row])),
            "thumbnail": thumbnails.get(row),
            "overlay": one if isinstance(one := overlays.get(row), Thumbnail) else None,
            "no_overlay": one if isinstance(one, str) else "",
        }
        for row in rows
    ]
    return Part(
        {
            "open": shown[:OPEN_MISTAKES],
            "folded": shown[OPEN_MISTAKES:],
            "n": len(run.mistakes),
            "pictured": run.pictures is not None,
            "explained": bool(overlays),
        }
    )
