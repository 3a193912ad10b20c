"""Only what was named learns, at the rate that was named; the weights that are kept are those that validation likes."""

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from hfcls.commands.train import train
from hfcls.errors import UserError
from hfcls.models import build_classifier, find_heads, find_stages, load_classifier
from tests.families import save_tiny

FAMILIES = ("vit", "resnet", "resnet18")
# the flags, and which of n groups (from the image to the head) may change
MODES = {
    "backbone": ({"freeze": "backbone"}, lambda n: [n - 1]),
    "two_stages": ({"freeze": "2"}, lambda n: range(2, n)),
    "none": ({}, range),
    "lora": ({"lora_rank": 2, "lora_alpha": 4.0, "lora_dropout": 0.1}, range),
}

STRANGER = """
import importlib.util, json, sys
sys.path.append(sys.argv[1])
import torch
from transformers import AutoModelForImageClassification
sys.modules["peft"] = None  # a stranger has none
assert importlib.util.find_spec("hfcls") is None
images = torch.load("images.pt")
answers = {}
for run in json.load(open("runs.json")):
    model = AutoModelForImageClassification.from_pretrained(run).eval()
    with torch.no_grad():
        answers[run] = model(images).logits
torch.save(answers, "answers.pt")
"""


@pytest.fixture(scope="module")
def starts(tmp_path_factory) -> Path:
    """Directories to fine-tune from."""
    root = tmp_path_factory.mktemp("starts")
    for family in ("vit", "resnet"):
        save_tiny(family, root / family)
    classifier = build_classifier("resnet18", class_names=tuple("abcdefg"), image_size=32)
    for module in classifier.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # timm closes each block at first: nothing inside would learn
    classifier.model.save_pretrained(root / "resnet18")
    classifier.image_processor.save_pretrained(root / "resnet18")
    return root


def settings(images: Path, start: Path, run: Path) -> dict:
    return {
        **{"train_dir": str(images), "model_name_or_path": str(start), "output_dir": str(run), "use_cpu": True},
        **{"disable_tqdm": True, "num_train_epochs": 1, "per_device_train_batch_size": 8, "learning_rate": 0.05},
        **{"optim": "sgd", "lr_scheduler_type": "constant", "warmup_steps": 0},
    }


def weights(directory: Path) -> dict[str, Tensor]:
    """Under the names that they have in memory."""
    return {name: tensor.clone() for name, tensor in load_classifier(str(directory)).model.state_dict().items()}


@pytest.fixture(scope="module")
def runs(starts: Path, mixed_folder: Path, tmp_path_factory) -> dict[tuple[str, str], Path]:
    """A short run of each family in each mode."""
    root = tmp_path_factory.mktemp("runs")
    made = {(family, mode): root / family / mode for family in FAMILIES for mode in MODES}
    for (family, mode), run in made.items():
        train(settings(mixed_folder, starts / family, run) | MODES[mode][0])
    return made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_named_tensors_change(runs: dict, starts: Path, family: str, mode: str):
    before, after = weights(starts / family), weights(runs[family, mode])
    model = load_classifier(str(runs[family, mode])).model
    assert before.keys() == after.keys()
    heads = set(find_heads(model))
    same = {name for name in before if name.rpartition(".")[0] not in heads and torch.equal(before[name], after[name])}
    stages = find_stages(model)
    learning = {name for index in MODES[mode][1](len(stages)) for name in stages[index]}
    layers = {name.rpartition(".")[0] for name in learning}
    if mode == "lora":
        # matrices and kernels below the head, without a bias, a norm, a position or a grouped kernel
        adapted = {name for name, module in model.named_modules() if is_adaptable(module)} - heads
        learning, layers = {f"{name}.weight" for name in adapted} | {f"{name}.bias" for name in heads}, adapted
    changed = before.keys() - same
    # normalization statistics go with the layer that they belong to
    assert {name for name in changed if name not in learning} <= {
        name for name in before if name.rpartition(".")[0] in layers | heads
    }
    if mode == "lora":
        assert all(name.endswith(".weight") for name in changed if name.rpartition(".")[0] not in heads)
    below = [name for name in learning if name.rpartition(".")[0] not in heads]
    moved = [name for name in below if name in changed]
    assert len(moved) >= len(below) / 2, "what was to learn has not"


