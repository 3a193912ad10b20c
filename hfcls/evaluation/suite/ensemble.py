"""The members of an ensemble beside it, and what their disagreement tells of mistakes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from hfcls.evaluation.members import measure_disagreement
from hfcls.evaluation.suite.several import ORDERS, gather, measure_answers
from hfcls.evaluation.suite.subject import Subject
from hfcls.networks import Ensemble
from hfcls.uncertainty.doubt import Votes


def run(subject: Subject) -> dict[str, Any]:
    """A row for all members together, with every doubt, and one for each of them."""
    model = subject.classifier.model
    assert isinstance(model, Ensemble)  # see STEPS
    votes = list(_votes(subject, model))
    count, n = len(model.members), len(subject.fresh)
    weights = np.asarray(model.config.member_weights)
    together = gather(Votes(part, weights) for part in votes)
    rows = [measure_answers(f"all {count} members", together, subject, passes=1)]
    for index, member in enumerate(model.members):
        config: Any = member.config
        kind = getattr(config, "architecture", None) or config.model_type.removeprefix("hfcls_")
        alone = gather((Votes(part[index : index + 1]) for part in votes), names=ORDERS)
        row = measure_answers(f"member {index + 1} ({kind}, weight {weights[index]:.2f})", alone, subject, passes=1)
        rows.append(row | {"passes_each": 1})
    named = np.concatenate([part.argmax(axis=2) for part in votes], axis=1)
    return {"n": n, "rows": rows, "disagreement": measure_disagreement(named)["mean"], "passes": count * n}


def _votes(subject: Subject, model: Ensemble) -> Iterator[np.ndarray]:
    """The members' probabilities, (M, B, K) of each batch."""
    for batch in subject.passing("Members"):
        with torch.inference_mode():
            votes = model.votes(batch["pixel_values"].to(subject.device))
        yield votes.double().exp().cpu().numpy()
