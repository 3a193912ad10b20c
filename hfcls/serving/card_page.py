"""What there is to say of a model: figures of its network, its card, and the report of its run."""

import re
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hfcls.pages.render import clean_text

_MAX_CARD_BYTES = 2**20
_MAX_PICTURE_BYTES = 2**20
_MAX_REPORT_BYTES = 24 * 2**20
_PICTURES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif"}
_PICTURES |= {".svg": "svg+xml"}  # within an <img> a drawing runs nothing and loads nothing
_FRONT = re.compile(r"\A---\r?\n.*?\n---\r?\n", re.DOTALL)
# The two tags without attributes that fold a part of a card away, and a picture as cards write it.
_FOLD = re.compile(r"<p>&lt;details&gt;\s*&lt;summary&gt;((?:(?!<p>).)*?)&lt;/summary&gt;</p>", re.DOTALL)
_UNFOLD = re.compile(r"<p>&lt;/details&gt;</p>")
_PLAIN_TAG = re.compile(r"&lt;(/?(?:br|sub|sup|code|kbd))&gt;")
_COMMENT = re.compile(r"^<!--", re.MULTILINE)
_CODE = re.compile(r"(<pre>.*?</pre>|<code>.*?</code>)", re.DOTALL)
_IMG = re.compile(r'<img src="([^"\s<>]*)" alt="([^"<>]*)"[^<>]*>')
_BRACKETS = re.compile(r"[\\\[\]]")
# Before anything else in the report: it runs nothing, and asks nobody for anything.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:\">"
)


def card_html(directory: Path) -> str | None:
    """The model's card, ``README.md``, as HTML without scripts, outside requests or tags of its own.

    Links that leave for the web stay links; what names a file beside the card becomes text, or, if it is a small
    picture, the picture itself.

    Returns:
        None where there is no card.
    """
    file = directory / "README.md"
    try:
        if not file.is_file() or file.stat().st_size > _MAX_CARD_BYTES:
            return None
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return render_card(text, directory)


def render_card(text: str, directory: Path | None = None) -> str:
    """A card's Markdown as HTML; see `card_html`."""
    from markdown_it import MarkdownIt

    text = _IMG.sub(
        lambda found: f"![{_BRACKETS.sub('', found[2])}](<{found[1]}>)", _without_comments(_FRONT.sub("", text))
    )
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", lambda self, tokens, index, *rest: _picture(tokens[index], directory))
    parser.add_render_rule("link_open", lambda self, tokens, index, *rest: _link(tokens[index]))
    html = clean_text(parser.render(text))
    # What is shown as code stays as it is.
    html = "".join(part if number % 2 else _with_tags(part) for number, part in enumerate(_CODE.split(html)))
    return f'<div class="card">{html}</div>'


def _without_comments(text: str) -> str:
    """What stands between comments that begin a line; one without an end is no comment. In one pass."""
    kept, place = [], 0
    while (found := _COMMENT.search(text, place)) and (end := text.find("-->", found.end())) >= 0:
        kept.append(text[place : found.start()])
        place = end + 3
    return "".join([*kept, text[place:]])


def _with_tags(html: str) -> str:
    """Escaped tags that have no attributes and change nothing but the look, as tags again."""
    html = _UNFOLD.sub("</details>", _FOLD.sub(r"<details><summary>\1</summary>", html))
    return _PLAIN_TAG.sub(r"<\1>", html)


def report_html(directory: Path) -> str | None:
    """The report of the run, in a frame that runs nothing and reaches nothing, and to keep.

    Returns:
        None where there is no report.
    """
    file = directory / "report" / "index.html"
    try:
        if not file.is_file() or file.stat().st_size > _MAX_REPORT_BYTES:
            return None
        content = file.read_bytes()
    except OSError:
        return None
    page = clean_text(content.decode("utf-8", "replace"))
    start = page.lower().find("<head>")
    page = page[: start + 6] + _POLICY + page[start + 6 :] if start >= 0 else _POLICY + page
    kept = f"data:text/html;base64,{b64encode(content).decode('ascii')}"
    return (
        f'<p class="aside"><a download="report.html" href="{kept}">Download the report</a> '
        "(one file, opens anywhere)</p>"
        f'<iframe class="report" title="Report of the run" sandbox srcdoc="{escape(page)}"></iframe>'
    )


def facts_html(facts: Mapping[str, Any]) -> str:
    """Names and values, one a line."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd><bdi>{escape(clean_text(str(value)))}</bdi></dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{rows}</dl>'


def _link(token: Any) -> str:
    address = str(token.attrGet("href") or "")
    try:
        scheme = urlsplit(address).scheme
    except ValueError:
        scheme = ""
    if scheme not in {"http", "https"}:
        return "<a>"  # no link, but text
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer nofollow">'


def _picture(token: Any, directory: Path | None) -> str:
    alternative = escape(clean_text(token.content or ""))
    content = _file_beside(directory, str(token.attrGet("src") or "")) if directory else None
    if content is None:
        return f'<span class="absent">[{alternative or "a picture"}]</span>'
    kind, stored = content
    return f'<img alt="{alternative}" src="data:image/{kind};base64,{b64encode(stored).decode("ascii")}">'


def _file_beside(directory: Path, name: str) -> tuple[str, bytes] | None:
    kind = _PICTURES.get(Path(name).suffix.lower())
    if kind is None or ":" in name or "\0" in name:
        return None
    path = (directory / name).resolve()
    try:
        if not path.is_relative_to(directory.resolve()) or not path.is_file():
            return None
        return None if path.stat().st_size > _MAX_PICTURE_BYTES else (kind, path.read_bytes())
    except OSError:
        return None
