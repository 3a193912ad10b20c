"""From flags and YAML files to values, with errors for people and without heavy imports."""

import argparse
import ast
import json
import re
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import yaml

from hfcls.arguments import ALTERNATIVES, TRAIN_ARGUMENTS
from hfcls.errors import UserError, suggest
from hfcls.trainer_flags import DECIDED_HERE, HELP, RENAMED, TRAINING_DEFAULTS


@dataclass(frozen=True)
class Flag:
    """One flag: ``--name VALUE``, also a key of a YAML config."""

    name: str
    annotation: str
    default: Any
    help: str
    choices: tuple[str, ...] | None = None

    @property
    def is_bool(self) -> bool:
        """Whether ``--name`` alone means true."""
        return "bool" in self.annotation and "dict" not in self.annotation

    @property
    def is_list(self) -> bool:
        """Whether several values may follow."""
        return "list" in self.annotation

    def convert(self, value: Any) -> Any:
        """Checks and converts a value from the command line or from YAML.

        Raises:
            UserError: it is not of the flag's type.
        """
        if isinstance(value, list) and self.is_list:
            return [str(item) if "str" in self.annotation else self._convert_one(item) for item in value]
        if self.annotation.startswith("list") and value is not None:
            return [self._convert_one(value)]
        return self._convert_one(value)

    def _convert_one(self, value: Any) -> Any:
        if isinstance(value, dict) and "dict" in self.annotation:
            return value
        if isinstance(value, list | dict):
            raise UserError(f"--{self.name} is {value!r}: expected one value.")
        if value is False and not self.is_bool:
            value = "no"  # what YAML makes of a bare no
        text = str(value)
        empty = text.lower() in {"none", "null"} and text not in (self.choices or ())
        if empty and "None" in self.annotation and not self.is_list:
            return None
        if self.choices and text not in self.choices:
            raise UserError(f"--{self.name} is {text!r}: expected one of {', '.join(self.choices)}.")
        return self._of_type(text)

    def _of_type(self, text: str) -> Any:
        if self.name == "bf16" and text == "auto":
            return text
        lowered = text.lower()
        if self.is_bool and lowered in {"true", "false", "yes", "no", "1", "0"}:
            return lowered in {"true", "yes", "1"}
        for kind, convert in (("int", int), ("float", float)):
            if kind in self.annotation:
                try:
                    return convert(text)
                except ValueError:
                    continue
        kinds = {part.strip() for part in self.annotation.split("|")} - {"None"}
        if kinds == {"bool"}:
            raise UserError(f"--{self.name} is {text!r}: expected true or false.")
        if kinds and kinds <= {"int", "float"}:
            raise UserError(f"--{self.name} is {text!r}: expected {_article(self.annotation)}.")
        return text


def _article(annotation: str) -> str:
    return "a number" if "float" in annotation else "a whole number"


def flags_of(cls: type) -> list[Flag]:
    """The flags that a dataclass of `hfcls.arguments` describes."""
    hints = typing.get_type_hints(cls)
    return [
        Flag(f.name, _annotation_text(hints[f.name]), f.default, f.metadata["help"], f.metadata["choices"])
        for f in fields(cls)
        if f.default is not MISSING
    ]


def _annotation_text(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        return " | ".join("None" if part is types.NoneType else part.__name__ for part in typing.get_args(hint))
    return hint.__name__


@cache
def training_flags() -> tuple[Flag, ...]:
    """Every field of the installed transformers' `TrainingArguments`.

    Read from its source, since importing it takes as long as torch does.
    """
    spec = find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("transformers is not installed: pip install hfcls.")
    source = Path(spec.submodule_search_locations[0], "training_args.py").read_text(encoding="utf-8")
    (cls,) = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == "TrainingArguments"]
    flags = []
    for node in cls.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
            continue
        name = node.target.id
        if name.startswith("_") or name in DECIDED_HERE:
            continue
        keywords = {k.arg: k.value for k in node.value.keywords} if isinstance(node.value, ast.Call) else {}
        default = TRAINING_DEFAULTS.get(name, _literal(keywords.get("default")))
        text = HELP.get(name) or _help_text(keywords.get("metadata"))
        default = None if name == "learning_rate" else default
        flags.append(Flag(name, ast.unparse(node.annotation), default, text))
    return tuple(flags)


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _help_text(node: ast.expr | None) -> str:
    try:
        metadata = ast.literal_eval(node) if node is not None else {}
    except ValueError:
        return ""
    return " ".join(str(metadata.get("help", "")).replace("%%", "%").split())


