"""What an evaluation does with what it learned."""

from pathlib import Path

import numpy as np
import torch

from hfcls.evaluation.trusting import save_folded
from hfcls.models import build_classifier, load_classifier
from hfcls.structures import Predictions
from hfcls.uncertainty.learning import fit_trust


def test_a_folded_copy_leaves_the_model_as_it_is(tmp_path: Path):
    """The report and the suite still ask the model whose predictions were measured."""
    torch.manual_seed(0)
    names = ("a", "b", "c")
    classifier = build_classifier("lenet5", class_names=names)
    classifier.model.eval()
    rng = np.random.default_rng(0)
    told = Predictions(
        rng.normal(0, 5, (60, 3)).astype(np.float32), rng.integers(0, 3, 60), tuple(map(str, range(60))), names
    )
    trust = fit_trust(told, split="validation")
    pixel_values = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        before = classifier.model(pixel_values=pixel_values).logits
        save_folded(classifier, trust, tmp_path / "folded")
        assert torch.equal(classifier.model(pixel_values=pixel_values).logits, before)
        folded = load_classifier(str(tmp_path / "folded"), trust_remote_code=False).model.eval()
        scaled = folded(pixel_values=pixel_values).logits.numpy()
    np.testing.assert_allclose(scaled, trust.scaling.apply(before.numpy()), rtol=1e-4, atol=1e-5)  # float32
