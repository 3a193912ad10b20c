"""``hfcls search``: a space of settings → many trainings → a table and a page → the best run."""

import os
from pathlib import Path
from shlex import quote
from typing import Any

from hfcls.arguments import only
from hfcls.command_arguments import SearchArguments
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Tries many settings of a training and keeps the best. Every other flag is one of `hfcls train`.

Trials are compared on the validation split; no test image is looked at before the end. The same command again goes on
after a stop, or joins in as another worker, on this machine or on another one that shares the directory.

space.yaml, for example:
  learning_rate: {low: 1e-4, high: 1e-1, log: true}   # a range; with step: 5 for a coarser one
  weight_decay: [0, 1e-4, 0.05]                       # choices
  num_train_epochs: {low: 3, high: 10, step: 1}

examples:
  hfcls search --space space.yaml --trials 30 --dataset_name digits --architecture simple_cnn --output_dir searches/one
  hfcls search --space space.yaml --hours 8 --pruner median --workers 2 --train_dir photos --architecture resnet18 ...
  hfcls search --space space.yaml --strategy grid --refit --train_dir photos --architecture lenet5 ...
  hfcls search --config searches/one/search.yaml                # go on, or one more worker"""
# Each trial decides these itself, or they would have no effect.
_WITHOUT = frozenset(("output_dir", "resume_from_checkpoint", "report_to", "run_name"))


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("search", DESCRIPTION)
    parser.add_config()
    parser.add_flags("search", flags_of(SearchArguments))
    parser.add_training(without=_WITHOUT)
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and searches."""
    parser = build_parser()
    config = getattr(parser.parse_known_args(argv)[0], "config", None)
    search_hyperparameters(_places_of(config) | parser.values(argv))


def _places_of(config: str | None) -> dict[str, Any]:
    """Where the search lies whose own ``search.yaml`` is the config, from wherever it is called."""
    if config is None:
        return {}
    from hfcls.search.folder import SETTINGS, SPACE

    file = Path(config)
    if file.name != SETTINGS or not (file.parent / SPACE).is_file():
        return {}
    return {"space": str(file.parent / SPACE), "output_dir": str(file.parent)}


def search_hyperparameters(values: dict[str, Any]) -> dict[str, Any]:
    """One search, from flags to the best run; goes on with one that was stopped.

    Args:
        values: flags by name, as on the command line.

    Returns:
        What ``search.json`` holds.

    Raises:
        UserError: bad input; see the message.
        KeyboardInterrupt: Ctrl-C; all is saved.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("hfcls search starts its own processes: run it without a launcher, with --workers.")
    plan, values = _plan(values)
    from hfcls.models import check_architecture
    from hfcls.search.best import check_data, keep_best
    from hfcls.search.folder import open_folder
    from hfcls.search.page import write_page
    from hfcls.search.study import SearchStudy
    from hfcls.search.table import write_table
    from hfcls.search.worker import print_line, run_workers, work

    if plan.fixed.get("architecture") is not None:
        check_architecture(plan.fixed["architecture"])
    overwrite = bool(values.get("overwrite_output_dir"))
    goes_on = open_folder(plan, values, check_data(plan), overwrite=overwrite)
    study = SearchStudy(plan)
    print_line(_headline(plan, study, goes_on))
    again = f"hfcls search --config {quote(str(plan.folder / 'search.yaml'))}"
    try:
        work(plan, print_line) if plan.workers == 1 else run_workers(plan, print_line)
        if not study.is_over():
            write_page(study)
            print_line(f"\nOther processes still train {len(study.running())} trials: who is last writes the best run.")
            return write_table(study)
        kept = keep_best(study, print_line)
    except KeyboardInterrupt as stop:
        write_page(study)
        done = sum(one.state.is_finished() for one in study.trials())
        said = str(stop) if str(stop).startswith("Stopped at once") else f"Stopped after {done} trials, all saved."
        raise KeyboardInterrupt(f"{said} Go on with:\n  {again}") from None
    record = write_table(study, kept=kept)
    page = write_page(study)
    print_line(_results_text(study, kept, page))
    if kept is None:
        raise UserError(f"No trial came to its end, so there is no best run; {page} has the reasons.")
    return record


