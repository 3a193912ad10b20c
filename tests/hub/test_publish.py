"""From a training to a repository, and from there into clients that know nothing of hfcls."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hfcls.command_arguments import PushArguments
from hfcls.commands.train import train
from hfcls.errors import UserError
from hfcls.hub.card import is_ours
from hfcls.hub.publish import check_push, prepare, publish
from tests.conftest import write_images
from tests.hub.runs import card_run
from tests.hubs import environment, hfcls, python, running_hub

TOKEN = "hf_alice"

# A process that hfcls is hidden from: own networks and timm's, by every way that their users load models.
CLIENT = """
import json, sys
sys.modules["hfcls"] = None
import timm, torch
from PIL import Image
from huggingface_hub import ModelCard
from transformers import AutoModelForImageClassification, pipeline
image = Image.new("RGB", (40, 30), (200, 60, 60))
answers = {}
for name in ("alice/own", "alice/timm"):
    pipe = pipeline("image-classification", model=name, trust_remote_code=name == "alice/own")
    answers[name] = {answer["label"]: answer["score"] for answer in pipe(image)}
    model = AutoModelForImageClassification.from_pretrained(name, trust_remote_code=name == "alice/own").eval()
    card = ModelCard.load(name)
    answers[name + " card"] = [card.data.library_name, card.data.pipeline_tag]
net = timm.create_model("hf-hub:alice/timm", pretrained=True).eval()
pixels = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
with torch.no_grad():
    logits = model(pixels).logits
    answers["difference"] = (net(pixels) - logits).abs().max().item()
answers["logits"] = logits.tolist()
answers["labels"] = net.pretrained_cfg["label_names"]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[Any]:
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("zebra17") / "My photos", {"red": 12, "green": 12, "blue": 12})


def flags(photos: Path, run: Path, architecture: str) -> dict[str, Any]:
    return {
        **{"train_dir": str(photos), "output_dir": str(run), "architecture": architecture, "image_size": 32},
        **{"num_train_epochs": 1, "use_cpu": True, "disable_tqdm": True, "cache_gb": 0, "validation_fraction": 0.2},
    }


@pytest.fixture(scope="module")
def own(hub, home, photos, tmp_path_factory) -> tuple[Path, str]:
    """A run of one of our networks, pushed by its training, and what was said."""
    run = tmp_path_factory.mktemp("runs") / "own"
    words = [word for name, value in flags(photos, run, "simple_cnn").items() for word in (f"--{name}", str(value))]
    words += ["--push_to_hub", "--hub_model_id", "alice/own"]
    codes, out, said = hfcls(["train", *words], env=environment(hub, home))
    assert codes == [0], said
    return run, out + said


@pytest.fixture(scope="module")
def timm_run(photos, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "timm"
    train(flags(photos, run, "test_vit"))
    return run


def commits(hub, repo_id: str) -> list[dict[str, Any]]:
    repo = hub.app.store.load("model", repo_id)
    return [commit for _, commit in hub.app.store.history(repo["refs"]["refs/heads/main"])]


def test_train_push_and_load_elsewhere(hub, home, own, timm_run, tmp_path):
    run, said = own
    assert "/alice/own (pushed; commit" in said
    codes, again, told = hfcls(["push", str(run), "--repo_id", "alice/own"], env=environment(hub, home))
    assert codes == [0] and "unchanged" in again, told
    assert len(commits(hub, "alice/own")) == 2
    codes, *pushed = hfcls(["push", str(timm_run), "--repo_id", "alice/timm"], env=environment(hub, home))
    assert codes == [0], pushed
    files = set(commits(hub, "alice/own")[0]["files"])
    assert {"README.md", "model.safetensors", "simple_cnn.py", "base.py", "run.yaml", "metrics.json"} <= files
    assert "predictions/test.parquet" in files
    assert not any("checkpoint" in path or path.endswith((".pt", ".bin", ".pth")) for path in files)

    elsewhere = python(CLIENT, env=environment(hub, tmp_path, PYTHONPATH=""))
    assert elsewhere.returncode == 0, elsewhere.stderr[-3000:]
    answers = json.loads(elsewhere.stdout.splitlines()[-1])
    assert answers["difference"] < 1e-6 and answers["labels"] == ["blue", "green", "red"]
    assert set(answers["alice/own"]) == set(answers["alice/timm"]) == {"blue", "green", "red"}
    assert answers["alice/own card"] == ["transformers", "image-classification"]
    assert _here(timm_run) == pytest.approx([number for row in answers["logits"] for number in row], abs=1e-5)
    assert TOKEN not in "".join([said, again, told, *pushed])
    written = [file for place in (hub.app.store.root, run, home, tmp_path) for file in place.rglob("*")]
    assert not any(TOKEN.encode() in file.read_bytes() for file in written if file.is_file())
    texts = b"".join(f.read_bytes() for f in (hub.app.store.root / "objects").rglob("*") if f.is_file())
    assert str(run.parent).encode() not in texts and str(home).encode() not in texts and b"zebra17" not in texts


def _here(run: Path) -> list[float]:
    import torch

    from hfcls.models import load_classifier

    model = load_classifier(str(run)).model.eval()
    with torch.no_grad():
        logits = model(torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)).logits
    return logits.flatten().tolist()


def test_dry_run_sends_nothing(hub, home, own):
    hub.clear()
    codes, out, said = hfcls(["push", str(own[0]), "--repo_id", "alice/dry", "--dry_run"], env=environment(hub, home))
    assert codes == [0] and "nothing was sent, and the Hub was not asked" in out, said
    assert "model.safetensors" in out and "MB" in out
    assert hub.log() == []


