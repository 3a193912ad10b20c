"""Several classifiers as one: the mean of their probabilities, in this process and in a stranger's."""

import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers import ViTImageProcessor

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.explain import EXPLAINERS, explain_images
from hfcls.models import (
    Classifier,
    build_classifier,
    build_ensemble,
    find_heads,
    linear_head,
    load_classifier,
    pooled_features,
    save_classifier,
)
from hfcls.models.dropout import dropout_on
from hfcls.models.figures import measure_model
from hfcls.models.folding import fold_scaling

from ..families import save_tiny

NAMES = tuple(f"class {i}" for i in range(7))


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> list[Classifier]:
    """Ours, ours with the classes in another order, timm's, and one whose weights transformers renames as it saves."""
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("vit")
    save_tiny("vit", place)
    return [
        build_classifier("simple_cnn", class_names=NAMES, image_size=32, dropout=0.2),
        build_classifier("cifar_resnet20", class_names=NAMES[::-1], image_size=32),
        build_classifier("resnet18", class_names=NAMES, image_size=32),
        load_classifier(str(place)),
    ]


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def probabilities(classifier: Classifier, pixels: torch.Tensor) -> np.ndarray:
    """Of the classes of `NAMES`, by the classifier's own normalization."""
    with torch.no_grad():
        logits = classifier.model.eval()(Preprocessing(classifier.image_processor).normalize(pixels)).logits
    order = [classifier.class_names.index(name) for name in NAMES]
    return logits.double().softmax(-1).numpy()[:, order]


def test_the_answers_are_the_weighted_mean(members, pixels):
    wanted = [probabilities(member, pixels) for member in members]
    plain = build_ensemble(members)
    # float32 networks, whose inputs were normalized in two steps instead of one
    np.testing.assert_allclose(probabilities(plain, pixels), np.mean(wanted, axis=0), atol=1e-6)
    weighted = build_ensemble(members, [3, 0, 1, 0])
    assert len(weighted.model.members) == 2
    np.testing.assert_allclose(probabilities(weighted, pixels), 0.75 * wanted[0] + 0.25 * wanted[2], atol=1e-6)
    parameters, macs = measure_model(plain.model, (32, 32))
    each = [measure_model(member.model, (32, 32)) for member in members]
    assert (parameters, macs) == tuple(map(sum, zip(*each, strict=True)))


STRANGER = """
import importlib.util, json, sys
sys.path.append(sys.argv[1])
assert importlib.util.find_spec("hfcls") is None
from transformers import pipeline
pipe = pipeline("image-classification", model=sys.argv[2], trust_remote_code=True)
print(json.dumps([{one["label"]: one["score"] for one in row} for row in pipe(sys.argv[3:], top_k=7)]))
"""


