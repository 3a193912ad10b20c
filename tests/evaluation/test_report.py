"""The report against synthetic run directories: what it says, what it escapes, what it leaves out."""

import base64
import io
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hfcls.errors import UserError
from hfcls.evaluation.formats import format_value
from hfcls.evaluation.measured_run import label_classes, read_run
from hfcls.evaluation.plots.abstaining import plot_risk_coverage
from hfcls.evaluation.report import save_report
from hfcls.evaluation.sections import SECTIONS
from hfcls.evaluation.sections.mistakes import MAX_MISTAKES
from hfcls.structures import Predictions
from hfcls.uncertainty.rejection import compute_risk_coverage
from tests.evaluation.runs import XHTML, make_predictions, make_run, numbers, parse, section, write_run

HOSTILE = ["<script>alert(1)</script>", "a" * 200]
HOSTILE += ["🦊‍🔥 \"quoted\" & 'more'", "العربية", "中文", "]]>--></svg>", "nul\x00 lone \udcff", "", "same", "same"]


def leaves(content: Any) -> list[float]:
    """Every number in a piece of JSON."""
    if isinstance(content, dict | list):
        inside = content.values() if isinstance(content, dict) else content
        return [number for one in inside for number in leaves(one)]
    return [content] if isinstance(content, int | float) else []


def shown_as(value: float, text: str) -> bool:
    """Whether a text is the value, rounded to the decimals that it has."""
    number = text.replace(" %", "").replace("−", "-").replace(",", "")
    decimals = len(number.partition(".")[2])
    return abs(float(number) - value * (100 if "%" in text else 1)) <= 0.5000001 * 10**-decimals


@pytest.mark.parametrize("classes", [2, 10, 60, 1000])
def test_every_figure_is_one_of_metrics_json_or_of_the_predictions(tmp_path: Path, classes: int) -> None:
    names = [f"class {i}" for i in range(classes)]
    metrics = make_run(tmp_path / "run", names, n=max(400, 3 * classes))
    start = time.perf_counter()
    page = save_report(tmp_path / "run")
    assert time.perf_counter() - start < 20  # 3 s in practice; room for a busy machine
    assert page == tmp_path / "run" / "report" / "index.html"
    assert page.stat().st_size < 2_000_000

    html, root = parse(page)
    test = metrics["splits"]["test"]
    assert f"{test['n']:,} test images, {classes:,} classes" in html
    predictions = Predictions.load(tmp_path / "run" / "predictions" / "test.parquet")
    matrix = np.array(test["confusion_matrix"])
    confidence = predictions.probabilities.max(axis=1)
    known: list[Any] = [
        figure["value"] for split in metrics["splits"].values() for figure in split["headline"].values()
    ]
    known += [row[name] for row in test["per_class"] for name in ("f1", "recall", "precision", "roc_auc", "pr_auc")]
    known += [*matrix.ravel(), *(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)).ravel()]
    known += [*predictions.probabilities.ravel(), confidence.mean()]
    known += [
        *leaves(test["trust"]),
        *leaves(test["by"]),
        *map(float, test["trust"]["abstaining"]["risk"]),
    ]
    known = np.unique([value for value in known if value is not None])
    thresholds = numbers(section(root, "thresholds")) if classes == 2 else []  # compared with counts made by hand below
    folds = numbers(section(root, "folds"))
    of_folds = np.array([value for value in leaves(test["crossval"]) if value is not None])
    assert folds and all(np.isclose(of_folds, value, atol=1e-9).any() for value, _ in folds)
    for value, text in numbers(root):
        assert shown_as(value, text), (value, text)
        nearest = known[np.clip(np.searchsorted(known, value), 1, len(known) - 1) + np.array([-1, 0])]
        assert np.isclose(nearest, value, atol=1e-9).any() or (value, text) in [*thresholds, *folds], value
    shown = {value for value, _ in numbers(root)}
    for split in metrics["splits"].values():
        assert {figure["value"] for figure in split["headline"].values() if figure["value"] is not None} <= shown
    for name in ("f1", "recall", "precision", "roc_auc", "pr_auc"):
        assert {row[name] for row in test["per_class"] if row[name] is not None} <= shown
    accuracy = test["headline"]["accuracy"]
    assert f"{100 * accuracy['low']:.1f} – {100 * accuracy['high']:.1f} %" in html
    cells = re.findall(r'<g class="cell[ a-z]* q\d"><title>[^<]*: ([\d,]+)[ <]', html)
    if classes <= 30:
        assert [int(cell.replace(",", "")) for cell in cells] == matrix.ravel().tolist()
    else:
        assert len(cells) == 20 * 20 and html.count("data:image/png;base64,") == 2
        assert all(f">{name}</bdi>" in html for name in names)


