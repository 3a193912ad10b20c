"""HTML and links within Markdown that a page would run or load instead of show."""

import html
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

# They run, load, ask for input or change the page around the card.
_TAGS = frozenset(
    (
        *("script", "iframe", "frame", "frameset", "object", "embed", "applet", "form", "input", "button", "textarea"),
        *("select", "style", "link", "meta", "base", "svg", "math", "template", "noscript", "portal", "dialog"),
    )
)
_ADDRESSES = frozenset(("href", "src", "action", "formaction", "data", "poster", "background", "cite", "xlink:href"))
_SCHEMES = frozenset(("", "http", "https", "mailto"))


def find_active(text: str) -> list[str]:
    """Sentences on what of a Markdown text would not stay text; code that is shown as code is none of it."""
    reader = _read(text)
    return list(dict.fromkeys(reader.problems))


def count_undescribed_pictures(text: str) -> int:
    """Pictures of a Markdown text without a text alternative."""
    return _read(text).undescribed


def _read(text: str) -> "_Reader":
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # leave it in, so that it is found
    reader = _Reader()
    try:
        reader.feed(parser.render(text))
        reader.close()
    except (RecursionError, AssertionError):
        reader.problems.append("The text is nested too deep to be looked through.")
    return reader


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.undescribed = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _TAGS:
            self.problems.append(f"The card holds the HTML tag <{tag}>, which is more than text: leave it out.")
        self.undescribed += tag == "img" and not (dict(attrs).get("alt") or "").strip()
        for name, value in attrs:
            if re.match(r"on\w", name):
                self.problems.append(f"The card holds HTML that runs a script ({name}= in <{tag[:20]}>): leave it out.")
            elif name in _ADDRESSES or name == "srcset":
                self._look_at_address(tag, value or "")
            elif name == "style" and re.search(
                r"url\s*\(|expression|position\s*:\s*(fixed|absolute)", value or "", re.I
            ):
                self.problems.append("The card holds a style that loads something or covers the page: leave it out.")
            elif name == "srcdoc":
                self.problems.append("The card holds a page within the page (srcdoc): leave it out.")

    handle_startendtag = handle_starttag

    def handle_decl(self, decl: str) -> None:
        pass

    def _look_at_address(self, tag: str, address: str) -> None:
        # Browsers pass over blanks and control characters within a scheme.
        plain = re.sub(r"[\x00-\x20\x7f-\x9f\u200b]+", "", html.unescape(address))
        try:
            scheme = urlsplit(plain).scheme.lower()
        except ValueError:
            scheme = "?"
        if re.match(r"[a-z][a-z0-9+.-]*:", plain, re.IGNORECASE):
            scheme = plain.partition(":")[0].lower()
        if tag == "img" and re.match(r"data:image/(png|jpeg|gif|webp);", plain, re.IGNORECASE):
            return
        if scheme not in _SCHEMES:
            self.problems.append(f"The card holds an address that is no web page ({scheme[:20]}:): leave it out.")
