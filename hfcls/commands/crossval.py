"""``hfcls crossval``: folds → a training for each → out-of-fold predictions → mean, spread, interval → report."""

from pathlib import Path
from shlex import quote
from typing import Any

from hfcls.arguments import only
from hfcls.command_arguments import CrossvalArguments
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Trains once for each fold of the data, and measures each network on the images that it was not given:
mean, spread and interval of every metric, and predictions of all images by networks that have not seen them.

Takes the flags of `hfcls train`. The same command again goes on after a stop or a kill.

examples:
  hfcls crossval --train_dir photos --architecture resnet18 --image_size 64 --output_dir runs/folds
  hfcls crossval --train_dir photos --group_column_name patient --model_name_or_path CHECKPOINT --output_dir runs/folds
  hfcls crossval --dataset_name digits --architecture simple_cnn --repeats 5 --processes 2 --output_dir runs/folds
  hfcls crossval --config runs/photos/run.yaml --keep_ensemble --output_dir runs/folds"""

SETTINGS = "crossval.yaml"


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("crossval", DESCRIPTION)
    parser.add_config()
    parser.add_flags("cross-validation", flags_of(CrossvalArguments))
    parser.add_training(without=frozenset(("resume_from_checkpoint",)))
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and cross-validates."""
    crossval(build_parser().values(argv))


def crossval(values: dict[str, Any]) -> dict[str, Any]:
    """One cross-validation, from flags to a directory with all its runs and a report.

    Args:
        values: flags by name, as on the command line.

    Returns:
        What ``crossval.json`` holds.

    Raises:
        UserError: bad input; see the message.
    """
    values = build_parser().check(values)
    arguments = only(CrossvalArguments, values)
    _check(values, arguments)
    from hfcls.training.crossval import gather, keep_ensemble, train_folds
    from hfcls.training.dealing import assign_all, check_pool, deal, load_pool
    from hfcls.training.series import alone, check_place, settle

    directory = Path(values["output_dir"]).expanduser()
    flags = {name: value for name, value in values.items() if name not in _own_flags()}
    given: dict[str, Any] = {**values, **vars(arguments)}
    place: dict[str, Any] = {"file": SETTINGS, "command": "crossval", "overwrite": arguments.overwrite_output_dir}
    begun = check_place(directory, given, **place)
    pool, loaded = load_pool(flags)
    assigned = assign_all(pool, flags, arguments)
    with alone(directory):
        settle(directory, given, **place)
        check_pool(directory, pool, loaded)
        folds = deal(directory, pool, {"disable_tqdm": True, **flags}, assigned)
        for notice in loaded.notices:
            print(f"note: {notice}", flush=True)
        print(_headline(loaded.source, pool, folds, arguments, begun=begun), flush=True)
        try:
            train_folds(folds, processes=arguments.processes, done=_Teller(len(folds)))
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Stopped, all saved. The same command goes on.") from None
        ensemble = keep_ensemble(directory, folds) if arguments.keep_ensemble else None
        content = gather(directory, folds, pool, arguments, ensemble=ensemble)
        page = _save_page(directory, loaded)
    print(_results_text(content, directory, page))
    return content


def _own_flags() -> set[str]:
    """Those that `hfcls train` does not know, or that are for all folds together."""
    return {flag.name for flag in flags_of(CrossvalArguments)} - {"cache_gb"}


def _check(values: dict[str, Any], arguments: CrossvalArguments) -> None:
    """What can be said before anything heavy is imported.

    Raises:
        UserError: a flag is missing, out of range or without effect.
    """
    import os

    from hfcls.training.flags import check_training

    check_training(values)
    for name, least in (("folds", 2), ("repeats", 1), ("processes", 1)):
        if getattr(arguments, name) < least:
            raise UserError(f"--{name} is {getattr(arguments, name)}: expected {least} or more.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            "A launcher started several processes: start one, and say --processes to train folds side by side."
        )


class _Teller:
    """A line for each fold that is done."""

    def __init__(self, total: int):
        from time import perf_counter

        self._total, self._done, self._trained = total, 0, 0
        self._clock, self._start = perf_counter, perf_counter()

    def __call__(self, fold: Any, seconds: float) -> None:
        from hfcls.training.crossval import fold_figures

        self._done += 1
        self._trained += seconds > 1
        figures = fold_figures(fold)["headline"]
        accuracy, loss = figures["accuracy"]["value"], figures["log_loss"]["value"]
        left = ""
        if self._done < self._total and self._trained:
            left = (
                f"; about {_duration((self._clock() - self._start) / self._trained * (self._total - self._done))} left"
            )
        print(
            f"{self._done:>3} of {self._total}  {fold.name}: accuracy {accuracy:.4f}, log loss {loss:.4f}{left}",
            flush=True,
        )


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _headline(source: str, pool: Any, folds: list[Any], arguments: CrossvalArguments, *, begun: bool) -> str:
    from hfcls.training.crossval import is_done

    done = sum(is_done(fold.run_dir) for fold in folds)
    groups = f" in {len(set(pool.groups)):,} groups" if pool.groups else ""
    again = f", dealt out {arguments.repeats} times" if arguments.repeats > 1 else ""
    side = f", {arguments.processes} side by side" if arguments.processes > 1 else ""
    lines = [
        f"data      {source}: {len(pool.ids):,} images{groups}, {len(pool.class_names)} classes",
        *([f"          left out: {pool.left_out}"] if pool.left_out else []),
        f"folds     {arguments.folds}{again}: {len(folds)} trainings{side}",
        *([f"resumed   {done} of {len(folds)} trainings are done"] if begun else []),
    ]
    return "\n".join(lines)


def _save_page(directory: Path, loaded: Any) -> Path:
    """The report on the out-of-fold predictions, with the images of the mistakes."""
    from datasets import concatenate_datasets

    from hfcls.data.pictures import Pictures
    from hfcls.evaluation.report import save_report

    parts = [loaded.splits[split] for split in ("train", "validation") if split in loaded.splits]
    pictures = Pictures(concatenate_datasets(parts), max_pixels=loaded.max_image_pixels)
    return save_report(directory, pictures=pictures)


def _results_text(content: dict[str, Any], directory: Path, page: Path) -> str:
    lines = []
    for name, title in (
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced"),
        ("f1_macro", "F1 macro"),
        ("log_loss", "log loss"),
    ):
        one = content["metrics"][name]
        text = (
            one["reason"]
            if one["mean"] is None
            else f"{one['mean']:.4f} ± {one['std']:.4f} [{one['low']:.4f}, {one['high']:.4f}]"
        )
        lines.append(f"{title:<10}  {text}")
    runs = len(content["runs"])
    ensemble = content.get("ensemble")
    where = [f"ensemble    {directory / ensemble['path']}: {ensemble['members']} networks"] if ensemble else []
    return "\n".join(
        [
            "",
            *lines,
            f"            mean ± deviation of {runs} trainings [95 % interval of the mean; they share images]",
            "",
            f"runs        {directory / 'folds'}",
            *where,
            f"report      {page}",
            f"next        hfcls inspect DATA --label_errors {quote(str(directory))}",
        ]
    )
