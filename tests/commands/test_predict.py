"""Images classified into files, whatever happens on the way."""

import csv
import json
import multiprocessing
import os
import re
import shutil
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features
from datasets import Image as ImageFeature
from PIL import Image
from safetensors.torch import load_file, save_file

from hfcls.arguments import DataArguments
from hfcls.cli import main
from hfcls.commands.predict import predict
from hfcls.commands.train import train
from hfcls.data.images import load_images
from hfcls.errors import UserError
from hfcls.evaluation.answer_formats import FORMATS
from hfcls.evaluation.answers import Answers, RowLayout
from hfcls.evaluation.part_file import PartFile, part_of
from hfcls.evaluation.stream_predictions import predict_answers
from hfcls.models import load_classifier
from tests.processes import kill, wait

FORMAT_NAMES = ("csv", "jsonl", "parquet")


@pytest.fixture(scope="module")
def run(image_folder: Path, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    train(
        {"train_dir": str(image_folder), "architecture": "lenet5", "output_dir": str(path), "use_cpu": True}
        | {"num_train_epochs": 2, "disable_tqdm": True, "learning_rate": 0.01}
    )
    return path


@pytest.fixture
def photos(image_folder: Path, tmp_path: Path) -> Path:
    """16 images and a broken one."""
    shutil.copytree(image_folder / "green", tmp_path / "photos")
    (tmp_path / "photos" / "9x.png").write_bytes(b"no image")
    return tmp_path / "photos"


def renamed(run: Path, path: Path, names: list[str]) -> Path:
    """The same model with other class names."""
    path.mkdir()
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        shutil.copy(run / name, path)
    config = json.loads((path / "config.json").read_text())
    config["id2label"] = dict(enumerate(names))
    config["label2id"] = {name: i for i, name in enumerate(names)}
    (path / "config.json").write_text(json.dumps(config))
    return path


def read_rows(path: Path) -> list[dict]:
    """Flat rows of strings and floats, from whatever format."""
    if path.suffix == ".csv":
        rows = list(csv.DictReader(path.open(newline="")))
        return [
            {k: float(v) if v and k[:5] not in {"id", "error", "label"} else v or None for k, v in row.items()}
            for row in rows
        ]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    flat = []
    for row in map(json.loads, path.read_text().splitlines()):
        answers = dict(enumerate(row["predictions"], 1))
        ranks = {f"{part}_{i}": answers.get(i, {}).get(part) for i in (1, 2) for part in ("label", "score")}
        classes = row["probabilities"] or dict.fromkeys(("blue", "green", "red"))
        flat.append({"id": row["id"], **ranks, **classes, "error": row["error"]})
    return flat


def test_every_format_has_a_row_for_each_image(run: Path, photos: Path, tmp_path: Path, capsys):
    flags = ["--top_k", "2", "--probabilities", "--batch_size", "5", "--use_cpu"]
    for name in FORMAT_NAMES:
        assert main(["predict", str(run), str(photos), "--output", str(tmp_path / f"out.{name}"), *flags]) == 0
        said = capsys.readouterr()
        assert "16 images classified" in said.out
        assert "1 of 17 images could not be read" in said.err
    tables = [read_rows(tmp_path / f"out.{name}") for name in FORMAT_NAMES]
    assert [Path(row["id"]).stem for row in tables[0]] == [*map(str, range(10)), "9x", *map(str, range(10, 16))]
    columns = ["id", "label_1", "score_1", "label_2", "score_2", "blue", "green", "red", "error"]
    for rows in zip(*tables, strict=True):
        assert all(list(row) == columns for row in rows)
        for column in columns:
            first, *others = (row[column] for row in rows)
            assert others == [first if isinstance(first, str | None) else pytest.approx(first, rel=1e-5)] * 2
    good = next(row for row in tables[0] if row["error"] is None)
    assert sum(good[name] for name in ("blue", "green", "red")) == pytest.approx(1, abs=1e-5)
    assert good["score_1"] == max(good[name] for name in ("blue", "green", "red")) == good[good["label_1"]]
    (bad,) = [row for row in tables[0] if row["error"]]
    assert Path(bad["id"]).name == "9x.png"
    assert {bad[name] for name in columns[1:-1]} == {None}
    assert not list(tmp_path.glob("*.part*"))


def test_images_from_an_archive_a_table_and_a_data_set(run: Path, photos: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HFCLS_CACHE", str(tmp_path / "cache"))
    files = [photos / f"{i}.png" for i in range(16)]
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", photos)
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["file", *map(str, files)]))
    parquet = tmp_path / "photos.parquet"
    cells = {"photo": [{"bytes": file.read_bytes(), "path": None} for file in files]}
    Dataset.from_dict(cells, features=Features({"photo": ImageFeature()})).to_parquet(parquet)
    common = {"model": run, "use_cpu": True}
    expected = predict(common | {"images": files})
    for images, more in (
        (archive, {}),
        (table, {"image_column_name": "file"}),
        (parquet, {"image_column_name": "photo"}),
    ):
        rows = predict(common | {"images": [images], **more})
        assert isinstance(rows, list)
        by_score = sorted(str(row["predictions"]) for row in rows if not row["error"])
        assert by_score == sorted(str(row["predictions"]) for row in expected)


