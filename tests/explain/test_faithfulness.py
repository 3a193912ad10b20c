"""The measures of faithfulness, against curves worked out by hand and maps whose worth is known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from scipy.stats import spearmanr
from torch import nn
from transformers import ViTImageProcessor

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.explain import Heatmap, explain_images, explain_pixels
from hfcls.explain.faithfulness import CENTRE, MEASURES, RANDOM, UNEXPLAINED, Faithfulness
from hfcls.explain.faithfulness.base import Case, agreement
from hfcls.explain.faithfulness.frames import to_network
from hfcls.explain.faithfulness.randomization import randomize_weights
from hfcls.explain.faithfulness.stability import stability
from hfcls.explain.faithfulness.summary import mean_of, summarize
from hfcls.explain.faithfulness.verdict import verdict
from hfcls.explain.geometry import find_frame
from hfcls.models import Classifier, build_classifier, load_classifier

SIDE = 16


class LeftHalf(nn.Module):
    """The probability of the first class is 0.1 + 0.8 times the mean red of the left half of the image."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.config = SimpleNamespace(id2label={0: "left", 1: "other"}, num_labels=2)

    def forward(self, pixel_values):
        p = 0.1 + 0.8 * self.weight * pixel_values[:, 0, :, : SIDE // 2].mean(dim=(1, 2))
        return SimpleNamespace(logits=torch.stack([p, 1 - p], dim=1).log())


@pytest.fixture
def left_half() -> Classifier:
    processor = ViTImageProcessor(size={"height": SIDE, "width": SIDE}, do_normalize=False)
    return Classifier(LeftHalf(), processor)  # type: ignore[arg-type]


@pytest.fixture
def half_red() -> Image.Image:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[:, : SIDE // 2, 0] = 255
    return Image.fromarray(pixels)


def heatmap(values: np.ndarray) -> Heatmap:
    return Heatmap(values.astype(np.float32), method="grad-cam", target=0, class_name="left")


FROM_THE_LEFT = np.tile(np.linspace(1, 0, SIDE), (SIDE, 1))


def scores(classifier: Classifier, image: Image.Image, values: np.ndarray, *measures: str) -> dict:
    judge = Faithfulness(classifier, measures=measures)
    return {one.measure: one for one in judge.measure(judge.subject(image, 0), heatmap(values))}


def test_deletion_is_right_by_hand(left_half, half_red):
    # The mean colour has a red of 1/2: as the left half goes, the probability falls in a straight line from 0.9 to 0.5.
    found = scores(left_half, half_red, FROM_THE_LEFT, "deletion")["deletion"]
    expected = [0.9 - 0.05 * min(step, 8) for step in range(17)]
    assert found.curve == pytest.approx(expected, abs=1e-6)  # float32
    assert found.value == pytest.approx(0.7 / 2 + 0.5 / 2, abs=1e-6)
    assert found.passes == 17
    # From the right nothing happens until the left half is reached.
    assert scores(left_half, half_red, -FROM_THE_LEFT + 1, "deletion")["deletion"].value == pytest.approx(
        0.9 / 2 + 0.7 / 2, abs=1e-6
    )


def test_insertion_is_right_by_hand(left_half, half_red):
    sigma = SIDE / 20
    red = gaussian_filter1d(np.repeat([1.0, 0.0], SIDE // 2), sigma, mode="mirror", radius=int(3 * sigma) + 1)
    expected = [0.1 + 0.1 * (min(step, 8) + red[min(step, 8) : 8].sum()) for step in range(17)]
    found = scores(left_half, half_red, FROM_THE_LEFT, "insertion")["insertion"]
    assert found.curve == pytest.approx(expected, abs=1e-5)
    assert found.value == pytest.approx((sum(expected) - (expected[0] + expected[-1]) / 2) / 16, abs=1e-5)


def test_the_drop_is_that_of_the_top_fifth_above_that_of_random_parts(left_half, half_red):
    judge = Faithfulness(left_half, measures=["drop"])
    subject = judge.subject(half_red, 0)
    parts = subject.random_parts(0.2, 5)
    # A fifth of 256 pixels; those in the left half each take 0.8 / 128 / 2 of the probability.
    assert parts.sum(axis=(1, 2)).tolist() == [51] * 5
    random = 0.8 / 256 * parts[:, :, :8].sum(axis=(1, 2)).mean()
    (found,) = judge.measure(subject, heatmap(FROM_THE_LEFT))
    assert found.value == pytest.approx(0.8 / 256 * 51 - random, abs=1e-6)
    assert found.passes == 6


def test_road_likes_the_right_half_least(left_half, half_red):
    rng = np.random.default_rng(0)
    noisy = Image.fromarray((np.asarray(half_red) * rng.random((SIDE, SIDE, 1))).astype(np.uint8))
    patch = np.zeros((SIDE, SIDE))
    patch[4:12, :6] = np.asarray(noisy)[4:12, :6, 0]
    right = scores(left_half, noisy, patch, "road")["road"]
    wrong = scores(left_half, noisy, 1 - patch / 255, "road")["road"]
    assert right.value > 0 > wrong.value
    # What is taken away is what was kept before; ties aside the figure turns its sign.
    assert right.value == pytest.approx(-wrong.value, abs=0.02)
    assert right.passes == 2 * 2 * 2  # most and least relevant, two percentiles, before and after


def test_what_a_map_does_not_order_is_ordered_by_chance(left_half, half_red):
    subject = Faithfulness(left_half).subject(half_red, 0)
    flat = subject.order(np.zeros((SIDE, SIDE)))
    assert sorted(flat.ravel()) == list(range(SIDE * SIDE))
    # Neither by rows nor by columns: a straight sweep would correlate with 1.
    assert abs(np.corrcoef(flat.ravel(), np.arange(SIDE * SIDE))[0, 1]) < 0.9
    some = np.zeros((SIDE, SIDE))
    some[3, 5] = 1
    assert subject.order(some)[3, 5] == 0


def test_agreement_is_spearmans():
    one, other = np.random.default_rng(0).integers(0, 5, (2, 8, 8))
    assert agreement(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert agreement(one, np.zeros((8, 8))) == 0 == agreement(one, None)


def test_maps_that_know_nothing_are_told_apart(left_half, half_red):
    judge = Faithfulness(left_half, measures=["stability", "randomization"])
    subject = judge.subject(half_red, 0)
    centre = {one.measure: one.value for one in judge.measure_unexplained(subject, CENTRE)}
    assert centre == pytest.approx({"stability": 1, "randomization": 1})
    random = {one.measure: one.value for one in judge.measure_unexplained(subject, RANDOM)}
    assert max(map(abs, random.values())) < 0.9
    for make in UNEXPLAINED.values():
        values = make((12, 20), seed=3)
        assert values.shape == (12, 20) and values.min() >= 0 and values.max() == pytest.approx(1, abs=0.05)
        assert (values == make((12, 20), seed=3)).all()


@pytest.fixture(scope="module")
def network() -> Classifier:
    torch.manual_seed(0)
    return build_classifier("resnet18", class_names=("a", "b", "c"), image_size=64)


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 70, 3), dtype=np.uint8))


def test_all_measures_on_a_network(network, noise):
    (found,) = explain_images(network, [noise])
    judged = []
    for _ in range(2):
        judge = Faithfulness(network, seed=7)
        judged.append(judge.measure(judge.subject(noise, found.target), found))
    assert [one.measure for one in judged[0]] == list(MEASURES)
    assert [one.value for one in judged[0]] == [one.value for one in judged[1]]  # seeded
    assert all(np.isfinite(one.value) for one in judged[0])
    judge = Faithfulness(network)
    fewer = judge.measure(judge.subject(noise, found.target), found, repeats=False)
    assert {one.measure for one in fewer} == {name for name, measure in MEASURES.items() if not measure.repeats}


def test_further_maps_are_of_the_layer_of_the_first(network, noise, monkeypatch):
    layer = "timm_model.layer4.0"
    (found,) = explain_images(network, [noise], layer=layer)
    judge = Faithfulness(network, measures=["insertion", "stability"])
    asked: list = []

    def spy(*args, **settings):
        asked.append(settings["layer"])
        return explain_pixels(*args, **settings)

    monkeypatch.setattr("hfcls.explain.faithfulness.explain_pixels", spy)
    judge.measure(judge.subject(noise, found.target), found)
    assert asked == [layer] * 3

    def fail(*_args, **_settings):
        raise UserError("No such map.")

    monkeypatch.setattr("hfcls.explain.faithfulness.explain_pixels", fail)
    assert [one.measure for one in judge.measure(judge.subject(noise, found.target), found)] == ["insertion"]


def test_judging_leaves_a_network_in_training(left_half, half_red):
    left_half.model.train()
    scores(left_half, half_red, FROM_THE_LEFT, "deletion")
    assert left_half.model.training


def test_the_noise_is_in_the_pixels_that_the_network_sees(left_half):
    """On those of a photo 60 times as large it would be averaged away: 5.1 of 255 would be less than 1."""
    subject = Faithfulness(left_half).subject(Image.new("RGB", (60 * SIDE, 60 * SIDE), (128, 128, 128)), 0)
    shown: list[torch.Tensor] = []

    def again(_classifier, images):
        shown.extend(images)
        return [FROM_THE_LEFT for _ in images]

    assert stability(Case(subject, FROM_THE_LEFT, again, lambda: left_half)).value == pytest.approx(1)
    # Of 2304 draws, give or take 4 standard errors.
    assert float(torch.stack(shown).double().std()) == pytest.approx(0.02 * 255, rel=4 / (2 * 2304) ** 0.5)


@pytest.mark.parametrize("architecture", ["resnet18", "vit_tiny", "simple_cnn"])
def test_random_weights_have_forgotten_and_leave_the_network_as_it_was(architecture):
    classifier = build_classifier(architecture, class_names=("a", "b", "c"), image_size=32)
    model = classifier.model.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pixel_values = torch.randn(1, 3, 32, 32)
    copy = randomize_weights(model, pixel_values, seed=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        logits = copy(pixel_values=pixel_values).logits
        assert torch.isfinite(logits).all() and not torch.allclose(logits, model(pixel_values=pixel_values).logits)
    matrices = [(one, other) for one, other in zip(model.parameters(), copy.parameters(), strict=True) if one.ndim > 1]
    for one, other in matrices:
        assert torch.equal(one.flatten().sort()[0], other.flatten().sort()[0])
        # Of a tensor of zeros all orders are the same.
        assert one.std() == 0 or not torch.equal(one, other)


@pytest.mark.parametrize("size", [(64, 64), (100, 61), (37, 150)])
def test_a_map_comes_back_to_the_frame_that_it_was_made_in(size):
    classifier = build_classifier("mobilenetv2_100", class_names=("a", "b"))  # a centre crop
    frame = find_frame(Preprocessing(classifier.image_processor), size)
    y, x = np.mgrid[0:1:7j, 0:1:7j]
    small = np.asarray(Image.fromarray((x + 2 * y).astype(np.float32)).resize((224, 224), Image.Resampling.BILINEAR))
    back = to_network(frame.to_image(small), frame, (224, 224))
    inner = (slice(20, -20),) * 2  # the edges are half pixels of the image
    assert np.abs(back - small)[inner].max() < 0.1
    assert abs(np.corrcoef(back[inner].ravel(), small[inner].ravel())[0, 1]) > 0.999


def test_means_and_differences_are_right_by_hand():
    values = {
        ("a", "deletion"): {"1": 0.1, "2": 0.3},
        (RANDOM, "deletion"): {"1": 0.4, "2": 0.5, "3": 0.9},
        (CENTRE, "deletion"): {"2": 0.2},
    }
    rows = {row.method: row for row in summarize(values, {"deletion": "lower"})}
    assert rows["a"].mean.value == pytest.approx(0.2) and rows["a"].mean.n == 2
    over = rows["a"].over_random
    assert over is not None and (over.value, over.n) == (pytest.approx(0.25), 2)
    assert (over.low, over.high) == (pytest.approx(0.2), pytest.approx(0.3))  # the two images themselves
    centre = rows["a"].over_centre
    assert centre is not None and centre.value == pytest.approx(-0.1) and centre.low is None
    assert rows[RANDOM].over_random is None
    many = np.random.default_rng(0).normal(3, 1, 400)
    mean = mean_of(many)
    assert mean.low is not None and mean.high is not None
    # The bootstrap interval of a mean is 1.96 standard errors wide on either side, but for the draw.
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * many.std() / 20, rel=0.1)


def rows_of(**insertion: float):
    """Twenty images on which the methods stand so far above the random map, which has 0.3."""
    rng = np.random.default_rng(0)
    values: dict = {}
    for name, gain in {RANDOM: 0.0, **insertion}.items():
        for measure, sign in (("insertion", 1), ("deletion", -1)):
            found = 0.3 + sign * gain + rng.normal(0, 0.01, 20)
            values[name, measure] = dict(zip(map(str, range(20)), found, strict=True))
    return values


TITLES = {"good": "Good", "fair": "Fair", "poor": "Poor"}
BETTER = {name: measure.better for name, measure in MEASURES.items()}


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        (
            {CENTRE: 0.1, "good": 0.3, "fair": 0.2, "poor": 0},
            ["Believe Good first", "Fair also beats", "Poor does not"],
        ),
        ({CENTRE: 0.3, "good": 0.1, "fair": 0.1}, ["No method beats the centre blob", "Good and Fair"]),
        ({CENTRE: 0.1, "poor": -0.1}, ["No method beats the random map"]),
    ],
)
def test_the_verdict_follows_the_figures(gains, expected):
    said = " ".join(verdict(summarize(rows_of(**gains), BETTER), TITLES))
    for part in expected:
        assert part in said, said


