"""The page of a comparison: true to what was found, and whole whatever the classes are called."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from PIL import Image

from hfcls.evaluation.comparing import compare_predictions
from hfcls.evaluation.comparison_page import MAX_CLASSES, Contender, save_comparison
from hfcls.metrics import compute_metrics
from hfcls.structures import Predictions
from tests.evaluation.runs import XHTML, make_predictions
from tests.hub.runs import HOSTILE


def better(predictions: Predictions, rows: slice) -> Predictions:
    """The same, with right answers to some of the images."""
    logits = predictions.logits.copy()
    logits[rows] += 20 * np.eye(logits.shape[1], dtype=np.float32)[predictions.labels[rows]]
    return Predictions(logits, predictions.labels, predictions.ids, predictions.class_names)


def text_of(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_a_page_of_many_classes_and_three_models(tmp_path: Path):
    names = [*HOSTILE, *(f"class {number}" for number in range(36))]
    first = make_predictions(names, 300)
    second, third = better(first, slice(0, 120)), first
    told = ("runs/<a>", "runs/b & c", "other/<a>")
    found = [compare_predictions(first, one, names=(told[0], n)) for one, n in ((second, told[1]), (third, told[2]))]
    contenders = [
        Contender(name, compute_metrics(one, resamples=10), {"latency_p50_ms": 3.25, "hardware": "1 CPU"}, place)
        for name, one, place in zip(
            told, (first, second, third), (tmp_path / str(i) / "report" / "index.html" for i in range(3)), strict=True
        )
    ]
    asked: list[str] = []

    def pictures(ids):
        asked.extend(ids)
        return [None if sample_id == found[0]["differ"][1]["id"] else Image.new("RGB", (9, 9)) for sample_id in ids]

    page = save_comparison(tmp_path, found, contenders, split="test", pictures=pictures)
    root = ET.parse(page).getroot()
    # Two models are called <a>: each gets its whole name, and leads to its own report.
    links = [(text_of(one), one.get("href")) for one in root.iter(f"{XHTML}a")]
    assert [(told[i], f"{i}/report/index.html") for i in range(3)] == links[3:6]
    lead = [text_of(one) for one in root.iter(f"{XHTML}p") if one.get("class") == "lead"]
    assert lead == [one["sentence"] for one in found]
    body = text_of(root)
    assert "no difference" in lead[1].lower() and "Nowhere: both give the same probabilities." in body
    right = [one.logits.argmax(axis=1) == one.labels for one in (first, second)]
    raw = [one.get("value") for one in root.iter(f"{XHTML}data")]
    for count in (right[0] & right[1], right[0] & ~right[1], ~right[0] & right[1], ~right[0] & ~right[1]):
        assert str(int(count.sum())) in raw
    left_out = len(found[0]["per_class"]) - MAX_CLASSES
    assert f"The {left_out} of {len(found[0]['per_class'])} classes between both ends" in body
    assert len(list(root.iter(f"{XHTML}img"))) == len(asked) - 1 and "no picture" in body
    # Those with the largest difference of the true class's probability, the largest first.
    true = [one.probabilities[np.arange(300), one.labels] for one in (first, second)]
    wanted = [first.ids[row] for row in np.argsort(-np.abs(true[1] - true[0]), kind="stable")[:24]]
    assert asked == wanted == [one["id"] for one in found[0]["differ"]]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 2 * MAX_CLASSES


def test_four_images_of_a_thousand_make_no_winner():
    """By hand: of the 4 that only one names right the other names none, p = 2 / 2**4; of 12, p = 2 / 2**12."""
    labels = np.zeros(1000, dtype=np.int64)
    ids, names = tuple(map(str, range(1000))), ("a", "b")

    def wrong_in(count: int) -> Predictions:
        logits = np.tile(np.array([2, 0], dtype=np.float32), (1000, 1))
        logits[:count] = (0, 2)
        return Predictions(logits, labels, ids, names)

    few = compare_predictions(wrong_in(4), wrong_in(0), names=("A", "B"))
    assert few["mcnemar"]["p_value"] == 0.125 and few["accuracy"]["low"] < 0 < few["accuracy"]["high"]
    assert few["sentence"] == "No difference in accuracy between A and B can be told (McNemar p = 0.12)."
    many = compare_predictions(wrong_in(12), wrong_in(0), names=("A", "B"))
    assert many["accuracy"]["low"] > 0 and many["sentence"].startswith("B is better than A by 1.2 points")
    # Five against none: whatever an interval says, the exact test does not (p = 2 / 2**5).
    assert compare_predictions(wrong_in(5), wrong_in(0), names=("A", "B"))["sentence"].startswith("No difference")
