"""What a page offers, with and without the Hub."""

import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

from hfcls.errors import UserError
from hfcls.serving.menu import Menu, read_menu

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """The current directory, with an empty cache of the Hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    """Something that listens where the Hub should."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield server


def add_run(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def write(folder: Path, text: str) -> Menu:
    (folder / "menu.yaml").write_text(text)
    return read_menu(folder / "menu.yaml")


BOTH = "models: [timm/a, {title: B, model: user/b@v1}]\nruns: runs\n"


def test_named_models_then_runs(folder: Path, hub):
    add_run(folder / "runs" / "digits")
    (folder / "runs" / "unfinished").mkdir()
    menu = write(folder, BOTH)
    assert list(menu.offers) == ["timm/a", "B", "runs/digits"] and not menu.note
    assert menu["timm/a"].page == "https://huggingface.co/timm/a"
    assert menu["B"].page == "https://huggingface.co/user/b/tree/v1"
    assert menu["runs/digits"].page is None and menu["runs/digits"].model == "runs/digits"
    with pytest.raises(UserError, match=r"Unknown model '\.\./x'"):
        menu["../x"]


def test_without_the_hub(folder: Path, hub, monkeypatch):
    hub.close()
    menu = write(folder, BOTH)
    assert list(menu.offers) == ["timm/a", "B"], "it may be there again when somebody asks"
    assert "hfcls train" in menu.note and menu.note.count(". ") == 0
    add_run(folder / "runs" / "digits")
    menu = write(folder, BOTH)
    assert list(menu.offers) == ["runs/digits", "timm/a", "B"] and not menu.note
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert list(write(folder, BOTH).offers) == ["runs/digits"]
    cached = folder / "hub" / "models--timm--a"
    add_run(cached / "snapshots" / "0123")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0123")
    assert list(write(folder, BOTH).offers) == ["timm/a", "runs/digits"]


def test_nothing_at_all(folder: Path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "the folder runs holds no trained model" in write(folder, "runs: runs").note
    assert "the Hub cannot be reached" in write(folder, "models: [user/a]").note
    assert write(folder, "").note


def test_directories_beside_the_menu(folder: Path):
    add_run(folder / "page" / "model")
    (folder / "page" / "menu.yaml").write_text("models: [{title: Mine, model: model}, ./gone]")
    menu = read_menu(folder / "page" / "menu.yaml")
    assert Path(menu["Mine"].model) == folder / "page" / "model"
    assert not menu["./gone"].on_hub


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("models: {a: b}", "not a list"),
        ("- a", "expected description, models"),
        ("modles: [a]", "expected description, models"),
        ("models: [3]", "neither a model"),
        ("models: [{title: x}]", "neither a model"),
        ("models: [{title: x, model: ./b}, {title: x, model: ./c}]", "two models"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_bad_menus(text: str, why: str, folder: Path):
    with pytest.raises(UserError, match=why):
        write(folder, text)


def test_no_menu(folder: Path):
    with pytest.raises(UserError, match="cannot be read"):
        read_menu(folder / "menu.yaml")


def test_the_menu_of_the_space(folder: Path, hub):
    menu = read_menu(ROOT / "spaces" / "image-classifier" / "menu.yaml")
    models = [offer.model for offer in menu.offers.values()]
    assert models == ["jcollado/swin-tiny-patch4-window7-224-finetuned-cifar10", "timm/mobilenetv2_100.ra_in1k"]
