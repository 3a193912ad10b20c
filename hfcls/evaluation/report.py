"""Writes `report/index.html`: what a run directory holds, as one page that opens offline.

Only `metrics.json` is required. What is missing is left out of the page; nothing is guessed or measured again. What
`metrics.json` does not hold, such as curves and the images of mistakes, is drawn from the saved predictions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hfcls.evaluation.formats import describe_interval, format_figure, format_value
from hfcls.evaluation.highlights import find_highlights
from hfcls.evaluation.measured_run import Explain, MeasuredRun, Pictures, read_run
from hfcls.evaluation.section import Figure, Part
from hfcls.evaluation.sections import SECTIONS
from hfcls.files import write_text
from hfcls.pages.render import render_page
from hfcls.pages.standalone import build_png, build_svg, check_formats

# With more classes than five times five the true class is not among the five best by luck alone.
_TOP5_FROM = 25


class Shown(NamedTuple):
    """A section with something to show."""

    id: str
    title: str
    part: Part


def save_report(
    run_dir: Path | str,
    *,
    pictures: Pictures | None = None,
    explain: Explain | None = None,
    figures: Sequence[str] = (),
    suite: Path | None = None,
) -> Path:
    """Writes the report of a run.

    Args:
        run_dir: the run directory; `metrics.json` must be in it, and what else it holds is shown too.
        pictures: from sample ids of the split that the report is about (see
            `hfcls.evaluation.measured_run.choose_split`) to their images, such as `hfcls.data.pictures.Pictures`;
            without it the report has no pictures and says so.
        explain: from images and class indices to pictures of where the model looked, or to reasons why there is none,
            such as `hfcls.explain.report_pictures.report_overlays`; asked for the mistakes that are shown.
        figures: formats, ``"svg"`` and ``"png"``, in which the figures are written to `run_dir/report/figures` as well.
        suite: the page on how far to trust the model, which the report then leads to; it lies below `run_dir`.

    Returns:
        The page, `run_dir/report/index.html`.

    Raises:
        UserError: `metrics.json` is missing or empty, a file of the run can't be read, or the package that makes PNG
            is missing.
    """
    check_formats(figures or None)
    run = read_run(Path(run_dir), pictures, explain=explain)
    sections = build_sections(run)
    page = run.directory / "report" / "index.html"
    link = "" if suite is None else f"../{suite.relative_to(run.directory).as_posix()}"
    write_text(page, render_report(run, sections, suite=link))
    _write_figures(page.with_name("figures"), sections, formats=figures)
    return page


def build_sections(run: MeasuredRun) -> list[Shown]:
    """The rows of `SECTIONS` that have something to show of a run."""
    built = ((name, section.title, section.build(run)) for name, section in SECTIONS.items())
    return [Shown(name, title, part) for name, title, part in built if part is not None]


def render_report(run: MeasuredRun, sections: Sequence[Shown], *, suite: str = "") -> str:
    """The page of `save_report` as text; `suite` is an address of the page on how far to trust the model."""
    context = {
        "name": run.name,
        "split": run.split,
        "n": run.measured["n"],
        "classes": len(run.labels),
        "interval": describe_interval(run.measured.get("interval") or {}),
        "tta": run.measured.get("tta"),
        "learned": (run.data.get("overlap") or {}).get(f"train/{run.split}"),
        "suite": suite,
        "cards": build_cards(run),
        "highlights": find_highlights(run),
        "sections": [(shown.id, shown.title, True) for shown in sections],
        "shown": sections,
        "percent": format_value,
    }
    return render_page(Path(__file__).with_name("report.html.j2"), context)


def build_cards(run: MeasuredRun) -> list[dict[str, Any]]:
    """The headline figures that suit the number of classes; an undefined one says why."""
    k = len(run.labels)
    keys = ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc" if k == 2 else "roc_auc_macro"]
    keys += ["pr_auc"] if k == 2 else ["top5_accuracy"] if k >= _TOP5_FROM else ["pr_auc_macro"]
    keys += ["mcc", "log_loss", "ece"]
    return [format_figure(key, run.headline[key], digits=1) for key in keys if key in run.headline]


def _write_figures(folder: Path, sections: Sequence[Shown], *, formats: Sequence[str]) -> None:
    for old in [*folder.glob("*.svg"), *folder.glob("*.png")]:
        old.unlink()  # of a report that is no more
    drawn: list[Figure] = [figure for shown in sections for figure in (*shown.part.figures, *shown.part.files)]
    for figure in drawn if formats else ():
        folder.mkdir(parents=True, exist_ok=True)
        document = build_svg(figure.svg, figure.title)
        if "svg" in formats:
            write_text(folder / f"{figure.name}.svg", document)
        if "png" in formats:
            (folder / f"{figure.name}.png").write_bytes(build_png(document))
