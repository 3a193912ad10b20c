"""``hfcls demo``: models → a web page."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from hfcls.arguments import only
from hfcls.command_arguments import DemoArguments
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Shows models on a web page: drop a picture, see the likeliest classes, the doubt, and why.

One picture and its explanation, two models side by side, a perturbed picture, many pictures at once, the model card.
A model is loaded when it is first asked. Pictures stay on this machine and are gone after two hours at most, unless
--flag_dir keeps those that visitors say were taken for the wrong thing. Everything on the page can be called by
gradio_client as well: see "Use via API" at its foot.

examples:
  hfcls demo                              every run in runs/
  hfcls demo runs/photos user/name@v1
  hfcls demo runs/photos --flag_dir wrong --port 8000"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("demo", DESCRIPTION, positionals="[MODEL ...] ")
    parser.add_argument("models", metavar="MODEL", nargs="*", help="run directory, model directory or Hub id")
    parser.add_flags("page", flags_of(DemoArguments))
    parser.add_config()
    return parser


def main(argv: list[str]) -> int:
    """Parses the flags and serves the page until Ctrl-C."""
    values = build_parser().values(argv)
    try:
        demo(values.get("models") or [], only(DemoArguments, values))
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return 0


def demo(models: list[str], arguments: DemoArguments) -> None:
    """Serves the page of some models; those of runs/ where none is named.

    Raises:
        UserError: a model cannot be offered, the port is taken, or a flag makes no sense.
    """
    if arguments.port is not None and not 1 <= arguments.port <= 65535:
        raise UserError(f"--port is {arguments.port}: expected a number from 1 to 65535.")
    if arguments.flag_dataset is not None and arguments.flag_dir is None:
        raise UserError("--flag_dataset pushes what is in --flag_dir: name that folder as well.")
    from hfcls.extras import require

    require("gradio", extra="demo")
    from hfcls.serving.demo import build_demo, launch
    from hfcls.serving.flags import FlagFolder
    from hfcls.serving.menu import build_menu

    menu = build_menu(models, title=arguments.title)
    flags = FlagFolder(Path(arguments.flag_dir).expanduser()) if arguments.flag_dir is not None else None
    page = build_demo(menu, device="cpu" if arguments.use_cpu else None, flags=flags)
    count = f"{len(menu.offers)} models" if len(menu.offers) > 1 else next(iter(menu.offers))

    def say(address: str) -> None:
        print(f"{count}: {address}  (Ctrl-C stops it)", flush=True)

    with _pushed(arguments):
        launch(page, host=arguments.host, port=arguments.port, started=say)


def _pushed(arguments: DemoArguments) -> AbstractContextManager[None]:
    """What is flagged goes to the Hub as well, if it is to."""
    if arguments.flag_dataset is None:
        return nullcontext()
    from hfcls.hub.flagged import pushed_folder

    folder = Path(str(arguments.flag_dir)).expanduser()
    return pushed_folder(folder, arguments.flag_dataset, say=lambda text: print(text, file=sys.stderr))
