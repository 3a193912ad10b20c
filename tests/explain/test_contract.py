"""Every explainer on every family of networks."""

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hfcls.errors import UserError
from hfcls.explain import (
    EXPLAINERS,
    explain_images,
    gradient_shap,
    integrated_gradients,
    lime,
    occlusion,
    score_cam,
    shap_values,
)
from hfcls.explain.base import seeded
from tests.explain.networks import CLASSES, build, photos

FAMILIES = (
    "simple_cnn",
    "timm resnet",
    "timm mobilenet",
    "timm vit",
    "timm swin",
    "timm convnext",
    "vit",
    "deit",
    "dinov2",
    "swin",
    "resnet",
    "convnext",
)
ATTENTIVE = {"timm vit", "vit", "deit", "dinov2"}
IMAGES = photos(2)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    # Images of 64 leave the networks that halve five times a grid of 2 x 2.
    size = {"timm resnet": 64, "timm mobilenet": 64, "timm convnext": 64, "simple_cnn": 32}.get(request.param)
    return request.param, build(request.param, size=size)


@pytest.fixture
def small_efforts(monkeypatch):
    """What suffices for 32 pixels; of a budget, an image of two would have another part than one alone."""
    for module, name, value in (
        (score_cam, "CHANNELS", 40),
        (shap_values, "EVALUATIONS", 60),
        (lime, "SAMPLES", 60),
        (gradient_shap, "SAMPLES", 16),
        (integrated_gradients, "STEPS", 16),
        (occlusion, "STEP", 1.0),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("method", EXPLAINERS)
def test_contract(family, method: str, small_efforts):
    name, classifier = family
    if method == "attention-rollout" and name not in ATTENTIVE:
        assert not EXPLAINERS[method].suits(classifier.model)
        with pytest.raises(UserError, match=r"^Attention rollout needs a transformer .*Choose"):
            explain_images(classifier, IMAGES, method=method)
        return
    told: list[tuple[int, int | None]] = []
    before = state(classifier.model)
    # In a network that has learned nothing, not every class has a map with something positive in it.
    target = {"resnet": 3, "timm convnext": 0}.get(name, 1)
    both = explain_images(classifier, IMAGES, method=method, targets=[target] * 2, progress=lambda *n: told.append(n))
    for heatmap in both:
        assert heatmap.values.shape == (40, 56) and heatmap.values.dtype == np.float32
        assert np.isfinite(heatmap.values).all() and heatmap.values.min() >= 0 and heatmap.values.max() == 1
        assert np.ptp(heatmap.values) > 0.1
        assert heatmap.class_name == CLASSES[target] and heatmap.method == method and heatmap.passes > 0
        assert (heatmap.layer is not None) == EXPLAINERS[method].takes_layer
    done = [n for n, _ in told]
    assert done == sorted(done) and all(total is None or total >= n for n, total in told)
    alone = explain_images(classifier, IMAGES[1:], method=method, targets=[target])
    # In a batch sums are added in another order; a difference of one in a map of 256 levels would show.
    np.testing.assert_allclose(alone[0].values, both[1].values, atol=2e-3)
    assert state(classifier.model) == before


def state(model: torch.nn.Module) -> tuple:
    """What an explainer must leave as it was."""
    return (
        model.training,
        sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()),
        tuple(getattr(m, "fused_attn", None) for m in model.modules()),
        getattr(model.config, "_attn_implementation", None),
        all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters()),
        tuple(m.training for m in model.modules()),
    )


@pytest.mark.parametrize("stopped_at", [1, 3])
@pytest.mark.parametrize("method", EXPLAINERS)
def test_an_exception_in_progress_stops_it(method: str, stopped_at: int):
    """IndexError, which pytorch-grad-cam would keep to itself."""
    classifier = build("timm vit" if method == "attention-rollout" else "simple_cnn")
    classifier.model.train()
    before = state(classifier.model)
    calls = 0

    def stop(*_):
        nonlocal calls
        calls += 1
        if calls == stopped_at:
            raise IndexError("enough")

    if stopped_at == 3 and EXPLAINERS[method].cost == "fast" and method == "attention-rollout":
        pytest.skip("is done after two passes")
    with pytest.raises(IndexError, match="enough"):
        explain_images(classifier, IMAGES[:1], method=method, progress=stop)
    assert state(classifier.model) == before


