"""An honest word on an answer, from its probabilities and from what was learned about the classifier's answers."""

from hfcls.serving.predictor import Answer

_CLEAR, _CLOSE = 0.9, 0.1
# Possible classes that are told by name.
_NAMED = 4


def describe_doubt(answer: Answer) -> tuple[str, str]:
    """One word and one sentence on how sure the model seems.

    The probabilities are the model's own: they say how it weighs its classes against each other, not whether one of
    them is right (Guo et al. 2017, "On calibration of modern neural networks", measure how far they mislead).

    Returns:
        Plain text: the word ("Clear", "Leaning", "Unsure", "Undecided", "None of these"), and the sentence.
    """
    if answer.judged is not None and answer.judged.strange[0]:
        return "None of these", (
            "The picture seems to show none of the classes: 95 % of the pictures that the model was checked on spoke "
            "more clearly for one."
        )
    top = answer.top(2)
    name, share = top[0]
    if len(top) == 1:
        return "Clear", "There is only one class to choose."
    second, rest = top[1]
    ahead = share - rest
    if ahead < _CLOSE:
        return "Undecided", f"“{name}” is {_points(ahead)} ahead of “{second}”: take it as a guess between them."
    if share < 0.5:
        return "Unsure", f"“{name}” comes first, but the model holds it more likely than not to be something else."
    if share < _CLEAR:
        return "Leaning", f"The model leans to “{name}”; “{second}” comes next."
    return "Clear", f"The model puts “{name}” far ahead, which does not make it right."


def describe_limits(answer: Answer) -> str:
    """What no answer of such a model can say."""
    count = len(answer.class_names)
    if answer.judged is not None and answer.judged.strange[0]:
        return f"chooses among {count:,} classes, and nothing that it says of other pictures is worth much."
    if answer.trust is not None and answer.possible is not None:
        named = [f"“{name}”" for name in answer.possible[:_NAMED]]
        more = len(answer.possible) - len(named)
        held = " or ".join([*named, *([f"one of {more:,} more"] if more else [])])
        return (
            f"chooses among {count:,} classes, and holds {held} possible: of pictures like the {answer.trust.n:,} that "
            f"it was checked on, such a choice holds the right class in {100 * answer.trust.conformal.coverage:g} %."
        )
    return f"chooses among {count:,} classes, whatever the picture shows: it cannot say “none of these”."


def _points(ahead: float) -> str:
    return "less than a point" if ahead < 0.01 else f"{100 * ahead:.0f} points" if ahead >= 0.015 else "1 point"
