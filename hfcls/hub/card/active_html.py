"""HTML and links within Markdown that a page would run or load instead of show."""

import html
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from markdown_it import MarkdownIt

from hfcls.escaping import terminal_text

# They run, load, ask for input or change the page around the card.
_TAGS = frozenset(
    (
        *("script", "iframe", "frame", "frameset", "object", "embed", "applet", "form", "input", "button", "textarea"),
        *(
            "video",
            "audio",
            "source",
            "track",
            "bgsound",
            "marquee",
            "plaintext",
            "xmp",
            "listing",
            "noembed",
            "noframes",
        ),
        *("select", "style", "link", "meta", "base", "svg", "math", "template", "noscript", "portal", "dialog"),
    )
)
_ADDRESSES = frozenset(("href", "src", "action", "formaction", "data", "poster", "background", "cite", "xlink:href"))
# They show a picture as soon as the card is looked at, and so tell its host who looks.
_LOADED = frozenset(("src", "srcset", "background", "poster", "lowsrc", "dynsrc", "longdesc"))
# Hosts of badges and of the Hub's own pictures.
_PICTURE_HOSTS = (
    *("shields.io", "badge.fury.io", "huggingface.co", "hf.co", "github.com", "githubusercontent.com"),
    *("colab.research.google.com", "zenodo.org", "readthedocs.org", "arxiv.org"),
)
# Backslashes and comments would hide the words.
_STYLE = re.compile(r"url\s*\(|image(-set)?\s*\(|expression|(?<![-\w])position|[\\@]|/\*", re.IGNORECASE)
_REMOTE = re.compile(r"(?:^|[\s,])(?:https?:[\\/]*|[\\/]{2,})([^\s/\\?#,]+)", re.IGNORECASE)
_SCHEMES = frozenset(("", "http", "https", "mailto"))


def find_active(text: str) -> list[str]:
    """Sentences on what of a Markdown text would not stay text; code that is shown as code is none of it."""
    reader = _read(text)
    return list(dict.fromkeys(reader.problems))


def find_picture_gaps(text: str) -> list[str]:
    """What its pictures lack: text alternatives, or a place beside the card."""
    reader = _read(text)
    undescribed = ["a picture without a text alternative"] if reader.undescribed else []
    return undescribed + [f"a remote image, from {host}: it may change or go" for host in dict.fromkeys(reader.remote)]


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
        self.remote: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _TAGS:
            self.problems.append(f"The card holds the HTML tag <{tag}>, which is more than text: leave it out.")
        self.undescribed += tag == "img" and not (dict(attrs).get("alt") or "").strip()
        for name, value in attrs:
            if re.match(r"on\w", name):
                self.problems.append(f"The card holds HTML that runs a script ({name}= in <{tag[:20]}>): leave it out.")
            if name in _LOADED:
                self._look_at_picture(value or "")
            if name in _ADDRESSES or name == "srcset":
                self._look_at_address(tag, value or "")
            elif name == "style" and _STYLE.search(value or ""):
                self.problems.append("The card holds a style that loads something or covers the page: leave it out.")
            elif name == "srcdoc":
                self.problems.append("The card holds a page within the page (srcdoc): leave it out.")

    handle_startendtag = handle_starttag

    def handle_decl(self, decl: str) -> None:
        pass

    def _look_at_picture(self, addresses: str) -> None:
        # Browsers pass over control characters; between several addresses they part them.
        seen = [re.sub(r"[\x00-\x1f]+", between, addresses) for between in ("", " ")]
        for host in dict.fromkeys(host for text in seen for host in _REMOTE.findall(text)):
            name = host.rpartition("@")[2].partition(":")[0].lower()
            if any(name == known or name.endswith(f".{known}") for known in _PICTURE_HOSTS):
                self.remote.append(name)
            else:
                self.problems.append(
                    f"The card loads a picture from {terminal_text(name)[:60]!r}, which learns who looks at it: put it "
                    "beside the card."
                )

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
