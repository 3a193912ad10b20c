"""Several views of each image: test-time augmentation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from hfcls.evaluation.suite.several import gather, measure_answers
from hfcls.evaluation.suite.subject import Subject
from hfcls.models import TEST_TIME_AUGMENTATIONS
from hfcls.uncertainty.doubt import Votes

# Of these each view has one vote, and so many are there.
VIEWS = {"flip": 2, "five_crop": 5}


def run(subject: Subject) -> dict[str, Any]:
    """The mean over the image and its mirror image, and over five crops."""
    n = len(subject.fresh)
    rows = [
        measure_answers(f"{count} views (--tta {name})", gather(_votes(subject, name)), subject, passes=count)
        for name, count in VIEWS.items()
    ]
    return {"n": n, "rows": rows, "passes": sum(VIEWS.values()) * n}


def _votes(subject: Subject, name: str) -> Iterator[Votes]:
    model = subject.classifier.model
    for batch in subject.passing(f"Views ({name})"):
        views = TEST_TIME_AUGMENTATIONS[name](batch["pixel_values"].to(subject.device))
        with torch.inference_mode():
            members = [model(pixel_values=view).logits.double().softmax(-1).cpu().numpy() for _, view in views]
        yield Votes(np.stack(members))
