"""What an inspection writes down: figures and findings as JSON, a row for each image, a few lines for the screen."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hfcls.inspection.finding import SEVERITIES, Finding, count
from hfcls.inspection.images import Images
from hfcls.inspection.scan import Facts
from hfcls.inspection.tables import write_table

COLUMNS = (
    *("id", "split", "label", "group", "bytes", "format", "mode", "width", "height", "digest"),
    *("brightness", "contrast", "sharpness", "flags", "error"),
)


def build_summary(images: Images, facts: Facts, findings: Sequence[Finding], *, source: str) -> dict[str, Any]:
    """What ``inspection.json`` holds: every figure, and every finding with all its ids."""
    counts = images.counts()
    splits = {}
    for number, split in enumerate(images.splits):
        own = images.split_of == number
        splits[split] = {
            "n": int(own.sum()),
            "readable": int((own & facts.readable).sum()),
            "bytes": int(facts.table["bytes"][own].sum()),
            "label_counts": dict(zip(images.class_names, counts[number].tolist(), strict=True)),
            "channels": channel_statistics(facts.table[own & facts.readable]),
        }
    table = facts.table[facts.readable]
    return {
        "source": source,
        "n": len(images),
        "class_names": list(images.class_names),
        "splits": splits,
        "width": extent(table["width"]),
        "height": extent(table["height"]),
        "brightness": extent(table["brightness"]),
        "contrast": extent(table["contrast"]),
        "sharpness": extent(table["sharpness"]),
        "formats": named_counts(facts.formats, facts.format_of),
        "modes": named_counts(facts.modes, facts.mode_of),
        "findings": [
            {
                "kind": finding.kind,
                "severity": finding.severity,
                "title": finding.title,
                "advice": finding.advice,
                "how": finding.how,
                "images": [images.ids(rows) for rows in finding.groups],
                "captions": list(finding.captions),
                "items": list(finding.items),
            }
            for finding in findings
        ],
    }


def channel_statistics(table: np.ndarray) -> dict[str, list[float]] | None:
    """Mean and standard deviation of red, green and blue in [0, 1], every image counting the same.

    So sees it a training that scales all images to one size.
    """
    if not len(table):
        return None
    means, deviations = (table[name].astype(np.float64) / 255 for name in ("channel_mean", "channel_deviation"))
    mean = means.mean(axis=0)
    deviation = np.sqrt(np.maximum((deviations**2 + means**2).mean(axis=0) - mean**2, 0.0))
    return {"mean": mean.round(4).tolist(), "std": deviation.round(4).tolist()}


def extent(values: np.ndarray) -> dict[str, float] | None:
    """Least, median and greatest value."""
    values = values[np.isfinite(values)].astype(np.float64)
    if not len(values):
        return None
    ends = {"min": values.min(), "median": np.median(values), "max": values.max()}
    return {name: round(float(value), 2) for name, value in ends.items()}


def named_counts(names: Sequence[str], numbers: np.ndarray) -> dict[str, int]:
    """How often each name comes, the commonest first."""
    counts = np.bincount(numbers[numbers >= 0], minlength=len(names)).tolist()
    return dict(sorted(zip(names, counts, strict=True), key=lambda entry: -entry[1]))


def save_images_table(path: Path, images: Images, facts: Facts, findings: Sequence[Finding]) -> None:
    """Writes one row an image: its facts, and the kinds of what was found about it."""
    write_table(path, COLUMNS, _rows(images, facts, flags_by_row(findings)))


def flags_by_row(findings: Sequence[Finding]) -> dict[int, list[str]]:
    """The kinds of the findings that each image is part of."""
    flags: dict[int, list[str]] = {}
    for finding in findings:
        for row in dict.fromkeys(row for rows in finding.groups for row in rows):
            flags.setdefault(row, []).append(finding.kind)
    return flags


def _rows(images: Images, facts: Facts, flags: dict[int, list[str]]) -> Iterator[tuple[Any, ...]]:
    for row, sample_id in enumerate(images.iter_ids()):
        fact = facts.table[row]
        place = (sample_id, images.split(row), images.label(row), images.group(row), int(fact["bytes"]))
        if not fact["readable"]:
            yield (*place, *("",) * 8, " ".join(flags.get(row, ())), facts.errors[row])
            continue
        figures = [f"{fact[name]:.6g}" for name in ("brightness", "contrast", "sharpness")]
        yield (
            *place,
            facts.formats[facts.format_of[row]],
            facts.modes[facts.mode_of[row]],
            *(int(fact["width"]), int(fact["height"]), fact["digest"].tobytes().hex()),
            *("" if figure == "nan" else figure for figure in figures),
            " ".join(flags.get(row, ())),
            "",
        )


def describe(images: Images, facts: Facts, findings: Sequence[Finding], *, source: str) -> str:
    """The few lines that the terminal shows."""
    counts = images.counts()
    used = int(np.count_nonzero(counts.sum(axis=0)))
    lines = [f"{source}: {count(len(images), 'image')}, {count(used, 'class', 'classes')}", ""]
    for split, own in zip(images.splits, counts, strict=True):
        present = own[own > 0]
        each = f"{present.min():,}" if present.min() == present.max() else f"{present.min():,} to {present.max():,}"
        lines.append(f"  {split:<11}{own.sum():>9,} images  {len(present):>5,} classes  {each} a class")
    for severity in SEVERITIES:
        chosen = [finding for finding in findings if finding.severity == severity]
        if chosen:
            lines += ["", f"{severity}s"]
        for finding in chosen:
            lines += [f"  {finding.title}.", f"      {finding.advice}"]
            if finding.kind == "notices":
                lines += [f"      - {item}" for item in finding.items]
    return "\n".join([*lines, "", verdict(findings)])


def verdict(findings: Sequence[Finding]) -> str:
    """One sentence."""
    errors, warnings, _ = (sum(f.severity == severity for f in findings) for severity in SEVERITIES)
    warned = f"; {count(warnings, 'warning')} to look at" if warnings else ""
    if errors:
        return f"{count(errors, 'error')} that would spoil a training or its figures{warned}."
    return f"Nothing that would spoil a training{warned}."
