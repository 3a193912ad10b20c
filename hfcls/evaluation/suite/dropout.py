"""Several passes with dropout at work."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from hfcls.errors import UserError
from hfcls.evaluation.suite.several import gather, measure_answers
from hfcls.evaluation.suite.step import CannotDoError
from hfcls.evaluation.suite.subject import SEED, Subject
from hfcls.models.dropout import dropout_on
from hfcls.uncertainty.doubt import Votes

MEMBERS = 10


def run(subject: Subject) -> dict[str, Any]:
    """The mean of 10 passes of each image."""
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        try:
            stack.enter_context(dropout_on(subject.classifier.model))
        except UserError as error:
            raise CannotDoError(str(error)) from None
        torch.manual_seed(SEED)
        answers = gather(_votes(subject))
    n = len(subject.fresh)
    row = measure_answers(f"{MEMBERS} passes with dropout", answers, subject, passes=MEMBERS)
    return {"n": n, "rows": [row], "passes": MEMBERS * n}


def _votes(subject: Subject) -> Iterator[Votes]:
    for batch in subject.passing("Passes with dropout"):
        values = batch["pixel_values"].to(subject.device)
        with torch.inference_mode():
            members = [subject.classifier.model(pixel_values=values).logits.double() for _ in range(MEMBERS)]
        yield Votes(np.stack([logits.softmax(-1).cpu().numpy() for logits in members]))
