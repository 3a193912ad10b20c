"""``hfcls explain``: a model and images in; heat maps, what each is worth, and a page out."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfcls.arguments import DataArguments, only
from hfcls.command_arguments import EXPLAINER_NAMES, ExplainArguments
from hfcls.errors import UserError, suggest
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Shows which parts of an image speak for its class, by several methods, and measures which to believe.

Images as for `hfcls predict`. A run directory needs none: the surest mistakes of its own test split, and some right
answers, are explained.

examples:
  hfcls explain runs/photos photo.jpg
  hfcls explain runs/photos photo.jpg --method grad-cam lime --top_k 2
  hfcls explain runs/photos --method fast --faithfulness
  hfcls explain user/name photos.zip --target tulips --max_images 50

After Ctrl-C the page shows what was done; the same command with --resume goes on."""

_DATA_FLAGS = (
    *("dataset_name", "dataset_config_name", "dataset_revision", "image_column_name", "image_dir"),
    "max_image_pixels",
)


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("explain", DESCRIPTION, positionals="MODEL [IMAGE ...] ")
    parser.add_argument("model", metavar="MODEL", help="run directory, checkpoint, or Hub id (user/name[@revision])")
    parser.add_argument(
        *("images",),
        metavar="IMAGE",
        nargs="*",
        help="image file, folder, zip or tar, table of paths, Parquet file, saved data set",
    )
    parser.add_flags("explanation", flags_of(ExplainArguments))
    parser.add_flags("data", [flag for flag in flags_of(DataArguments) if flag.name in _DATA_FLAGS])
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and explains."""
    write_explanations(build_parser().values(argv))


def write_explanations(values: dict[str, Any]) -> Path:
    """Explains images, from flags to a folder.

    Args:
        values: flags by name, ``model``, and ``images`` (paths), unless they are to be a run's own.

    Returns:
        The folder: ``index.html``, ``explanations.json``, ``explanations.csv``, ``pictures/``.

    Raises:
        UserError: bad input, or nothing could be explained; see the message.
    """
    if not values.get("model"):
        raise UserError("No model: give a run directory, a checkpoint or a Hub id.")
    model, images = str(values["model"]), _paths(values.get("images"))
    values = build_parser().check({name: v for name, v in values.items() if name not in {"model", "images"}})
    arguments, data_arguments = only(ExplainArguments, values), only(DataArguments, values)
    output = _check(model, arguments, data_arguments, images)

    from accelerate import Accelerator

    from hfcls.explain.album import Album, Plan, choose_methods
    from hfcls.models import load_classifier
    from hfcls.pull import local_model

    directory = local_model(model, allow_pickle=arguments.allow_pickle)
    classifier = load_classifier(
        model, directory=directory, trust_remote_code=arguments.trust_remote_code, allow_pickle=arguments.allow_pickle
    )
    classifier.model.to(Accelerator(cpu=arguments.use_cpu).device).eval()
    target = _target(arguments.target, classifier.class_names)
    methods, left_out = choose_methods(arguments.method, classifier.model)
    data, true, source, notices = _images(model, directory, images, data_arguments, values, arguments)
    notices = [*notices, *classifier.notices, *left_out]
    settings = _settings(classifier, arguments, data)
    album = Album(model, source, settings, methods, notices=notices)
    if arguments.resume and (output / "explanations.json").is_file():
        album = _resumed(album, Album.load(output), output)
    plan = Plan(
        tuple(methods),
        target,
        min(arguments.top_k, len(classifier.class_names)),
        arguments.faithfulness,
        arguments.seconds,
        arguments.passes,
        arguments.seed,
        max_pixels=data_arguments.max_image_pixels,
    )
    _open(output, overwrite=arguments.overwrite)
    for notice in notices:
        print(f"note: {notice}", file=sys.stderr)
    with _whatever_ends_it(album, output):
        _fill(album, classifier, plan, data, true, output)
    return output


def _paths(images: Any) -> list[str]:
    return [str(path) for path in ([images] if isinstance(images, str | Path) else images or [])]


def _check(model: str, arguments: ExplainArguments, data: DataArguments, images: list[str]) -> Path:
    """What can be said before anything heavy is imported; returns where the explanations go."""
    if images and data.dataset_name is not None:
        raise UserError(f"{images[0]!r} and --dataset_name both say what to explain: give one of them.")
    if model.startswith((".", "/", "~", "runs/")) and not Path(model).expanduser().exists():
        raise UserError(f"The model {model} does not exist: expected a run directory, a checkpoint or a Hub id.")
    if not images and data.dataset_name is None and not (Path(model) / "run.yaml").is_file():
        raise UserError(
            f"Nothing to explain: {model} is no run with a test split of its own; give IMAGE [IMAGE ...] or "
            "--dataset_name NAME."
        )
    for path in images:
        if not Path(path).exists():
            raise UserError(f"{path} does not exist: expected an image, a folder, a zip or tar, a table or a data set.")
    for name in ("top_k", "max_images", "passes"):
        if (getattr(arguments, name) or 1) < 1 or getattr(arguments, name) == 0:
            raise UserError(f"--{name} is {getattr(arguments, name)}: expected a whole number from 1 on.")
    if arguments.seconds is not None and not 0 < arguments.seconds < float("inf"):
        raise UserError(f"--seconds is {arguments.seconds:g}: expected a number above 0.")
    if arguments.seed < 0:
        raise UserError(f"--seed is {arguments.seed}: expected a whole number from 0 on.")
    if arguments.target is not None and arguments.top_k > 1:
        raise UserError("--target and --top_k both say which classes to explain: give one of them.")
    if arguments.resume and arguments.overwrite:
        raise UserError("--overwrite and --resume contradict each other: give one of them.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("explain runs in one process: start it without a launcher, with images of its own each time.")
    for name in arguments.method or []:
        if name in ("fast", "all", *EXPLAINER_NAMES):
            continue
        if Path(name).exists():
            raise UserError(f"--method is followed by {name!r}, which is a file: name images before the flags.")
        known = ", ".join(EXPLAINER_NAMES)
        raise UserError(
            f"Unknown explainer {name!r}.{suggest(name, EXPLAINER_NAMES)} Choose fast, all, or some of: {known}."
        )
    output = Path(arguments.output_dir) if arguments.output_dir else _default_output(model, images, data.dataset_name)
    _check_output(output, [*images, *([data.dataset_name] if data.dataset_name else [])], arguments)
    return output


def _check_output(output: Path, sources: list[str], arguments: ExplainArguments) -> None:
    """Explanations replace nothing that someone may want to keep, and are not read as images next time."""
    for parent in (output, *output.parents):
        if parent.exists() and not parent.is_dir():
            raise UserError(f"--output_dir {output} cannot be made: {parent} is a file. Choose another place.")
    for source in map(Path, sources):
        if source.is_dir() and output.resolve().is_relative_to(source.resolve()):
            raise UserError(
                f"--output_dir {output} lies in the images, {source}, and would be read as part of them next time: "
                "choose another place."
            )
    if not output.is_dir() or not any(output.iterdir()):
        return
    if not (output / "explanations.json").is_file():
        raise UserError(f"--output_dir {output} holds files that are no explanations: choose another place.")
    if not arguments.resume and not arguments.overwrite:
        raise UserError(
            f"{output} holds explanations: go on with --resume, replace them with --overwrite, or choose another "
            "--output_dir."
        )


def _default_output(model: str, images: list[str], dataset_name: str | None) -> Path:
    """Named after the images, so that one explanation does not take another's place."""
    from hashlib import blake2b

    path = Path(model)
    base = path if path.is_dir() else Path("runs") / model.replace("/", "--")
    named = images or ([dataset_name] if dataset_name else [])
    if not named:
        return base / "explanations" / "own"
    places = [str(Path(name).resolve()) if Path(name).exists() else name for name in named]
    digest = blake2b("\0".join(places).encode("utf-8", "surrogateescape"), digest_size=3).hexdigest()
    return base / "explanations" / f"{Path(places[0]).stem[:40]}-{digest}"


