"""``hfcls predict``: images in, classes out, to the screen or to a file."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hfcls.arguments import DataArguments, only
from hfcls.command_arguments import PredictArguments
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Classifies images: files, folders of them at any depth, archives, tables, data sets.

One row per image, in their order; an image that cannot be read gets a row that says why.

examples:
  hfcls predict runs/digits photo.png
  hfcls predict runs/photos new_photos --top_k 3 --output answers.csv
  hfcls predict runs/photos photos.zip more_photos --output answers.csv --resume
  hfcls predict runs/photos photos.parquet --image_column_name photo --probabilities --output answers.parquet
  hfcls predict google/vit-base-patch16-224 --dataset_name uoft-cs/cifar10 --output answers.jsonl

A file gets its name when it is whole; until then its rows wait beside it, in NAME.part. After Ctrl-C, a kill or a full
disk the same command with --resume goes on there, and the file ends up as if nothing had happened."""

_WHICH_IMAGES = ("dataset_config_name", "dataset_revision", "image_column_name", "image_dir")
_DATA_FLAGS = ("dataset_name", *_WHICH_IMAGES, "max_image_pixels")


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("predict", DESCRIPTION, positionals="MODEL IMAGE [IMAGE ...] ")
    parser.add_argument("model", metavar="MODEL", help="run directory, checkpoint, or Hub id (user/name[@revision])")
    images = parser.add_argument(
        *("images",),
        metavar="IMAGE",
        nargs="+",
        help="image file, folder, zip or tar, table of paths, Parquet file, saved data set",
    )
    images.required = False  # --dataset_name can stand for it
    parser.add_flags("prediction", flags_of(PredictArguments))
    parser.add_flags("data", [flag for flag in flags_of(DataArguments) if flag.name in _DATA_FLAGS])
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and predicts."""
    values = build_parser().values(argv)
    again = [word for word in argv if word != "--overwrite"]
    again += [] if values.get("resume") else ["--resume"]
    _predict(values, show=_show, again=f"Go on with:\n  hfcls predict {shlex.join(again)}")


def predict(values: dict[str, Any]) -> list[dict[str, Any]] | Path:
    """Classifies images.

    Args:
        values: flags by name, ``model``, and ``images`` (paths) unless ``dataset_name`` is there.

    Returns:
        ``output``, or without it a row per image: ``id``, ``predictions`` (each ``label`` and ``score``),
        ``probabilities`` by class if asked for, ``error`` (None where the image could be read).

    Raises:
        UserError: bad input; see the message.
    """
    rows: list[dict[str, Any]] = []
    output = _predict(values, show=rows.append, again="Go on with resume=True.")
    return rows if output is None else output


def _predict(values: dict[str, Any], *, show: Callable[[dict[str, Any]], None], again: str) -> Path | None:
    """One prediction run, from flags to a file, or to `show`, which is called with each row."""
    if not values.get("model"):
        raise UserError("No model: give a run directory, a checkpoint or a Hub id.")
    model, images = str(values["model"]), _paths(values.get("images"))
    values = build_parser().check({name: v for name, v in values.items() if name not in {"model", "images"}})
    arguments, data_arguments = only(PredictArguments, values), only(DataArguments, values)
    output = _check(arguments, data_arguments, images)

    from accelerate import Accelerator
    from tqdm.auto import tqdm

    from hfcls.data.images import load_images
    from hfcls.evaluation.answers import RowLayout
    from hfcls.evaluation.stream_predictions import predict_answers
    from hfcls.models import load_classifier
    from hfcls.pull import local_model

    directory = local_model(model, allow_pickle=arguments.allow_pickle)
    loaded = load_images(images, data_arguments)
    data = loaded.data
    classifier = load_classifier(
        model, directory=directory, trust_remote_code=arguments.trust_remote_code, allow_pickle=arguments.allow_pickle
    )
    device = Accelerator(cpu=arguments.use_cpu).device
    names = classifier.class_names
    trust, abstention = _trust(directory, classifier, arguments)
    layout = RowLayout(names, min(arguments.top_k, len(names)), arguments.probabilities, judged=trust is not None)
    part = None
    if output is not None:
        record = _record(arguments, data_arguments, classifier, loaded, device)
        record |= {"calibration.json": trust and trust.digest, "--abstain_at_risk": arguments.abstain_at_risk}
        part = _open_part(output, layout, record, arguments, len(data))
    _note(*loaded.notices, *classifier.notices, *(part.notices if part else ()))
    tally = _Tally(part.rows, part.failed) if part else _Tally()
    stream = predict_answers(
        classifier,
        data,
        device=device,
        batch_size=arguments.batch_size,
        num_workers=arguments.dataloader_num_workers,
        max_pixels=data_arguments.max_image_pixels,
        tta=arguments.tta,
        start=tally.done,
        trust=trust,
        abstention=abstention,
    )
    quiet = len(data) <= arguments.batch_size or None
    bar = tqdm(total=len(data), initial=tally.done, desc="Predicting", unit="img", disable=quiet, leave=False)
    with _stoppable(part, len(data), again), closing(stream), bar:
        for answers in stream:
            if part is not None:
                part.append(answers)
            else:
                for row in layout.rows(answers):
                    show(row)
            tally.add(answers)
            bar.update(len(answers))
        if part is not None:
            part.finish()
    _say_the_end(tally, output)
    return output


def _paths(images: Any) -> list[str]:
    return [str(path) for path in ([images] if isinstance(images, str | Path) else images or [])]


def _check(arguments: PredictArguments, data: DataArguments, images: list[str]) -> Path | None:
    """What can be said before anything heavy is imported; returns where the answers go."""
    if not images and data.dataset_name is None:
        raise UserError("Something to classify is required: IMAGE [IMAGE ...], or --dataset_name NAME.")
    if images and data.dataset_name is not None:
        raise UserError(f"{images[0]!r} and --dataset_name both say what to classify: give one of them.")
    if arguments.top_k < 1 or arguments.batch_size < 1 or (arguments.dataloader_num_workers or 0) < 0:
        raise UserError("--top_k and --batch_size are whole numbers from 1 on, --dataloader_num_workers from 0 on.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("predict runs in one process: start it without a launcher, with images of its own each time.")
    if arguments.output is None:
        for unused in ("resume", "overwrite"):
            if getattr(arguments, unused):
                raise UserError(f"--{unused} would have no effect: it goes with --output.")
        return None
    from hfcls.evaluation.answer_formats import format_for
    from hfcls.evaluation.part_file import check_output

    output = Path(arguments.output)
    format_for(output)
    for path in images or [str(data.dataset_name)]:
        if _is_source(output, Path(path)):
            raise UserError(f"--output {arguments.output!r} is one of the images' sources: choose another name.")
    check_output(output, resume=arguments.resume, overwrite=arguments.overwrite)
    return output


def _is_source(output: Path, path: Path) -> bool:
    """Whether the output is the source of images at that path, or a table or data file in that folder."""
    if not output.exists() or not path.exists():
        return False
    if output.samefile(path):
        return True
    if not path.is_dir() or not output.resolve().is_relative_to(path.resolve()):
        return False
    from hfcls.data.kinds import files_of

    # A Parquet file in a folder is data, even where something else there is read.
    return output.suffix.lower() == ".parquet" or any(output.samefile(file) for file in files_of(path))


def _record(
    arguments: PredictArguments, data_arguments: DataArguments, classifier: Any, images: Any, device: Any
) -> dict[str, Any]:
    """What has to be the same again when the run is resumed."""
    import torch

    from hfcls.evaluation.fingerprints import classifier_digest, ids_digest, sources_digest

    return {
        "the model": classifier_digest(classifier),
        "the number of images": len(images.data),
        "the list of images": ids_digest(images.data),
        **{f"--{name}": getattr(data_arguments, name) for name in _WHICH_IMAGES},
        "the state of the files": sources_digest(images),
        "--top_k": arguments.top_k,
        "--probabilities": arguments.probabilities,
        # None where there is none, as in the record of a run older than the flag.
        "--tta": None if arguments.tta == "none" else arguments.tta,
        "--batch_size": arguments.batch_size,
        "--max_image_pixels": data_arguments.max_image_pixels,
        "the device": device.type,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _trust(directory: Path, classifier: Any, arguments: PredictArguments) -> tuple[Any, Any]:
    """What was learned about the model's answers, and from which sureness on to answer.

    Raises:
        UserError: it cannot be read, or a wanted risk cannot be kept.
    """
    from hfcls.evaluation.trusted import choose_abstention_of, trust_of

    trust = trust_of(classifier, directory) if arguments.calibrated else None
    if trust is not None and arguments.tta != "none":
        # The mean over views is less sure than one view, and has other logits.
        _note("calibration.json is about single views: with --tta nothing is scaled or judged by it.")
        trust = None
    if arguments.abstain_at_risk is None:
        return trust, None
    if not arguments.calibrated or arguments.tta != "none":
        raise UserError("--abstain_at_risk goes by calibration.json: leave --calibrated false and --tta out.")
    if trust is None:
        raise UserError(
            "--abstain_at_risk needs what was learned about the model's answers, calibration.json beside its weights: "
            f"`hfcls evaluate {directory} --split validation --calibrate temperature` writes it for a run with 20 or "
            "more validation images; any model: `--split test --test_dir FOLDER` goes where `--split validation` is."
        )
    abstention, told = choose_abstention_of(trust, arguments.abstain_at_risk)
    _note(told)
    return trust, abstention


def _open_part(output: Path, layout: Any, record: dict[str, Any], arguments: PredictArguments, total: int) -> Any:
    from hfcls.evaluation.answer_formats import format_for
    from hfcls.evaluation.part_file import PartFile

    return PartFile(
        output,
        format_for(output)(layout),
        record,
        batch_size=arguments.batch_size,
        total=total,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
    )


@contextmanager
def _stoppable(part: Any, total: int, again: str) -> Iterator[None]:
    """After Ctrl-C, says what is saved and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if part is None:
            raise
        raise KeyboardInterrupt(f"Stopped after {part.rows:,} of {total:,} images, all saved. {again}") from None
    finally:
        if part is not None:
            part.close()


