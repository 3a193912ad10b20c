"""An answer as a piece of a page: a bar for each of the likeliest classes."""

from html import escape

from hfcls.pages.render import clean_text
from hfcls.serving.doubt import describe_doubt, describe_limits
from hfcls.serving.menu import Offer
from hfcls.serving.predictor import Answer


def answer_html(answer: Answer, offer: Offer, *, top_k: int, heading: str = "") -> str:
    """The `top_k` likeliest classes as bars, how sure the model seems, and what it cannot know.

    Args:
        heading: above the bars, plain text.
    """
    word, sentence = describe_doubt(answer)
    model = f"<bdi>{text_html(offer.title)}</bdi>"
    if offer.page:
        model = f'<a href="{escape(offer.page)}" target="_blank" rel="noopener noreferrer">{model}</a>'
    return (
        f'<div class="answer">{_heading(heading)}{bars_html(answer, top_k=top_k)}'
        f'<p class="doubt"><b class="{word.lower().replace(" ", "-")}">{word}</b> {text_html(sentence)}</p>'
        f'<p class="aside">{model} {text_html(describe_limits(answer))}</p></div>'
    )


def bars_html(answer: Answer, *, top_k: int) -> str:
    """The `top_k` likeliest classes as bars, the likeliest first."""
    bars = "".join(
        f'<li style="--share:{100 * share:.2f}%"><bdi>{text_html(name)}</bdi>'
        f"<span>{escape(format_share(share))}</span></li>"
        for name, share in answer.top(top_k)
    )
    return f'<ol aria-label="The likeliest classes">{bars}</ol>'


def sentence_html(sentence: str, kind: str = "") -> str:
    """One sentence in the place of an answer.

    Args:
        sentence: plain text.
        kind: "problem" for what went wrong, "busy" for what is under way.
    """
    role = "alert" if kind == "problem" else "status"
    return f'<p class="sentence {escape(kind)}" role="{role}">{text_html(sentence)}</p>'


def format_share(share: float) -> str:
    """A probability in per cent, as plain text; never 100 or 0 where it only comes near."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "> 99.9 %"
    return f"{100 * share:.1f} %"


def text_html(text: str) -> str:
    """Plain text, harmless wherever it stands in a page."""
    return escape(clean_text(text))


def _heading(text: str) -> str:
    return f"<h3><bdi>{text_html(text)}</bdi></h3>" if text else ""