@pytest.mark.parametrize("first", ["ours", "timm"])
def test_a_stranger_gets_the_same_from_one_directory(members, pixels, tmp_path: Path, first: str):
    chosen = members if first == "ours" else members[2:]
    ensemble = build_ensemble(chosen)
    save_classifier(ensemble, tmp_path / "ensemble")
    files = [tmp_path / f"{number}.png" for number in range(len(pixels))]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    wanted = probabilities(ensemble, pixels)
    again = load_classifier(str(tmp_path / "ensemble"))
    np.testing.assert_allclose(probabilities(again, pixels), wanted, atol=1e-7)
    # -S: without the .pth files that put this package on the path
    command = [sys.executable, "-S", "-c", STRANGER, sysconfig.get_path("purelib"), str(tmp_path / "ensemble")]
    done = subprocess.run(
        [*command, *map(str, files)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = [[row[name] for name in NAMES] for row in json.loads(done.stdout.splitlines()[-1])]
    # images one by one there, together here
    np.testing.assert_allclose(told, wanted, atol=1e-6)


def test_what_takes_a_classifier_takes_an_ensemble(members, pixels):
    ensemble = build_ensemble(members)
    model = ensemble.model.eval()
    values = Preprocessing(ensemble.image_processor).normalize(pixels)
    each = [
        pooled_features(member.model.eval(), Preprocessing(member.image_processor).normalize(pixels))
        for member in members
    ]
    torch.testing.assert_close(pooled_features(model, values), torch.cat(each, dim=1), atol=1e-4, rtol=1e-4)
    assert linear_head(model) is None and len(find_heads(model)) == len(members)
    with torch.no_grad(), dropout_on(model):
        assert not torch.equal(model(values).logits, model(values).logits)
    with torch.no_grad():
        before = model(values).logits
        scale, bias = np.linspace(0.5, 2, 7), np.linspace(-1, 1, 7)
        fold_scaling(model, scale, bias, values)
        fold_scaling(model, np.full(7, 2.0), np.zeros(7), values)
        wanted = 2 * (before * torch.tensor(scale).float() + torch.tensor(bias).float())
        torch.testing.assert_close(model(values).logits, wanted, atol=1e-5, rtol=1e-5)


def test_a_map_of_an_ensemble_is_the_mean_of_its_members_maps(members, pixels):
    images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels[:2]]
    chosen = members[:2]
    ensemble = build_ensemble(chosen, [1, 3])
    own = NAMES.index("class 2")
    maps = [explain_images(member, images, targets=[member.class_names.index("class 2")] * 2) for member in chosen]
    found = explain_images(ensemble, images, targets=[ensemble.class_names.index("class 2")] * 2)
    for index, heatmap in enumerate(found):
        wanted = 0.25 * maps[0][index].values + 0.75 * maps[1][index].values
        # each is scaled to 1 after it was enlarged, the ensemble's before
        np.testing.assert_allclose(heatmap.values, wanted / wanted.max(), atol=0.02)
        assert heatmap.class_name == NAMES[own] and heatmap.layer and heatmap.layer.startswith("members.0.")
    timed = explain_images(ensemble, images[:1], method="integrated-gradients", passes=40)[0]
    assert not timed.complete and timed.passes <= 44
    assert not EXPLAINERS["attention-rollout"].suits(ensemble.model)


def test_members_that_do_not_go_together_are_refused(members, tmp_path: Path):
    larger = build_classifier("simple_cnn", class_names=NAMES, image_size=40)
    with pytest.raises(UserError, match="32x32 pixels and second of 40x40"):
        build_ensemble([members[0], larger], names=["first", "second"])
    with pytest.raises(UserError, match="other classes, such as 'class 0'"):
        build_ensemble([members[0], build_classifier("simple_cnn", class_names=(*NAMES[1:], "other"), image_size=32)])
    with pytest.raises(UserError, match="ensemble itself"):
        build_ensemble([build_ensemble(members[:1])])
    with pytest.raises(UserError, match="Python code came with it"):
        build_ensemble([replace(members[0], model=type("Odd", (nn.Linear,), {})(2, 2))])
    flipped = ViTImageProcessor(size={"height": 32, "width": 32}, do_rescale=False)
    with pytest.raises(UserError, match="more than a mean"):
        build_ensemble([members[0], replace(members[1], image_processor=flipped)])
    for weights in ([1, -1], [0, 0], [1], [float("nan"), 1]):
        with pytest.raises(UserError, match="weight"):
            build_ensemble(members[:2], weights)
    save_classifier(build_ensemble(members[:2]), tmp_path)
    with pytest.raises(UserError, match="train its members"):
        load_classifier(str(tmp_path), image_size=40)


def test_a_strangers_config_is_read_with_care(members, tmp_path: Path, monkeypatch):
    save_classifier(build_ensemble([members[0], members[3]]), tmp_path)
    kept = json.loads((tmp_path / "config.json").read_text())
    vit = kept["members"][1]

    def load(**changes) -> Classifier:
        (tmp_path / "config.json").write_text(json.dumps({**kept, **changes}))
        return load_classifier(str(tmp_path))

    for settings, words in (
        ({"model_type": "timm_wrapper", "architecture": "hf-hub:alice/other"}, "expected the name of a network"),
        ({"model_type": "timm_wrapper", "architecture": 5}, "cannot be built"),
        ({"model_type": "timm_wrapper", "architecture": "resnet18", "model_args": 5}, "cannot be built"),
        ({"model_type": "hfcls_simple_cnn", "auto_map": {}}, "Python code of its own"),
        ({"model_type": "hfcls_lenet5", "use_return_dict": 1}, "cannot be built"),
        ({**vit, "hidden_size": "x"}, "cannot be built"),
        ({"model_type": "no_such"}, "cannot be built"),
        ({}, "without a model_type"),
    ):
        with pytest.raises(UserError, match=words):
            load(members=[kept["members"][0], settings])
    for changes in (
        {"member_orders": [None, [0, 1, 2, 3, 4, 5, 5]]},
        {"member_orders": [None]},
        {"member_inputs": [None, {"scale": [1, 1, 1]}]},
        {"member_inputs": {"scale": 1}},
        {"member_weights": [0.5, "x"]},
        {"member_weights": [1, 0]},
        {"logit_scale": [1] * 7},
    ):
        with pytest.raises(UserError, match=r"config\.json"):
            load(**changes)
    asked = []
    monkeypatch.setattr("transformers.modeling_utils.lazy_import_flash_attention", lambda *a, **_: asked.append(a))
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        load(members=[kept["members"][0], {**vit, key: "kernels-community/vit"}], **{key: "kernels-community/vit"})
    assert not asked
