"""``hfcls push``: a finished run → one commit on the Hub."""

from pathlib import Path

from hfcls.arguments import only
from hfcls.command_arguments import PushArguments
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Publishes a finished run on the Hub: weights, model card, results; in one commit, or not at all.

The same run pushed twice is one commit. Paths of this machine are shortened, photos lose EXIF and GPS, and a token or
key in any file stops the push. What only you know of the model, such as its license, comes from `hfcls card RUN`.

examples:
  hfcls push runs/digits --repo_id user/digits --dry_run
  hfcls push runs/digits --repo_id user/digits --private
  hfcls push runs/digits --repo_id user/digits --space --collection "My classifiers" """


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("push", DESCRIPTION, positionals="RUN ")
    parser.add_argument("run", metavar="RUN", help="directory of a finished run")
    parser.add_flags("push", flags_of(PushArguments))
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and pushes."""
    values = build_parser().values(argv)
    run_dir = Path(values["run"]).expanduser()
    if not run_dir.is_dir():
        raise UserError(f"The run {run_dir} does not exist: expected the directory of a run, such as runs/first.")
    from hfcls.hub.publish import publish

    try:
        publish(run_dir, only(PushArguments, values), say=lambda text: print(text, flush=True))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "Stopped. The Hub has the whole commit or none of it: the same command again says which, and goes on."
        ) from None
