"""The model card of a run: README.md and its pictures, written from what was measured and from nothing else.

What was not measured is left out. The same run gives the same bytes.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2

from hfcls.command_arguments import CardArguments
from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.files import write_text
from hfcls.hub.card import data as card_data
from hfcls.hub.card.command import reproducing_command
from hfcls.hub.card.declared import people_and_medicine, read_declared, write_declared
from hfcls.hub.card.energy import estimate_energy
from hfcls.hub.card.examples import FOLDER, Example, find_examples
from hfcls.hub.card.markdown import distinct_names, fence, inline, join_words, table
from hfcls.hub.card.measured import describe_results, example_output
from hfcls.hub.card.metadata import build_metadata
from hfcls.hub.card.network import ENSEMBLE, Network, base_model_of, read_network
from hfcls.hub.card.pictures import Picture, draw_pictures
from hfcls.hub.card.run import read_card_run, read_training
from hfcls.hub.card.training import resolved_arguments, training_rows
from hfcls.hub.card.trust import TITLE, describe_trust, split_trust
from hfcls.hub.paths import last_part, places_of

README = "README.md"
_MAX_LISTED = 20
_SEAL = "<!-- Written by `hfcls card`; sha256 of all above: {} -->\n"
_SEALED = re.compile(r"<!-- Written by `hfcls card`; sha256 of all above: ([0-9a-f]{64}) -->\n\Z")


@dataclass(frozen=True)
class Card:
    """A card that is ready to be written.

    Attributes:
        text: the README.md.
        pictures: path within the repository -> content.
        arguments: what its publisher declares, with what an earlier card of the run kept.
    """

    text: str
    pictures: dict[str, bytes]
    arguments: CardArguments


def build_card(run_dir: Path, arguments: CardArguments, *, repo_id: str | None = None) -> Card:
    """Writes the card of a run, in memory.

    Args:
        run_dir: a finished run.
        arguments: what its publisher declares; what is None is taken from the run's ``card.yaml``.
        repo_id: where the model will be on the Hub, for the examples of use; that of the arguments if left out.

    Raises:
        UserError: it is no finished run, or something declared is not as the Hub wants it.
    """
    run, trust = split_trust(read_card_run(run_dir))
    arguments = read_declared(run_dir, arguments)
    network = read_network(run_dir)
    repo_id = repo_id or arguments.repo_id
    count = arguments.examples
    if count is None:
        count = 3 if run.settings.get("dataset_name") == "digits" and run.split else 0
    examples = find_examples(run, count)
    title = arguments.title or (repo_id.partition("/")[2] if repo_id else run_dir.resolve().name)
    pictures = draw_pictures(run)
    context = _context(run, network, arguments, repo_id, title, examples, pictures)
    if trust is not None and run.predictions is not None:
        context["trust"] = describe_trust(run.predictions, trust, split=run.split)
    metadata = build_metadata(run, network, arguments, title=title, examples=examples)
    text = f"---\n{metadata}\n---\n\n{_render(context)}\n\n"
    content = {picture.path: picture.svg.encode() for picture in pictures}
    return Card(seal(text), content | {example.path: example.content for example in examples}, arguments)


def save_card(run_dir: Path, card: Card) -> Path:
    """Puts a card and what it rests on into its run; pictures that it no longer shows go."""
    for folder in ("figures", FOLDER):
        for old in (run_dir / folder).glob("*"):
            if f"{folder}/{old.name}" not in card.pictures and old.suffix in {".svg", ".png"}:
                old.unlink()
    for path, content in card.pictures.items():
        (run_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (run_dir / path).write_bytes(content)
    write_declared(run_dir, card.arguments)
    write_text(run_dir / README, card.text)
    return run_dir / README


def seal(text: str) -> str:
    """The text with a digest of itself at its end."""
    return text + _SEAL.format(sha256(text.encode()).hexdigest())


def is_ours(text: str) -> bool:
    """Whether `hfcls` has written this card and no one has edited it since."""
    found = _SEALED.search(text)
    return found is not None and sha256(text[: found.start()].encode()).hexdigest() == found[1]


def _context(
    run: MeasuredRun,
    network: Network,
    arguments: CardArguments,
    repo_id: str | None,
    title: str,
    examples: list[Example],
    pictures: list[Picture],
) -> dict[str, Any]:
    """What the template shows, all of it Markdown."""
    training = read_training(run.directory)
    places = sorted(set(places_of(run.settings)) - {str(run.settings.get("output_dir"))})
    base = arguments.base_model or base_model_of(run.settings, network)
    shown_row = examples[0].row if examples else 0
    predictions = run.predictions if run.samples is not None else None
    return {
        "title": inline(title),
        "arguments": {
            name: inline(value) if isinstance(value, str) else value for name, value in vars(arguments).items()
        },
        "network": network,
        "code": ", ".join(f"<code>{inline(name)}</code>" for name in network.code),
        "architecture": inline(network.name),
        "ensemble": network.name.startswith(ENSEMBLE),
        "paper": inline(network.entry.paper) if network.entry and network.entry.paper else "",
        "classes": _classes(network.labels),
        "number_of_classes": len(network.labels),
        "base": inline(base) if base else "",
        "model": repo_id or ".",
        "repo_id": repo_id,
        "photo": examples[0].path if examples else "photo.jpg",
        "example": examples[0] if examples else None,
        "example_class": distinct_names(run.labels)[predictions.labels[shown_row]] if predictions else "",
        "output": example_output(predictions, shown_row) if predictions else "",
        "split": run.split,
        "measured": describe_results(run) if run.split else None,
        "trust_title": TITLE,
        "trust": "",
        "pictures": {picture.path.removeprefix("figures/").removesuffix(".svg"): picture for picture in pictures},
        "source": inline(card_data.source_of(run.settings, run.data)),
        "fingerprint": inline(str(run.data.get("fingerprint") or "")),
        "split_table": card_data.describe_splits(run),
        "counts": card_data.describe_counts(run),
        "dropped": card_data.describe_dropped(run),
        "notices": [*map(inline, run.notices), *card_data.describe_notices(run)],
        "training": table(["what", "how"], training_rows(run, training, base)),
        "all_arguments": resolved_arguments(run),
        "chosen_on_validation": bool(run.settings.get("load_best_model_at_end")) and "validation" in run.splits,
        "energy": estimate_energy(run.speed, training),
        "overlap": card_data.overlap_limits(run),
        "limits": card_data.data_limits(run),
        "declared_limits": people_and_medicine(arguments),
        "versions": ", ".join(f"{inline(name)} {inline(v)}" for name, v in (training.get("versions") or {}).items()),
        "hfcls_version": inline(str((training.get("versions") or {}).get("hfcls", ""))),
        "exact": _is_exact(run, training),
        "places": join_words([inline(last_part(place)) for place in places]),
        "several_places": len(places) > 1,
        "command": reproducing_command(run.settings, processes=int(training.get("processes") or 1)),
        "citation": fence(arguments.citation, "bibtex") if arguments.citation else "",
        "digits": card_data.DIGITS_CITATION if run.settings.get("dataset_name") == "digits" else "",
    }


def _is_exact(run: MeasuredRun, training: dict[str, Any]) -> bool:
    """Whether the command makes the same weights: accelerators and streams promise it not, nor data that may change."""
    repo_id, commit = card_data.hub_dataset(run.data)
    pinned = repo_id is None or (commit is not None and run.settings.get("dataset_revision") == commit)
    return pinned and "CPU thread" in str(training.get("hardware") or "") and not run.settings.get("streaming")


def _classes(labels: tuple[str, ...]) -> str:
    names = distinct_names(labels)
    if len(names) <= _MAX_LISTED:
        return join_words(names)
    return f"{', '.join(names[:_MAX_LISTED])} and {len(names) - _MAX_LISTED:,} more (all of them are in `config.json`)"


def _render(context: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # Markdown, not HTML: whatever comes from outside went through `inline` or `fence`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("card.md.j2").render(context | {"fence": fence, "inline": inline})
    return re.sub(r"\n{3,}", "\n\n", text).strip()