def test_nothing_is_left_out_in_silence(run: Path, photos: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (photos / "9x.png").unlink()
    files = sorted(photos.iterdir())
    cells = [{"bytes": file.read_bytes(), "path": None} for file in files]
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["blue", "red"])})
    stored = Dataset.from_dict({"image": cells, "label": [-1] * 16}, features=features)

    def said(*arguments: str) -> tuple[int, str]:
        """Rows, and the notes."""
        output = tmp_path / "out.csv"
        assert main(["predict", str(run), *arguments, "--output", str(output), "--overwrite", "--use_cpu"]) == 0
        return len(read_rows(output)), capsys.readouterr().err

    # unlabelled splits, and one of a name of its own
    labelled = stored.select(range(4)).remove_columns("label").add_column("label", [0, 1, 0, 1])
    splits = {"train": labelled.cast(features), "test": stored.select(range(8)), "unsupervised": stored}
    DatasetDict(splits).save_to_disk("saved")
    for arguments in (["--dataset_name", "saved"], ["saved"]):
        assert said(*arguments) == (28, "")
    assert said("--dataset_name", "photos") == (16, "")

    stored.select([0, 1]).to_parquet("photos/old.parquet")
    assert said("photos") == (
        2,
        "note: 16 images lie unread in photos, such as '0.png': only what Parquet files hold there is the data.\n",
    )
    Path("photos/old.parquet").unlink()
    (tmp_path / "more").mkdir()
    Path("photos/more").symlink_to(tmp_path)
    shutil.make_archive("photos/old", "zip", "more")
    count, notes = said("photos")
    assert count == 16
    assert "note: The link 'photos/more' was not followed: its folder is read already." in notes
    assert "1 archive or Parquet file lies unread in photos, such as 'old.zip'" in notes
    Path("photos/metadata.csv").write_text("file_name\n0.png\n1.png\n")
    count, notes = said("photos", "--image_column_name", "file_name")
    assert count == 2
    assert "14 images lie unread in photos, such as '2.png': only what metadata.csv lists there is the data" in notes


@pytest.mark.parametrize(("workers", "decode_ahead"), [(0, False), (3, False), (3, True)])
def test_threads_keep_the_order(run: Path, many: Path, workers: int, decode_ahead: bool):
    data = load_images([str(many)], DataArguments()).data
    answers = list(
        predict_answers(
            load_classifier(str(run)), data, batch_size=7, num_workers=workers, start=14, decode_ahead=decode_ahead
        )
    )
    assert [i for batch in answers for i in batch.ids] == list(data["id"])[14:]
    # the images of the table come round every 48 rows
    probabilities = np.concatenate([batch.probabilities for batch in answers])
    good = [i for i in range(200) if (i + 14) % 59 and (i + 62) % 59]
    np.testing.assert_allclose(probabilities[good], probabilities[[i + 48 for i in good]], rtol=1e-4)
    assert len(np.unique(probabilities[:30].round(9), axis=0)) > 25


HOSTILE = ["=HYPERLINK(1)", '\t@SUM(1)\r\n,"x";\x1b[2J', " '＋1\ud800"]
HOSTILE_FILES = ["-1.png", "a\nb\x1b[31m.png", "＝1\u2028.png"]


@pytest.fixture
def hostile(run: Path, photos: Path, tmp_path: Path, monkeypatch) -> dict:
    """Flags for `predict`, with class names and file names of the worst kind."""
    monkeypatch.chdir(photos)
    for file in HOSTILE_FILES:
        shutil.copy("0.png", file)
    model = renamed(run, tmp_path / "model", HOSTILE)
    return {"model": model, "images": [*HOSTILE_FILES, "9x.png"], "probabilities": True, "use_cpu": True}


