"""Wrong labels, outliers and near duplicates that a classifier tells, from `hfcls inspect` to the next training."""

import csv
import json
import re
import sys
import xml.etree.ElementTree as ET
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from hfcls.arguments import DataArguments
from hfcls.cli import main
from hfcls.data.decode import MAX_PIXELS
from hfcls.data.labelled import load_data
from hfcls.data.transforms import Preprocessing
from hfcls.inspection.embedding import compute_features
from hfcls.inspection.feature_checks import find_outliers
from hfcls.inspection.images import Images
from hfcls.inspection.judge import judge_features
from hfcls.inspection.label_errors import find_label_errors
from hfcls.inspection.neighbours import find_neighbours
from hfcls.inspection.out_of_fold import match_out_of_fold
from hfcls.inspection.scan import scan_images
from hfcls.models import build_classifier, pooled_features
from hfcls.structures import Predictions
from tests.conftest import write_images
from tests.inspection.pictures import dataset, picture


def predicted(ids: list[str], labels: list[int], true: list[int], names: tuple[str, ...], seed: int = 0) -> Predictions:
    """Of networks that are right about the true classes, more or less surely."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.3, (len(ids), len(names))).astype(np.float32)
    logits[np.arange(len(ids)), true] += rng.uniform(2, 4, len(ids))
    return Predictions(logits, np.array(labels), tuple(ids), names)


def photos(tmp_path: Path) -> tuple[list[str], np.ndarray]:
    write_images(tmp_path / "photos", {"=cat": 40, "<b>dog": 40}, size=8)
    ids = [f"{name}/{n}.png" for name in ("=cat", "<b>dog") for n in range(40)]
    return ids, np.repeat([0, 1], 40)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_planted_errors_are_listed_first_and_the_list_goes_on_to_training(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ids, labels = photos(tmp_path)
    wrong = {3, 7, 50, 61}
    true = [1 - label if n in wrong else label for n, label in enumerate(labels.tolist())]
    for repeat, name in enumerate(("out_of_fold", "out_of_fold-2")):
        order = np.random.default_rng(repeat).permutation(len(ids))
        one = predicted([ids[i] for i in order], labels[order].tolist(), [true[i] for i in order], ("=cat", "<b>dog"))
        one.save(Path(f"folds/predictions/{name}.parquet"))
    assert main(["inspect", "photos", "--label_errors", "folds", "--output_dir", "out"]) == 0
    said = capsys.readouterr().out
    assert "4 of 80 labels look wrong (5.0 %; estimated noise" in said
    assert "out/suspects.html: 4 images (label 4)" in said
    rows = rows_of(Path("out/suspects.csv"))
    assert {row["id"].lstrip("'") for row in rows} == {ids[n] for n in wrong}
    assert [int(row["rank"]) for row in rows] == [1, 2, 3, 4]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores) and scores[-1] < 0.5
    assert {(row["label"], row["suggested"]) for row in rows} == {("'=cat", "<b>dog"), ("<b>dog", "'=cat")}
    assert all(row["new_label"] == "" and row["reason"] == "label" for row in rows)
    ranks = rows_of(Path("out/label_ranks.csv"))
    assert [row["id"] for row in ranks[:4]] == [row["id"] for row in rows]
    assert len(ranks) == 80 and ranks[4]["flagged"] == "0"
    (finding,) = (
        f for f in json.loads(Path("out/inspection.json").read_text())["findings"] if f["kind"] == "label-errors"
    )
    assert len(finding["images"]) == 4

    # what stands in the list goes as it is, or with other labels in it
    whole = load_data(DataArguments(train_dir="photos", exclude="out/suspects.csv", test_fraction=0))
    assert sum(map(len, whole.splits.values())) == 76
    corrected = [row | {"new_label": row["suggested"]} for row in rows]
    with Path("right.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, corrected[0])
        writer.writeheader()
        writer.writerows(corrected)
    assert (
        main(["inspect", "photos", "--relabel", "right.csv", "--label_errors", "folds", "--output_dir", "again"]) == 0
    )
    assert "None of 80 labels looks wrong" in capsys.readouterr().out
    assert "4 images have another label now" in Path("again/suspects.html").read_text()


def test_a_cross_validation_of_corrected_data_is_read(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", {"red": 10, "blue": 10, "green": 10}, size=8)
    Path("classes.yaml").write_text("green: blue\n")
    Path("gone.txt").write_text("red/3.png\n")
    Path("right.csv").write_text("id,new_label\nred/5.png,blue\n")
    data = ["--class_mapping", "classes.yaml", "--exclude", "gone.txt", "--relabel", "right.csv"]
    training = ["--architecture", "lenet5", "--max_steps", "2", "--use_cpu", "--folds", "2", "--output_dir", "folds"]
    assert main(["crossval", "--train_dir", "photos", *data, *training]) == 0
    assert main(["inspect", "photos", *data, "--label_errors", "folds", "--output_dir", "out"]) == 0
    assert "of 29 labels look" in capsys.readouterr().out
    ranks = {row["id"]: row["label"] for row in rows_of(Path("out/label_ranks.csv"))}
    assert len(ranks) == 29 and ranks["red/5.png"] == "blue"


def test_the_page_of_suspects_is_whole_and_escapes_names(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids, labels = photos(tmp_path)
    predicted(ids, labels.tolist(), [1, *labels[1:].tolist()], ("=cat", "<b>dog")).save("own.parquet")
    assert main(["inspect", "photos", "--label_errors", "own.parquet", "--output_dir", "out"]) == 0
    html = Path("out/suspects.html").read_text()
    root = ET.fromstring(html.removeprefix("<!DOCTYPE html>"))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "b", "link", "iframe"}
    assert "&lt;b&gt;dog" in html
    shown = [element.get("alt") for element in root.iter("{http://www.w3.org/1999/xhtml}img")]
    assert shown[0] == "=cat/0.png" and shown[1].startswith("<b>dog/")
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", html)
    assert 'href="suspects.html"' in Path("out/index.html").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ids, labels: (["x" + i for i in ids], labels, ("=cat", "<b>dog")), "80 of its 80 ids are not here"),
        (lambda ids, labels: (ids, 1 - labels, ("=cat", "<b>dog")), "80 of 80 images had another label"),
        (lambda ids, labels: (ids, labels, ("=cat", "cow")), "does not know the class '<b>dog'"),
    ],
)
def test_predictions_of_other_data_are_an_error(tmp_path: Path, monkeypatch, capsys, change, said: str):
    monkeypatch.chdir(tmp_path)
    ids, labels, names = change(*photos(tmp_path))
    predicted(ids, labels.tolist(), labels.tolist(), names).save("own.parquet")
    assert main(["inspect", "photos", "--label_errors", "own.parquet"]) == 2
    error = capsys.readouterr().err
    assert "--label_errors own.parquet is of other data: " in error and said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--label_errors", "nowhere"], "does not exist"),
        (["--label_errors", "photos"], "holds no out-of-fold predictions"),
        (["--label_errors", "run"], "or run/predictions/test.parquet, which covers its test images alone"),
        (["--use_cpu"], "would have no effect without --features"),
    ],
)
def test_what_cannot_be_judged_is_an_error(tmp_path: Path, monkeypatch, capsys, arguments: list[str], said: str):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path)
    predicted(["a"], [0], [0], ("=cat", "<b>dog")).save("run/predictions/test.parquet")
    assert main(["inspect", "photos", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_predictions_of_some_images_say_how_many_are_not_covered():
    images = Images({"train": dataset("train", [(picture(n, 8), "ab"[n % 2]) for n in range(40)])})
    ids, labels = [f"train/{n}" for n in range(10)] + ["train/99"], [(n + 1) % 2 if n > 2 else n % 2 for n in range(11)]
    found = match_out_of_fold([predicted(ids, labels, labels, ("b", "a"))], images, Path("p"))
    assert found.notices == (
        "30 images are not covered by the predictions",
        "1 predicted image is no longer in the data",
        "3 images have another label now than when the predictions were made: the label of now is judged",
    )


def test_a_case_by_hand():
    """Two classes of four; thresholds are the mean probabilities of the class among its own images.

    Of class 0: (0.9 + 0.8 + 0.7 + 0.2) / 4 = 0.65; of class 1: (0.9 + 0.8 + 0.7 + 0.6) / 4 = 0.75. Counted as of class
    0 are the first three, as of class 1 the fourth (0.8) and the first two of class 1: joint counts 3 1 / 0 2. Scaled
    to four images a class: 3 1 / 0 4. One of eight labels is wrong, the fourth.
    """
    of_zero = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.2, 0.3, 0.4])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    errors = find_label_errors(labels, np.stack([of_zero, 1 - of_zero], axis=1))
    assert errors.flagged.tolist() == [False, False, False, True, False, False, False, False]
    assert errors.noise == pytest.approx(1 / 8)
    assert errors.quality == pytest.approx([0.9, 0.8, 0.7, 0.2, 0.9, 0.8, 0.7, 0.6])
    assert errors.order.tolist() == [3, 7, 2, 6, 1, 5, 0, 4]
    assert errors.likeliest[3] == 1


def test_neighbours_in_blocks_are_the_neighbours(monkeypatch):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(150, 6)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = rng.integers(0, 3, 150)
    labels[labels == 2] = np.where(np.arange((labels == 2).sum()) == 0, 2, 1)  # one image alone in its class
    monkeypatch.setattr("hfcls.inspection.neighbours._ROWS", 32)
    monkeypatch.setattr("hfcls.inspection.neighbours._COLUMNS", 50)
    found = find_neighbours(features, labels, k=4)
    cosines = features @ features.T - 9 * np.eye(150, dtype=np.float32)
    assert (found.nearest == np.argsort(-cosines, axis=1)[:, :4]).all()
    own = np.where(labels[:, None] == labels, cosines, -9)
    expected = np.sort(own, axis=1)[:, -4:].mean(axis=1)
    assert np.isnan(found.own).sum() == 1
    assert found.own == pytest.approx(np.where((labels == 2), np.nan, expected), nan_ok=True, abs=1e-6)


def by_histogram(images: Images, rows: np.ndarray, classifier, **_) -> tuple[np.ndarray, np.ndarray]:
    """Features that do not change where an image is mirrored, as those of a trained network hardly do."""
    found = []
    for split, data in images.data.items():
        own = rows[images.split_of[rows] == images.splits.index(split)] - images.starts[images.splits.index(split)]
        for cell in data.select(own)["image"]:
            grey = np.asarray(Image.open(BytesIO(cell["bytes"])).convert("L"))
            found.append(np.histogram(grey, bins=48, range=(0, 255))[0] + 1e-3)
    features = np.array(found, dtype=np.float32)
    return rows, features / np.linalg.norm(features, axis=1, keepdims=True)


def test_mirrored_copies_are_found_and_what_pixels_tell_is_left_out(monkeypatch):
    monkeypatch.setattr("hfcls.inspection.judge.compute_features", by_histogram)
    base = [(picture(n, 32), "ab"[n % 2]) for n in range(120)]
    mirrored = [(ImageOps.mirror(picture(n, 32)), "ab"[(n + (n == 5)) % 2]) for n in range(4, 8)]
    recompressed = [(picture(9, 32).resize((40, 40)), "b")]
    images = Images({"train": dataset("train", base), "test": dataset("test", mirrored + recompressed)})
    facts = scan_images(images, max_pixels=MAX_PIXELS, quiet=True)
    judged = judge_features(images, facts, None, max_pixels=MAX_PIXELS, use_cpu=True, quiet=True)
    (finding,) = (f for f in judged.findings if f.kind == "near-duplicates-by-features")
    assert "(1 under two labels, 4 across splits)" in finding.title and finding.severity == "warning"
    assert {tuple(images.ids(rows)) for rows in finding.groups} == {
        (f"train/{n}", f"test/{n - 4}") for n in range(4, 8)
    }
    assert images.ids(finding.groups[0]) == ["train/5", "test/1"]
    two_labels = [s for s in judged.suspects if s.reasons == ("near duplicate under another label",)]
    assert {(images.ids([s.row])[0], s.suggested) for s in two_labels} == {("train/5", "a"), ("test/1", "b")}
    # of the others the one that is trained on, so that a list to leave out takes none from test
    same_label = [s for s in judged.suspects if s.reasons == ("near duplicate",)]
    assert {images.ids([s.row])[0] for s in same_label} == {"train/4", "train/6", "train/7"}


def test_strange_images_and_images_among_another_class_are_outliers(monkeypatch):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2, 8))
    labels = np.arange(80) % 2
    features = centres[labels] + rng.normal(0, 0.15, (80, 8))
    features[10] = centres[1] + rng.normal(0, 0.15, 8)  # an "a" among the "b"
    features[20] = -centres.sum(axis=0)  # like nothing else
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    images = Images({"train": dataset("train", [(picture(n, 8), "ab"[label]) for n, label in enumerate(labels)])})
    found = find_outliers(images, np.arange(80), find_neighbours(features, labels, k=10))
    reasons = {(s.row, s.reasons[0], s.suggested) for s in found}
    assert {(10, "outlier of its class", "b"), (20, "outlier", "")} <= reasons
    assert len({s.row for s in found}) <= 4
    assert next(s for s in found if s.row == 10).detail == "10 of its 10 nearest images are b"


def test_features_are_those_before_the_head(tmp_path: Path):
    torch.manual_seed(0)
    classifier = build_classifier("simple_cnn", class_names=("a", "b"), image_size=16)
    splits = {
        "train": [(picture(0, 16), "a"), (b"broken", "a"), (picture(2, 16), "b")],
        "test": [(picture(3, 16), "a")],
    }
    images = Images({split: dataset(split, entries) for split, entries in splits.items()})
    rows, features = compute_features(images, np.arange(4), classifier, max_pixels=MAX_PIXELS, quiet=True)
    assert rows.tolist() == [0, 2, 3]
    preprocessing = Preprocessing(classifier.image_processor)
    pixels = torch.stack([preprocessing.pixels(picture(n, 16)) for n in (0, 2, 3)])
    expected = pooled_features(classifier.model.eval(), preprocessing.normalize(pixels))
    assert features == pytest.approx(torch.nn.functional.normalize(expected).numpy(), abs=1e-6)


def test_cleanlab_is_asked_for_by_name(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path)
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    assert main(["inspect", "photos", "--label_errors", "folds"]) == 2
    assert "pip install 'hfcls[labels]'" in capsys.readouterr().err