def test_half_a_win_over_the_centre_is_told_as_that():
    values = rows_of(good=0.3, fair=0.1, **{CENTRE: 0.2})
    values[CENTRE, "deletion"] = {name: value - 0.3 for name, value in values[CENTRE, "deletion"].items()}
    said = verdict(summarize(values, BETTER), TITLES)
    assert said[0] == (
        "No method beats the centre blob in both insertion and deletion: Good in insertion alone. If any, believe "
        "Good, the furthest above the random map."
    )


def test_a_few_images_prove_little():
    few = {key: {name: found[name] for name in "012"} for key, found in rows_of(good=0.3, **{CENTRE: 0.1}).items()}
    (said,) = verdict(summarize(few, BETTER), TITLES)
    assert said.startswith("On these 3 images Good does best") and "so few prove little" in said


def test_a_method_that_ignores_the_weights_is_not_believed():
    values = rows_of(good=0.3, fair=0.2, **{CENTRE: 0.1})
    values["good", "randomization"] = {"1": 0.9, "2": 0.8}
    said = verdict(summarize(values, BETTER), TITLES)
    assert said[0].startswith("Believe Fair first")
    assert any(one.startswith("Good hardly changes") for one in said)


def test_grad_cam_beats_a_random_map_on_a_photo(shared):
    from datasets import load_dataset

    weights, file = shared / "weights/mobilenetv2_100_imagenet", shared / "data/imagenet_sample/test.parquet"
    if not weights.is_dir() or not file.is_file():
        pytest.skip("needs the MobileNetV2 weights and the ImageNet sample, which are not here")
    classifier = load_classifier(str(weights))
    photos = load_dataset("parquet", data_files={"test": str(file)})["test"].select([3])
    judge = Faithfulness(classifier, measures=["insertion", "deletion", "randomization"])
    values: dict = {}
    for number, photo in enumerate(photos):
        image = photo["image"].convert("RGB")
        (found,) = explain_images(classifier, [image])
        subject = judge.subject(image, found.target, number=number)
        for name, judged in (
            ("grad-cam", judge.measure(subject, found)),
            (RANDOM, judge.measure_unexplained(subject, RANDOM)),
        ):
            for one in judged:
                values.setdefault((name, one.measure), {})[str(number)] = one.value
    rows = {row.measure: row for row in summarize(values, BETTER) if row.method == "grad-cam"}
    assert all((rows[name].over_random or mean_of([-1])).value > 0 for name in ("insertion", "deletion"))
    assert rows["randomization"].mean.value < 0.5