def _plan(values: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What is searched, and the checked flags.

    Raises:
        UserError: bad input; see the message.
    """
    parser = build_parser()
    values = parser.check(values)
    arguments = only(SearchArguments, values)
    own = {flag.name for flag in flags_of(SearchArguments)} - {"cache_gb"}
    fixed = {name: value for name, value in values.items() if name not in own}
    if not arguments.space:
        raise UserError("No --space: give a YAML file of what may vary; `hfcls search --help` shows one.")
    if not arguments.output_dir:
        raise UserError("No --output_dir: say where the search goes, such as --output_dir searches/first.")
    from hfcls.extras import require

    require("optuna", extra="search")
    from hfcls.search.plan import make_plan
    from hfcls.search.space import read_space
    from hfcls.training.flags import check_training

    space = read_space(arguments.space, parser, fixed, grid=arguments.strategy == "grid")
    varied = {one.name: "varied" for one in space.dimensions if one.name in ("architecture", "model_name_or_path")}
    check_training({**fixed, **varied, "output_dir": arguments.output_dir})
    return make_plan(arguments, space, fixed), values


def _headline(plan: Any, study: Any, goes_on: bool) -> str:
    from hfcls.search import STRATEGIES
    from hfcls.search.table import value_text

    shown = []
    for one in plan.space.dimensions:
        if one.choices:
            shown.append(f"{one.name} {' | '.join(map(value_text, one.choices))}")
            continue
        how = f", step {one.step:g}" if one.step else ", log" if one.log else ""
        shown.append(f"{one.name} {one.low:g} to {one.high:g}{how}")
    ends = [f"{plan.trials} trials"] if plan.trials is not None else []
    ends += [f"{plan.hours:g} hours"] if plan.hours is not None else []
    lines = [
        f"space     {shown[0]}",
        *(f"          {line}" for line in shown[1:]),
        f"strategy  {plan.strategy}: {STRATEGIES[plan.strategy].title}; pruner {plan.pruner}",
        f"compared  validation {plan.metric}, {'higher' if plan.greater_is_better else 'lower'} is better",
        f"length    {' or '.join(ends)}, {plan.workers} at a time, seed {plan.seed}",
    ]
    if plan.startup and plan.trials is not None and plan.trials <= plan.startup:
        lines.append(
            f"note: All {plan.trials} trials are drawn at random: {plan.strategy} proposes after {plan.startup}. Raise "
            "--trials or lower --startup_trials."
        )
    if goes_on:
        done = sum(one.state.is_finished() for one in study.trials())
        lines.append(f"note: The search in {plan.folder} goes on: {done} trials are finished.")
    return "\n".join(lines)


def _results_text(study: Any, kept: dict[str, Any] | None, page: Any) -> str:
    """What was found, and where it is."""
    from hfcls.evaluation.measure import headline_text
    from hfcls.search.table import TABLE, value_text

    plan, best = study.plan, study.best()
    lines = [""]
    if best is None or kept is None:
        lines.append("best        none")
    else:
        params = ", ".join(f"{name} {value_text(value)}" for name, value in best.params.items())
        lines.append(f"best        trial {best.number + 1}: validation {plan.metric} {best.value:.4f}; {params}")
        lines.append("            (the best of many on these images: expect a little less on new ones)")
        lines += [f"refitted    {kept['refit']}"] if kept["refit"] else []
        lines += [f"test        {headline_text(kept['test'])}"] if kept["test"] else []
        lines.append(f"run         {plan.folder / 'best'}")
    lines += [f"page        {page}", f"table       {plan.folder / TABLE}"]
    if kept is not None:
        lines.append(f"next        hfcls predict {quote(str(plan.folder / 'best'))} IMAGE ...")
    return "\n".join(lines)
