"""What the publisher of a model declares: kept in the run, checked against the Hub's rules."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from hfcls.arguments import only
from hfcls.command_arguments import CardArguments
from hfcls.errors import UserError, suggest
from hfcls.files import write_text
from hfcls.hub.card.rules import LICENSES
from hfcls.parsing import dump_yaml, flags_of
from hfcls.pull import is_repo_id

DECLARED = "card.yaml"


def read_declared(run_dir: Path, arguments: CardArguments) -> CardArguments:
    """The arguments, completed by the run's ``card.yaml``.

    Raises:
        UserError: something in them is not as the Hub wants it.
    """
    file = run_dir / DECLARED
    kept: Any = {}
    if file.is_file():
        try:
            kept = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"{file} can't be read ({' '.join(str(error).split())}).") from None
        known = {flag.name: flag for flag in flags_of(CardArguments)}
        unknown = sorted(map(str, kept.keys() - known.keys())) if isinstance(kept, dict) else [type(kept).__name__]
        if unknown:
            raise UserError(f"{file} holds {unknown[0]!r}: expected lines of `flag: value`, flags of `hfcls card`.")
        try:
            kept = {name: known[name].convert(value) for name, value in kept.items() if value is not None}
        except UserError as error:
            raise UserError(f"{file}: {error}") from None
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    merged = only(CardArguments, {**kept, **given})
    if merged.citation and "\n" not in merged.citation and Path(merged.citation).is_file():
        merged = replace(merged, citation=Path(merged.citation).read_text(encoding="utf-8").strip())
    if merged.citation and re.fullmatch(r"\S+\.(bib|cff|txt)", merged.citation):
        raise UserError(f"--citation {merged.citation} does not exist: expected BibTeX, or a file that holds it.")
    _check_declared(merged)
    return merged


def write_declared(run_dir: Path, arguments: CardArguments) -> None:
    """Keeps what was declared, so that a later card says the same without flags."""
    declared = {name: value for name, value in vars(arguments).items() if value is not None}
    if declared:
        header = "# What the publisher of this run declares; flags of `hfcls card` go first.\n"
        write_text(run_dir / DECLARED, header + dump_yaml(declared))


def people_and_medicine(arguments: CardArguments) -> list[str]:
    """What follows from what the user declares about the images."""
    found = []
    if arguments.people:
        found.append(
            "**People.** The images show people, as its publisher declares. How it does for different groups of people "
            "was not measured. Do not use it to identify, rate or watch anyone, nor to decide about them."
        )
    if arguments.medical:
        found.append(
            "**Medicine.** The images are medical, as its publisher declares. This is no medical device, no clinical "
            "study was made with it, and no diagnosis or treatment may rest on it."
        )
    return found


def _check_declared(arguments: CardArguments) -> None:
    """What the Hub would refuse.

    Raises:
        UserError: the first of it.
    """
    if arguments.license is not None and arguments.license not in LICENSES:
        raise UserError(
            f"--license {arguments.license} is not an identifier of the Hub.{suggest(arguments.license, LICENSES)} "
            "For a license that it doesn't list, give --license other with --license_name and --license_link."
        )
    if arguments.license == "other" and not (arguments.license_name and arguments.license_link):
        raise UserError("--license other needs --license_name and --license_link: which license it is.")
    if arguments.license != "other" and (arguments.license_name or arguments.license_link):
        raise UserError("--license_name and --license_link go with --license other alone.")
    if arguments.base_model_relation and not arguments.base_model:
        raise UserError("--base_model_relation needs --base_model: the relation to which model it is.")
    ids: dict[str, list[str | None]] = {
        "repo_id": [arguments.repo_id],
        "base_model": [arguments.base_model],
        "datasets": [*(arguments.datasets or [])],
        "space": [arguments.space],
    }
    for flag, values in ids.items():
        for value in values:
            if value is not None and not is_repo_id(value):
                raise UserError(f"--{flag} {value} is not a Hub id: expected user/name.")
    if arguments.examples is not None and not 0 <= arguments.examples <= 16:
        raise UserError(f"--examples is {arguments.examples}: expected 0 to 16.")