def _target(name: str | None, class_names: tuple[str, ...]) -> int | None:
    """Index of the class of that name."""
    from hfcls.structures import find_class

    return None if name is None else find_class(class_names, name)


def _images(
    model: str,
    directory: Path,
    images: list[str],
    data_arguments: DataArguments,
    values: dict[str, Any],
    arguments: ExplainArguments,
) -> tuple[Any, list[str | None], str, list[str]]:
    """The images, their classes where they are known, which they are in words, and notices."""
    count = arguments.max_images
    if not images and data_arguments.dataset_name is None:
        from hfcls.training.telling_images import choose_telling_images

        given = {name: value for name, value in values.items() if name in _DATA_FLAGS}
        found = choose_telling_images(model, directory, given, count=count, seed=arguments.seed)
        right = len(found.true) - found.mistakes
        source = f"its own {found.split} split: the {found.mistakes} surest mistakes and {right} right answers"
        return found.data, [*found.true], source, [*found.notices]
    from hfcls.data.images import load_images

    loaded = load_images(images, data_arguments)
    notices = list(loaded.notices)
    data = loaded.data
    if len(data) > count:
        notices.append(f"{count:,} of {len(data):,} images, the first, are explained: --max_images says how many.")
        data = data.select(range(count))
    return data, [None] * len(data), "", notices


