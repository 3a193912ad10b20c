"""An answer as a piece of a page: a bar for each of the likeliest classes."""

from html import escape

from hfcls.pages.render import clean_text
from hfcls.serving.menu import Offer
from hfcls.serving.predictor import Answer


def answer_html(answer: Answer, offer: Offer, *, top_k: int) -> str:
    """The `top_k` likeliest classes as bars, and among how many the model has chosen."""
    bars = "".join(
        f'<li style="--share:{100 * share:.2f}%"><bdi>{_text(name)}</bdi><span>{format_share(share)}</span></li>'
        for name, share in answer.top(top_k)
    )
    model = f"<bdi>{_text(offer.title)}</bdi>"
    if offer.page:
        model = f'<a href="{escape(offer.page)}" target="_blank" rel="noopener noreferrer">{model}</a>'
    count = len(answer.class_names)
    return (
        f'<div class="answer"><ol aria-label="The likeliest classes">{bars}</ol>'
        f'<p class="aside">{model} chooses among {count:,} classes, whatever the picture shows.</p></div>'
    )


def sentence_html(sentence: str, kind: str = "") -> str:
    """One sentence in the place of an answer.

    Args:
        sentence: plain text.
        kind: "problem" for what went wrong, "busy" for what is under way.
    """
    role = "alert" if kind == "problem" else "status"
    return f'<p class="sentence {escape(kind)}" role="{role}">{_text(sentence)}</p>'


def format_share(share: float) -> str:
    """A probability in per cent; never 100 or 0 where it only comes near."""
    if 0 < share < 0.0005:
        return "&lt; 0.1 %"
    if 0.9995 <= share < 1:
        return "&gt; 99.9 %"
    return f"{100 * share:.1f} %"


def _text(text: str) -> str:
    return escape(clean_text(text))