class Parser(argparse.ArgumentParser):
    """A parser whose flags are `Flag` objects and whose errors are one sentence."""

    def __init__(self, command: str, description: str, *, positionals: str = ""):
        super().__init__(
            prog=f"hfcls {command}",
            usage=f"hfcls {command} {positionals}[FLAGS]",
            description=description,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.flags: dict[str, Flag] = {}

    def add_flags(self, title: str, flags: Sequence[Flag]) -> None:
        """Adds a group of flags."""
        group = self.add_argument_group(title)
        for flag in flags:
            settings: dict[str, Any] = {"metavar": _metavar(flag)}
            if flag.is_bool:
                settings |= {"nargs": "?", "const": "true"}
            elif flag.is_list:
                settings |= {"nargs": "*"}
            group.add_argument(f"--{flag.name}", help=_help_line(flag), **settings)
            self.flags[flag.name] = flag

    def add_config(self) -> None:
        """Adds ``--config FILE.yaml``."""
        self.add_argument("--config", metavar="FILE", help="YAML file of flags; flags on the command line override it")

    def add_training(self, *, without: frozenset[str] = frozenset()) -> None:
        """Adds all that decides what comes out of a training.

        Args:
            without: flags that would have no effect in this command.
        """
        for cls in TRAIN_ARGUMENTS:
            title = cls.__name__.removesuffix("Arguments").lower()
            self.add_flags(title, [flag for flag in flags_of(cls) if flag.name not in without])
        self.add_flags(
            "training (the fields of transformers' TrainingArguments that have an effect here)",
            [flag for flag in training_flags() if flag.name not in without],
        )

    def values(self, argv: Sequence[str]) -> dict[str, Any]:
        """What the command line and the config say; nothing that they don't.

        Raises:
            UserError: an unknown flag, a value of the wrong type, an unreadable config.
        """
        namespace, unknown = self.parse_known_args(argv)
        if unknown:
            raise UserError(self._unknown(unknown[0]))
        given = vars(namespace)
        config = given.pop("config", None)
        merged = {**(self._read_config(config, given) if config else {}), **given}
        positional = {name: value for name, value in merged.items() if name not in self.flags}
        return positional | self.check({name: value for name, value in merged.items() if name in self.flags})

    def check(self, values: dict[str, Any]) -> dict[str, Any]:
        """Checks and converts flags that did not come from a command line.

        Raises:
            UserError: an unknown name, or a value of the wrong type.
        """
        for name in values:
            if name not in self.flags:
                raise UserError(self._unknown_name(name, f"Unknown flag {name!r}."))
        # An empty value in YAML says no more than a flag that is not there.
        return {name: self.flags[name].convert(value) for name, value in values.items() if value is not None}

    def error(self, message: str) -> NoReturn:
        """One sentence instead of usage and message."""
        raise UserError(f"{message[:1].upper()}{message[1:]}. `{self.prog} --help` lists what there is.")

    def _unknown(self, text: str) -> str:
        if not text.startswith("-"):
            return f"Unexpected {text!r}: every value follows a flag, such as --output_dir {text}."
        return self._unknown_name(text.lstrip("-").partition("=")[0], f"Unknown flag {text}.")

    def _unknown_name(self, name: str, sentence: str) -> str:
        if name in RENAMED and "output_dir" in self.flags:
            return f"--{name} is gone in transformers 5: use {RENAMED[name]}."
        if name in DECIDED_HERE and "output_dir" in self.flags:
            return f"--{name} would have no effect here: {DECIDED_HERE[name]}."
        return f"{sentence}{suggest('--' + name, ['--' + n for n in self.flags])} `{self.prog} --help` lists them all."

    def _read_config(self, path: str, given: dict[str, Any]) -> dict[str, Any]:
        """What a config says, without what the command line says otherwise."""
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"The config {path} cannot be read: {getattr(error, 'strerror', error)}.") from None
        except yaml.YAMLError as error:
            raise UserError(f"The config {path} is not YAML: {' '.join(str(error).split())}.") from None
        if not isinstance(content, dict):
            raise UserError(f"The config {path} holds {type(content).__name__}: expected lines of `flag: value`.")
        for name in content:
            if name not in self.flags:
                raise UserError(self._unknown_name(str(name), f"Unknown flag {name!r} in {path}."))
        replaced = {name for names in ALTERNATIVES for name in names if not given.keys().isdisjoint(names)}
        return {name: value for name, value in content.items() if name not in replaced}


def _metavar(flag: Flag) -> str:
    if flag.choices:
        return "{" + ",".join(flag.choices) + "}"
    for kind, shown in (("bool", "BOOL"), ("dict", "JSON"), ("list", "NAME"), ("float", "X"), ("int", "N")):
        if kind in flag.annotation:
            return shown
    return "TEXT"


def _help_line(flag: Flag) -> str:
    shown = "" if flag.default in (None, False) else f" (default: {flag.default})"
    return (flag.help + shown).replace("%", "%%")


def run_command(main: Callable[[], int | None]) -> int:
    """Runs a command; turns what the user can mend into one sentence and exit code 2.

    Returns:
        The exit code: what the command returns (0 for None), 2 for bad input, 130 after Ctrl-C, 141 where whoever read
        the output, such as ``head``, went away.
    """
    import sys

    try:
        code = main() or 0
        sys.stdout.flush()  # what is left would break the pipe at the very end, where no one catches it
        return code
    except BrokenPipeError:
        if not _abandoned():
            raise
        return 141
    except UserError as error:
        print(f"hfcls: {sentence_of(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"\nhfcls: {str(interrupt) or 'stopped.'}", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno is None or (error.filename is None and error.errno not in {27, 28, 122}):
            raise
        where = f" {error.filename}" if error.filename else ""
        print(f"hfcls: {error.strerror}:{where or ' the output directory cannot be written'}.", file=sys.stderr)
        return 2


def _abandoned() -> bool:
    """Whether no one reads what is printed any more; what is still to be printed then goes nowhere."""
    import os
    import select
    import sys

    gone = False
    for stream in (sys.stdout, sys.stderr) if hasattr(select, "poll") else ():
        try:
            poll = select.poll()
            poll.register(stream.fileno(), 0)
            closed = any(event & select.POLLERR for _, event in poll.poll(0))
        except (OSError, ValueError):  # no file behind it
            continue
        if closed:
            gone = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
    return gone


def sentence_of(error: UserError) -> str:
    """The sentence itself, also where a data loader's worker wrapped it into a traceback."""
    return re.split(r"hfcls\.errors\.(?:UserError|BadImage): ", str(error))[-1].strip()


def dump_yaml(values: dict[str, Any]) -> str:
    """YAML that `--config` reads back."""
    return yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False, allow_unicode=True)
