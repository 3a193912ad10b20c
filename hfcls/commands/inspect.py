"""``hfcls inspect``: a data set in; counts, findings, a page with pictures and, where asked for, a cleaned list out."""

import shlex
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from hfcls.arguments import AugmentationArguments, DataArguments, only
from hfcls.command_arguments import InspectArguments
from hfcls.errors import UserError
from hfcls.parsing import Flag, Parser, flags_of

DESCRIPTION = """Looks at a data set before it is trained on: counts, sizes, broken images, exact and near duplicates
within and across splits, classes and labels that do not fit. Exit code 1 where something would spoil a training.
With out-of-fold predictions it finds wrong labels, with a classifier outliers and near duplicates that pixels hide.

DATA is a folder, archive, table, saved data set or Hub id; the data flags do as well.

examples:
  hfcls inspect photos
  hfcls inspect photos.zip --fix photos.csv
  hfcls inspect photos --augmentation strong --rotation 15
  hfcls inspect photos --label_errors runs/folds --features runs/photos
  hfcls inspect --train_dir photos/train --test_dir photos/test"""

# Data flags that say how a training uses the data, not what the data is.
_OF_TRAINING = frozenset(
    (
        *("validation_fraction", "test_fraction", "split_seed", "on_bad_image", "streaming", "shuffle_buffer_size"),
        *("max_train_samples", "max_eval_samples", "max_test_samples"),
    )
)
# What a cleaned list holds already: its labels are mapped, its groups found, its images chosen.
_IN_THE_LIST = frozenset(("samples", "class_mapping", "exclude", "relabel", "group_pattern"))
_DATA_FLAGS = ("dataset_name", "train_dir", "validation_dir", "test_dir")


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("inspect", DESCRIPTION, positionals="[DATA] ")
    parser.add_argument("data", metavar="DATA", nargs="?", help="what --dataset_name takes")
    parser.add_config()
    parser.add_flags("data", [flag for flag in flags_of(DataArguments) if flag.name not in _OF_TRAINING])
    parser.add_flags("inspection", flags_of(InspectArguments))
    parser.add_flags("augmentation: shown on some images, as `hfcls train` would draw it", _augmentation_flags())
    return parser


def _augmentation_flags() -> list[Flag]:
    """Those of a training; nothing is chosen here where they are left out."""
    what = "what the images are, or a policy: sets the dials below (no augmentation is shown if all are left out)"
    return [replace(f, help=what) if f.name == "augmentation" else f for f in flags_of(AugmentationArguments)]


def main(argv: list[str]) -> int:
    """Parses the flags and inspects; returns the exit code."""
    content = inspect(build_parser().values(argv))
    return int(any(finding["severity"] == "error" for finding in content["findings"]))


