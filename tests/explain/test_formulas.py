"""The maps against the reference libraries and against numbers by hand."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from hfcls.data.transforms import Preprocessing
from hfcls.explain import EXPLAINERS, explain_images, occlusion
from hfcls.explain.attention_rollout import rollout
from hfcls.explain.base import Effort
from hfcls.explain.eigen_cam import first_component
from hfcls.explain.lime import superpixels
from hfcls.models import load_classifier
from hfcls.models.cam_layer import CamLayer
from tests.explain.networks import build, photos

IMAGES = photos(1)


class _Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values=pixel_values).logits


def pixel_values_of(classifier, image) -> torch.Tensor:
    preprocessing = Preprocessing(classifier.image_processor)
    return preprocessing.normalize(preprocessing.pixels(image)[None])


def raw(method: str, classifier, pixel_values: torch.Tensor, target: int):
    """The explainer after its work, and its map in the network's frame."""
    explainer = EXPLAINERS[method](classifier.model, effort=Effort())
    return explainer, explainer.maps(pixel_values, torch.tensor([target]))[0]


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("grad-cam", "GradCAM"),
        ("grad-cam++", "GradCAMPlusPlus"),
        ("score-cam", "ScoreCAM"),
        ("layer-cam", "LayerCAM"),
    ],
)
def test_equals_a_direct_call_of_the_library(method: str, name: str):
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    classifier = build("resnet")
    pixel_values = pixel_values_of(classifier, IMAGES[0])
    layer = classifier.model.resnet.encoder.stages[1]
    with getattr(pytorch_grad_cam, name)(_Logits(classifier.model), [layer]) as cam:
        expected = cam(pixel_values, [ClassifierOutputTarget(3)])[0]
    np.testing.assert_allclose(raw(method, classifier, pixel_values, 3)[1], expected, atol=1e-6)


def test_equals_a_direct_call_on_a_photo(shared):
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    directory = shared / "weights/mobilenetv2_100_imagenet"
    if not directory.is_dir():
        pytest.skip("needs the MobileNetV2 weights, which are not here")
    classifier = load_classifier(str(directory))
    classifier.model.eval()
    pixel_values = pixel_values_of(classifier, photos(1, width=300, height=260)[0])
    with GradCAM(_Logits(classifier.model), [classifier.model.timm_model.bn2]) as cam:
        expected = cam(pixel_values, [ClassifierOutputTarget(285)])[0]
    np.testing.assert_allclose(raw("grad-cam", classifier, pixel_values, 285)[1], expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(6, 9, 11), (40, 3, 5), (4, 2, 2)])
def test_the_first_component_is_the_librarys(shape: tuple[int, int, int]):
    """More places than channels, and fewer; both with their largest value to the positive side."""
    from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_with_sign_correction

    activations = np.random.default_rng(0).exponential(size=shape).astype(np.float32)
    expected = get_2d_projection_with_sign_correction(activations[None])[0]
    found = first_component(activations)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.max() == np.abs(found).max()


def test_eigen_cam_shows_what_stands_out():
    """One corner of the image is bright, the rest is dark and even: the map is of that corner."""
    classifier = build("simple_cnn", size=32)
    pixels = np.full((32, 32, 3), 20, np.uint8)
    pixels[:10, :10] = 250
    (found,) = explain_images(classifier, [Image.fromarray(pixels)], method="eigen-cam", targets=[0])
    assert found.values[:8, :8].mean() > 5 * found.values[20:, 20:].mean()


