"""``hfcls models``: the architectures that can be trained from scratch."""

from hfcls.errors import UserError, suggest
from hfcls.parsing import Parser

DESCRIPTION = """Lists the architectures for --architecture: ours, then timm's.

examples:
  hfcls models
  hfcls models 'mobilenet*'
  hfcls models resnet18        (one: with its number of parameters)"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("models", DESCRIPTION, positionals="[PATTERN] ")
    parser.add_argument("pattern", metavar="PATTERN", nargs="?", default=None, help="a name, or a pattern with * and ?")
    return parser


def main(argv: list[str]) -> None:
    """Prints a row for each architecture."""
    from fnmatch import fnmatch

    pattern = build_parser().values(argv).get("pattern")

    import timm

    from hfcls.models import ARCHITECTURES

    names = [*ARCHITECTURES, *timm.list_models()]
    if pattern is not None and pattern in names:
        _show(pattern)
        return
    shown = [name for name in names if pattern is None or fnmatch(name, pattern)]
    if not shown:
        raise UserError(
            f"No architecture matches {pattern!r}: `hfcls models` lists them all.{suggest(str(pattern), names)}"
        )
    width = max(map(len, shown))
    for name in shown:
        if name in ARCHITECTURES:
            print(f"{name:<{width}}  hfcls  {ARCHITECTURES[name].config_class().image_size}")
        else:
            settings = timm.get_pretrained_cfg(name)
            print(f"{name:<{width}}  timm   {settings.input_size[-1] if settings else 224}")


def _show(name: str) -> None:
    from hfcls.models import ARCHITECTURES, build_classifier

    classifier = build_classifier(name, class_names=tuple(str(i) for i in range(10)))
    documentation = (ARCHITECTURES[name].__doc__ if name in ARCHITECTURES else "") or ""
    count = sum(parameter.numel() for parameter in classifier.model.parameters())
    print(f"{name}: {documentation.strip().splitlines()[0] if documentation else 'from timm'}")
    print(f"  parameters  {count:,} with 10 classes")
    print(f"  from        {'hfcls' if name in ARCHITECTURES else 'timm'}")
