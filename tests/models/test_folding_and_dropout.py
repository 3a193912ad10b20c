"""A scaling inside the head, and dropout outside training."""

import numpy as np
import pytest
import torch

from hfcls.errors import UserError
from hfcls.models import build_classifier
from hfcls.models.dropout import dropout_on
from hfcls.models.folding import fold_scaling

NAMES = ("a", "b", "c")
WEIGHT, BIAS = np.array([0.5, 1.0, 2.0]), np.array([0.1, 0.0, -0.3])


def network(architecture: str, **settings):
    torch.manual_seed(0)
    return build_classifier(architecture, class_names=NAMES, image_size=32, **settings).model.eval()


@pytest.mark.parametrize("architecture", ["simple_cnn", "resnet18", "cifar_fast", "deit_tiny_distilled_patch16_224"])
def test_folded_head_gives_scaled_logits(architecture: str):
    model, pixels = network(architecture), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        wanted = model(pixels).logits * torch.tensor(WEIGHT).float() + torch.tensor(BIAS).float()
        fold_scaling(model, WEIGHT, BIAS, pixels[:1])
        torch.testing.assert_close(model(pixels).logits, wanted, rtol=1e-4, atol=1e-4)


def test_a_head_that_cannot_be_scaled_stays_as_it_is():
    """SqueezeNet's logits pass a rectifier after the head."""
    model, pixels = network("squeezenet1_1"), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = model(pixels).logits
        with pytest.raises(UserError, match="cannot be folded into"):
            fold_scaling(model, WEIGHT, BIAS, pixels)
        assert torch.equal(model(pixels).logits, before)


def test_dropout_drops_and_normalization_stays():
    model, pixels = network("cifar_resnet20"), torch.randn(8, 3, 32, 32)
    with pytest.raises(UserError, match="no dropout"), dropout_on(model):
        pass
    model = network("simple_cnn", dropout=0.5)
    with torch.no_grad():
        plain = model(pixels).logits
        with dropout_on(model):
            torch.manual_seed(0)
            first, second = model(pixels).logits, model(pixels).logits
            assert not any(m.training for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
        assert not torch.equal(first, second)
        assert torch.equal(model(pixels).logits, plain)
