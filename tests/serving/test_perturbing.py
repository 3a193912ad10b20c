"""What is done to a picture, and what is said of an answer."""

import numpy as np
import pytest
from PIL import Image

from hfcls.errors import UserError
from hfcls.serving.doubt import describe_doubt
from hfcls.serving.perturbing import DIALS, Perturbation, build_perturbation, perturb, sweep
from hfcls.serving.predictor import Answer
from hfcls.serving.tabs.compare import describe_agreement


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(40, 200, (40, 60, 3), dtype=np.uint8))


def pixels(**strengths: float) -> np.ndarray:
    return np.asarray(perturb(picture(), build_perturbation(strengths))).astype(float)


def test_what_each_dial_does():
    plain = np.asarray(picture()).astype(float)
    np.testing.assert_array_equal(pixels(), plain)
    np.testing.assert_array_equal(pixels(rotation=180), plain[::-1, ::-1])
    assert pixels(brightness=-1).max() == 0 and pixels(brightness=1).min() == 255
    np.testing.assert_allclose(pixels(brightness=0.5), (plain + 255) / 2, atol=1)  # rounded to whole levels
    assert pixels(blur=5).std() < plain.std() / 2 and abs(pixels(blur=5).mean() - plain.mean()) < 3
    noisy = pixels(noise=0.1)
    assert 20 < (noisy - plain).std() < 27, "a tenth of 255, clipped at the ends"
    np.testing.assert_array_equal(noisy, pixels(noise=0.1, seed=0))
    assert not np.array_equal(noisy, pixels(noise=0.1, seed=1))
    covered = pixels(square=0.5, square_x=0.25, square_y=0.5)
    assert (covered[10:30, 5:25] == 127).all(), "20 x 20 around (15, 20)"
    assert (covered != plain).any(axis=2).sum() <= 400


def test_a_sweep_ends_at_the_ends():
    for name, dial in DIALS.items():
        steps = sweep(Perturbation(seed=3), name)
        assert (steps[0][0], steps[-1][0]) == (dial.low, dial.high) and len(steps) in (9, 10)
        assert getattr(Perturbation(), name) in [strength for strength, _ in steps]
        assert all(step.seed == 3 and getattr(step, name) == strength for strength, step in steps)


@pytest.mark.parametrize(
    "sent", [{"blur": 11}, {"blur": "1"}, {"noise": float("nan")}, {"seed": 1.5}, {"square": True}]
)
def test_what_is_no_strength(sent: dict):
    with pytest.raises(UserError, match=f"^{next(iter(sent))} is .*expected"):
        build_perturbation(sent)


def answer(*probabilities: float, names: tuple[str, ...] = ("cat", "dog", "cow")) -> Answer:
    return Answer(names[: len(probabilities)], np.log(np.array(probabilities, dtype=np.float32)))


@pytest.mark.parametrize(
    ("shares", "word", "part"),
    [
        ((0.97, 0.02, 0.01), "Clear", "does not make it right"),
        ((0.7, 0.2, 0.1), "Leaning", "“dog” comes next"),
        ((0.45, 0.3, 0.25), "Unsure", "more likely than not"),
        ((0.5, 0.46, 0.04), "Undecided", "is 4 points ahead of “dog”"),
        ((0.3338, 0.3332, 0.333), "Undecided", "less than a point"),
        ((1.0,), "Clear", "only one class"),
    ],
)
def test_an_honest_word(shares: tuple[float, ...], word: str, part: str):
    said = describe_doubt(answer(*shares))
    assert said[0] == word and part in said[1]


def test_whether_two_agree():
    first, second = answer(0.7, 0.2, 0.1), answer(0.2, 0.7, 0.1)
    assert describe_agreement(("A", "B"), [first, first]) == ("agree", "Both say “cat” (70.0 % and 70.0 %).")
    verdict, sentence = describe_agreement(("A", "B"), [first, second])
    assert verdict == "differ" and sentence.endswith("for it, “cat” comes 2nd.")
    assert "no class “cat”" in describe_agreement(("A", "B"), [first, answer(0.7, 0.3, names=("x", "dog"))])[1]
    assert describe_agreement(("A", "B"), [first, answer(0.7, 0.3, names=("x", "y"))])[0] == "apart"
    assert "twice" in describe_agreement(("A", "A"), [first, first])[1]