def test_a_class_table_row_says_what_metrics_json_says(tmp_path: Path) -> None:
    metrics = make_run(tmp_path / "run", ["cat", "dog", "emu"])
    _, root = parse(save_report(tmp_path / "run"))
    rows = {}
    for row in section(root, "classes").iter(f"{XHTML}tr"):
        name, *cells = ("".join(cell.itertext()) for cell in row)
        rows[name] = cells
    for row in metrics["splits"]["test"]["per_class"]:
        f1, recall, _, precision, support, predicted, roc_auc, pr_auc = rows[row["class_name"]]
        assert [support, predicted] == [f"{row['support']:,}", f"{row['predicted']:,}"]
        for name, text in (("f1", f1), ("recall", recall), ("precision", precision), ("roc_auc", roc_auc)):
            assert shown_as(row[name], text)
        assert shown_as(row["pr_auc"], pr_auc)


def test_nothing_is_unescaped_and_nothing_is_fetched(tmp_path: Path) -> None:
    run = tmp_path / "run & <b>co"
    make_run(run, HOSTILE)

    def pictures(ids: Any) -> list[Any]:
        return [Image.new("RGB", (8, 8)) for _ in ids]

    html, root = parse(save_report(run, pictures=pictures))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "b", "i-mg", "classes", "exact", "link", "iframe", "object"}
    assert "alert(1)" in html and "<script" not in html
    assert "hf_secret" not in html
    urls = [value for element in root.iter() for key, value in element.items() if key.endswith(("href", "src"))]
    assert all(url.startswith(("#", "data:image/png;", "data:image/webp;")) for url in urls)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", html)
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert {url[1:] for url in urls if url.startswith("#")} <= set(ids)
    assert "same #8" in html and "same #9" in html and "العربية" in html and "中文" in html


def test_undefined_figures_give_their_reason(tmp_path: Path) -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 0, 1]] * 5
    some = Predictions(logits, np.array([0, 0, 1, 1]), ("a", "b", "c", "d"), ("cat", "dog", "emu"))
    write_run(tmp_path / "some", test=some)
    html, root = parse(save_report(tmp_path / "some"))
    text = "".join(section(root, "classes").itertext())
    assert "precision undefined: the class is never predicted" in text
    assert "recall, ROC AUC, PR AUC undefined: the class has no sample" in text
    assert "F1 undefined: the class has no sample and is never predicted" in text
    metrics = "".join(section(root, "metrics").itertext())
    assert "undefined: it is for two classes, and there are 3" in metrics
    assert 'value="None"' not in html and "nan" not in html

    one = Predictions(logits[:1], np.array([0]), ("a",), ("cat", "dog", "emu"))
    write_run(tmp_path / "one", test=one)
    html, root = parse(save_report(tmp_path / "one", figures=("svg",)))
    cards = ["".join(card.itertext()) for card in root.iter(f"{XHTML}li") if card.get("class") == "card"]
    assert "ROC AUC, macroundefinedall labels are of one class" in cards
    assert "1 test image, 3 classes" in html

    nothing = Predictions(np.full((2, 3), np.nan, np.float32), np.array([0, 1]), ("a", "b"), ("cat", "dog", "emu"))
    write_run(tmp_path / "nothing", test=nothing)
    html, _ = parse(save_report(tmp_path / "nothing", figures=("svg",)))
    assert "the logits of 2 of 2 samples are not finite" in html


