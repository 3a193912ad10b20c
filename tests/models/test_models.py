"""Networks from names, directories and files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hfcls.errors import UserError
from hfcls.models import build_classifier, features, find_heads, load_classifier, load_weights, pooled_features
from tests.families import save_tiny

NAMES = ("a", "b", "c")


def count(classifier) -> int:
    return sum(parameter.numel() for parameter in classifier.model.parameters())


def test_parameters_are_the_papers():
    ten = tuple(map(str, range(10)))
    assert count(build_classifier("lenet5", class_names=ten)) == 61_706  # LeCun 1998, with full connections
    # by hand: 896 + 18,496 + 4,096 * 512 + 512 + 5,130
    assert count(build_classifier("simple_cnn", class_names=ten)) == 2_122_186


@pytest.mark.parametrize(
    ("name", "width"), [("lenet5", 84), ("simple_cnn", 512), ("resnet18", 512), ("vit_tiny_patch16_224", 192)]
)
def test_features_are_what_the_head_reads(name: str, width: int):
    model = build_classifier(name, class_names=NAMES, image_size=32).model.eval()
    images = torch.rand(2, 3, 32, 32)
    pooled = pooled_features(model, images)
    assert pooled.shape == (2, width)
    (head,) = find_heads(model).values()
    torch.testing.assert_close(head(pooled), model(images).logits)
    assert features(model, images).shape[0] == 2


def test_grey_networks_turn_rgb_grey():
    model = build_classifier("lenet5", class_names=NAMES).model.eval()
    grey = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(model(grey.expand(-1, 3, -1, -1)).logits, model(grey).logits)


@pytest.fixture(scope="module", params=["vit", "swin", "convnext", "mobilenet_v2", "resnet", "lenet5", "resnet18"])
def saved(request, tmp_path_factory) -> tuple[Path, tuple[str, ...]]:
    """A saved network and its class names."""
    path = tmp_path_factory.mktemp("saved") / request.param
    if request.param in ("lenet5", "resnet18"):
        classifier = build_classifier(request.param, class_names=NAMES, image_size=32)
        classifier.model.save_pretrained(path)
        classifier.image_processor.save_pretrained(path)
    else:
        save_tiny(request.param, path)
    return path, load_classifier(str(path)).class_names


def test_the_head_stays_for_the_same_classes_and_goes_for_others(saved):
    path, names = saved
    images = torch.rand(2, 3, 32, 32)
    before = load_classifier(str(path)).model.eval()
    same = load_classifier(str(path), class_names=names)
    torch.testing.assert_close(same.model.eval()(images).logits, before(images).logits)
    assert not same.notices
    renamed = load_classifier(str(path), class_names=tuple(f"other {name}" for name in names))
    fewer = load_classifier(str(path), class_names=("x", "y"))
    assert fewer.class_names == ("x", "y")
    for other in (renamed, fewer):
        assert "replaced" in other.notices[0]
        torch.testing.assert_close(pooled_features(other.model.eval(), images), pooled_features(before, images))
        (head, *_), (old, *_) = find_heads(other.model).values(), find_heads(before).values()
        assert head.weight.shape != old.weight.shape or not torch.equal(head.weight, old.weight)


def test_weights_from_a_file(tmp_path: Path):
    source = build_classifier("resnet18", class_names=NAMES, image_size=32)
    bare = {key: value.contiguous() for key, value in source.model.timm_model.state_dict().items()}
    save_file(bare, tmp_path / "w.safetensors")
    same = build_classifier("resnet18", class_names=NAMES, image_size=32)
    assert load_weights(same, str(tmp_path / "w.safetensors")) == ()
    other = build_classifier("resnet18", class_names=("x", "y"), image_size=32)
    assert "head" in load_weights(other, str(tmp_path / "w.safetensors"))[0]
    images = torch.rand(2, 3, 32, 32)
    expected = pooled_features(source.model.eval(), images)
    for found in (same, other):
        torch.testing.assert_close(pooled_features(found.model.eval(), images), expected)
    with pytest.raises(UserError, match="does not fit resnet34"):
        load_weights(build_classifier("resnet34", class_names=NAMES, image_size=32), str(tmp_path / "w.safetensors"))
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:5000])
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_weights(same, str(tmp_path / "cut.safetensors"))


def test_unsafe_and_partial_checkpoints_are_refused(tmp_path: Path):
    save_tiny("resnet", tmp_path / "run")
    weights = tmp_path / "run" / "model.safetensors"
    tensors = load_file(weights)
    save_file({k: v for k, v in tensors.items() if "stages.1" not in k}, weights, metadata={"format": "pt"})
    with pytest.raises(UserError, match="does not hold a whole network"):
        load_classifier(str(tmp_path / "run"))
    classifier = build_classifier("resnet18", class_names=NAMES, image_size=32)
    classifier.model.save_pretrained(tmp_path / "timm")
    whole = load_file(tmp_path / "timm" / "model.safetensors")
    part = {k: v for k, v in whole.items() if "layer4" not in k}
    save_file(part, tmp_path / "timm" / "model.safetensors", metadata={"format": "pt"})
    for names in (NAMES, ("x", "y")):
        with pytest.raises(UserError, match="does not hold a whole network"):
            load_classifier(str(tmp_path / "timm"), class_names=names)
    torch.save(tensors, tmp_path / "run" / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UserError, match="--allow_pickle"):
        load_classifier(str(tmp_path / "run"))
    assert load_classifier(str(tmp_path / "run"), allow_pickle=True).class_names[0] == "class 0"
    config = tmp_path / "run" / "config.json"
    config.write_text('{"model_type": "stranger", "auto_map": {"AutoConfig": "code.Config"}}')
    (tmp_path / "run" / "code.py").write_text("raise SystemExit('ran')")
    with pytest.raises(UserError, match="--trust_remote_code"):
        load_classifier(str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": "hf-hub:alice/other"}, "the architecture 'hf-hub:alice/other': expected the name"),
        ({"architecture": "local-dir:{elsewhere}"}, "the architecture 'local-dir:"),
        ({"architecture": "resnet18.{elsewhere}"}, "the architecture 'resnet18./"),
        ({"architecture": "no_such_network"}, "the architecture 'no_such_network'"),
        ({"model_args": {"checkpoint_path": "{elsewhere}/x.pth"}}, "checkpoint_path in its model_args"),
        ({"model_args": {"pretrained_cfg": {"file": "{elsewhere}/x.pth"}}}, "pretrained_cfg in its model_args"),
        ({"model_args": {"pretrained_cfg_overlay": {"url": "http://x"}}}, "pretrained_cfg_overlay in its model_args"),
        ({"model_args": {"cache_dir": "{elsewhere}"}}, "cache_dir in its model_args"),
        ({"model_args": {"pretrained": True}}, "pretrained in its model_args"),
    ],
)
def test_a_config_leads_nowhere_else(tmp_path: Path, changes: dict, sentence: str):
    classifier = build_classifier("resnet18", class_names=NAMES, image_size=32)
    classifier.model.save_pretrained(tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    changed = json.dumps(changes).replace("{elsewhere}", str(tmp_path))
    config.write_text(json.dumps({**json.loads(config.read_text()), **json.loads(changed)}))
    with pytest.raises(UserError, match=sentence):
        load_classifier(str(tmp_path / "run"))


def test_real_imagenet_weights(shared: Path):
    """Cranes and maillots have one name each in the checkpoint and two classes: matched by index."""
    from datasets import load_dataset

    from hfcls.data.labels import match_names

    classifier = load_classifier(str(shared / "weights" / "mobilenetv2_100_imagenet"))
    photos = load_dataset("parquet", data_files=str(shared / "data" / "imagenet_sample" / "test.parquet"))["train"]
    assert match_names(photos.features["label"].names, classifier.class_names) == list(range(1000))