class InPlace(torch.nn.Module):
    """A convolution whose output a ReLU changes where it lies."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.relu = torch.nn.ReLU(inplace=True)
        self.classifier = torch.nn.Linear(4, 2)

    def forward(self, pixel_values):
        maps = self.relu(self.convolution(pixel_values))
        return SimpleNamespace(logits=self.classifier(maps.mean(dim=(2, 3))))


def test_what_was_seen_of_a_layer_is_not_changed_by_the_next():
    torch.manual_seed(0)
    model = InPlace()
    layer = CamLayer("convolution", model.convolution, "maps", (8, 8))
    seen = []
    model.convolution.register_forward_hook(lambda _m, _i, output: seen.append(layer.to_maps(output)))
    model(torch.randn(1, 3, 8, 8))
    assert float(seen[0].detach().min()) < 0


@pytest.mark.parametrize(("size", "allowed"), [((64, 256), 20), ((256, 64), 9), ((224, 224), 30), ((33, 500), 100)])
def test_occlusion_takes_no_more_passes_than_are_allowed(size: tuple[int, int], allowed: int):
    window, step = occlusion.plan(*size, allowed)
    assert 9 <= occlusion.count(*size, window, step) <= allowed
    assert all(one <= other for one, other in zip(step, window, strict=True))


def test_lime_draws_the_samples_of_the_library():
    from lime.lime_image import LimeImageExplainer

    classifier = build("simple_cnn")
    pixel_values = pixel_values_of(classifier, IMAGES[0])
    explainer, found = raw("lime", classifier, pixel_values, 1)

    def probabilities(images):
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            return classifier.model(batch).logits.double().softmax(dim=1).numpy()

    explanation = LimeImageExplainer(random_state=0).explain_instance(
        pixel_values[0].permute(1, 2, 0).double().numpy(),
        probabilities,
        labels=(1,),
        top_labels=None,
        num_samples=500,
        segmentation_fn=superpixels,
    )
    weights = dict(explanation.local_exp[1])
    expected = np.vectorize(weights.get)(explanation.segments)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # the pixels are float32
    assert explainer.facts[0]["score"] == pytest.approx(explanation.score, abs=1e-4)


def test_rollout_of_two_blocks_by_hand():
    """(A + I) / 2 is [[.75, .25], [.5, .5]] in the first block and [[.5, .5], [.25, .75]] in the second; their product,
    the second times the first, is [[.625, .375], [.5625, .4375]].
    """
    first = torch.tensor([[[0.5, 0.5], [1.0, 0.0]]])
    second = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]])
    expected = torch.tensor([[[0.625, 0.375], [0.5625, 0.4375]]])
    torch.testing.assert_close(rollout([first, second]), expected)


@pytest.mark.parametrize(
    ("name", "prefix"), [("vit", 1), ("timm vit", 1), ("deit", 2), ("timm deit", 2), ("dinov2", 1)]
)
def test_rollout_of_a_network(name: str, prefix: int):
    """The same from the queries and keys of each block, computed here."""
    classifier = build(name)
    model = classifier.model
    pixel_values = pixel_values_of(classifier, IMAGES[0])
    products = torch.eye(16 + prefix)
    with torch.no_grad():
        for attention in _attentions(model, pixel_values):
            products = (attention + torch.eye(16 + prefix)) / 2 @ products
    rows = products[:prefix].mean(dim=0)  # what the head reads
    if name == "dinov2":
        rows = (rows + products[1:].mean(dim=0)) / 2
    expected = rows[prefix:].reshape(4, 4)
    torch.testing.assert_close(raw("attention-rollout", classifier, pixel_values, 0)[1], expected, atol=1e-5, rtol=0)


def test_rollout_of_a_head_that_reads_the_mean_of_the_patches():
    """BEiT's head reads no class token, unless it is told to."""
    classifier = build("beit")
    pixel_values = pixel_values_of(classifier, IMAGES[0])
    with torch.no_grad():
        classifier.model.set_attn_implementation("eager")
        attentions = [one.mean(dim=1) for one in classifier.model(pixel_values, output_attentions=True).attentions]
    rolled = rollout(attentions)[0]
    found = raw("attention-rollout", classifier, pixel_values, 0)[1]
    torch.testing.assert_close(found, rolled[1:, 1:].mean(dim=0).reshape(4, 4))
    classifier.model.config.use_mean_pooling = False
    found = raw("attention-rollout", classifier, pixel_values, 0)[1]
    torch.testing.assert_close(found, rolled[0, 1:].reshape(4, 4))


