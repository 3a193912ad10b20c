"""Each row as an ``evaluate.Metric``, offline. Importing evaluate takes seconds, once for this file."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hfcls.errors import UserError
from hfcls.metrics import METRICS
from hfcls.metrics.adapter import as_evaluate_metric
from hfcls.structures import Predictions

Build = Callable[..., Predictions]


@pytest.fixture(scope="module")
def evaluate() -> Any:
    import evaluate

    return evaluate


@pytest.mark.parametrize("num_classes", [2, 7])
@pytest.mark.parametrize("name", METRICS)
def test_every_row_works(evaluate: Any, draw: Build, name: str, num_classes: int) -> None:
    metric, predictions = METRICS[name], draw(40, num_classes)
    wrapped = as_evaluate_metric(name, num_classes=num_classes)
    assert isinstance(wrapped, evaluate.Metric)
    assert wrapped.name == name
    assert wrapped.description == metric.description
    assert wrapped.citation == metric.citation
    given = predictions.logits if metric.needs_scores else predictions.logits.argmax(axis=1)
    expected, reason = metric.compute(predictions)
    result = wrapped.compute(predictions=given, references=predictions.labels)
    assert result == (
        {name: pytest.approx(expected)} if expected is not None else {name: None, f"{name}_reason": reason}
    )

    for part in (slice(0, 25), slice(25, None)):
        wrapped.add_batch(predictions=given[part], references=predictions.labels[part])
    assert wrapped.compute() == result


def test_importing_the_metrics_is_light() -> None:
    heavy = "evaluate datasets sklearn torch transformers"
    program = f"import sys, hfcls.metrics.adapter; print(*(set('{heavy}'.split()) & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not found.stdout.strip()


def test_combine(evaluate: Any) -> None:
    combined = evaluate.combine([as_evaluate_metric("accuracy"), as_evaluate_metric("recall_macro")])
    result = combined.compute(predictions=[0, 1, 1], references=[0, 1, 2])
    assert result == pytest.approx({"accuracy": 2 / 3, "recall_macro": 2 / 3})


@pytest.mark.parametrize(
    ("name", "predictions", "references", "num_classes", "message"),
    [
        ("accuracy", [0, 3], [0, 1], 3, "Predictions hold classes 0 to 3; expected 0 to 2"),
        ("accuracy", [0, 1], [0, 5], 3, "References hold class 5, but there are 3 classes"),
        ("log_loss", [[0.0, 1.0], [1.0]], [0, 1], None, "Predictions have 1, 2 logits; expected one number"),
        ("log_loss", [[0.0, 1.0]], [0], 3, "Predictions have 2 logits; expected 3 logits a sample"),
        ("log_loss", [[0.0, 1.0]], [2], None, "References hold class 2, but there are 2 classes"),
    ],
)
def test_inputs_that_do_not_fit(
    name: str, predictions: list[Any], references: list[int], num_classes: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        as_evaluate_metric(name).compute(predictions=predictions, references=references, num_classes=num_classes)


@pytest.fixture(scope="module")
def tiny_model() -> Any:
    """A randomly initialised network for grey-green-blue squares of 16 pixels."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    names = dict(enumerate(("cat", "dog", "owl")))
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8],
        depths=[1],
        layer_type="basic",
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    return ResNetForImageClassification(config).eval()


def test_image_classification_evaluator(evaluate: Any, tiny_model: Any) -> None:
    import datasets
    from PIL import Image
    from transformers import ViTImageProcessor, pipeline

    generator = np.random.default_rng(0)
    images = [Image.fromarray(generator.integers(256, size=(16, 16, 3), dtype=np.uint8)) for _ in range(9)]
    labels = [index % 3 for index in range(9)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog", "owl"])})
    data = datasets.Dataset.from_dict({"image": images, "label": labels}, features=features)
    processor = ViTImageProcessor(size={"height": 16, "width": 16})

    result = evaluate.evaluator("image-classification").compute(
        model_or_pipeline=tiny_model,
        feature_extractor=processor,
        data=data,
        metric=as_evaluate_metric("accuracy"),
        label_mapping=tiny_model.config.label2id,
        device=-1,
    )

    classify = pipeline("image-classification", model=tiny_model, image_processor=processor, device=-1)
    predicted = [tiny_model.config.label2id[classify(image)[0]["label"]] for image in images]
    assert result["accuracy"] == pytest.approx(np.mean(np.equal(predicted, labels)))