@pytest.mark.parametrize("method", ["shap", "gradient-shap", "integrated-gradients", "lime", "occlusion", "score-cam"])
def test_a_budget_ends_it(method: str):
    classifier = build("simple_cnn")
    short = explain_images(classifier, IMAGES[:1], method=method, passes=30)[0]
    assert short.passes <= 31 and not short.complete
    hurried = explain_images(classifier, IMAGES[:1], method=method, seconds=0.01)[0]
    assert not hurried.complete and hurried.passes < 60


@pytest.mark.parametrize("method", ["shap", "gradient-shap", "lime"])
def test_a_seed_decides(method: str):
    classifier = build("simple_cnn")
    np.random.seed(1)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    one, same = (explain_images(classifier, IMAGES[:1], method=method, passes=60, seed=3)[0] for _ in range(2))
    np.testing.assert_array_equal(one.values, same.values)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.random.get_rng_state(), before[1])
    if method != "shap":  # which draws only between equals
        other = explain_images(classifier, IMAGES[:1], method=method, passes=60, seed=4)[0]
        assert not np.array_equal(one.values, other.values)


def test_two_threads_leave_the_generators_as_they_were():
    """The second comes while the first is at work, and would keep the state that the first has made."""
    np.random.seed(1)
    before = np.random.get_state()[1].copy(), torch.random.get_rng_state()

    def second():
        with seeded(4):
            drawn.append(np.random.random())

    drawn: list[float] = []
    with seeded(3):
        other = threading.Thread(target=second)
        other.start()
        other.join(0.1)
        drawn.append(np.random.random())
    other.join()
    assert drawn == [np.random.RandomState(seed).random() for seed in (3, 4)]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.random.get_rng_state(), before[1])


class Answers:
    """No network of PyTorch: how red the left half is."""

    def __call__(self, pixel_values):
        red = pixel_values[:, 0, :, :16].mean(dim=(1, 2))
        return SimpleNamespace(logits=torch.stack([red, -red], dim=1))


@pytest.mark.parametrize("method", EXPLAINERS)
def test_what_only_answers_can_be_asked(method: str):
    processor = build("simple_cnn", size=32).image_processor
    classifier: Any = SimpleNamespace(model=Answers(), image_processor=processor, class_names=("red", "other"))
    if EXPLAINERS[method].asks_only:
        (found,) = explain_images(classifier, IMAGES[:1], method=method, targets=[0], passes=60)
        assert found.values.max() == 1
    else:
        with pytest.raises(UserError, match=r"looks into the network, and Answers is not one of PyTorch: choose shap"):
            explain_images(classifier, IMAGES[:1], method=method)


def test_each_image_tells_whether_it_was_cut_short(monkeypatch):
    """Of 59 passes the first image has 29, and the second the 30 that it wants."""
    monkeypatch.setattr(lime, "SAMPLES", 30)
    classifier = build("simple_cnn")
    both = explain_images(classifier, IMAGES, method="lime", targets=[1, 1], passes=59)
    assert [one.complete for one in both] == [False, True]


def test_what_cannot_be_explained_is_said():
    classifier = build("simple_cnn")
    with pytest.raises(UserError, match=r"Unknown explainer 'gradcam'. Did you mean 'grad-cam'"):
        explain_images(classifier, IMAGES, method="gradcam")
    with pytest.raises(UserError, match="SHAP does not look at a layer"):
        explain_images(classifier, IMAGES, method="shap", layer="convolutions")
    with torch.no_grad():
        classifier.model.classifier.weight[2] = 0
    with pytest.raises(UserError, match=r"'blue' at the layer convolutions: the map is the same everywhere"):
        explain_images(classifier, IMAGES, targets=[2, 2])
