"""``hfcls VERB``: finds the verb's file; imports nothing heavy before it knows the verb."""

import os
import sys
from importlib import import_module

VERBS = {
    "inspect": "look at a data set: counts, broken images, duplicates, leakage between splits",
    "train": "train or fine-tune a classifier, evaluate it, write the run directory",
    "crossval": "train once for each fold of the data: mean, spread, out-of-fold predictions",
    "search": "try many settings of a training, keep the best",
    "evaluate": "evaluate a model on any labelled data",
    "ensemble": "make one classifier of several: averages, greedy selection, soups, snapshots",
    "predict": "classify image files",
    "explain": "show which parts of an image speak for its class, and which explanation to believe",
    "demo": "show models on a web page: pictures in, answers, doubt and reasons out",
    "card": "write the model card of a run, or check any card",
    "push": "publish a finished run on the Hub",
    "models": "list the architectures",
}


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(_overview())
        return 0
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(version("hfcls"))
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        from hfcls.errors import suggest

        print(
            f"hfcls: unknown command {verb!r}.{suggest(verb, VERBS)} Choose one of: {', '.join(VERBS)}.",
            file=sys.stderr,
        )
        return 2
    from hfcls.parsing import run_command

    _quiet_libraries()
    command = import_module(f"hfcls.commands.{verb}")
    return run_command(lambda: command.main(rest))


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {what}" for verb, what in VERBS.items()]
    return "\n".join(
        [
            "usage: hfcls COMMAND [FLAGS]",
            "",
            "From a folder of labelled images to a measured image classifier.",
            "",
            "commands:",
            *lines,
            "",
            "`hfcls COMMAND --help` lists the flags of one. To try it:",
            "  hfcls train --dataset_name digits --architecture simple_cnn --output_dir runs/digits",
        ]
    )


def _quiet_libraries() -> None:
    """What the libraries have to say is for developers; what matters is said by hfcls itself."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


if __name__ == "__main__":
    sys.exit(main())