def test_a_spreadsheet_runs_nothing(hostile: dict, tmp_path: Path):
    output = predict(hostile | {"output": tmp_path / "out.csv"})
    assert isinstance(output, Path)
    lines = output.read_text().splitlines()
    assert len(lines) == 5
    header, *rows = csv.reader(lines)
    assert header[-4:-1] == ["'=HYPERLINK(1)", r"""'\t@SUM(1)\r\n,"x";\x1b[2J""", r"' '＋1\ud800"]
    assert [row[0] for row in rows] == ["'-1.png", r"a\nb\x1b[31m.png", r"'＝1\u2028.png", "9x.png"]
    assert {row[1] for row in rows[:3]} <= set(header)


def test_json_and_parquet_keep_names_as_they_are(hostile: dict, tmp_path: Path):
    predict(hostile | {"output": tmp_path / "out.jsonl"})
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == hostile["images"]
    assert list(lines[0]["probabilities"]) == HOSTILE
    assert {answer["label"] for answer in lines[0]["predictions"]} == set(HOSTILE)
    predict(hostile | {"output": tmp_path / "out.parquet"})
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["id"].to_pylist() == hostile["images"]
    assert table.column_names[-4:-1] == [*HOSTILE[:2], r" '＋1\ud800"]


def test_the_screen_shows_names_and_obeys_none(hostile: dict, capsys):
    assert main(["predict", str(hostile["model"]), "--use_cpu", "--", *hostile["images"]]) == 0
    said = capsys.readouterr().out
    assert r"a\nb\x1b[31m.png" in said
    assert r" '＋1\ud800" in said
    assert "\x1b" not in said


def test_classes_of_one_name_have_columns_of_their_own(run: Path, photos: Path, tmp_path: Path):
    model = renamed(run, tmp_path / "model", ["crane", "error", "crane"])
    flags = {"model": model, "images": [photos / "0.png"], "probabilities": True, "use_cpu": True}
    (row,) = predict(flags)
    assert list(row["probabilities"]) == ["crane [0]", "error [1]", "crane [2]"]
    predict(flags | {"output": tmp_path / "out.csv"})
    (flat,) = read_rows(tmp_path / "out.csv")
    assert {flat["label_1"], flat["label_2"], flat["label_3"]} == {"crane", "error"}
    assert flat["error"] is None
    assert {float(flat[name]) for name in row["probabilities"]} == {answer["score"] for answer in row["predictions"]}


