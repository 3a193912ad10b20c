"""The loss against torch's own and against numbers worked by hand."""

import math
from types import SimpleNamespace

import pytest
import torch

from hfcls.methods import Supervised


def model_of(logits: torch.Tensor):
    return lambda pixel_values: SimpleNamespace(logits=logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_alone_a_batch_gives_torchs_mean(smoothing: float, weighted: bool):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 5, generator=generator)
    labels = torch.randint(5, (16,), generator=generator)
    weight = torch.rand(5, generator=generator) + 0.5 if weighted else None
    found = Supervised(label_smoothing=smoothing, class_weight=weight).loss(
        model_of(logits), {"pixel_values": logits, "labels": labels}
    )
    expected = torch.nn.functional.cross_entropy(logits, labels, weight=weight, label_smoothing=smoothing)
    torch.testing.assert_close(found["loss"], expected)


def test_soft_targets_by_hand():
    # probabilities 1/4 and 3/4; targets 1/2 and 1/2: -(ln(1/4) + ln(3/4)) / 2
    logits = torch.tensor([[0.0, math.log(3.0)]])
    loss = Supervised().loss(model_of(logits), {"pixel_values": logits, "labels": torch.tensor([[0.5, 0.5]])})["loss"]
    assert loss.item() == pytest.approx(-(math.log(0.25) + math.log(0.75)) / 2, rel=1e-6)


def test_weighted_soft_targets_are_divided_by_their_weights():
    """So the same labels, one-hot, give the same loss; torch divides the sum by N."""
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(16, 3, generator=generator), torch.randint(3, (16,), generator=generator)
    weight, soft = torch.tensor([0.5, 2.0, 3.0]), torch.rand(16, 3, generator=generator).softmax(1)
    loss = Supervised(class_weight=weight).loss
    one_hot = torch.nn.functional.one_hot(labels, 3).float()
    found = [loss(model_of(logits), {"pixel_values": None, "labels": y})["loss"] for y in (labels, one_hot, soft)]
    torch.testing.assert_close(found[0], found[1])
    torchs = torch.nn.functional.cross_entropy(logits, soft, weight=weight)
    torch.testing.assert_close(found[2], torchs * 16 / (soft * weight).sum())


def test_parts_add_up_to_the_whole():
    logits, labels = torch.randn(12, 3), torch.arange(12) % 3
    method = Supervised(class_weight=torch.tensor([1.0, 2.0, 5.0]))
    whole = method.loss(model_of(logits), {"pixel_values": logits, "labels": labels})["loss"]
    total = method.weight({"labels": labels})
    parts = [
        method.loss(model_of(logits[part]), {"pixel_values": None, "labels": labels[part]}, total_weight=total)["loss"]
        for part in (slice(0, 5), slice(5, 6), slice(6, 12))
    ]
    torch.testing.assert_close(sum(parts), whole)