def is_adaptable(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Linear) or (isinstance(module, torch.nn.Conv2d) and module.groups == 1)


def test_a_stranger_loads_them_all(runs: dict, tmp_path: Path):
    images = torch.rand(2, 3, 32, 32)
    torch.save(images, tmp_path / "images.pt")
    (tmp_path / "runs.json").write_text(json.dumps([str(run) for run in runs.values()]))
    # -S: without the .pth files that put this package on the path
    done = subprocess.run(
        [sys.executable, "-S", "-c", STRANGER, sysconfig.get_path("purelib")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = torch.load(tmp_path / "answers.pt")
    for run in runs.values():
        expected = load_classifier(str(run)).model.eval()(images).logits
        # the same float32 weights, in another memory layout
        torch.testing.assert_close(answers[str(run)], expected.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("flags", "joining"),
    [
        ({"probe_epochs": 1}, [[-1], [0, 1, 2, -1]]),
        ({"unfreeze_every": 1, "freeze": "1"}, [[-1], [2, -1], [1, 2, -1]]),
    ],
    ids=["probe", "gradual"],
)
def test_stages_join_epoch_by_epoch(starts: Path, mixed_folder: Path, tmp_path: Path, flags: dict, joining: list):
    values = settings(mixed_folder, starts / "vit", tmp_path / "run") | flags
    train(values | {"num_train_epochs": len(joining), "save_total_limit": 9})
    stages = find_stages(load_classifier(str(starts / "vit")).model)
    checkpoints = sorted((tmp_path / "run").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    heads = set(stages[-1])
    # the head of other classes is made anew, so that only the checkpoints can tell
    states = [weights(starts / "vit"), *map(weights, checkpoints)]
    assert len(checkpoints) == len(joining)
    for before, after, expected in zip(states, states[1:], joining, strict=False):
        learning = {name for index in expected for name in stages[index]}
        changed = {name for name in after if name in heads or not torch.equal(before[name], after[name])}
        assert changed <= learning
        for index in expected:
            assert changed & set(stages[index])


def test_learning_rates_by_depth(starts: Path, mixed_folder: Path, tmp_path: Path):
    """One step of plain gradient descent: what a stage moves is its rate times the same gradient."""
    start = weights(starts / "vit")
    moved = {}
    for name, flags in {"even": {}, "uneven": {"layer_decay": 0.5, "head_learning_rate": 0.2}}.items():
        values = settings(mixed_folder, starts / "vit", tmp_path / name) | flags
        train(values | {"max_steps": 1, "weight_decay": 0.0, "max_grad_norm": 0.0, "eval_strategy": "no"})
        moved[name] = weights(tmp_path / name)
    stages = find_stages(load_classifier(str(starts / "vit")).model, fine=True)
    for depth, stage in enumerate(stages[:-1]):
        rate = 0.5 ** (len(stages) - 1 - depth)
        for name in stage:
            whole, part = moved["even"][name] - start[name], moved["uneven"][name] - start[name]
            # differences of float32 weights around 1: good to some 1e-7
            torch.testing.assert_close(part, whole * rate, atol=5e-7, rtol=1e-3)
    bias = "classifier.bias"  # begins at 0 in both
    torch.testing.assert_close(moved["uneven"][bias], moved["even"][bias] * 4, atol=1e-7, rtol=1e-4)


def test_the_moving_average_is_the_formula(starts: Path, mixed_folder: Path, tmp_path: Path):
    run = tmp_path / "run"
    values = settings(mixed_folder, starts / "resnet", run) | {"ema_decay": 0.6, "max_steps": 6}
    values |= {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 1}
    train(values | {"save_total_limit": 9, "metric_for_best_model": "log_loss", "learning_rate": 0.5})
    log = json.loads((run / "trainer_state.json").read_text())
    preferred = {
        entry["step"]: bool(entry["eval_averaged"]) for entry in log["log_history"] if "eval_averaged" in entry
    }
    assert len(preferred) == 6
    average: dict[str, Tensor] = {}
    for step in range(1, 7):
        checkpoint = run / f"checkpoint-{step}"
        own = load_file(checkpoint / "trained.safetensors")
        decay = min(0.6, 1 - step ** (-2 / 3)) if step > 1 else 0.0
        for name, tensor in own.items():
            if tensor.is_floating_point():
                average[name] = tensor if step == 1 else decay * average[name] + (1 - decay) * tensor
            else:
                average[name] = tensor
        found = load_file(checkpoint / "averaged.safetensors")
        for name, tensor in average.items():
            torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=1e-5)
        chosen = found if preferred[step] else own
        evaluated = weights(checkpoint)
        assert all(torch.equal(evaluated[name], chosen[name]) for name in evaluated)
    best = run / f"checkpoint-{log['best_global_step']}" / "model.safetensors"
    assert (run / "model.safetensors").read_bytes() == best.read_bytes()


@pytest.mark.parametrize("rate", [0.05, 3.0])
def test_an_average_of_checkpoints_is_kept_where_it_is_better(
    starts: Path, mixed_folder: Path, tmp_path: Path, rate: float, capsys
):
    run = tmp_path / "run"
    values = settings(mixed_folder, starts / "vit", run) | {"average_checkpoints": 3, "metric_for_best_model": "loss"}
    train(values | {"num_train_epochs": 4, "learning_rate": rate})
    said = re.search(r"average of checkpoints ([\d, ]+) was (kept|not kept): .*? ([\d.]+)\b", capsys.readouterr().out)
    assert said
    state = json.loads((run / "trainer_state.json").read_text())
    newest = [weights(run / f"checkpoint-{step}") for step in said[1].split(", ")]
    assert len(newest) == 3
    kept, best = weights(run), weights(run / f"checkpoint-{state['best_global_step']}")
    if said[2] == "kept":
        assert float(said[3]) < state["best_metric"]
        for name in kept:
            torch.testing.assert_close(kept[name], torch.stack([w[name] for w in newest]).mean(0), atol=1e-6, rtol=1e-6)
    else:
        assert float(said[3]) >= round(state["best_metric"], 4)
        assert all(torch.equal(kept[name], best[name]) for name in kept)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"freeze": "9"}, "expected 1 to 3"),
        ({"freeze": "head"}, "backbone, none or a number"),
        ({"freeze": "backbone", "probe_epochs": 1}, "the head learns alone all the time"),
        ({"probe_epochs": 1, "unfreeze_every": 1}, "give one of them"),
        ({"probe_epochs": 1}, "raise --num_train_epochs"),
        ({"lora_alpha": 2.0}, "without --lora_rank"),
        ({"lora_rank": 2, "freeze": "1"}, "adapters and the head learn alone"),
        ({"lora_rank": 2, "lora_targets": "nowhere"}, "q_proj"),
        ({"layer_decay": 1.5}, "above 0 up to 1"),
        ({"layer_decay": 0.5, "freeze": "backbone"}, "the head learns alone"),
        ({"ema_decay": 1.0}, "between 0 and 1"),
        ({"average_checkpoints": 3, "save_total_limit": 2}, "3 or more, not 2"),
    ],
)
def test_what_contradicts_itself_is_refused(starts: Path, image_folder: Path, tmp_path: Path, flags: dict, said: str):
    with pytest.raises(UserError, match=said):
        train(settings(image_folder, starts / "vit", tmp_path / "run") | flags)
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_random_weights_are_not_frozen(image_folder: Path, tmp_path: Path):
    values = {"train_dir": str(image_folder), "architecture": "simple_cnn", "output_dir": str(tmp_path / "run")}
    with pytest.raises(UserError, match="random weights"):
        train(values | {"freeze": "backbone"})
