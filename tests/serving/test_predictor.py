"""Answers for single images: those of `hfcls predict`, from any thread, or one sentence."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from hfcls.commands.predict import predict
from hfcls.errors import BadImage, UserError
from hfcls.evaluation.stream_predictions import predict_answers
from hfcls.models import build_classifier, load_classifier
from hfcls.serving.predictor import Answer, Predictor

NAMES = ("red", "green", "blue", "red")


def save_model(folder: Path, architecture: str = "lenet5", **settings) -> Path:
    torch.manual_seed(0)
    classifier = build_classifier(architecture, class_names=NAMES, **settings)
    classifier.model.save_pretrained(folder)
    classifier.image_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def predictor(model: Path) -> Predictor:
    return Predictor(model, device="cpu")


def stored(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def noise(mode: str = "RGB", size: tuple[int, int] = (50, 40)) -> Image.Image:
    shape = (*size[::-1], 4) if mode == "RGBA" else (*size[::-1], 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("architecture", ["lenet5", "resnet18"])
def test_as_predict_says(architecture: str, tmp_path: Path):
    size = {} if architecture == "lenet5" else {"image_size": 64}
    path = save_model(tmp_path / "m", architecture, **size)
    (tmp_path / "x.jpg").write_bytes(content := stored(noise(size=(90, 70)), "JPEG"))
    answer = Predictor(path, device="cpu").predict(content)

    data = datasets.Dataset.from_dict({"id": ["x"], "image": [{"bytes": content, "path": None}]})
    data = data.cast_column("image", datasets.Image(decode=False))
    theirs = next(predict_answers(load_classifier(str(path)), data, num_workers=0)).probabilities[0]
    np.testing.assert_allclose(answer.probabilities, theirs, rtol=0, atol=1e-15)

    [row] = predict({"model": str(path), "images": [str(tmp_path / "x.jpg")], "use_cpu": True, "top_k": 3})
    said = [(name, float(f"{p:.6g}")) for name, p in answer.top(3)]
    assert said == [(one["label"], one["score"]) for one in row["predictions"]]


def test_an_answer():
    answer = Answer(NAMES, np.array([0, np.log(2), np.log(2), np.log(5)], np.float32))
    np.testing.assert_allclose(answer.probabilities, [0.1, 0.2, 0.2, 0.5], atol=1e-7)
    assert [name for name, _ in answer.top(3)] == ["red", "green", "blue"], "of equals the first comes first"
    assert len(answer.top(99)) == 4


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16", "P", "CMYK", "1", "LA"])
def test_in_memory_as_stored(mode: str, predictor: Predictor):
    image = noise(mode)
    content = stored(image, "JPEG" if mode == "CMYK" else "PNG")
    if mode == "CMYK":
        image = Image.open(io.BytesIO(content))
    kept = image.copy()
    np.testing.assert_array_equal(predictor.predict(image).logits, predictor.predict(content).logits)
    assert image.mode == kept.mode and image.tobytes() == kept.tobytes(), "it is the caller's"


def test_upright(predictor: Predictor):
    image = noise()
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    turned = predictor.predict(image.transpose(Image.Transpose.ROTATE_270)).logits
    np.testing.assert_array_equal(predictor.predict(file.getvalue()).logits, turned)
    np.testing.assert_array_equal(predictor.predict(Image.open(file)).logits, turned)


def test_loaded_once_when_asked(model: Path, monkeypatch):
    loads: list[str] = []
    monkeypatch.setattr(
        "hfcls.models.load_classifier", lambda name, **rest: loads.append(name) or load_classifier(name)
    )
    predictors = [Predictor(model, device="cpu") for _ in range(2)]
    assert not any(predictor.is_loaded for predictor in predictors) and not loads
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: predictors[i % 2].predict(noise()).logits, range(40)))
    assert len(loads) == 2 and all(predictor.is_loaded for predictor in predictors)
    assert all(np.array_equal(answers[0], answer) for answer in answers)


def test_what_is_refused(model: Path):
    predictor = Predictor(model, device="cpu", max_bytes=10_000, max_pixels=5000)
    cases = {
        b"": "is an empty file",
        b"hello, this is text": "is not an image",
        bytes(20_000): "more than the limit of",
        stored(noise())[:900]: "is cut short",
        stored(Image.new("L", (100, 100))): "100 x 100 pixels, more than the limit of 5000",
    }
    for content, why in cases.items():
        with pytest.raises(BadImage, match=f"^'image' .*{why}"):
            predictor.predict(content)
    with pytest.raises(BadImage, match=r"'it' .*more than the limit of 5000"):
        predictor.predict(Image.new("RGB", (100, 100)), name="it")
    assert not predictor.is_loaded, "no model is needed to refuse"
    with pytest.raises(BadImage, match="cut short"):
        predictor.predict(Image.open(io.BytesIO(stored(noise())[:900])))
    with pytest.raises(BadImage, match="too elongated"):
        Predictor(model, device="cpu").predict(Image.new("RGB", (500_000, 1)))


def test_no_number_is_no_answer(tmp_path: Path):
    predictor = Predictor(save_model(tmp_path / "m"), device="cpu")
    next(predictor.classifier.model.parameters()).data.fill_(float("nan"))
    with pytest.raises(BadImage, match="not a number"):
        predictor.predict(noise())


def test_tries_again(tmp_path: Path):
    predictor = Predictor(tmp_path / "late", device="cpu")
    with pytest.raises(UserError, match="does not exist"):
        predictor.predict(noise())
    save_model(tmp_path / "late")
    assert predictor.predict(noise()).class_names == NAMES


def test_a_calibrated_model_is_taken_at_its_word(tmp_path: Path):
    """The probabilities of `hfcls predict`, the classes that are held possible, and a word on strangers."""
    from hfcls.serving.doubt import describe_doubt, describe_limits
    from hfcls.structures import Predictions
    from hfcls.uncertainty.learning import fit_trust

    path = save_model(tmp_path / "m")
    plain = Predictor(path, device="cpu").predict(noise())
    assert plain.possible is None and "cannot say" in describe_limits(plain)
    rng = np.random.default_rng(0)
    logits = (plain.logits + rng.normal(0, 1, (200, 4))).astype(np.float32)
    told = Predictions(logits, rng.integers(0, 4, 200), tuple(map(str, range(200))), NAMES)
    trust = fit_trust(told, split="validation")
    trust.save(path)
    answer = Predictor(path, device="cpu").predict(noise())
    scaled = trust.scaling.apply(plain.logits[None])[0].astype(np.float64)
    np.testing.assert_allclose(answer.probabilities, np.exp(scaled) / np.exp(scaled).sum(), rtol=1e-5)
    (tmp_path / "x.png").write_bytes(stored(noise()))
    (row,) = predict({"model": str(path), "images": [str(tmp_path / "x.png")], "use_cpu": True})
    assert row["predictions"][0]["score"] == pytest.approx(answer.top(1)[0][1], rel=1e-5)
    (tmp_path / "y.png").write_bytes(stored(noise()))
    (again,) = predict({"model": str(path), "images": [str(tmp_path / "y.png")], "use_cpu": True})
    assert again["possible"] == row["possible"] == answer.possible  # whatever the file is called
    # Labels that have nothing to do with the logits: no class can be excluded.
    assert len(answer.possible) >= 3 and "possible" in describe_limits(answer)
    assert describe_doubt(answer)[0] != "None of these"
    stranger = Answer(NAMES, np.full(4, -50, np.float32), trust)
    assert describe_doubt(stranger)[0] == "None of these"
