"""``hfcls models``: the catalogue of architectures."""

import json
from dataclasses import asdict
from fnmatch import fnmatch
from typing import Any

from hfcls.arguments import only
from hfcls.catalogue import CATALOGUE
from hfcls.command_arguments import ModelsArguments
from hfcls.errors import UserError, suggest
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Lists the architectures for `hfcls train --architecture`; with --all, timm's other names as well.

Parameters and MACs (multiplications for one image) are for the listed size and 1,000 classes, or 10 at 32 pixels.

examples:
  hfcls models
  hfcls models 'mobilenet*'
  hfcls models resnet50                     (one in full: paper, checkpoint, licence)
  hfcls models --family vit --max_parameters 25e6 --pretrained
  hfcls models 'convnextv2*' --all --format json"""

Row = dict[str, Any]


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("models", DESCRIPTION, positionals="[PATTERN] ")
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default=None, help="a name, or a pattern with * and ?")
    parser.add_flags("which, and how", flags_of(ModelsArguments))
    return parser


def main(argv: list[str]) -> None:
    """Prints the architectures that the flags ask for."""
    values = build_parser().values(argv)
    pattern, arguments = values.get("pattern"), only(ModelsArguments, values)
    rows = [asdict(entry) for entry in CATALOGUE.values()]
    if pattern is not None and pattern in CATALOGUE:
        rows = [row for row in rows if row["name"] == pattern]
    elif arguments.all or (pattern is not None and not _matching(rows, pattern)):
        # A name or a pattern that the catalogue does not know is looked up among timm's, at the cost of importing it.
        rows += _timm_rows(exactly=pattern)
    names = [row["name"] for row in rows]
    rows = [row for row in _matching(rows, pattern) if _fits(row, arguments)]
    if not rows:
        wanted = repr(pattern) if pattern else "these flags"
        raise UserError(
            f"No architecture matches {wanted}: `hfcls models --all` lists them all.{suggest(str(pattern), names)}"
        )
    if arguments.format == "json":
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    elif arguments.format == "markdown":
        print(markdown(rows))
    elif pattern == rows[0]["name"]:
        print(_in_full(rows[0]))
    else:
        print(_table(rows))


def _matching(rows: list[Row], pattern: str | None) -> list[Row]:
    return [row for row in rows if pattern is None or fnmatch(row["name"], pattern)]


def _fits(row: Row, arguments: ModelsArguments) -> bool:
    most = arguments.max_parameters
    return (
        (arguments.family is None or row["family"] == arguments.family.lower())
        and (most is None or (row["parameters"] is not None and row["parameters"] <= most))
        and (not arguments.pretrained or row["checkpoint"] is not None)
    )


def _timm_rows(exactly: str | None) -> list[Row]:
    """timm's names that are not in the catalogue; a single one is measured, all of them are not."""
    import timm

    taken = {row.source_name for row in CATALOGUE.values() if row.source == "timm"} | CATALOGUE.keys()
    names = [name for name in timm.list_models() if name not in taken or name == exactly]
    return [_timm_row(name, measured=name == exactly) for name in names]


def _timm_row(name: str, *, measured: bool) -> Row:
    import timm

    settings = timm.get_pretrained_cfg(name)
    size = settings.input_size[-1] if settings else 224
    parameters = macs = None
    if measured:
        from hfcls.models.figures import measure_architecture

        parameters, macs = measure_architecture(name, classes=1000, image_size=size)
    checkpoint = settings.hf_hub_id if settings and settings.num_classes else None
    return {
        "name": name,
        "family": None,
        "parameters": parameters,
        "macs": macs,
        "image_size": size,
        "classes": 1000,
        "year": None,
        "paper": None,
        "source": "timm",
        "source_name": name,
        "checkpoint": checkpoint,
        "license": settings.license if checkpoint else None,
    }


_TITLES = ("name", "family", "parameters", "MACs", "pixels", "year", "source", "pretrained")
_RIGHT = {"parameters", "MACs", "pixels", "year"}


def _cells(row: Row) -> tuple[str, ...]:
    """What a line of a table shows."""
    return (
        row["name"],
        row["family"] or "",
        _short(row["parameters"]),
        _short(row["macs"]),
        str(row["image_size"]),
        str(row["year"] or ""),
        row["source"],
        row["checkpoint"] or "",
    )


def _short(count: int | None) -> str:
    """Three figures and a letter: 11.7 M."""
    if count is None:
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.{max(0, 3 - len(str(int(count / size))))}f} {letter}"
    return str(count)


def _table(rows: list[Row]) -> str:
    lines = [_TITLES, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES))]
    aligned = [
        "  ".join(
            cell.rjust(width) if title in _RIGHT else cell.ljust(width)
            for cell, width, title in zip(line, widths, _TITLES, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join(aligned)


def markdown(rows: list[Row]) -> str:
    """The table that the README shows."""
    rule = ["---:" if title in _RIGHT else "---" for title in _TITLES]
    return "\n".join("| " + " | ".join(line) + " |" for line in [_TITLES, rule, *map(_cells, rows)])


def _in_full(row: Row) -> str:
    facts = {
        "family": row["family"],
        "parameters": f"{row['parameters']:,} with {row['classes']:,} classes",
        "MACs": f"{row['macs']:,} for one image of {row['image_size']} pixels",
        "paper": row["paper"],
        "source": row["source"] if row["source"] == "hfcls" else f"{row['source']}: {row['source_name']}",
        "pretrained": row["checkpoint"] or "no checkpoint on the Hub that is known here",
        "licence": f"{row['license']} (of the checkpoint)" if row["checkpoint"] else None,
    }
    return "\n".join([row["name"], *(f"  {name:<11} {value}" for name, value in facts.items() if value)])
