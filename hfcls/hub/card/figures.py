"""The figures that a card prints, by name, and the same from predictions alone: what a reader can hold it to.

A released card lies beside a ``predictions.parquet`` with the predictions of all its splits; a column says of which.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hfcls.command_arguments import CardArguments
from hfcls.errors import UserError
from hfcls.hub.card.check import read_metadata
from hfcls.hub.card.examples import choose_rows
from hfcls.hub.card.measured import describe_results, example_answers, example_output, run_from_predictions
from hfcls.hub.card.metadata import DECIMALS, model_index
from hfcls.hub.card.pictures import draw_pictures
from hfcls.hub.card.trust import TITLE, describe_trust
from hfcls.structures import Predictions
from hfcls.uncertainty.trust import Trust

# Limits that rest on predictions; the others rest on the counts of the data.
_MEASURED_LIMITS = r"Often missed|Small \w+ set|Few \w+ images a class|Not measured|Confidence"
_NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?: %)?")


def card_figures(text: str) -> list[tuple[str, str]]:
    """Every figure of a card that rests on predictions: what it is, and how it is printed.

    Those of the metadata (model index, answers of the examples), of the first lines, of the tables of results, classes
    and confusions, of what is said of trust, of the example's output and of the limits that were measured.
    """
    metadata, body, _ = read_metadata(text)
    sections = _sections(body)
    found = _metadata_figures(metadata or {})
    found += _numbered("lead", "\n".join(re.findall(r"^Of .* names .* right.*$", sections.get("", ""), re.MULTILINE)))
    for title in ("Results", "What it takes for what", TITLE):
        found += _table_figures(title, sections.get(title, ""))
        sentences = [line for line in sections.get(title, "").splitlines() if not line.startswith(("|", "<"))]
        found += _numbered(title, "\n".join(sentences))
    drawings = "\n".join(sections.get(title, "") for title in ("Results", TITLE))
    for path, alternative in re.findall(r'<img src="(figures/[^"]+)" alt="([^"]*)"', drawings):
        found += _numbered(path, alternative)
    output = re.search(r"^```+text\n(.*?)\n```+$", sections.get("How to use it", ""), re.MULTILINE | re.DOTALL)
    found += [(f"output/{i}", line) for i, line in enumerate(output[1].splitlines() if output else ())]
    for title, rest in re.findall(rf"^- \*\*({_MEASURED_LIMITS})\.\*\*(.*)$", sections.get("Limits", ""), re.MULTILINE):
        if title != "Not measured" or _NUMBER.search(rest):
            found += _numbered(f"Limits/{title}", rest)
    return found


def figures_of_predictions(
    predictions: Mapping[str, Predictions], *, examples: int = 0, trust: Trust | None = None
) -> list[tuple[str, str]]:
    """What `card_figures` must find, computed from the predictions of each split.

    Args:
        examples: how many examples the card's metadata show.
        trust: the calibration that lies beside the card, of which it then tells.
    """
    run = run_from_predictions(predictions, trust=trust)
    measured = describe_results(run)
    assert run.predictions is not None
    rows = choose_rows(run.predictions.labels, examples) if examples else []
    answers = {row: example_answers(run.predictions, row) for row in rows}
    figures = [
        (f"model-index/{entry.dataset_split}/{entry.metric_name}", f"{entry.metric_value}")
        for entry in model_index(run, CardArguments())
    ]
    figures += [
        (f"widget/{number}/{label}", f"{round(score, 4)}")
        for number, row in enumerate(rows)
        for label, score in answers[row]
    ]
    output = example_output(run.predictions, rows[0] if rows else 0)
    limits = "\n".join(f"- {limit}" for limit in measured.limits)
    pictures = {one.path: f'<img src="{one.path}" alt="{one.alternative}">\n' for one in draw_pictures(run)}
    scaled = pictures.pop("figures/reliability-scaled.svg", "")
    text = (
        f"---\nx: 1\n---\n{measured.lead}\n## How to use it\n{output}\n"
        f"## Results\n{measured.results}\n\n{measured.classes}\n\n{''.join(pictures.values())}\n"
        f"## What it takes for what\n{measured.confusions}\n## Limits\n{limits}\n"
    )
    if trust is not None:
        text += f"## {TITLE}\n{describe_trust(run.predictions, trust, split=run.split)}\n\n{scaled}"
    return figures + card_figures(text)


def save_released_predictions(run_dir: Path, path: Path) -> None:
    """Writes the predictions of all splits of a run into one file, as they lie beside a released card."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for file in sorted((run_dir / "predictions").glob("*.parquet"), key=lambda file: file.stem != "test"):
        table = pq.read_table(file)
        tables.append(table.append_column("split", pa.array([file.stem] * len(table), pa.string())))
    if not tables:
        raise UserError(
            f"{run_dir} holds no predictions: expected predictions/test.parquet, as `hfcls train` writes it."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def load_released_predictions(path: Path) -> dict[str, Predictions]:
    """What `save_released_predictions` wrote, by split; a file without that column holds the test split.

    Raises:
        UserError: it is no such file.
    """
    import pyarrow.parquet as pq

    together = Predictions.load(path)
    table = pq.read_table(path)
    if "split" not in table.column_names:
        return {"test": together}
    splits = np.array(table.column("split").to_pylist())
    found = {}
    for split in dict.fromkeys(splits.tolist()):
        rows = np.flatnonzero(splits == split)
        ids = tuple(together.ids[row] for row in rows.tolist())
        found[split] = Predictions(together.logits[rows], together.labels[rows], ids, together.class_names)
    return found


def _metadata_figures(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for entry in metadata.get("model-index") or []:
        for result in entry.get("results") or []:
            split = (result.get("dataset") or {}).get("split")
            for metric in result.get("metrics") or []:
                found.append((f"model-index/{split}/{metric.get('name')}", f"{round(metric['value'], DECIMALS)}"))
    for number, example in enumerate(metadata.get("widget") or []):
        found += [(f"widget/{number}/{one['label']}", f"{one['score']}") for one in example.get("output") or []]
    return found


def _sections(body: str) -> dict[str, str]:
    """The text below each heading of the second rank; what stands before the first is called an empty name."""
    parts = re.split(r"^## (.+)$", body, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def _table_figures(section: str, text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    titles: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            titles = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not titles:
            titles = cells
        elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
            names = cells[:2] if titles[1] == "taken for" else cells[:1]
            row = " → ".join(names).partition("<br>")[0]
            named = zip(titles[1:], cells[1:], strict=True)
            found += [(f"{section}/{row}/{title}", cell) for title, cell in named]
    return found


def _numbered(name: str, text: str) -> list[tuple[str, str]]:
    return [(f"{name}/{number}", found[0]) for number, found in enumerate(_NUMBER.finditer(text))]