@dataclass
class _Tally:
    """Counts of a run: images done, and those of them without an answer; before and since it was resumed."""

    done: int = 0
    failed: int = 0
    fresh: int = 0
    first_error: str = ""
    begun: float = field(default_factory=time.monotonic)

    def add(self, answers: Any) -> None:
        """Counts a batch."""
        self.done += len(answers)
        self.fresh += len(answers)
        self.failed += answers.failed
        for sample_id, error in zip(answers.ids, answers.errors, strict=True):
            if error is not None and not self.first_error:
                self.first_error = f"; the first: {sample_id!r} {error}"


def _say_the_end(tally: _Tally, output: Path | None) -> None:
    """Counts and pace.

    Raises:
        UserError: no image could be read.
    """
    if tally.failed == tally.done:
        raise UserError(f"None of the {tally.done:,} images could be read{tally.first_error}.")
    pace = tally.fresh / max(time.monotonic() - tally.begun, 1e-9)
    if output is not None:
        good = tally.done - tally.failed
        print(_printable(f"{good:,} images classified ({pace:.1f} images/s): {output}", sys.stdout))
    if tally.failed:
        where = "its row says" if tally.failed == 1 else "their rows say"
        _note(f"{tally.failed:,} of {tally.done:,} images could not be read; {where} why.")


def _note(*notices: str) -> None:
    for notice in notices:
        print(_printable(f"note: {notice}", sys.stderr), file=sys.stderr)


def _show(row: dict[str, Any]) -> None:
    from tqdm import tqdm

    lines = [row["id"]]
    if row["error"] is not None:
        lines.append(f"  not read: {row['error']}")
    lines += [f"  {answer['score']:7.2%}  {answer['label']}" for answer in row["predictions"]]
    if row.get("verdict"):
        lines.append(f"  {row['verdict']}, as far as can be told; possible: {', '.join(row['possible']) or 'none'}")
    lines += [f"  {score:7.2%}  {name}" for name, score in (row.get("probabilities") or {}).items()]
    tqdm.write("\n".join(_printable(line, sys.stdout) for line in lines))


def _printable(text: str, stream: Any) -> str:
    """As the terminal can show it, with nothing in it that it would obey."""
    from hfcls.escaping import terminal_text

    encoding = stream.encoding or "utf-8"
    return terminal_text(text).encode(encoding, "backslashreplace").decode(encoding)