def inspect(values: dict[str, Any]) -> dict[str, Any]:
    """One inspection, from flags to files.

    Args:
        values: flags by name, and ``data``.

    Returns:
        What ``inspection.json`` holds.

    Raises:
        UserError: bad input; see the message.
    """
    arguments, settings, augmentation, name, output = _plan(values)
    plan = _plan_augmentations(augmentation, settings)
    judge = _plan_judging(settings)
    if judge:
        _check_suspects(output / "suspects.csv", arguments)

    from hfcls.data.sources import read_data
    from hfcls.files import write_json
    from hfcls.inspection.checks import find_all
    from hfcls.inspection.fix import clean, save_cleaned
    from hfcls.inspection.images import Images
    from hfcls.inspection.page import save_page
    from hfcls.inspection.scan import scan_images
    from hfcls.inspection.summary import build_summary, describe, save_images_table

    raw = read_data(arguments)
    output.mkdir(parents=True, exist_ok=True)
    images = Images(raw.splits)
    facts = scan_images(images, max_pixels=arguments.max_image_pixels)
    judged = judge and judge(images, facts, max_pixels=arguments.max_image_pixels)
    findings = find_all(images, facts, raw.notices, judged.findings if judged else ())
    content = build_summary(images, facts, findings, source=raw.source)
    write_json(output / "inspection.json", content)
    save_images_table(output / "images.csv", images, facts, findings)
    page = output / "index.html"
    sizes: dict[str, Any] = {"max_pixels": arguments.max_image_pixels}
    augmented = plan and plan(images, facts, **sizes)
    suspected, tables = _save_judged(output, judged, images, name=name, **sizes)
    shown: dict[str, Any] = {"augmented": augmented, "suspects": suspected}
    save_page(page, images, facts, findings, name=name, source=raw.source, **shown, **sizes)
    print(describe(images, facts, findings, source=raw.source))
    print(f"\npage        {page}\nfigures     {output / 'inspection.json'}\nimages      {output / 'images.csv'}")
    for title, table in tables:
        print(f"{title:<12}{table}")
    if augmented:
        print(f"augmented   {page}#augmentation: {augmented.summary}")
    if settings.fix:
        cleaned = clean(images, facts)
        removed = save_cleaned(cleaned, images, Path(settings.fix))
        groups = f", {cleaned.near:,} groups of near duplicates" if cleaned.near else ""
        print(f"kept        {settings.fix}: {int(cleaned.stays.sum()):,} of {len(images):,} images{groups}")
        counts = ", ".join(f"{n:,} {kind}" for kind, n in cleaned.counts.items()) or "nothing"
        print(f"left out    {removed}: {counts}")
    elif any(finding.fixable for finding in findings):
        command = ["hfcls", "inspect", *_flags(arguments), "--fix", f"{name}.csv"]
        print(f"to clean    {shlex.join(command)}")
    if "train" in images.splits and (settings.fix or all(finding.severity != "error" for finding in findings)):
        listed = [*_flags(arguments, without=_IN_THE_LIST), "--samples", str(settings.fix)]
        data = listed if settings.fix else _flags(arguments)
        sized = ["--image_size", str(augmented.side)] if augmented else []
        data += [*_flags(augmentation), "--architecture", "simple_cnn", *sized]
        command = ["hfcls", "train", *data, "--output_dir", f"runs/{name}"]
        print(f"to train    {shlex.join(command)}")
    return content


def _plan(values: dict[str, Any]) -> tuple[DataArguments, InspectArguments, AugmentationArguments, str, Path]:
    """What is read, what is asked for, what is shown of augmentations, the data set's name, where the results go."""
    data = values.get("data")
    given = [name for name in _DATA_FLAGS if values.get(name)]
    if data is not None and given:
        raise UserError(f"{data!r} and --{given[0]} both say where the data is: give one of them.")
    if data is None and not given:
        raise UserError("No data: give a folder, an archive, a table or a Hub id, as in `hfcls inspect photos`.")
    checked = build_parser().check({name: value for name, value in values.items() if name != "data"})
    if data is not None:
        checked["dataset_name"] = str(data)
    arguments, settings = only(DataArguments, checked), only(InspectArguments, checked)
    place = str(next(getattr(arguments, name) for name in _DATA_FLAGS if getattr(arguments, name)))
    path = Path(place)
    name = path.resolve().name if path.exists() else place.strip("/").replace("/", "--")
    name = name.partition(".")[0] or name if path.is_file() else name
    output = Path(settings.output_dir or Path("inspection", name))
    sources = [Path(getattr(arguments, flag)) for flag in _DATA_FLAGS if getattr(arguments, flag)]
    for source in sources:
        if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
            raise UserError(
                f"--output_dir {output} lies in the data, {source}, and would be read as part of it next time: "
                "choose another place."
            )
    if (output / "index.html").exists() and not (output / "inspection.json").exists():
        raise UserError(f"--output_dir {output} holds an index.html that no inspection wrote: choose another place.")
    if settings.fix:
        own = (arguments.samples, arguments.class_mapping, arguments.exclude, arguments.relabel)
        lists = [Path(given) for given in own if given]
        _check_fix(Path(settings.fix), [*sources, *lists], overwrite=settings.overwrite)
    elif settings.overwrite:
        raise UserError("--overwrite would have no effect without --fix.")
    return arguments, settings, only(AugmentationArguments, checked), name, output


def _plan_augmentations(arguments: AugmentationArguments, settings: InspectArguments) -> Callable[..., Any] | None:
    """What shows the augmentations that are asked for; None where none is."""
    if all(value is None for value in vars(arguments).values()):
        if settings.image_size is not None:
            raise UserError(
                "--image_size would have no effect: it goes with an augmentation, such as --augmentation standard."
            )
        return None
    from hfcls.inspection.augmented import augment_some, build_plan

    plan, dials = build_plan(arguments, settings.image_size)
    return partial(augment_some, plan=plan, dials=dials, image_size=settings.image_size)


