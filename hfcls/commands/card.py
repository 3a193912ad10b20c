"""``hfcls card``: the model card of a run, and what is wrong with any card."""

from pathlib import Path
from typing import Any

from hfcls.arguments import only
from hfcls.command_arguments import CardArguments, CardCheckArguments
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Writes the model card of a run (README.md and its pictures) from what was measured, or checks any card.

What only you can know of the model, such as its license, comes by flags and is kept in the run's card.yaml.

examples:
  hfcls card runs/digits --license apache-2.0 --repo_id user/digits
  hfcls card runs/lesions --medical --people --data "Dermoscopy from two clinics, 2019 to 2024." --license other ...
  hfcls card --check README.md              (or a directory, or user/name; exit 1 if something must be mended)"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("card", DESCRIPTION, positionals="[RUN] ")
    parser.add_argument("run", metavar="RUN", nargs="?", default=None, help="run directory")
    parser.add_config()
    parser.add_flags("what only you know", flags_of(CardArguments))
    parser.add_flags("the file", flags_of(CardCheckArguments))
    return parser


def main(argv: list[str]) -> int:
    """Writes a card, or looks at one; returns the exit code."""
    values = build_parser().values(argv)
    run, what = values.get("run"), only(CardCheckArguments, values)
    declared = only(CardArguments, values)
    if (run is None) == (what.check is None):
        raise UserError("Give a run directory to write its card, or --check README.md to look at one: one of the two.")
    if what.check is not None:
        if given := [name for name, value in vars(declared).items() if value is not None]:
            raise UserError(f"--{given[0]} would have no effect with --check, which writes nothing.")
        return check(what.check)
    write(Path(str(run)), declared, overwrite=what.overwrite)
    return 0


def write(run_dir: Path, declared: CardArguments, *, overwrite: bool = False) -> Any:
    """Writes the card of a run into it.

    Raises:
        UserError: it is no run, or has a README.md that is not to be lost.
    """
    from hfcls.hub.card import README, build_card, check_card, find_gaps, is_ours, save_card

    before = run_dir / README
    if before.is_file() and not overwrite and not is_ours(before.read_text(encoding="utf-8", errors="replace")):
        raise UserError(
            f"{before} was written or edited by someone: keep what is worth keeping, then replace it with --overwrite."
        )
    card = build_card(run_dir, declared)
    file = save_card(run_dir, card)
    print(f"card        {file}, {len(card.pictures)} pictures")
    for problem in check_card(card.text):
        print(f"problem     {problem}")
    for gap in find_gaps(card.text):
        print(f"gap         {gap}")
    return card


def check(place: str) -> int:
    """Prints what is wrong with a card and what it lacks; returns 1 if something must be mended."""
    from hfcls.hub.card import check_card, find_gaps
    from hfcls.hub.card.online import ask_hub, read_card

    text = read_card(place)
    asked = ask_hub(text)
    problems = list(dict.fromkeys([*check_card(text), *asked.problems]))
    for problem in problems:
        print(f"problem     {problem}")
    for gap in (*asked.warnings, *find_gaps(text)):
        print(f"gap         {gap}")
    print(f"checked     {asked.how}; {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    return 1 if problems else 0
