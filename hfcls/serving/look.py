"""The look of the page: Gradio's own, with the fonts of the machine and the colours of our other pages."""

from typing import Any

from hfcls.extras import require
from hfcls.pages.palette import DARK, LIGHT

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def _variables(palette: dict[str, str]) -> str:
    return (
        f"--track: {palette['q0']}; --bar: {palette['q2']}; --first-bar: {palette['q4']}; --quiet: {palette['muted']}; "
        f"--link: {palette['accent']}; --warn: {palette['warm']};"
    )


# What Gradio shows in dark mode stands below the class `dark`.
CSS = f"""
.gradio-container {{ {_variables(LIGHT)} }}
.dark .gradio-container, .gradio-container.dark {{ {_variables(DARK)} }}
""" + (
    """
.gradio-container .fillable { max-width: 1040px !important; }
.page-head .html-container { padding: 0 !important; }
.page-head h1 { font-size: clamp(1.5rem, 5vw, 2rem); line-height: 1.2; letter-spacing: -0.02em; margin: 8px 0 0;
  overflow-wrap: anywhere; }
.page-head p { color: var(--quiet); font-size: 1rem; margin: 6px 0 0; max-width: 72ch; overflow-wrap: anywhere; }
.answer { font-variant-numeric: tabular-nums; }
.answer ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; }
.answer li { display: flex; justify-content: space-between; align-items: baseline; gap: 16px; margin: 0;
  padding: 7px 12px; border-radius: 8px; font-size: 1rem; line-height: 1.4;
  background: linear-gradient(var(--bar), var(--bar)) 0 / var(--share) 100% no-repeat var(--track); }
.answer li:first-child { background-image: linear-gradient(var(--first-bar), var(--first-bar)); padding: 12px;
  font-size: 1.35rem; line-height: 1.3; font-weight: 650; letter-spacing: -0.01em; }
.answer bdi { color: inherit; overflow-wrap: anywhere; min-width: 0; }
.answer li bdi { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.answer span { color: inherit; white-space: nowrap; }
.answer .aside { color: var(--quiet); font-size: 0.875rem; margin: 14px 0 0; }
.answer .aside a { color: var(--link); text-decoration: underline; text-underline-offset: 2px; }
.sentence { padding: 2px; font-variant-numeric: tabular-nums; }
.answer .first { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: baseline; gap: 0 16px;
  font-size: 1.6rem; line-height: 1.25; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 14px; }
.answer bdi { overflow-wrap: anywhere; min-width: 0; }
.answer .first bdi { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.answer ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; }
.answer li { display: flex; justify-content: space-between; gap: 16px; margin: 0; padding: 7px 10px; border-radius: 8px;
  font-size: 1rem; line-height: 1.4; background: linear-gradient(var(--bar), var(--bar)) 0 / var(--share) 100% no-repeat
  var(--background-fill-secondary); }
.answer li:first-child { background-image: linear-gradient(var(--first-bar), var(--first-bar)); font-weight: 600; }
.answer li bdi { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.answer span { white-space: nowrap; }
.answer .aside { color: var(--quiet); font-size: 0.875rem; margin: 14px 0 0; }
.answer .aside a { color: var(--link); text-decoration: underline; text-underline-offset: 2px; }
.sentence { margin: 0; color: var(--quiet); font-size: 1rem; line-height: 1.5; overflow-wrap: anywhere; }
.sentence.problem { color: var(--body-text-color); border-left: 3px solid var(--warn); padding: 4px 0 4px 12px; }
.gradio-container input[role="combobox"], .gradio-container input[role="listbox"] { text-overflow: ellipsis;
  margin-right: 2em; }
.gradio-container a:focus-visible, .gradio-container button:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
"""
)
# What is outside the part of the page to which Gradio confines CSS.
HEAD = """<style>
@media (max-width: 640px) {
  .gradio-container .fillable { padding: 8px 16px 16px !important; }
  .gradio-container footer .divider { display: none !important; }
}
</style>"""


def build_theme() -> Any:
    """A Gradio theme that asks no other machine for fonts."""
    gradio = require("gradio", extra="demo")
    return gradio.themes.Default(primary_hue="blue", font=list(_FONTS), font_mono=list(_MONO_FONTS))