def test_images_without_an_answer_are_rows_and_do_not_end_the_run(run: Path, photos: Path, tmp_path: Path, capsys):
    Image.new("L", (90_000, 1)).save(tmp_path / "ribbon.png")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["image", "ribbon.png", "gone.png", "photos/9x.png", "photos/1.png"]))
    rows = predict({"model": run, "images": [table], "use_cpu": True})
    reasons = [row["error"] for row in rows]
    assert "elongated" in reasons[0]
    assert "does not exist" in reasons[1]
    assert "not an image" in reasons[2]
    assert reasons[3] is None
    assert [len(row["predictions"]) for row in rows] == [0, 0, 0, 3]
    capsys.readouterr()
    output = tmp_path / "out.jsonl"
    assert main(["predict", str(run), str(photos / "9x.png"), "--output", str(output), "--use_cpu"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hfcls: None of the 1 images could be read; the first: ")
    assert error.count("\n") == 1
    assert json.loads(output.read_text())["error"] == "is not an image of a known format"


def test_a_model_that_answers_nonsense_is_told_apart(run: Path, photos: Path, tmp_path: Path):
    model = renamed(run, tmp_path / "model", ["a", "b", "c"])
    tensors = load_file(model / "model.safetensors")
    save_file(
        {k: torch.full_like(v, torch.nan) for k, v in tensors.items()}, model / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(UserError, match="not a number"):
        predict({"model": model, "images": [photos], "output": tmp_path / "out.jsonl", "use_cpu": True})
    assert "NaN" not in (tmp_path / "out.jsonl").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--output", "out.xlsx"], "expected a name that ends in .csv, .jsonl, .parquet"),
        (["--output", "there.csv"], "exists: choose another name, or replace it with --overwrite"),
        (["--output", "there.csv", "--resume"], "is finished: there is nothing to resume"),
        (["--output", "there.csv/out.csv"], "is a file"),
        (["--output", "folder.csv"], "is a directory"),
        (["--output", "out.csv", "--resume", "--overwrite"], "contradict each other"),
        (["--resume"], "--resume would have no effect"),
        (["--overwrite"], "--overwrite would have no effect"),
        (["--top_k", "0"], "--top_k and --batch_size are whole numbers from 1 on"),
        (["--dataset_name", "digits"], "both say what to classify"),
        (["--probabilties"], "Did you mean '--probabilities'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_at_once(photos: Path, monkeypatch, capsys, flags: list[str], said: str):
    monkeypatch.chdir(photos)
    Path("there.csv").write_text("mine")
    Path("folder.csv").mkdir()
    assert main(["predict", "no-model", "0.png", *flags]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert Path("there.csv").read_text() == "mine"


def test_the_output_may_not_be_the_input(run: Path, photos: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text(f"image\n{photos / '0.png'}\n")
    Path("link.csv").symlink_to("table.csv")
    Path("photos/metadata.csv").write_text("file_name\n0.png\n")
    Path("set/data").mkdir(parents=True)
    cells = {"image": [{"bytes": (photos / "0.png").read_bytes(), "path": None}]}
    Dataset.from_dict(cells, features=Features({"image": ImageFeature()})).to_parquet("set/data/test.parquet")
    shutil.copytree("set/data", "photos/data")
    for source, output in (
        ("photos", "photos/data/test.parquet"),
        ("table.csv", "table.csv"),
        ("table.csv", "link.csv"),
        ("photos", "photos/metadata.csv"),
        ("set", "set/data/test.parquet"),
    ):
        before = Path(output).read_bytes()
        for images in ([source], ["--dataset_name", source]):
            assert main(["predict", str(run), *images, "--output", output, "--overwrite", "--use_cpu"]) == 2
            assert "one of the images' sources" in capsys.readouterr().err
            assert Path(output).read_bytes() == before
    Path("photos/answers.csv").write_text("old")
    assert main(["predict", str(run), "photos", "--output", "photos/answers.csv", "--overwrite", "--use_cpu"]) == 0


# -- stopped, killed, resumed -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(image_folder: Path, tmp_path_factory) -> Path:
    """A table of 300 rows, some of them broken."""
    files = sorted(image_folder.rglob("*.png"))
    cells = [{"bytes": files[i % len(files)].read_bytes() if i % 59 else b"broken", "path": None} for i in range(300)]
    path = tmp_path_factory.mktemp("many") / "many.parquet"
    Dataset.from_dict({"image": cells}, features=Features({"image": ImageFeature()})).to_parquet(path)
    return path


def command(run: Path, many: Path, output: Path, *more: str) -> list[str]:
    # Batches of one take long enough to be killed between them.
    flags = ["--batch_size", "1", "--use_cpu", "--probabilities", "--top_k", "2"]
    return ["predict", str(run), str(many), "--output", str(output), *flags, *more]


def run_in_child(arguments: list[str], log: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(log, "a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os._exit(main(arguments))


@pytest.mark.parametrize(
    ("name", "number"), [("csv", signal.SIGKILL), ("jsonl", signal.SIGINT), ("parquet", signal.SIGKILL)]
)
def test_a_killed_run_goes_on_and_ends_the_same(run: Path, many: Path, tmp_path: Path, name: str, number: int, capsys):
    whole, output, log = tmp_path / f"whole.{name}", tmp_path / f"out.{name}", tmp_path / "log"
    assert main(command(run, many, whole)) == 0
    child = multiprocessing.get_context("forkserver").Process(
        target=run_in_child, args=(command(run, many, output), str(log))
    )
    child.start()
    part = part_of(output)
    end = time.monotonic() + 120
    while not part.exists() or part.stat().st_size < 4_000:
        assert wait(child, 0.005) is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
    assert kill(child, number) == (130 if number == signal.SIGINT else -number), log.read_text()
    assert not output.exists()
    if number == signal.SIGINT:
        assert "of 300 images, all saved. Go on with:\n  hfcls predict" in log.read_text()
        assert "--resume" in log.read_text()
    capsys.readouterr()
    assert main(command(run, many, output)) == 2
    assert "go on with --resume, or start anew with --overwrite" in capsys.readouterr().err
    assert main(command(run, many, output, "--resume")) == 0
    said = capsys.readouterr()
    done = int(re.search(r"note: ([\d,]+) of 300 images were done before", said.err)[1].replace(",", ""))
    assert 0 < done < 300
    assert "6 of 300 images could not be read" in said.err
    if name == "parquet":
        assert pq.read_table(output).equals(pq.read_table(whole), check_metadata=True)
    else:
        assert output.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["log", f"out.{name}", f"whole.{name}"])


def unfinished(run: Path, photos: Path, output: Path, *flags: str) -> None:
    """What a kill leaves after the first batch."""
    from hfcls.evaluation import stream_predictions

    class KillError(BaseException):
        pass

    def few(*arguments, **settings):
        yield next(stream_predictions_answers(*arguments, **settings))
        raise KillError

    stream_predictions_answers = stream_predictions.predict_answers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_predictions, "predict_answers", few)
        with pytest.raises(KillError):
            main(["predict", str(run), str(photos), "--output", str(output), "--batch_size", "4", "--use_cpu", *flags])


def test_nothing_else_is_taken_for_the_same_run(run: Path, photos: Path, tmp_path: Path, capsys):
    output = tmp_path / "out.csv"
    again = ["--output", str(output), "--batch_size", "4", "--use_cpu", "--resume"]
    unfinished(run, photos, output)
    before = part_of(output).read_bytes()
    other = renamed(run, tmp_path / "other", ["blue", "green", "violet"])
    for arguments, said in (
        (["predict", str(run), str(photos), *again, "--top_k", "1"], "--top_k was 5 and is now 1"),
        (["predict", str(run), str(photos), *again, "--batch_size", "5"], "--batch_size was 4 and is now 5"),
        (["predict", str(run), str(photos), *again, "--probabilities"], "--probabilities was False and is now True"),
        (["predict", str(run), str(photos), *again, "--tta", "flip"], "--tta was None and is now flip"),
        (["predict", str(run), str(photos / "0.png"), *again], "the number of images was 17 and is now 1"),
        (["predict", str(other), str(photos), *again], "the model was"),
    ):
        assert main(arguments) == 2
        assert said in capsys.readouterr().err
        assert part_of(output).read_bytes() == before
    (photos / "0.png").rename(photos / "00.png")
    assert main(["predict", str(run), str(photos), *again]) == 2
    assert "the list of images was" in capsys.readouterr().err
    (photos / "00.png").rename(photos / "0.png")
    # moved, the model is still the same one
    assert main(["predict", str(shutil.copytree(run, tmp_path / "moved")), str(photos), *again]) == 0
    assert "note: 4 of 17 images were done before" in capsys.readouterr().err


def test_other_images_of_the_same_names_are_another_run(run: Path, photos: Path, tmp_path: Path, monkeypatch, capsys):
    """Each kind of source is changed between the kill and --resume, in place; unchanged, it goes on."""
    monkeypatch.chdir(tmp_path)
    content = [(photos / f"{i}.png").read_bytes() for i in range(16)]
    features = Features({"one": ImageFeature(), "two": ImageFeature()})

    def make(order: int) -> None:
        cells = [{"bytes": png, "path": None} for png in content[::order]]
        data = Dataset.from_dict({"one": cells, "two": cells[::-1]}, features=features)
        data.to_parquet("photos.parquet")
        data.select_columns("one").save_to_disk("saved")
        for i, png in enumerate(content[::order]):
            (photos / f"{i}.png").write_bytes(png)
        with zipfile.ZipFile("photos.zip", "w") as archive:
            for i, png in enumerate(content[::order]):
                archive.writestr(f"{i}.png", png)
        Path("table.csv").write_text("image,x\n" + "".join(f"photos/{i}.png,{order}\n" for i in range(16)))

    chosen = ["--image_column_name", "one"]
    sources = {"photos.parquet": chosen, "saved": [], "photos": [], "photos.zip": [], "table.csv": []}
    again = ["--batch_size", "4", "--use_cpu", "--resume"]
    make(1)
    for source, flags in sources.items():
        unfinished(run, Path(source), Path(f"{source}.changed.csv"), *flags)
        unfinished(run, Path(source), Path(f"{source}.same.csv"), *flags)
        assert main(["predict", str(run), source, *flags, "--output", f"{source}.same.csv", *again]) == 0
    capsys.readouterr()
    other = [*again, "--image_column_name", "two"]
    assert main(["predict", str(run), "photos.parquet", "--output", "photos.parquet.changed.csv", *other]) == 2
    assert "--image_column_name was one and is now two" in capsys.readouterr().err
    make(-1)
    for source, flags in sources.items():
        assert main(["predict", str(run), source, *flags, "--output", f"{source}.changed.csv", *again]) == 2
        assert "the state of the files was" in capsys.readouterr().err


def test_the_old_output_stays_until_the_new_one_is_whole(run: Path, photos: Path, tmp_path: Path, capsys):
    output = tmp_path / "out.csv"
    output.write_text("old")
    unfinished(run, photos, output, "--overwrite")
    assert output.read_text() == "old"
    arguments = ["predict", str(run), str(photos), "--output", str(output), "--batch_size", "4", "--use_cpu"]
    assert main([*arguments, "--resume"]) == 0
    assert len(read_rows(output)) == 17
    unfinished(run, photos, output, "--overwrite")
    assert main([*arguments, "--overwrite"]) == 0
    assert len(read_rows(output)) == 17
    assert main([*arguments[:3], "--output", str(tmp_path / "new.csv"), "--use_cpu", "--resume"]) == 0
    assert "starts from the beginning" in capsys.readouterr().err


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("doomed", [None, 0, 1])
@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_a_kill_while_the_file_gets_its_name(
    run: Path, photos: Path, tmp_path: Path, capsys, name: str, doomed: int | None, overwrite: bool
):
    """Killed at the renaming of the output (None), or before one of the files beside it goes."""
    output = tmp_path / f"out.{name}"
    arguments = ["predict", str(run), str(photos), "--output", str(output), "--use_cpu", "--probabilities"]
    if overwrite:
        output.write_bytes(b"old")
    beside = [output.with_name(f"{output.name}.part"), output.with_name(f"{output.name}.part.json")]

    class KillError(BaseException):
        pass

    replace, unlink = os.replace, Path.unlink

    def replaced(source, target):
        if doomed is None and Path(target) == output:
            raise KillError
        replace(source, target)

    def unlinked(path, missing_ok=False):
        if doomed is not None and path == beside[doomed]:
            raise KillError
        unlink(path, missing_ok)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replaced)
        patch.setattr(Path, "unlink", unlinked)
        with pytest.raises(KillError):
            main([*arguments, *(["--overwrite"] if overwrite else [])])
    assert main([*arguments, "--resume", "--top_k", "1"]) == 2
    assert "--top_k was 5 and is now 1" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 0
    said = capsys.readouterr()
    assert "16 images classified" in said.out
    assert "1 of 17 images could not be read" in said.err
    assert len(read_rows(output)) == 17
    assert not list(tmp_path.glob("out.*.*"))
    assert main([*arguments, "--resume"]) == 2
    assert "is finished" in capsys.readouterr().err


@pytest.mark.parametrize("name", FORMAT_NAMES)
def test_a_file_cut_anywhere_is_completed(tmp_path: Path, name: str):
    layout = RowLayout(("a", "b,\n", "c"), 2, True)
    rng = np.random.default_rng(0)
    errors = [None, 'is, "broken"', None, "is cut\nshort,", 'says "error": null}', None, None]
    batches = []
    for rows in (slice(0, 3), slice(3, 6), slice(6, 7)):
        probabilities = rng.dirichlet([1, 1, 1], len(errors[rows]))
        probabilities[[error is not None for error in errors[rows]]] = np.nan
        batches.append(Answers([f"{i}" for i in range(7)][rows], errors[rows], probabilities))
    record = {"--top_k": 2}

    def write(output: Path, count: int, *, resume: bool = False) -> PartFile:
        part = PartFile(output, FORMATS[f".{name}"](layout), record, batch_size=3, total=7, resume=resume)
        for batch in batches[part.rows // 3 + (part.rows == 7) : count]:
            part.append(batch)
        return part

    whole = write(tmp_path / f"whole.{name}", 3)
    everything = part_of(tmp_path / f"whole.{name}").read_bytes()
    whole.finish()
    for size in range(0, len(everything) + 1, 31 if name == "parquet" else 7):
        output = tmp_path / f"out.{name}"
        write(output, 0).close()
        part_of(output).write_bytes(everything[:size])
        part = write(output, 3, resume=True)
        assert part.failed == 3
        assert part_of(output).read_bytes() == everything
        part.finish()
        output.unlink()


def test_two_runs_do_not_write_one_file(tmp_path: Path):
    format = FORMATS[".csv"](RowLayout(("a", "b"), 1))
    first = PartFile(tmp_path / "out.csv", format, {}, batch_size=1, total=1)
    with pytest.raises(UserError, match="Another run is writing"):
        PartFile(tmp_path / "out.csv", format, {}, batch_size=1, total=1, resume=True)
    first.close()
