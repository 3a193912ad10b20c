"""The look of the page: Gradio's own, with the fonts of the machine and the colours of our other pages."""

from typing import Any

from hfcls.extras import require
from hfcls.pages.palette import DARK, LIGHT

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def _variables(palette: dict[str, str]) -> str:
    return (
        f"--track: {palette['q0']}; --bar: {palette['q2']}; --first-bar: {palette['q4']}; --quiet: {palette['muted']}; "
        f"--link: {palette['accent']}; --warn: {palette['warm']}; --line: {palette['line']}; "
        f"--muted: {palette['muted']};"
    )


# What Gradio shows in dark mode stands below the class `dark`.
CSS = f"""
.gradio-container {{ {_variables(LIGHT)} }}
.dark .gradio-container, .gradio-container.dark {{ {_variables(DARK)} }}
""" + (
    """
.gradio-container .fillable { max-width: 1160px !important; }
.page-head .html-container { padding: 0 !important; }
.page-head h1 { font-size: clamp(1.5rem, 5vw, 2rem); line-height: 1.2; letter-spacing: -0.02em; margin: 8px 0 0;
  overflow-wrap: anywhere; }
.page-head p { color: var(--quiet); font-size: 1rem; margin: 6px 0 0; max-width: 72ch; overflow-wrap: anywhere; }
.gradio-container h2 { font-size: 1.2rem; line-height: 1.3; margin: 12px 0 0; }
.gradio-container h3 { font-size: 1rem; line-height: 1.3; margin: 0 0 8px; overflow-wrap: anywhere; }

.answer { font-variant-numeric: tabular-nums; min-width: 0; }
.answer ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 6px; }
.answer li { display: flex; justify-content: space-between; align-items: baseline; gap: 16px; margin: 0;
  padding: 7px 12px; border-radius: 8px; font-size: 1rem; line-height: 1.4;
  background: linear-gradient(var(--bar), var(--bar)) 0 / var(--share) 100% no-repeat var(--track); }
.answer li:first-child { background-image: linear-gradient(var(--first-bar), var(--first-bar)); padding: 12px;
  font-size: 1.35rem; line-height: 1.3; font-weight: 650; letter-spacing: -0.01em; }
.answer bdi { color: inherit; overflow-wrap: anywhere; min-width: 0; }
.answer li bdi { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.answer li span { color: inherit; white-space: nowrap; }
.answer .doubt { margin: 14px 0 0; font-size: 1rem; line-height: 1.45; overflow-wrap: anywhere; }
.answer .doubt b { display: inline-block; padding: 0 9px; margin-right: 4px; border-radius: 99px; font-weight: 600;
  background: var(--track); border: 1px solid var(--first-bar); }
.answer .doubt b.none-of-these, .answer .doubt b.unsure, .answer .doubt b.undecided { border-color: var(--warn); }
.aside { color: var(--quiet); font-size: 0.875rem; line-height: 1.45; margin: 10px 0 0; }
.aside a { color: var(--link); text-decoration: underline; text-underline-offset: 2px; }
.answer > img { display: block; width: 100%; height: auto; max-height: 260px; object-fit: contain; border-radius: 8px;
  background: var(--track); margin: 0 0 10px; }

.sentence { margin: 0; padding: 2px; color: var(--quiet); font-size: 1rem; line-height: 1.5; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.sentence.problem { color: var(--body-text-color); border-left: 3px solid var(--warn); padding: 4px 0 4px 12px; }
.progress progress { width: 100%; height: 8px; appearance: none; border: 0; border-radius: 4px; overflow: hidden;
  background: var(--bar); }
.progress progress::-webkit-progress-bar { background: var(--bar); }
.progress progress::-webkit-progress-value { background: var(--link); }
.progress progress::-moz-progress-bar { background: var(--link); }
.verdict { margin: 0 0 14px; padding: 8px 12px; border-left: 3px solid var(--link); font-size: 1.05rem;
  line-height: 1.45; overflow-wrap: anywhere; background: var(--track); border-radius: 0 8px 8px 0; }
.verdict.differ { border-left-color: var(--warn); }
.side-by-side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(240px, 100%), 1fr)); gap: 20px; }
.side-by-side.pair { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 12px; }
.side-by-side .answer li:first-child { font-size: 1.1rem; }

.explanation { margin: 0; }
.explanation .stack { position: relative; margin: 0 auto; max-width: min(100%, calc(520px * var(--ratio))); }
.explanation img { display: block; width: 100%; height: auto; margin: 0; border-radius: 8px; }
.explanation .over { position: absolute; inset: 0; height: 100%; opacity: var(--opacity, 0.55); }
.explanation figcaption { color: var(--quiet); font-size: 0.9rem; line-height: 1.5; margin: 10px 0 0;
  overflow-wrap: anywhere; }
.explanation .scale { display: flex; align-items: center; justify-content: center; gap: 8px; color: var(--quiet);
  font-size: 0.8rem; margin: 8px 0 0; }
.explanation .scale i { width: min(200px, 40%); height: 8px; border-radius: 4px; background: var(--heat); }
.curve { margin: 18px 0 0; --muted: var(--quiet); }
.curve svg { display: block; width: 100%; margin: 0 auto; font-size: 12px; fill: currentColor; }

button.gallery-item, button.gallery-item * { width: 64px !important; height: 64px !important; }
button.gallery-item img { object-fit: cover; }
ul.gallery { list-style: none; margin: 0; padding: 0; display: grid; gap: 12px;
  grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); max-height: 560px; overflow-y: auto; }
ul.gallery li { margin: 0; min-width: 0; display: flex; flex-direction: column; gap: 3px; font-size: 0.875rem;
  line-height: 1.3; }
ul.gallery img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 8px; margin: 0;
  background: var(--track); }
ul.gallery bdi { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden;
  overflow-wrap: anywhere; }
ul.gallery .share { font-variant-numeric: tabular-nums; padding: 0 6px; border-radius: 4px;
  background: linear-gradient(var(--bar), var(--bar)) 0 / var(--share) 100% no-repeat var(--track); }
ul.gallery small bdi { color: var(--quiet); }

.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 12px 0; }
.facts div { background: var(--track); border-radius: 8px; padding: 8px 12px; min-width: 0; }
.facts dt { color: var(--quiet); font-size: 0.8rem; }
.facts dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.about summary, .card summary { cursor: pointer; padding: 6px 0; font-weight: 600; }
.about .names { columns: 200px; font-size: 0.875rem; max-height: 320px; overflow: auto; margin: 0; }
.about .names li { overflow-wrap: anywhere; break-inside: avoid; }
.card { overflow-wrap: anywhere; border-top: 1px solid var(--border-color-primary); margin-top: 16px; }
.card h1 { font-size: 1.4rem; margin: 18px 0 6px; } .card h2 { font-size: 1.15rem; margin: 18px 0 6px; }
.card p, .card ul, .card ol { margin: 8px 0; line-height: 1.55; max-width: 80ch; }
.card img { display: inline-block; min-width: min(64px, 100%); max-width: 100%;
  height: auto; margin: 4px; background: #fff; border-radius: 4px; }
.card table { display: block; overflow-x: auto; border-collapse: collapse; margin: 10px 0; font-size: 0.9rem;
  font-variant-numeric: tabular-nums; max-width: 100%; border: 0 !important; }
.card th, .card td { border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important;
  padding: 4px 10px; text-align: left;
  background: none; }
.card pre { overflow-x: auto; background: var(--track); border-radius: 8px; padding: 10px 12px; font-size: 0.85rem;
  white-space: pre; }
.card code { font-family: var(--font-mono); font-size: 0.9em; }
.card .absent { color: var(--quiet); }
.card a[href] { color: var(--link); text-decoration: underline; text-underline-offset: 2px; }
iframe.report { width: 100%; height: 75vh; min-height: 480px; border: 1px solid var(--border-color-primary);
  border-radius: 8px; background: #fff; margin-top: 8px; }

.gradio-container input[role="combobox"], .gradio-container input[role="listbox"] { text-overflow: ellipsis;
  margin-right: 2em; }
.gradio-container a:focus-visible, .gradio-container button:focus-visible, .gradio-container summary:focus-visible {
  outline: 2px solid var(--link); outline-offset: 2px; }
"""
)
# What is outside the part of the page to which Gradio confines CSS.
HEAD = """<style>
@media (max-width: 640px) {
  .pair .answer li { flex-direction: column; gap: 0; font-size: 0.875rem; padding: 5px 8px; }
  .gradio-container .fillable { padding: 8px 16px 16px !important; }
  .gradio-container footer .divider { display: none !important; }
}
</style>"""


def build_theme() -> Any:
    """A Gradio theme that asks no other machine for fonts."""
    gradio = require("gradio", extra="demo")
    return gradio.themes.Default(primary_hue="blue", font=list(_FONTS), font_mono=list(_MONO_FONTS))
