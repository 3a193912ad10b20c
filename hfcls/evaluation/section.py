"""What a section of the report is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hfcls.evaluation.measured_run import MeasuredRun


@dataclass(frozen=True)
class Figure:
    """A drawing of the report, which `--figures` also writes as a file.

    Attributes:
        name: of the file, unique in the report.
        title: what stands above it.
        svg: as `hfcls.pages.svg.wrap_svg` returns it.
    """

    name: str
    title: str
    svg: str


@dataclass(frozen=True)
class Part:
    """What one section has to show of a run.

    Attributes:
        values: what its template needs; the figures come to it as ``figures``, by name.
        figures: those that the page shows.
        files: figures for `--figures` alone, where the page shows the same in another form.
    """

    values: dict[str, Any] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    files: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Section:
    """One row of ``SECTIONS``.

    Attributes:
        title: the heading.
        build: from a run to what the section shows; None where the run has nothing for it.
    """

    title: str
    build: Callable[[MeasuredRun], Part | None]