def _settings(classifier: Any, arguments: ExplainArguments, data: Any) -> dict[str, Any]:
    """What has to be the same again when the explanations are resumed."""
    from hfcls.evaluation.fingerprints import classifier_digest, ids_digest

    return {
        "model digest": classifier_digest(classifier),
        "digest of the list of images": ids_digest(data),
        **{f"--{name}": getattr(arguments, name) for name in ("target", "top_k", "faithfulness")},
        **{f"--{name}": getattr(arguments, name) for name in ("seconds", "passes", "seed")},
    }


def _resumed(new: Any, old: Any, output: Path) -> Any:
    """The album that is there, if it is of the same images; methods may come on top."""
    for name, value in new.settings.items():
        if old.settings.get(name) != value:
            raise UserError(
                f"{output} was made with another {name} ({_told(old.settings.get(name))}, now {_told(value)}): "
                "give the same, or start anew with --overwrite."
            )
    # What failed is tried again: a package may be there now.
    new.images = [image for image in old.images if image.error is None]
    for image in new.images:
        image.maps = [one for one in image.maps if one.error is None]
    new.methods = list(dict.fromkeys([*old.methods, *new.methods]))
    return new


def _told(value: Any) -> str:
    """A setting for people."""
    return "not given" if value is None else {True: "yes", False: "no"}.get(value, str(value))


def _open(output: Path, *, overwrite: bool) -> None:
    """Makes the folder; what it held goes if it is to be replaced."""
    import shutil

    if overwrite and output.is_dir():
        shutil.rmtree(output / "pictures", ignore_errors=True)
        for name in ("explanations.json", "explanations.csv", "index.html"):
            (output / name).unlink(missing_ok=True)
    output.mkdir(parents=True, exist_ok=True)


def _fill(album: Any, classifier: Any, plan: Any, data: Any, true: list[str | None], output: Path) -> None:
    from datasets import Image
    from tqdm.auto import tqdm

    from hfcls.explain.album import TITLES, Filler

    stored = data.select_columns(["id", "image"]).cast_column("image", Image(decode=False))
    total = len(data) * len(plan.methods) * (plan.top_k if plan.target is None else 1)
    with tqdm(total=total, desc="Explaining", unit="map", leave=False, disable=None, dynamic_ncols=True) as bar:

        def tell(method: str, done: int, expected: int | None) -> None:
            bar.set_postfix_str(f"{TITLES[method]}, {done}{f' of {expected}' if expected else ''} passes")

        def step() -> None:
            bar.update()

        filler = Filler(album, classifier, plan, directory=output, tell=tell, step=step)
        filler.fill((row["id"], row["image"], label) for row, label in zip(stored, true, strict=True))


@contextmanager
def _whatever_ends_it(album: Any, output: Path) -> Iterator[None]:
    """The table and the page of what was done, also after Ctrl-C.

    Raises:
        UserError: nothing could be explained.
    """
    from hfcls.explain.album import why_nothing

    try:
        yield
    except KeyboardInterrupt:
        if not any(one.error is None for _, one in album.maps()):
            raise
        page = _write(album, output)
        maps = sum(one.error is None for _, one in album.maps())
        raise KeyboardInterrupt(
            f"Stopped after {maps:,} maps, all kept: {page}. The same command with --resume goes on."
        ) from None
    if not any(one.error is None for _, one in album.maps()):
        _forget(output)
        raise UserError(why_nothing(album))
    _write(album, output, say=True)


def _forget(output: Path) -> None:
    """Nothing was explained: what is left would only stand in the way of the next try."""
    (output / "explanations.json").unlink(missing_ok=True)
    for folder in (output / "pictures", output):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _write(album: Any, output: Path, *, say: bool = False) -> Path:
    """Table and page from the album; returns the page."""
    from hfcls.explain.album import COLUMNS, describe, judge, problems, save_page, table_rows
    from hfcls.inspection.tables import write_table

    worth = judge(album)
    write_table(output / "explanations.csv", COLUMNS, table_rows(album))
    page = output / "index.html"
    save_page(page, album, worth)
    if say:
        print(describe(album, worth))
        for line in problems(album):
            print(f"note: {line}", file=sys.stderr)
        print(
            f"page        {page}\nfigures     {output / 'explanations.json'}\nmaps        {output / 'explanations.csv'}"
        )
    return page
