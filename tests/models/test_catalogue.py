"""The catalogue: its figures measured again, and every row trained, saved and loaded by a stranger."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hfcls.catalogue import CATALOGUE
from hfcls.models import ARCHITECTURES, build_classifier, find_heads, load_classifier
from hfcls.models.figures import measure_architecture

NAMES = ("a", "b", "c")

# Plain transformers and timm: loads each directory and answers its image.
STRANGER = """
import json, sys
import torch, transformers
from safetensors.torch import load_file, save_file
sys.modules["hfcls"] = None  # an import of it fails, wherever it is installed
answers = {}
for name, own in json.load(sys.stdin).items():
    model = transformers.AutoModelForImageClassification.from_pretrained(name, trust_remote_code=own).eval()
    with torch.no_grad():
        answers[name] = model(load_file(name + ".image")["image"]).logits
save_file(answers, "answers")
"""


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.name)
def test_figures_are_measured(entry):
    assert measure_architecture(entry.name, classes=entry.classes, image_size=entry.image_size) == (
        entry.parameters,
        entry.macs,
    )
    assert (entry.checkpoint is None) == (entry.license is None)
    assert (entry.name in ARCHITECTURES) == (entry.source in ("hfcls", "torchvision"))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Small steps, many networks, other tests beside them: threads would spend their time waiting."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor]]:
    """Each network after one training step at its own size, as a directory, and what it says of one image."""
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("catalogue")
    logits = {}
    for entry in CATALOGUE.values():
        torch.manual_seed(0)
        classifier = build_classifier(entry.name, class_names=NAMES)
        model = classifier.model.train()
        # The large ones see one image: the step is as real, and half as long.
        images = torch.randn(1 if entry.macs > 1e9 else 2, 3, entry.image_size, entry.image_size)
        before = {name: head.weight.detach().clone() for name, head in find_heads(model).items()}
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
        model(pixel_values=images, labels=torch.tensor([0, 1])[: len(images)]).loss.backward()
        optimizer.step()
        assert all(not torch.equal(head.weight, before[name]) for name, head in find_heads(model).items())
        model.save_pretrained(root / entry.name)
        classifier.image_processor.save_pretrained(root / entry.name)
        save_file({"image": images[:1]}, root / f"{entry.name}.image")
        with torch.no_grad():
            logits[entry.name] = model.eval()(images[:1]).logits
    return root, logits


@pytest.fixture(scope="module")
def answers(saved, tmp_path_factory) -> dict[str, torch.Tensor]:
    """What a process without this package says of the same images."""
    from safetensors.torch import load_file

    root, logits = saved
    wanted = json.dumps({name: name in ARCHITECTURES for name in logits})
    done = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER],
        cwd=root,
        input=wanted,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path_factory.mktemp("stranger")), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return load_file(root / "answers")


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_stranger_gets_the_same_logits(name: str, saved, answers):
    _, logits = saved
    assert logits[name].isfinite().all()
    torch.testing.assert_close(answers[name], logits[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["cifar_resnet20", "crnn", "cifar_fast", "googlenet"])
def test_our_own_load_here_as_well(name: str, saved):
    root, logits = saved
    from safetensors.torch import load_file

    classifier = load_classifier(str(root / name))
    image = load_file(root / f"{name}.image")["image"]
    with torch.no_grad():
        torch.testing.assert_close(classifier.model.eval()(image).logits, logits[name])
    assert classifier.class_names == NAMES
