"""Weights that others trained score here what they scored there."""

from pathlib import Path

import pytest

from hfcls.arguments import DataArguments
from hfcls.data.batches import BatchCollator, ImageDataset
from hfcls.data.labelled import load_data
from hfcls.data.transforms import Preprocessing
from hfcls.evaluation.predict import predict
from hfcls.models import build_classifier, load_weights


def accuracy(architecture: str, weights: Path, test: Path, *, limit: int | None = None) -> float:
    from accelerate import Accelerator

    arguments = DataArguments(test_dir=str(test), max_test_samples=limit)
    data = load_data(arguments, splits_needed=("test",)).splits["test"]
    names = tuple(data.features["label"].names)
    classifier = build_classifier(architecture, class_names=names)
    assert load_weights(classifier, str(weights)) == ()
    preprocessing = Preprocessing(classifier.image_processor)
    answers = predict(
        classifier.model,
        ImageDataset(data, preprocessing),
        BatchCollator(preprocessing),
        class_names=names,
        accelerator=Accelerator(cpu=True),
        quiet=True,
    )
    return float((answers.logits.argmax(1) == answers.labels).mean())


@pytest.mark.parametrize(("depth", "expected"), [(20, 0.9173), (56, 0.9339)])
def test_cifar_resnets(shared: Path, depth: int, expected: float):
    weights = shared / "weights" / f"cifar10_resnet{depth}.safetensors"
    test = shared / "data" / "cifar10" / "test.parquet"
    # all 10,000 images for the small one; for the other a tenth, whose standard error is 0.8 points
    limit, tolerance = (None, 2e-4) if depth == 20 else (1000, 0.024)
    assert accuracy(f"cifar_resnet{depth}", weights, test, limit=limit) == pytest.approx(expected, abs=tolerance)


def test_squeezenet(shared: Path):
    weights = shared / "weights" / "squeezenet1_1.imagenet.safetensors"
    found = accuracy("squeezenet1_1", weights, shared / "data" / "imagenet_sample" / "test.parquet")
    assert found == pytest.approx(0.62, abs=0.03)