def test_each_section_stands_where_the_run_has_something_for_it(tmp_path: Path) -> None:
    metrics = make_run(tmp_path / "full", ["cat", "dog"])
    html, root = parse(save_report(tmp_path / "full"))
    headings = [heading.text for heading in root.iter(f"{XHTML}h2")]
    assert headings == [one.title for one in SECTIONS.values()]
    assert "best: epoch 8<" in html and "optimistic" not in html
    assert "12 images are &lt;exact&gt; duplicates." in html and "3 images were dropped" in html

    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "metrics.json").write_text(json.dumps({"splits": {"validation": metrics["splits"]["test"]}}))
    html, root = parse(save_report(tmp_path / "bare"))
    headings = [heading.text for heading in root.iter(f"{XHTML}h2")]
    own = ["Confusion matrix", "Classes", "In doubt", "Parts of the images", "All metrics", "Data"]
    assert headings == ["Cross-validation", *own]
    assert "predictions/validation.parquet is missing" in html
    assert "400 validation images, 2 classes" in html and "optimistic" in html


def test_predictions_of_another_measurement_are_left_out(tmp_path: Path) -> None:
    make_run(tmp_path / "run", ["cat", "dog"])
    make_predictions(["cat", "dog"], 400, seed=7).save(tmp_path / "run" / "predictions" / "test.parquet")
    html, root = parse(save_report(tmp_path / "run"))
    assert "predictions/test.parquet is not what metrics.json was computed from" in html
    assert "Calibration" not in [heading.text for heading in root.iter(f"{XHTML}h2")]


def test_a_run_without_metrics_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metrics\.json is missing"):
        save_report(tmp_path)
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(UserError, match="can't be read"):
        save_report(tmp_path)
    assert not (tmp_path / "report").exists()


