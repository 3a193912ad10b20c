"""About: what there is to say of the chosen model."""

from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hfcls.errors import UserError
from hfcls.serving.bars import sentence_html, text_html
from hfcls.serving.card_page import card_html, facts_html, report_html
from hfcls.serving.desk import Desk, sentences

_MOST_NAMES = 2000
_KEPT = "!'()*"  # as encodeURIComponent does
# A report stays open unless it is another model's: a model may be said to change once more after it was chosen.
_CLOSE_OTHERS = """(title, html) => ({__type__: 'update', ...(
    html && !html.startsWith(`<div data-of="${encodeURIComponent(title)}">`) ? {value: '', visible: false} : {}
)})"""


def build(gradio: Any, desk: Desk, model: Any, tab: Any) -> None:
    """Builds the tab's content."""
    shown = gradio.HTML(sentence_html("Loading …", "busy"))
    ask = gradio.Button("Show the report of its training", visible=False, size="sm")
    report = gradio.HTML(visible=False)

    def tell(title: str) -> list[Any]:
        """Facts and card; the report waits until it is asked for."""
        said = sentences(lambda: about_html(desk, title), lambda text: sentence_html(text, "problem"))
        return [said, gradio.update(visible=_has_report(desk, title))]

    def open_report(title: str) -> Any:
        """The report, in a frame of its own."""
        html = sentences(
            lambda: report_html(_directory(desk, title)) or sentence_html("There is no report."),
            lambda text: sentence_html(text, "problem"),
        )
        return gradio.update(value=f'<div data-of="{quote(title, safe=_KEPT)}">{html}</div>', visible=True)

    gradio.on(
        [tab.select, model.change],
        tell,
        inputs=model,
        outputs=[shown, ask],
        show_progress="minimal",
        trigger_mode="always_last",
        concurrency_id="answers",
        api_visibility="private",
    )
    opening = ask.click(open_report, inputs=model, outputs=report, concurrency_id="answers", api_visibility="private")
    # In the browser, at once: an answer of the server could close a report that was opened meanwhile.
    for event in (model.change, opening.then):
        event(None, inputs=[model, report], outputs=report, js=_CLOSE_OTHERS, api_visibility="private")


def about_html(desk: Desk, title: str) -> str:
    """Facts, class names and the card.

    Raises:
        UserError: the model cannot be loaded.
    """
    offer = desk.menu[title]
    facts = desk.facts(title)
    names = facts.pop("class_names")
    listed = "".join(f"<li><bdi>{text_html(name)}</bdi></li>" for name in names[:_MOST_NAMES])
    more = f"<li>and {len(names) - _MOST_NAMES:,} more</li>" if len(names) > _MOST_NAMES else ""
    page = ""
    if offer.page:
        page = (
            f'<p class="aside"><a href="{escape(offer.page)}" target="_blank" rel="noopener noreferrer">'
            "Its page on the Hub</a></p>"
        )
    card = card_html(_directory(desk, title))
    return (
        f'<div class="about"><h2><bdi>{text_html(title)}</bdi></h2>{facts_html(facts)}{page}'
        f'<details><summary>Its {len(names):,} classes</summary><ul class="names">{listed}{more}</ul></details>'
        f"{card or sentence_html('There is no card beside this model.')}</div>"
    )


def _has_report(desk: Desk, title: str) -> bool:
    try:
        return (_directory(desk, title) / "report" / "index.html").is_file()
    except UserError:
        return False  # which has been said already


def _directory(desk: Desk, title: str) -> Path:
    return desk.predictor(title).directory
