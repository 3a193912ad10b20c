"""What a classifier says of images whose class nobody knows: answers in batches, and what rows of them look like."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Answers:
    """The answers for some images, in their order.

    Attributes:
        ids: N sample ids.
        errors: N; why there is no answer, to be read after the id, or None.
        probabilities: float64 (N, K); NaN where there is an error.
        verdicts: N of ``VERDICTS``, what is to be thought of each answer, and `possible` bool (N, K), the classes that
            are held possible; None where nothing was learned about the classifier's answers.
    """

    ids: list[str]
    errors: list[str | None]
    probabilities: np.ndarray
    verdicts: list[str] | None = None
    possible: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def failed(self) -> int:
        """How many images have no answer."""
        return sum(error is not None for error in self.errors)


@dataclass(frozen=True)
class RowLayout:
    """What a row of answers holds.

    Attributes:
        class_names: K names, in the order of the probabilities; names may repeat.
        top_k: how many of the likeliest classes, 1 to K.
        all_probabilities: whether the probabilities of all classes are given as well.
        judged: whether answers come with a verdict and the classes that are held possible.
    """

    class_names: tuple[str, ...]
    top_k: int
    all_probabilities: bool = False
    judged: bool = False

    @cached_property
    def class_columns(self) -> tuple[str, ...]:
        """A column for each class, if all probabilities are given: its name, with its index where names repeat.

        A class that is called like another column gets its index as well.
        """
        if not self.all_probabilities:
            return ()
        taken = Counter([*self.class_names, "id", *self.rank_columns, *self.judgement_columns, "error"])
        columns: list[str] = []
        for index, name in enumerate(self.class_names):
            column = name if taken[name] == 1 else f"{name} [{index}]"
            while column != name and column in taken:
                column = f"{column} [{index}]"
            columns.append(column)
        return tuple(columns)

    @cached_property
    def rank_columns(self) -> tuple[str, ...]:
        """``label_1, score_1, label_2, ...``."""
        return tuple(f"{part}_{rank}" for rank in range(1, self.top_k + 1) for part in ("label", "score"))

    @property
    def judgement_columns(self) -> tuple[str, ...]:
        """``verdict`` and ``possible``, if answers are judged."""
        return ("verdict", "possible") if self.judged else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of a flat row."""
        return ("id", *self.rank_columns, *self.class_columns, *self.judgement_columns, "error")

    def possible(self, answers: Answers, row: int) -> list[str]:
        """The classes that are held possible for one image, the likeliest first."""
        if answers.possible is None or answers.errors[row] is not None:
            return []
        order = np.argsort(-answers.probabilities[row], kind="stable")
        return [self.class_names[index] for index in order if answers.possible[row, index]]

    def likeliest(self, answers: Answers) -> np.ndarray:
        """Indices of the `top_k` likeliest classes, int64 (N, top_k); of equals the first comes first."""
        return np.argsort(-answers.probabilities, axis=1, kind="stable")[:, : self.top_k]

    def rows(self, answers: Answers) -> Iterator[dict[str, Any]]:
        """Nested rows.

        ``id``, ``predictions`` (``label``, ``score``), ``probabilities`` by class, ``verdict`` and ``possible`` where
        answers are judged, ``error``.
        """
        likeliest = self.likeliest(answers).tolist()
        for row, (sample_id, error) in enumerate(zip(answers.ids, answers.errors, strict=True)):
            scores = None if error is not None else [significant(p) for p in answers.probabilities[row].tolist()]
            content: dict[str, Any] = {"id": sample_id, "predictions": []}
            if scores is not None:
                content["predictions"] = [{"label": self.class_names[i], "score": scores[i]} for i in likeliest[row]]
            if self.all_probabilities:
                content["probabilities"] = scores and dict(zip(self.class_columns, scores, strict=True))
            if self.judged:
                verdict = None if error is not None or answers.verdicts is None else answers.verdicts[row]
                content |= {"verdict": verdict, "possible": self.possible(answers, row)}
            yield content | {"error": error}


def significant(probability: float) -> float:
    """Six digits: what float32 logits are good for."""
    return float(f"{probability:.6g}")
