"""From a template and what it shows to one offline page."""

import re
from pathlib import Path
from typing import Any

import jinja2

from hfcls.pages.palette import DARK, FIGURE_CSS, LIGHT

# Characters that HTML and XML forbid, and lone surrogates of undecodable file names.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def render_page(template: Path, context: dict[str, Any]) -> str:
    """Renders a template that extends ``base.html.j2``.

    Text is escaped unless the template marks it as safe; characters that a page must not hold become U+FFFD.

    Args:
        template: the file; it names the templates of this folder without a path.
        context: what it shows. A name that it lacks is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["palettes"] = {"light": LIGHT, "dark": DARK}
    environment.globals["figure_css"] = FIGURE_CSS
    return clean_text(environment.get_template(template.name).render(context))


def clean_text(text: str) -> str:
    """The text with U+FFFD in the place of characters that HTML and XML forbid."""
    return _FORBIDDEN.sub("\ufffd", text)