def _plan_judging(settings: InspectArguments) -> Callable[..., Any] | None:
    """What asks classifiers of the images, read and loaded before anything takes long; None where none is to be asked.

    Raises:
        UserError: a flag would have no effect, or what it names is not to be had.
    """
    if not settings.features:
        for flag in ("use_cpu", "trust_remote_code", "allow_pickle"):
            if getattr(settings, flag):
                raise UserError(f"--{flag} would have no effect without --features.")
    if not settings.label_errors and not settings.features:
        return None
    from hfcls.extras import require
    from hfcls.inspection.judge import join_judged, judge_features, judge_labels, load_judge
    from hfcls.inspection.out_of_fold import read_out_of_fold

    asked: list[Callable[..., Any]] = []
    if settings.label_errors:
        place = Path(settings.label_errors)
        require("cleanlab", extra="labels")
        repeats = read_out_of_fold(place)
        asked.append(lambda images, facts, **_: judge_labels(images, repeats, place))
    if settings.features:
        trusted = {"trust_remote_code": settings.trust_remote_code, "allow_pickle": settings.allow_pickle}
        classifier = load_judge(settings.features, **trusted)
        asked.append(partial(judge_features, classifier=classifier, use_cpu=settings.use_cpu))
    return lambda images, facts, **sizes: join_judged([ask(images, facts, **sizes) for ask in asked])


def _check_suspects(path: Path, arguments: DataArguments) -> None:
    """The list of suspects takes the place of none that someone has worked on.

    Raises:
        UserError: it would.
    """
    from hfcls.inspection.suspects import is_worked_on

    if any(given and Path(given).resolve() == path.resolve() for given in (arguments.exclude, arguments.relabel)):
        raise UserError(f"{path} is read here and would be written anew: choose another --output_dir.")
    if is_worked_on(path):
        raise UserError(
            f"{path} was worked on (other columns, or labels in new_label): move it, or choose another --output_dir."
        )


def _save_judged(
    output: Path, judged: Any, images: Any, *, name: str, max_pixels: int
) -> tuple[str, list[tuple[str, str]]]:
    """Page and tables of the suspects; how many there are, in words, and lines for the screen."""
    if judged is None:
        return "", []
    from hfcls.inspection.suspects import describe_suspects
    from hfcls.inspection.suspects_page import save_suspects_page

    page = output / "suspects.html"
    tables = judged.save(output, images)
    save_suspects_page(page, images, judged.suspects, judged.findings, name=name, max_pixels=max_pixels)
    suspected = describe_suspects(judged.suspects)
    lines = [("suspects", f"{page}: {suspected}"), *(("", f"{path}: {what}") for path, what in tables)]
    return suspected, lines


def _check_fix(target: Path, sources: list[Path], *, overwrite: bool) -> None:
    """The cleaned list and the list beside it replace nothing that someone may want to keep."""
    if target.suffix.lower() != ".csv" or target.is_dir():
        raise UserError(f"--fix {target}: expected the name of a file that ends in .csv.")
    from hfcls.inspection.fix import KEPT_COLUMNS, REMOVED_COLUMNS, removed_list
    from hfcls.inspection.tables import has_header

    for path, columns in ((target, KEPT_COLUMNS), (removed_list(target), REMOVED_COLUMNS)):
        for source in sources:
            if path.resolve() == source.resolve():
                raise UserError(f"--fix {target} would replace {path}, which is read here: choose another name.")
            if source.is_dir() and path.resolve().is_relative_to(source.resolve()):
                raise UserError(f"--fix {target} lies in the data, {source}: choose another place.")
        if not path.exists():
            continue
        if not path.is_file() or not has_header(path, columns):
            raise UserError(f"--fix would replace {path}, which it did not write: choose another name.")
        if not overwrite:
            raise UserError(f"--fix would replace {path}: choose another name, or add --overwrite.")


def _flags(arguments: DataArguments | AugmentationArguments, *, without: frozenset[str] = frozenset()) -> list[str]:
    """The flags as they were given."""
    given = []
    for field in fields(arguments):
        value = getattr(arguments, field.name)
        if value != field.default and field.name not in without:
            given += [f"--{field.name}", f"{value:g}" if isinstance(value, float) else str(value)]
    return given
