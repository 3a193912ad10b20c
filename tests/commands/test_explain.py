"""Images explained into a folder, whatever happens on the way."""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hfcls
from hfcls.cli import main
from hfcls.command_arguments import EXPLAINER_NAMES
from hfcls.commands.explain import write_explanations
from hfcls.commands.train import train
from hfcls.errors import UserError
from hfcls.explain import EXPLAINERS
from hfcls.explain.faithfulness import MEASURES, UNEXPLAINED
from hfcls.structures import Predictions
from tests.conftest import write_images

XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def run(image_folder: Path, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    train(
        {"train_dir": str(image_folder), "architecture": "simple_cnn", "output_dir": str(path), "use_cpu": True}
        | {"num_train_epochs": 1, "disable_tqdm": True}
    )
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images and a broken one, with names that want to be more than names."""
    folder = write_images(tmp_path, {"photos": 1}, size=40) / "photos"
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (30, 300, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "=1+1 <b>.png")
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def page_of(folder: Path) -> ET.Element:
    """The page is XML too: a strict parser finds every tag that is not closed or escaped."""
    return ET.fromstring((folder / "index.html").read_text(encoding="utf-8"))


def test_a_folder_of_images_becomes_pictures_a_table_and_a_page(run: Path, photos: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    flags = ["--method", "grad-cam", "eigen-cam", "attention-rollout", "--use_cpu", "--output_dir", str(out)]
    assert main(["explain", str(run), str(photos), *flags]) == 0
    said = capsys.readouterr()
    assert "Grad-CAM" in said.out and str(out / "index.html") in said.out
    assert "1 image could not be read; the first:" in said.err and "broken.jpg" in said.err
    assert "Attention rollout has no map of 2 images" in said.err
    assert tuple(EXPLAINERS) == EXPLAINER_NAMES  # what --help lists
    with (out / "explanations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    methods = ("grad-cam", "eigen-cam", "attention-rollout")
    assert [(Path(row["id"]).name, row["method"], bool(row["error"])) for row in rows] == [
        *(("=1+1 <b>.png", name, name == "attention-rollout") for name in methods),
        ("broken.jpg", "", True),
        *(("0.png", name, name == "attention-rollout") for name in methods),
    ]
    for row in rows:
        if row["picture"]:
            with Image.open(out / row["picture"]) as picture:
                assert picture.size == ((40, 40) if "0.png" in row["id"] else (300, 30))
            assert 0 < float(row["probability"]) <= 1
    assert rows[0]["target"] == rows[0]["predicted"] in {"red", "green", "blue"}
    root = page_of(out)
    # Two images, two methods that suit; attention rollout is told of once.
    assert len(list(root.iter(f"{XHTML}img"))) == 2 * 3
    text = "".join(root.itertext())
    assert "=1+1 <b>.png" in text and "broken.jpg" in text and "needs a transformer" in text
    assert "What to believe" not in text and not list(root.iter(f"{XHTML}script"))


def test_faithfulness_stands_beside_maps_that_know_nothing(run: Path, photos: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    values = {"model": str(run), "images": [str(photos / "0.png")], "use_cpu": True, "output_dir": str(out)}
    assert hfcls.write_explanations({**values, "faithfulness": True, "method": ["grad-cam", "layer-cam"]}) == out
    content = json.loads((out / "explanations.json").read_text())
    (image,) = content["images"]
    assert set(image["unexplained"]) == set(UNEXPLAINED)
    for scores in (*(one["scores"] for one in image["maps"]), *image["unexplained"].values()):
        assert set(scores) == set(MEASURES)
        assert all(np.isfinite(score["value"]) and score["seconds"] >= 0 for score in scores.values())
        assert len(scores["deletion"]["curve"]) == 17
    root = page_of(out)
    (table,) = [one for one in root.iter(f"{XHTML}table") if one.get("class") == "worth"]
    names = [row.find(f"{XHTML}th").text for row in table.find(f"{XHTML}tbody")]  # type: ignore[union-attr]
    assert set(names) == {"Grad-CAM", "LayerCAM", "Random map", "Centre blob"}
    assert set(names[2:]) == {"Random map", "Centre blob"}
    assert len(list(root.iter("{http://www.w3.org/2000/svg}svg"))) == 2
    assert "On this one image" in "".join(root.itertext()) and "On this one image" in capsys.readouterr().out
    with (out / "explanations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["deletion"]) == pytest.approx(image["maps"][0]["scores"]["deletion"]["value"], abs=1e-6)
    assert [row["method"] for row in rows[2:]] == list(UNEXPLAINED)


def test_a_run_explains_its_own_mistakes_and_some_right_answers(run: Path, capsys):
    assert main(["explain", str(run), "--max_images", "6", "--use_cpu"]) == 0
    out = run / "explanations" / "own"
    content = json.loads((out / "explanations.json").read_text())
    predictions = Predictions.load(run / "predictions" / "test.parquet")
    probabilities = predictions.probabilities
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != predictions.labels)
    surest = [predictions.ids[row] for row in wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]]
    found = [image["id"] for image in content["images"]]
    right = len(predictions) - len(wrong)
    mistakes = min(len(wrong), max(4, 6 - right))
    assert len(found) == min(6, len(predictions)) and found[:mistakes] == surest[:mistakes]
    labels = dict(zip(predictions.ids, predictions.labels, strict=True))
    for image in content["images"]:
        assert image["true"] == predictions.class_names[labels[image["id"]]]
        assert (image["true"] != image["predicted"]) == (image["id"] in surest)
    assert f"the {mistakes} surest mistakes" in "".join(page_of(out).itertext())
    assert main(["explain", str(run), "--max_images", "6", "--use_cpu"]) == 2
    assert "go on with --resume, replace them with --overwrite" in capsys.readouterr().err


def test_it_goes_on_where_it_was_stopped(run: Path, image_folder: Path, tmp_path: Path, monkeypatch, capsys):
    out = tmp_path / "out"
    images = [str(image_folder / "red" / f"{number}.png") for number in range(3)]
    values = {"model": str(run), "images": images, "use_cpu": True, "output_dir": str(out), "top_k": 2}
    explainer = EXPLAINERS["grad-cam"]
    calls: list[int] = []

    class Stopping(explainer):  # type: ignore[misc, valid-type]
        def maps(self, pixel_values, targets):
            calls.append(int(targets[0]))
            if len(calls) == 4:
                raise KeyboardInterrupt
            return super().maps(pixel_values, targets)

    monkeypatch.setitem(EXPLAINERS, "grad-cam", Stopping)
    with pytest.raises(KeyboardInterrupt, match="Stopped after 3 maps, all kept"):
        write_explanations(values)
    assert len(list(page_of(out).iter(f"{XHTML}img"))) == 2 + 3
    with pytest.raises(hfcls.UserError, match="another --seed"):
        write_explanations({**values, "seed": 1, "resume": True})
    calls[:] = [0] * 10
    write_explanations({**values, "resume": True})
    assert len(calls) == 10 + 3
    content = json.loads((out / "explanations.json").read_text())
    assert [len({one["target"] for one in image["maps"]}) for image in content["images"]] == [2, 2, 2]
    write_explanations({**values, "overwrite": True, "images": images[:1], "top_k": 1})
    content = json.loads((out / "explanations.json").read_text())
    assert len(content["images"]) == 1 and len(list((out / "pictures").iterdir())) == 2


def test_a_group_of_methods_says_what_it_leaves_out(run: Path, photos: Path, tmp_path: Path, capsys):
    flags = ["--use_cpu", "--output_dir", str(tmp_path / "out"), "--method", "fast", "--target", "green"]
    assert main(["explain", str(run), str(photos / "0.png"), *flags]) == 0
    assert "Attention rollout is left out: it does not suit this network." in capsys.readouterr().err
    content = json.loads((tmp_path / "out" / "explanations.json").read_text())
    fast = [name for name, one in EXPLAINERS.items() if one.cost == "fast" and name != "attention-rollout"]
    assert content["methods"] == fast
    assert {one["target"] for one in content["images"][0]["maps"]} == {"green"}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["{run}", "{photos}", "--method", "grad_cam"], "Unknown explainer 'grad_cam'. Did you mean 'grad-cam'?"),
        (["{run}", "{photos}", "--target", "gren"], "Did you mean 'green'?"),
        (["{run}", "{photos}", "--target", "green", "--top_k", "2"], "both say which classes"),
        (["{run}", "{photos}/missing.png"], "missing.png does not exist"),
        (["{run}/nothing", "{photos}"], "nothing"),
        (["{run}", "{photos}", "--top_k", "0"], "--top_k is 0: expected a whole number from 1 on."),
        (["{run}", "{photos}", "--seconds", "nan"], "--seconds is nan: expected a number above 0."),
        (["{run}", "--method", "grad-cam", "{photos}"], "name images before the flags"),
        (["{run}", "{photos}", "--output_dir", "{photos}/here"], "lies in the images"),
        (["{run}", "{photos}", "--output_dir", "{run}"], "holds files that are no explanations"),
        (["{run}", "{photos}/broken.jpg"], "None of 1 image could be read"),
        (["{run}", "{photos}/0.png", "--method", "attention-rollout"], "Nothing could be explained"),
        (["{photos}"], "Nothing to explain"),
    ],
)
def test_errors_are_one_sentence(flags, expected, run: Path, photos: Path, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "--output_dir" not in flags:
        flags = [*flags, "--output_dir", "{out}"]
    words = [word.format(run=run, photos=photos, out=tmp_path / "out") for word in flags]
    assert main(["explain", *words, "--use_cpu"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert expected in said[-1] and said[-1].startswith("hfcls: ")


def test_classes_are_found_by_one_of_their_names():
    from hfcls.structures import find_class

    names = ("tench, Tinca tinca", "goldfish, Carassius auratus", "crane", "crane, bird")
    assert find_class(names, "Tench") == 0 and find_class(names, "Carassius auratus") == 1
    assert find_class(names, "crane") == 2  # by its whole name
    with pytest.raises(UserError, match="several classes are called"):
        find_class(("a, x", "b, x"), "x")
    with pytest.raises(UserError, match="Did you mean 'tench'"):
        find_class(names, "tenhc")
