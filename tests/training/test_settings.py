"""Training arguments, optimizers by name, and what weight decay spares."""

from pathlib import Path

import pytest
import torch

from hfcls.commands.train import train
from hfcls.errors import UserError
from hfcls.models import build_classifier
from hfcls.training.callbacks import EarlyStopping
from hfcls.training.optimizers import parameter_groups
from hfcls.training.settings import build_training_arguments, choose_bf16


def test_biases_norms_and_tokens_keep_their_size():
    model = build_classifier("vit_tiny_patch16_224", class_names=("a", "b"), image_size=32).model
    decayed, free = parameter_groups(model, 0.1)
    spared = {id(parameter) for parameter in free["params"]}
    for name, parameter in model.named_parameters():
        expected = parameter.ndim == 1 or name.endswith(("cls_token", "pos_embed"))
        assert (id(parameter) in spared) == expected, name
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)


RATES = {"sgd": 0.1, "nesterov": 0.02, "adam": 3e-3, "adamw": 3e-3, "lion": 1e-3, "lamb": 0.02, "muon": 0.01}


@pytest.mark.parametrize("optim", [*RATES, "adamw_torch"])
def test_optimizers_by_name_train(image_folder: Path, tmp_path: Path, optim: str):
    measured = train(
        {
            "train_dir": str(image_folder),
            "architecture": "simple_cnn",
            "image_size": 8,
            "output_dir": str(tmp_path / "r"),
        }
        | {"optim": optim, "num_train_epochs": 6, "use_cpu": True, "disable_tqdm": True}
        | {"learning_rate": RATES.get(optim, 3e-3)}
        | {"per_device_train_batch_size": 8, "validation_fraction": 0, "test_fraction": 0.25, "save_strategy": "no"}
    )
    # three colours in noise; chance is 0.42
    assert measured["splits"]["test"]["headline"]["accuracy"]["value"] > 0.6


def test_smaller_is_better_where_it_is():
    def better(metric: str) -> bool:
        values = {"output_dir": "x", "metric_for_best_model": metric, "use_cpu": True}
        return build_training_arguments(values, has_validation=True).greater_is_better

    assert [better(name) for name in ("accuracy", "ece", "brier", "log_loss", "loss")] == [True] + [False] * 4


def test_early_stopping_follows_the_history():
    from types import SimpleNamespace

    def stops(values: list[float], **settings) -> bool:
        control = SimpleNamespace(should_training_stop=False)
        state = SimpleNamespace(log_history=[{"eval_ece": value} for value in values])
        arguments = SimpleNamespace(metric_for_best_model="ece", greater_is_better=False)
        EarlyStopping(2, **settings).on_evaluate(arguments, state, control)
        return control.should_training_stop

    assert stops([0.3, 0.2, 0.2, 0.25])
    assert not stops([0.3, 0.2, 0.25, 0.19])
    assert stops([0.3, 0.2, 0.195, 0.19], threshold=0.05)


def test_bf16_needs_the_hardware(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(UserError, match="bfloat16"):
        build_training_arguments({"output_dir": "x", "bf16": True, "use_cpu": True}, has_validation=True)
    automatic = build_training_arguments({"output_dir": "x", "use_cpu": True}, has_validation=True)
    assert automatic.bf16 is False


def test_bf16_by_itself_where_network_and_processor_gain(monkeypatch):
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("for machines without an accelerator")
    plain, depthwise = (
        build_classifier(name, class_names=("a", "b"), image_size=32).model
        for name in ("simple_cnn", "mobilenetv2_100")
    )
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert choose_bf16({}, plain)["bf16"] is True
    assert choose_bf16({}, depthwise)["bf16"] is False
    assert choose_bf16({"bf16": False}, plain)["bf16"] is False
    chosen = build_training_arguments({"output_dir": "x", **choose_bf16({}, plain)}, has_validation=True)
    assert chosen.bf16
    assert chosen.device.type == "cpu"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert choose_bf16({}, plain)["bf16"] is False
    # Another kind of accelerator is not taken for a processor.
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert choose_bf16({}, plain) == {}
