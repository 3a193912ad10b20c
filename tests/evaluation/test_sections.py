"""What the sections compute and draw, against numbers worked out by hand and against scikit-learn."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, f1_score, roc_curve

from hfcls.evaluation.plots.calibration import plot_reliability
from hfcls.evaluation.plots.confusion import compute_share_steps
from hfcls.evaluation.plots.learning import Series, plot_curves
from hfcls.evaluation.report import save_report
from hfcls.evaluation.sections.confusion import find_pairs, order_classes
from hfcls.evaluation.sections.thresholds import best_threshold, compute_operation
from hfcls.metrics.curves import PR_GRID, ROC_GRID, compute_curve, compute_mean_curve
from hfcls.metrics.samples import Samples
from hfcls.metrics.wilson import wilson_interval
from hfcls.pages.paths import simplify
from hfcls.pages.svg import compute_ticks
from hfcls.structures import Predictions
from tests.evaluation.runs import XHTML, make_predictions, parse, section, write_run

# Ten images with probabilities of the positive class of 0.95 down to 0.05.
PROBABILITIES = np.array([0.95, 0.85, 0.75, 0.65, 0.55, 0.45, 0.35, 0.25, 0.15, 0.05])
POSITIVE = np.array([1, 1, 0, 1, 0, 1, 0, 0, 0, 0])


def binary(probabilities: np.ndarray, labels: np.ndarray) -> Predictions:
    logits = np.stack([np.zeros_like(probabilities), np.log(probabilities / (1 - probabilities))], axis=1)
    ids = tuple(f"{i}" for i in range(len(labels)))
    return Predictions(logits.astype(np.float32), labels, ids, ("healthy", "ill"))


def test_the_threshold_table_is_right_by_hand(tmp_path: Path) -> None:
    # on validation the two positives are above 0.7 and all negatives below: the best threshold is 0.7
    validation = binary(np.array([0.9, 0.7, 0.6, 0.2]), np.array([1, 1, 0, 0]))
    write_run(tmp_path / "run", validation=validation, test=binary(PROBABILITIES, POSITIVE))
    _, root = parse(save_report(tmp_path / "run"))
    rows = [["".join(cell.itertext()) for cell in row] for row in section(root, "thresholds").iter(f"{XHTML}tr")]
    table = {row[0]: row[1:] for row in rows}
    # threshold: precision, recall, specificity, F1, predicted positive
    assert table["0.01"] == ["40.0 %", "100.0 %", "0.0 %", "57.1 %", "10"]
    assert table["0.30"] == ["57.1 %", "100.0 %", "50.0 %", "72.7 %", "7"]
    assert table["0.50the usual one"] == ["60.0 %", "75.0 %", "66.7 %", "66.7 %", "5"]
    assert table["0.80"] == ["100.0 %", "50.0 %", "100.0 %", "66.7 %", "2"]
    assert table["0.99"] == ["undefined", "0.0 %", "100.0 %", "0.0 %", "0"]
    (chosen,) = [cells for name, cells in table.items() if "highest F1 on validation" in name]
    assert chosen == ["66.7 %", "50.0 %", "83.3 %", "57.1 %", "3"]


def test_an_operation_counts_what_reaches_the_threshold() -> None:
    one = compute_operation(PROBABILITIES, POSITIVE == 1, 0.65)
    assert (one.true_positives, one.false_positives, one.false_negatives, one.true_negatives) == (3, 1, 1, 5)
    none = compute_operation(np.array([0.2]), np.array([False]), 0.5)
    assert none.precision is None and none.recall is None and none.f1 is None and none.specificity == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_best_threshold_has_the_highest_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(60) < 0.3
    scores = np.round(np.clip(0.3 * rng.normal(size=60) + 0.3 * positive + 0.3, 0, 1), 1)  # with ties
    found = best_threshold(scores, positive)
    assert found is not None
    best = max(f1_score(positive, scores >= t, zero_division=0) for t in np.unique(scores))
    assert f1_score(positive, scores >= found) == pytest.approx(best)
    assert best_threshold(scores, np.zeros(60, dtype=bool)) is None


@pytest.mark.parametrize("decimals", [1, 6])
def test_the_curves_are_scikit_learns(decimals: int) -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(500) < 0.2
    scores = np.round(rng.normal(size=500) + positive, decimals)  # with one decimal nearly all are ties
    curve = compute_curve(scores, positive)
    x, y, _ = roc_curve(positive, scores, drop_intermediate=False)
    grid = np.linspace(0, 1, 1001)[1:]
    np.testing.assert_allclose(
        np.interp(grid, curve.false_positive_rate, curve.recall), np.interp(grid, x, y), atol=1e-12
    )
    assert np.trapezoid(curve.recall, curve.false_positive_rate) == pytest.approx(auc(x, y), abs=1e-12)
    area = (np.diff(curve.gained, prepend=0) * curve.precision).sum()
    assert area == pytest.approx(average_precision_score(positive, scores), abs=1e-12)


def test_the_mean_curve_has_the_macro_area() -> None:
    samples = Samples(make_predictions(["a", "b", "c", "d"], 800))
    mean = compute_mean_curve(samples.probability, samples.labels, range(4))
    assert mean is not None and mean.classes == 4
    # up to what lies between the points where the curves are read
    assert np.trapezoid(mean.recall, ROC_GRID) == pytest.approx(samples.one_vs_rest.roc_auc.mean(), abs=2e-3)
    assert mean.precision.mean() == pytest.approx(samples.one_vs_rest.pr_auc.mean(), abs=5e-3)
    assert len(mean.precision) == len(PR_GRID)
    assert compute_mean_curve(samples.probability, np.zeros(800, dtype=np.int64), range(4)) is None


def test_fewer_points_draw_the_same_line() -> None:
    x = np.linspace(0, 300, 20_000)
    points = np.stack([x, 100 + 60 * np.sin(x / 40)], axis=1)
    kept = simplify(points, tolerance=0.25)
    assert len(kept) < 120
    assert np.abs(np.interp(x, kept[:, 0], kept[:, 1]) - points[:, 1]).max() < 0.4
    np.testing.assert_allclose(kept[[0, -1]], points[[0, -1]], atol=0.05)
    assert len(simplify(points[:1])) == 1


def test_the_fullest_wrong_cells_come_first() -> None:
    matrix = np.array([[90, 5, 5], [0, 20, 5], [7, 0, 3]])
    # 7 of 10; then three cells with 5: 5 of 25, then 5 of 100 twice
    assert find_pairs(matrix, most=3) == [(2, 0), (1, 2), (0, 1)]


def test_classes_that_are_taken_for_each_other_become_neighbours() -> None:
    matrix = np.diag([50] * 12)
    for i, j in ((0, 7), (7, 0), (3, 10), (10, 3), (5, 1)):
        matrix[i, j] = 10
    place = np.argsort(order_classes(matrix))
    assert sorted(place) == list(range(12))
    assert all(abs(place[i] - place[j]) == 1 for i, j in ((0, 7), (3, 10), (5, 1)))
    assert order_classes(np.diag([5] * 4)).tolist() == [0, 1, 2, 3]


def test_share_steps_follow_the_row() -> None:
    matrix = np.array([[98, 2, 0], [0, 0, 0], [50, 50, 1000]])
    assert compute_share_steps(matrix, matrix.sum(axis=1)).tolist() == [[8, 1, 0], [0, 0, 0], [2, 2, 8]]


def test_the_reliability_diagram_has_the_bins_of_the_calibration_error() -> None:
    # three bins: at an edge (2/3 belongs to the lower bin), inside, and at one
    confidence, correct = np.array([2 / 3, 0.65, 0.7, 1.0]), np.array([True, False, True, True])
    svg = ET.fromstring(plot_reliability(confidence, correct))
    tips = [element.text for element in svg.iter() if element.tag.endswith("title")][1:]
    assert tips == [
        "2 images, confidence 65.83 %, accuracy 50 %",
        "1 image, confidence 70 %, accuracy 100 %",
        "1 image, confidence 100 %, accuracy 100 %",
    ]


def test_wilson_intervals_are_those_of_the_paper() -> None:
    # worked out by hand for 8 of 10, z = 1.96
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    low, high = wilson_interval(0, 10)
    assert low == 0 and high == pytest.approx(0.2775, abs=1e-4)
    assert wilson_interval(10, 10)[1] == 1


def test_ticks_are_round_and_enclose_the_data() -> None:
    assert compute_ticks(0.0, 2.3) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert compute_ticks(0.0, 10.0) == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert compute_ticks(0.5, 0.5)[0] <= 0.5 <= compute_ticks(0.5, 0.5)[-1]


def test_curves_survive_odd_logs() -> None:
    assert plot_curves("loss", [Series("training", [(1.0, float("nan"))])], y_label="loss") == ""
    points = [(1.0, 0.5), (2.0, float("nan")), (3.0, 0.25)]
    svg = plot_curves("loss", [Series("training", points)], y_label="loss", best_epoch=3.0)
    path = next(element for element in ET.fromstring(svg).iter() if element.tag.endswith("path"))
    assert path.attrib["d"].count("M") == 2  # a gap, not a line across it
    flat = plot_curves("accuracy", [Series("validation", [(1.0, 1.0)])], y_label="accuracy", percent=True)
    assert ">100 %</text>" in flat and "nan" not in flat
    many = [(float(i), 1.0) for i in range(5000)]
    assert len(plot_curves("loss", [Series("training", many)], y_label="loss")) < 20_000