def test_the_pictures_are_those_of_the_surest_mistakes(tmp_path: Path) -> None:
    predictions = make_predictions(["cat", "dog", "emu"], 300)
    write_run(tmp_path / "run", test=predictions)
    probabilities = predictions.probabilities
    wrong = [i for i in range(300) if probabilities[i].argmax() != predictions.labels[i]]
    wrong.sort(key=lambda i: -probabilities[i].max())
    color = {f"image-{i}": (i % 16 * 17, i // 16 * 12, 90) for i in range(300)}
    asked: set[str] = set()

    def pictures(ids: Any) -> list[Any]:
        asked.update(ids)
        found: list[Any] = [Image.new("RGB", (300, 200), color[one]) for one in ids]
        for number, one in enumerate(ids):
            if one == f"image-{wrong[1]}":
                buffer = io.BytesIO()
                found[number].save(buffer, "PNG")
                found[number] = buffer.getvalue()
            elif one == f"image-{wrong[2]}":
                found[number] = None
            elif one == f"image-{wrong[3]}":
                found[number] = b"no image at all"
        return found

    html, root = parse(save_report(tmp_path / "run", pictures=pictures))
    assert asked <= {f"image-{i}" for i in wrong}
    cards = [one for one in section(root, "mistakes").iter(f"{XHTML}li") if "mistake" in one.get("class", "")]
    assert len(cards) == MAX_MISTAKES
    for card, i in zip(cards, wrong, strict=False):
        text = "".join(card.itertext())
        names = predictions.class_names
        assert f"{names[probabilities[i].argmax()]} {format_value(probabilities[i].max())}" in text
        true = predictions.labels[i]
        assert f"true: {names[true]}, {format_value(probabilities[i, true])}image-{i}" in text
        image = card.find(f"{XHTML}img")
        if i in wrong[2:4]:
            assert image is None and "no picture" in text
            continue
        assert image is not None and image.attrib["alt"] == f"image-{i}"
        picture = Image.open(io.BytesIO(base64.b64decode(image.attrib["src"].partition(",")[2])))
        assert max(picture.size) == 192
        np.testing.assert_allclose(picture.convert("RGB").getpixel((90, 60)), color[f"image-{i}"], atol=8)
    assert "were not at hand" not in html

    html, _ = parse(save_report(tmp_path / "run"))
    assert "<img" not in html and "Without pictures, because the images were not at hand" in html


def test_the_pictures_of_mistakes_have_maps_beside_them(tmp_path: Path) -> None:
    predictions = make_predictions(["cat", "dog", "emu"], 300)
    write_run(tmp_path / "run", test=predictions)
    answers = predictions.logits.argmax(axis=1)
    shade = {f"image-{i}": i % 256 for i in range(300)}

    def pictures(ids: Any) -> list[Any]:
        return [None if shade[one] % 7 == 0 else Image.new("RGB", (80, 60), (shade[one],) * 3) for one in ids]

    seen: dict[int, set[int]] = {}

    def explain(images: Any, targets: Any) -> list[Any]:
        for image, target in zip(images, targets, strict=True):
            seen.setdefault(image.getpixel((0, 0))[0], set()).add(target)
        return [f"it is <empty> {n}" if n == 1 else Image.new("RGB", one.size, "red") for n, one in enumerate(images)]

    _, root = parse(save_report(tmp_path / "run", pictures=pictures, explain=explain))
    cards = [one for one in section(root, "mistakes").iter(f"{XHTML}li") if "mistake" in one.get("class", "")]
    assert len(cards) == MAX_MISTAKES
    counts: dict[int, int] = {}
    for card in cards:
        images = card.findall(f".//{XHTML}img")
        name = "".join(card.itertext()).rpartition("image-")[2].partition("No map")[0]
        counts[len(images)] = counts.get(len(images), 0) + 1
        if len(images) == 2:
            assert images[1].attrib["alt"] == f"where the model saw {predictions.class_names[answers[int(name)]]}"
            # Each is explained for the class that was predicted.
            assert answers[int(name)] in seen[shade[f"image-{name}"]]
    text = "".join(section(root, "mistakes").itertext())
    assert counts[1] == 1 and "No map: it is <empty> 1" in text and counts[2] > 10
    assert counts.get(0, 0) == sum("no picture" in "".join(card.itertext()) for card in cards)
    assert "Grad-CAM" in text
    _, root = parse(save_report(tmp_path / "run", pictures=pictures))
    assert "Grad-CAM" not in "".join(section(root, "mistakes").itertext())


def test_the_figures_are_written_as_files(tmp_path: Path) -> None:
    make_run(tmp_path / "run", HOSTILE)
    page = save_report(tmp_path / "run", figures=("svg", "png"))
    files = {path.name: path for path in (page.parent / "figures").iterdir()}
    names = {"loss", "accuracy", "confusion", "classes", "roc", "precision-recall", "reliability", "confidence"}
    names |= {"reliability-scaled", "risk-coverage", "folds"}
    assert files.keys() == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}
    for name in names:
        text, root = parse(files[f"{name}.svg"])
        assert not re.search(r"var\(|currentColor|url\(|<script|@import|(?:href|src)=\"(?!data:)", text)
        width, height = (float(root.attrib[side]) for side in ("width", "height"))
        with Image.open(files[f"{name}.png"]) as image:
            assert image.size == (2 * width, 2 * height)
            assert image.convert("L").getextrema() == (pytest.approx(25, abs=15), 255)  # ink on white
    assert "#ffffff" in files["confusion.svg"].read_text(encoding="utf-8")

    save_report(tmp_path / "run", figures=("svg",))
    assert {path.suffix for path in (page.parent / "figures").iterdir()} == {".svg"}


def test_many_classes_have_a_picture_in_their_file(tmp_path: Path) -> None:
    make_run(tmp_path / "run", [f"class {i}" for i in range(120)], n=600)
    page = save_report(tmp_path / "run", figures=("svg", "png"))
    text, _ = parse(page.parent / "figures" / "confusion.svg")
    assert text.count("<image ") == 1 and "only-dark" not in text
    with Image.open(page.parent / "figures" / "confusion.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == (6, 62, 125)).all(axis=2).sum() > 500  # the diagonal in the strongest blue


def test_png_without_its_package_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "run", ["cat", "dog"])
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(UserError, match=r"hfcls\[figures\]"):
        save_report(tmp_path / "run", figures=("png",))
    assert not (tmp_path / "run" / "report").exists()
    save_report(tmp_path / "run", figures=("svg",))


def test_an_evaluation_inside_a_run_bears_both_names(tmp_path: Path) -> None:
    place = tmp_path / "flowers" / "evaluation" / "garden"
    write_run(place, test=make_predictions(["cat", "dog"], 40))
    assert read_run(place).name == "flowers: garden"


@pytest.mark.parametrize(
    ("value", "key", "text"),
    [
        (0.97222, "accuracy", "97.2 %"), (1.0, "accuracy", "100.0 %"), (0.99962, "accuracy", "99.96 %"),
        (0.0, "accuracy", "0.0 %"), (0.31234, "log_loss", "0.312"), (0.00004, "ece", "0.00004"),
        (-0.25, "mcc", "−0.250"), (float("nan"), "ece", "undefined"), (None, "ece", "undefined"),
    ],
)  # fmt: skip
def test_format_value(value: float | None, key: str, text: str) -> None:
    assert format_value(value, key) == text


def test_labels_tell_equal_names_apart() -> None:
    assert label_classes(["cat", "same", "", "same"]) == ["cat", "same #1", "#2", "same #3"]


def test_what_is_learned_of_trust_is_told(tmp_path: Path) -> None:
    metrics = make_run(tmp_path / "run", ["cat", "dog", "emu"])
    html, root = parse(save_report(tmp_path / "run"))
    trust = metrics["splits"]["test"]["trust"]
    assert f"one temperature, {trust['scaling']['temperature']:.2f}, learned from 200 validation images" in html
    rows = {}
    for row in section(root, "calibration").iter(f"{XHTML}tr"):
        name, before, after = ("".join(cell.itertext()) for cell in row)
        rows[name] = (before, after)
    for when, place in (("before", 0), ("after", 1)):
        assert shown_as(
            trust["calibration"][when]["brier"], rows["Brier scoresquared error of all probabilities"][place]
        )
    abstaining = {
        row[0][0].text if len(row[0]) else row[0].text: "".join(row[1].itertext())
        for row in section(root, "trust").iter(f"{XHTML}tr")
    }
    assert shown_as(trust["abstaining"]["risk"]["0.9"], abstaining["90.0 %"])
    worst = metrics["splits"]["test"]["by"]["groups"][0]
    text = "".join(section(root, "parts").itertext())
    assert f"Worst are the images of {worst['group']}: {format_value(worst['accuracy'])}" in text

    # A copy whose weights hold the scaling is not scaled again, and what was measured without either has neither.
    trust["scaling"] = None
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    html, _ = parse(save_report(tmp_path / "run"))
    assert "after scaling" not in html and "Sets of classes" in html
    metrics["splits"]["test"].pop("trust")
    metrics["splits"]["test"].pop("by")
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    html, _ = parse(save_report(tmp_path / "run"))
    assert "Sets of classes" not in html and "hospital" not in html and "Calibration" in html


def test_the_risk_coverage_curve_is_right_by_hand() -> None:
    # of four answers the surest is wrong: 1/1, 1/2, 1/3, 1/4
    curve = compute_risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([False, True, True, True]))
    svg = plot_risk_coverage(curve)
    assert "AURC 0.5208" in svg and "1 of 4 are wrong" in svg
    flawless = plot_risk_coverage(compute_risk_coverage(np.array([0.9, 0.8]), np.array([True, True])))
    assert "nan" not in flawless and "AURC 0.0000" in flawless