def _attentions(model, pixel_values) -> list[torch.Tensor]:
    """(T, T) of each block, the mean of the heads."""
    inputs: list[torch.Tensor] = []
    is_timm = hasattr(model, "timm_model")
    blocks = model.timm_model.blocks if is_timm else _blocks(model)
    norms = [block.norm1 if hasattr(block, "norm1") else block.layernorm_before for block in blocks]
    hooks = [norm.register_forward_hook(lambda _m, _i, output: inputs.append(output)) for norm in norms]
    model(pixel_values=pixel_values)
    for hook in hooks:
        hook.remove()
    found = []
    for block, tokens in zip(blocks, inputs, strict=True):
        count, width = tokens.shape[1:]
        if is_timm:
            heads = block.attn.num_heads
            queries, keys, _ = block.attn.qkv(tokens)[0].reshape(count, 3, heads, -1).permute(1, 2, 0, 3)
        else:
            linear = {n.rpartition(".")[2]: m for n, m in block.named_modules() if isinstance(m, torch.nn.Linear)}
            heads = model.config.num_attention_heads
            query = linear.get("query", linear.get("q_proj"))
            key = linear.get("key", linear.get("k_proj"))
            queries, keys = (m(tokens)[0].reshape(count, heads, -1).transpose(0, 1) for m in (query, key))
        weights = (queries @ keys.transpose(1, 2) * (width // heads) ** -0.5).softmax(dim=2)
        found.append(weights.mean(dim=0))
    return found


def _blocks(model):
    base = model.base_model
    return base.layers if hasattr(base, "layers") else base.encoder.layer


def test_shap_sums_up():
    """Whatever the budget: 1e-3 is what a person would read of a probability."""
    classifier = build("simple_cnn")
    for passes in (40, 300):
        facts = explain_images(classifier, IMAGES, method="shap", passes=passes)[0].facts
        assert facts["base_value"] + facts["sum"] == pytest.approx(facts["output"], abs=1e-3)
    with torch.no_grad():
        probabilities = classifier.model(pixel_values_of(classifier, IMAGES[0])).logits.softmax(dim=1)
    assert facts["output"] == pytest.approx(float(probabilities.max()), abs=1e-6)


def test_integrated_gradients_sum_up():
    """The logit of the image less that of its mean colour; 64 steps leave a hundredth in a network with ReLU."""
    classifier = build("simple_cnn")
    facts = explain_images(classifier, IMAGES, method="integrated-gradients", targets=[1])[0].facts
    pixel_values = pixel_values_of(classifier, IMAGES[0])
    blank = pixel_values.mean(dim=(2, 3), keepdim=True).expand_as(pixel_values)
    with torch.no_grad():
        ends = classifier.model(torch.cat([pixel_values, blank])).logits[:, 1]
    assert facts["difference"] == pytest.approx(float(ends[0] - ends[1]), abs=1e-4)
    assert facts["sum"] == pytest.approx(facts["difference"], abs=0.02 * abs(facts["difference"]) + 0.01)
    assert facts["delta"] == pytest.approx(facts["sum"] - facts["difference"], abs=1e-5)


class Squared(torch.nn.Module):
    """The logit of the second class is the mean square of the pixels."""

    def forward(self, pixel_values):
        squares = pixel_values.square().mean(dim=(1, 2, 3))
        return SimpleNamespace(logits=torch.stack([-squares, squares], dim=1))


def test_gradient_shap_sums_up_from_the_colours_of_the_picture():
    """An image of 1 and 3 has blank images of 1 and 3, not of 0: the mean square of the noisy image, 5 and the variance
    of the noise, 0.1 ** 2, less that of the blanks, 1 to 9 and by their share about 5. From black it would be 5.01.
    """
    pixel_values = torch.ones(1, 3, 16, 16)
    pixel_values[:, :, ::2] = 3
    explainer = EXPLAINERS["gradient-shap"](Squared(), effort=Effort())
    explainer.maps(pixel_values, torch.tensor([1]))
    (facts,) = explainer.facts
    blanks = explainer._blanks(pixel_values)  # type: ignore[attr-defined]
    assert set(blanks.unique().tolist()) == {1.0, 3.0}
    difference = 5 + 0.01 - float(blanks.square().mean())
    assert facts["difference"] == pytest.approx(difference, abs=0.05)  # the noise of 768 numbers
    # Of 64 samples, each between -4 and 4: three standard errors of what is drawn.
    assert facts["sum"] == pytest.approx(difference, abs=1.5)
    assert facts["delta"] == pytest.approx(facts["sum"] - facts["difference"])


def test_gradient_shap_keeps_to_its_seconds():
    class Slow(Squared):
        def forward(self, pixel_values):
            time.sleep(0.02 * len(pixel_values))
            return super().forward(pixel_values)

    effort = Effort(seconds=0.4)
    pixel_values = torch.rand(1, 3, 16, 16)
    EXPLAINERS["gradient-shap"](Slow(), effort=effort).maps(pixel_values, torch.tensor([1]))
    # 20 passes; a pass may take longer than it was thought to, but no batch of 16 comes on top.
    assert effort.spent <= 21 and effort.complete == [False]


def test_occlusion_by_hand():
    """A network that sees one pixel: what is lost where a window hides it, and nothing elsewhere."""
    seen = (9, 22)

    class OnePixel(torch.nn.Module):
        def forward(self, pixel_values):
            logits = torch.zeros(len(pixel_values), 2)
            logits[:, 1] = pixel_values[:, 0, seen[0], seen[1]]
            return type("Output", (), {"logits": logits})

    pixel_values = torch.zeros(1, 3, 32, 32)
    pixel_values[0, :, seen[0], seen[1]] = 4
    explainer = EXPLAINERS["occlusion"](OnePixel(), effort=Effort())
    found = explainer.maps(pixel_values, torch.tensor([1]))[0]
    lost = torch.tensor([4.0, 4 / 1024]).sigmoid()
    assert float(found[seen]) == pytest.approx(float(lost[0] - lost[1]), abs=1e-4)
    assert float(found.max()) == pytest.approx(float(found[seen]), abs=1e-6)
    assert float(found[20:].abs().max()) == 0 and float(found[:, :12].abs().max()) == 0