def test_a_push_that_fails_after_a_training(hub, home, own, monkeypatch):
    """The run is not lost, and the sentence says how to go on."""
    from hfcls.commands import train as command

    def refuse(*_, **__):
        raise UserError("The Hub cut the connection.")

    monkeypatch.setattr("hfcls.hub.publish.publish", refuse)
    with pytest.raises(UserError, match=r"The run itself is finished: `hfcls push .* --repo_id alice/x --private`"):
        command._publish(own[0], {"hub_model_id": "alice/x", "hub_private_repo": True}, print)


def test_space_and_collection(own, monkeypatch):
    """What goes where; the Space itself is tested beside its code."""
    import types

    from hfcls.hub import publish as module
    from hfcls.hub.push import Pushed

    pushed: dict[str, Any] = {}

    def push(bundle, repo_id, *, repo_type="model", **settings):
        pushed[repo_type] = (repo_id, bundle, settings)
        return Pushed(f"https://hub/{repo_id}", "0" * 40, True)

    listed = []
    space = types.ModuleType("hfcls.hub.space")
    space.build_space = lambda repo_id, *, title, space_id: {"app.py": f"# {repo_id} {title} {space_id}".encode()}
    monkeypatch.setitem(sys.modules, "hfcls.hub.space", space)
    monkeypatch.setattr(module, "push_bundle", push)
    monkeypatch.setattr(module, "check_hub", lambda repo_id: TOKEN)
    monkeypatch.setattr(module, "check_pair", lambda repo_id, **_: True)
    monkeypatch.setattr(
        "hfcls.hub.collections.add_to_collection", lambda title, items, **_: listed.append((title, items))
    )
    said: list[str] = []
    publish(own[0], PushArguments(repo_id="alice/own", space=True, collection="Mine"), say=said.append)
    assert pushed["space"][2]["private"] and not pushed["model"][2]["private"]
    assert pushed["space"][:1] == ("alice/own",) and pushed["space"][1].files == {
        "app.py": b"# alice/own own alice/own"
    }
    card = pushed["model"][1].files["README.md"].decode()
    assert "https://huggingface.co/spaces/alice/own" in card and is_ours(card)
    assert listed == [("Mine", {"model": "alice/own", "space": "alice/own"})]
    publish(own[0], PushArguments(repo_id="alice/own"), say=said.append)
    assert pushed["model"][1].files["README.md"].decode() == card  # the Space is still there


def test_a_card_of_someone_goes_as_it_is(tmp_path):
    run = card_run(tmp_path / "run", ["a", "b"])
    text = f"---\nlicense: mit\n---\n# Mine\n\nPut it at /tmp/x/y or /workspace/app, next to {run}.\n"
    (run / "README.md").write_text(text)
    publication = prepare(run, PushArguments(repo_id="a/b"), token=None)
    assert publication.model.files["README.md"] == text.encode() and publication.problems == ()
    assert "goes as it is" in publication.model.notices[0]
    (run / "README.md").write_text(text + "From /home/somebody/photos.\n")
    (problem,) = prepare(run, PushArguments(repo_id="a/b"), token=None).problems
    assert "'/home/somebody/photos.'" in problem


def test_what_the_card_says_and_lacks(tmp_path):
    """The repository of the card is where it goes; a missing license is told."""
    run = card_run(tmp_path / "run", ["a", "b"])
    (run / "card.yaml").write_text("repo_id: somebody/flowers\n")
    said: list[str] = []
    publish(run, PushArguments(dry_run=True, space=True), say=said.append)
    assert any("names no license" in line for line in said)
    assert "somebody/flowers: " in said[-1] and "hfcls/ (" in said[-1] and "hfcls/hub/" not in said[-1]
    (run / "card.yaml").write_text("license: mit\n")
    publish(run, PushArguments(repo_id="a/b", dry_run=True), say=said.append)
    assert sum("license" in line for line in said) == 1
    with pytest.raises(UserError, match="No --repo_id"):
        publish(run, PushArguments(dry_run=True), say=said.append)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "No --repo_id"),
        ({"repo_id": "flowers"}, "names no repository"),
        ({"repo_id": "a/b", "no": ["weights"]}, "expected one of predictions, exports"),
        ({"repo_id": "a/b", "create_pr": True, "private": True}, "--private would have no effect"),
        ({"repo_id": "a/b", "create_pr": True, "space": True}, "--space would show"),
        ({"repo_id": "a/b", "create_pr": True, "collection": "x"}, "--collection would list"),
    ],
)
def test_flags_that_contradict(arguments: dict[str, Any], sentence: str):
    with pytest.raises(UserError, match=sentence):
        check_push(PushArguments(**arguments))


@pytest.mark.parametrize(
    ("flag", "value", "sentence"),
    [
        ("hub_model_id", "a/b", "without --push_to_hub"),
        ("push_to_hub", True, "needs --hub_model_id"),
        ("hub_token", "x", "set HF_TOKEN"),
        ("hub_strategy", "end", "one commit, when the run is finished"),
    ],
)
def test_flags_of_a_training(flag: str, value: Any, sentence: str, tmp_path):
    values = {"output_dir": str(tmp_path), "dataset_name": "digits", "architecture": "simple_cnn", flag: value}
    with pytest.raises(UserError, match=sentence):
        train(values)
