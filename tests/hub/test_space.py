"""A Space for one model: what is in it, and that it runs with nothing else."""

import ast
import os
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import yaml

from hfcls.errors import UserError
from hfcls.hub.space import REQUIREMENTS, build_space, space_header
from tests.hubs import environment, put, python, running_hub
from tests.serving.conftest import save_model
from tests.serving.page import ROOT, find_browser, running_page

SPACE = ROOT / "spaces" / "image-classifier"


def text(files: dict[str, bytes | Path], path: str) -> str:
    content = files[path]
    return (content if isinstance(content, bytes) else content.read_bytes()).decode()


def header_of(readme: str) -> dict:
    assert readme.startswith("---\n")
    return yaml.safe_load(readme.split("---\n")[1])


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")


def test_what_is_in_it():
    files = build_space("user/name", title="Digits: the\n<b>best", space_id="user/page")
    assert {"app.py", "menu.yaml", "README.md", "requirements.txt", "hfcls/serving/demo.py"} <= set(files)
    assert not [path for path in files if "__pycache__" in path or path.startswith(("/", "."))]
    for path in files:
        if path.startswith("hfcls/") and path.endswith(".py"):
            assert text(files, path) == (ROOT / path).read_text()
    header = header_of(text(files, "README.md"))
    assert header["title"] == "Digits: the <b>best" and header["models"] == ["user/name"]
    assert len(header["short_description"]) <= 60, "the Hub takes no longer ones"
    assert header["sdk"] == "gradio" and header["app_file"] == "app.py" and header["license"] == "apache-2.0"
    assert "<b>" not in text(files, "README.md").split("---\n")[2]
    assert 'Client("user/page")' in text(files, "README.md")
    assert yaml.safe_load(text(files, "menu.yaml"))["models"] == ["user/name"]
    again = build_space("user/name", title="Digits: the\n<b>best", space_id="user/page")
    assert list(files.items()) == list(again.items())


@pytest.mark.parametrize("name", ["name", "a/b/c", "../x", "a/b\n", "a b/c", ""])
def test_no_such_id(name: str):
    with pytest.raises(UserError, match="names no repository: expected user/name"):
        build_space(name)


def test_the_ranges_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    stated = [*project["dependencies"], *extras["demo"], *extras["explain"]]
    assert set(REQUIREMENTS) <= set(stated)


def test_the_space_of_the_project():
    files = build_space("user/name")
    for path in ("app.py", "requirements.txt"):
        assert (SPACE / path).read_text() == text(files, path)
    menu = yaml.safe_load((SPACE / "menu.yaml").read_text())
    models = [entry["model"] for entry in menu["models"]]
    stated = header_of((SPACE / "README.md").read_text())
    assert stated == space_header(menu["title"], models, license="apache-2.0")


def test_nothing_else_is_imported(tmp_path: Path):
    """What the page's part of the package imports is in requirements.txt, or comes with it."""
    save_model(tmp_path / "model", ("a", "b"))
    code = (
        "import sys; from PIL import Image; from hfcls.serving.predictor import Predictor; import hfcls.serving.menu;"
        "import hfcls.serving.demo, hfcls.serving.card_page; predictor = Predictor(sys.argv[1], device='cpu');"
        "predictor.predict(Image.new('RGB', (9, 9))); predictor.explain(Image.linear_gradient('L'));"
        "print(*[m.__file__ for n, m in sorted(sys.modules.items()) if n.startswith('hfcls')], sep='\\n')"
    )
    ran = python(code, str(tmp_path / "model"), env=here())
    assert ran.returncode == 0, ran.stderr
    imported = set()
    for path in ran.stdout.split():
        for node in ast.parse(Path(path).read_text()).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    allowed = {name_of(line) for line in REQUIREMENTS}
    for name in list(allowed - {"gradio"}):
        allowed |= {name_of(line) for line in requires(name) or () if "extra ==" not in line}
    for name in imported - set(sys.stdlib_module_names) - {"hfcls"}:
        assert allowed & {found.lower().replace("_", "-") for found in packages_distributions()[name]}, name


def here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def write(files: dict[str, bytes | Path], folder: Path) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return folder


DOWNLOAD = (
    "import sys; from huggingface_hub import snapshot_download;"
    "snapshot_download(sys.argv[1], repo_type='space', local_dir=sys.argv[2])"
)


@pytest.mark.filterwarnings("ignore")
def test_runs_from_the_hub_with_nothing_else(tmp_path: Path):
    """Pushed, downloaded, started: the folder beside `app.py` is the package that runs."""
    gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio: pip install 'hfcls[demo]'")
    save_model(tmp_path / "model", ("cat", "dog"))
    files = build_space("alice/pets", title="Pets", space_id="alice/pets-page")
    with running_hub(tmp_path / "hub") as hub:
        put(hub, "alice/pets", {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()})
        put(hub, "alice/pets-page", {path: text(files, path).encode() for path in files}, repo_type="space")
        env = environment(hub, tmp_path / "home")
        ran = python(DOWNLOAD, "alice/pets-page", str(tmp_path / "space"), env=env)
        assert ran.returncode == 0, ran.stderr
        env["PYTHONPATH"] = ""
        with running_page(tmp_path / "space", tmp_path, env) as page:
            client = gradio_client.Client(page.url, verbose=False)
            sent = gradio_client.handle_file(str(picture(tmp_path)))
            said = client.predict(sent, api_name="/predict")
            assert {one["label"] for one in said["predictions"]} == {"cat", "dog"} and said["model"] == "alice/pets"
    code = "import sys; sys.path.insert(0, sys.argv[1]); import hfcls; print(hfcls.__file__)"  # as `python app.py` does
    where = python(code, str(tmp_path / "space"), env=env)
    assert Path(where.stdout.strip()).is_relative_to(tmp_path / "space")


def picture(folder: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (40, 30), "teal").save(folder / "x.png")
    return folder / "x.png"


def test_a_browser_sees_the_space_of_a_directory(tmp_path: Path):
    """One model: no menu to choose from."""
    path = find_browser()
    from playwright.sync_api import sync_playwright

    space = write(build_space("user/name", title="Pets"), tmp_path / "space")
    save_model(space / "model", ("cat", "dog"))
    (space / "menu.yaml").write_text("title: Pets\nmodels: [{title: mine, model: model}]")
    with running_page(space, tmp_path, {"PYTHONPATH": ""}) as page, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        tab.goto(page.url)
        tab.wait_for_selector("input[type=file]", state="attached")
        assert tab.title() == "Pets" and not tab.get_by_label("Model", exact=True).count()
        tab.set_input_files("input[type=file]", str(picture(tmp_path)))
        assert tab.wait_for_selector(".answer li:nth-child(2)")
        browser.close()
