"""``hfcls predict``: image files in, classes out."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

from hfcls.arguments import PredictArguments, only
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Classifies image files.

examples:
  hfcls predict runs/digits photo.png
  hfcls predict runs/photos new_photos --top_k 3 --output answers.csv"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("predict", DESCRIPTION, positionals="MODEL IMAGE [IMAGE ...] ")
    parser.add_argument("model", metavar="MODEL", help="run directory, checkpoint, or Hub id")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, or folders of them")
    parser.add_flags("prediction", flags_of(PredictArguments))
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and predicts."""
    values = build_parser().values(argv)
    arguments = only(PredictArguments, values)
    if arguments.top_k < 1 or arguments.batch_size < 1:
        raise UserError("--top_k and --batch_size are whole numbers from 1 on.")
    if arguments.output and Path(arguments.output).suffix not in {".csv", ".jsonl"}:
        raise UserError(f"--output {arguments.output}: expected a name that ends in .csv or .jsonl.")
    files = find_images(values["images"])
    rows = predict_files(str(values["model"]), files, arguments)
    failed = sum(1 for row in rows if row["error"])
    if arguments.output is None:
        _print_table(rows)
    else:
        _write(Path(arguments.output), rows)
        print(f"{len(rows) - failed} images classified: {arguments.output}")
    if failed == len(rows):
        raise UserError(f"None of the {failed} images could be read; the first: {rows[0]['error']}")
    if failed:
        print(f"note: {failed} of {len(rows)} images could not be read, as said beside their names.", file=sys.stderr)


def find_images(paths: list[str]) -> list[Path]:
    """Files as they are named, folders by what image files lie in them at any depth.

    Raises:
        UserError: a path does not exist, or a folder holds no images.
    """
    from hfcls.data.folder import IMAGE_SUFFIXES, natural_order

    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_file():
            files.append(path)
        elif path.is_dir():
            found = [p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
            if not found:
                raise UserError(f"{path} holds no image files.")
            files += sorted(found, key=lambda p: natural_order(str(p)))
        else:
            raise UserError(f"{path} does not exist: expected an image file or a folder of them.")
    return files


def predict_files(model: str, files: list[Path], arguments: PredictArguments) -> list[dict[str, Any]]:
    """Classifies files.

    Returns:
        A row for each file, in order: ``id``, ``error`` (None where it could be read) and ``predictions``, the
        likeliest classes as (class name, probability).
    """
    import torch
    from accelerate import Accelerator
    from tqdm.auto import tqdm

    from hfcls.data.decode import decode_image
    from hfcls.data.transforms import Preprocessing
    from hfcls.models import load_classifier

    classifier = load_classifier(
        model, trust_remote_code=arguments.trust_remote_code, allow_pickle=arguments.allow_pickle
    )
    preprocessing = Preprocessing(classifier.image_processor)
    device = Accelerator(cpu=arguments.use_cpu).device
    network = classifier.model.to(device).eval()
    names = classifier.class_names
    rows: list[dict[str, Any]] = []
    quiet = len(files) <= arguments.batch_size or None
    for start in tqdm(range(0, len(files), arguments.batch_size), desc="Predicting", unit="batch", disable=quiet):
        batch: list[Any] = []
        fresh: list[dict[str, Any]] = []
        for file in files[start : start + arguments.batch_size]:
            row: dict[str, Any] = {"id": str(file), "error": None, "predictions": []}
            rows.append(row)
            try:
                batch.append(preprocessing.pixels(decode_image({"path": str(file), "bytes": None}, str(file))))
                fresh.append(row)
            except UserError as error:
                row["error"] = str(error)
        if not batch:
            continue
        with torch.inference_mode():
            logits = network(pixel_values=preprocessing.normalize(torch.stack(batch)).to(device)).logits
        values, indices = logits.double().softmax(-1).topk(min(arguments.top_k, len(names)))
        for row, scores, classes in zip(fresh, values.tolist(), indices.tolist(), strict=True):
            row["predictions"] = [(names[index], score) for index, score in zip(classes, scores, strict=True)]
    return rows


def _print_table(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(row["id"])
        if row["error"]:
            print(f"  not read: {row['error'].removeprefix(row['id']).strip()}")
        for name, score in row["predictions"]:
            print(f"  {score:7.2%}  {name}")


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    """CSV with one column per rank, or JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            for row in rows:
                answers = [{"label": name, "score": score} for name, score in row["predictions"]]
                file.write(json.dumps({**row, "predictions": answers}, ensure_ascii=False) + "\n")
            return
        ranks = max((len(row["predictions"]) for row in rows), default=1) or 1
        writer = csv.writer(file)
        writer.writerow(
            ["id", *(f"{part}_{rank + 1}" for rank in range(ranks) for part in ("label", "score")), "error"]
        )
        for row in rows:
            cells = [cell for name, score in row["predictions"] for cell in (_inert(name), f"{score:.6f}")]
            cells += [""] * (2 * ranks - len(cells))
            writer.writerow([_inert(row["id"]), *cells, _inert(row["error"] or "")])


def _inert(text: str) -> str:
    """Keeps a spreadsheet from running text as a formula."""
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
