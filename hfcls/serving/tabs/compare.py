"""Compare: two models on one picture."""

from collections.abc import Iterator
from typing import Any

from hfcls.errors import UserError
from hfcls.serving.bars import answer_html, format_share, sentence_html, text_html
from hfcls.serving.desk import BUG, Desk, log_bug
from hfcls.serving.limits import TOP_K
from hfcls.serving.predictor import Answer
from hfcls.serving.tabs.picture import build_picture

_INVITATION = "Give it a picture, and two models answer side by side."


def build(gradio: Any, desk: Desk, model: Any) -> Any:
    """Builds the tab's content; returns its picture."""
    titles = list(desk.menu.offers)
    with gradio.Row(equal_height=False):
        with gradio.Column(min_width=300, scale=1):
            picture = build_picture(gradio, height=260)
            second = gradio.Dropdown(
                titles, value=titles[1], label="Compared with", filterable=len(titles) > 8, elem_classes="second"
            )
        with gradio.Column(min_width=300, scale=2):
            panel = gradio.HTML(sentence_html(_INVITATION), container=True, padding=False, min_height=120)

    def another(first: str, other: str) -> str:
        """The model to compare with: another than the first, if there is one."""
        return next((title for title in titles if title != first), other) if first == other else other

    model.change(another, inputs=[model, second], outputs=second, show_progress="hidden", api_visibility="private")

    def show(first: str, other: str, upload: Any) -> Iterator[str]:
        """Both answers, or why there are none."""
        if upload is None:
            yield sentence_html(_INVITATION)
            return
        try:
            new = [title for title in (first, other) if not desk.predictor(title).is_loaded]
            if new:
                yield sentence_html(f"Loading {' and '.join(new)} …", "busy")
            yield comparison_html(desk, (first, other), [desk.answer(title, upload) for title in (first, other)])
        except UserError as error:
            yield sentence_html(str(error), "problem")
        except Exception:
            log_bug()
            yield sentence_html(BUG, "problem")

    gradio.on(
        [picture.change, model.change, second.change],
        show,
        inputs=[model, second, picture],
        outputs=panel,
        preprocess=False,
        show_progress="minimal",
        trigger_mode="always_last",
        concurrency_id="answers",
        api_visibility="private",
    )
    return picture


def comparison_html(desk: Desk, titles: tuple[str, str], answers: list[Answer]) -> str:
    """Both answers side by side, and in a sentence whether they agree."""
    both = "".join(
        answer_html(answer, desk.menu[title], top_k=TOP_K, heading=title)
        for title, answer in zip(titles, answers, strict=True)
    )
    verdict, sentence = describe_agreement(titles, answers)
    return f'<p class="verdict {verdict}" role="status">{text_html(sentence)}</p><div class="side-by-side">{both}</div>'


def describe_agreement(titles: tuple[str, str], answers: list[Answer]) -> tuple[str, str]:
    """Whether two answers agree: "agree", "differ" or "apart" (no class in common), and a sentence of plain text."""
    if titles[0] == titles[1]:
        return "agree", "This is one model twice: choose another one to compare with."
    (name, share), (other, other_share) = (answer.top(1)[0] for answer in answers)
    shares = [format_share(value) for value in (share, other_share)]
    if name == other:
        return "agree", f"Both say “{name}” ({shares[0]} and {shares[1]})."
    if not set(answers[0].class_names) & set(answers[1].class_names):
        return "apart", f"They have no class in common: one says “{name}”, the other “{other}”."
    rank = (
        [one for one, _ in answers[1].top(len(answers[1].class_names))].index(name) + 1
        if (name in answers[1].class_names)
        else None
    )
    where = f"; for it, “{name}” comes {_ordinal(rank)}" if rank else f"; it has no class “{name}”"
    return (
        "differ",
        f"They differ: {titles[0]} says “{name}” ({shares[0]}), {titles[1]} “{other}” ({shares[1]}){where}.",
    )


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
