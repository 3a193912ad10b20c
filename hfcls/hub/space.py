"""A Gradio Space for one model: its page, its menu, and the package itself, so that nothing else is needed."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import jinja2
import yaml

from hfcls.hub.rights import check_repo_id

# With which the page was tested.
GRADIO = "6.31.0"
# All that the page imports, in the ranges of pyproject.toml.
REQUIREMENTS = (
    "gradio>=6.31,<7",
    "torch>=2.15,<3",
    "torchvision>=0.29,<1",
    "transformers>=5.23,<6",
    "timm>=1.0.31,<1.1",
    "grad-cam>=1.5.7,<1.6",
    "shap>=0.51,<1",
    "lime>=0.2.0.1,<0.3",
    "captum>=0.9,<1",
    "huggingface-hub>=2.4,<3",
    "safetensors>=0.7,<1",
    "numpy>=2,<3",
    "scipy>=1.15,<2",
    "pyarrow>=21",
    "pillow>=12.3,<14",
    "jinja2>=3.1.6,<4",
    "pyyaml>=6,<7",
    "tqdm>=4.67,<5",
    "filelock>=3.16,<5",
    "markdown-it-py>=3,<5",
)
_PACKAGE = Path(__file__).parents[1]
_SHIPPED = {".py", ".j2", ".typed"}


def build_space(
    repo_id: str,
    *,
    title: str | None = None,
    space_id: str | None = None,
    description: str = "Give it a picture, and see what it takes it for.",
    license: str = "apache-2.0",
) -> dict[str, bytes | Path]:
    """The files of a Space that shows one model; the same arguments give the same bytes.

    Args:
        repo_id: of the model, ``user/name``.
        title: of the page and of the Space; the model's name where None.
        space_id: of the Space; the model's where None.
        description: what the page says below its title.
        license: of the Space, in the Hub's words.

    Returns:
        By path in the Space: ``app.py``, ``menu.yaml``, ``README.md``, ``requirements.txt``, and the sources of this
        package below ``hfcls/``.

    Raises:
        UserError: no such id can exist.
    """
    for name in (repo_id, space_id or repo_id):
        check_repo_id(name)
    title = " ".join((title or repo_id.partition("/")[2]).split())
    menu = {"title": title, "description": description, "models": [repo_id]}
    header = space_header(title, [repo_id], license=license)
    readme = _render("space_readme.md.j2", header=_yaml(header), repo_id=repo_id, space_id=space_id or repo_id)
    files: dict[str, bytes | Path] = {
        "README.md": readme.encode(),
        "app.py": _render("space_app.py.j2").encode(),
        "menu.yaml": _yaml(menu).encode(),
        "requirements.txt": "".join(f"{line}\n" for line in REQUIREMENTS).encode(),
    }
    return files | _package()


def space_header(title: str, models: list[str], *, license: str) -> dict[str, Any]:
    """What the Hub reads at the top of a Space's README."""
    return {
        "title": title,
        "emoji": "🖼️",
        "colorFrom": "blue",
        "colorTo": "indigo",
        "sdk": "gradio",
        "sdk_version": GRADIO,
        "python_version": "3.11",
        "app_file": "app.py",
        "pinned": False,
        "short_description": "Drop a picture, see what the model takes it for",
        "license": license,
        "models": models,
        "tags": ["image-classification", "hfcls"],
    }


def _package() -> dict[str, bytes | Path]:
    """The sources of hfcls, with its licence where that can be found."""
    found = sorted(path for path in _PACKAGE.rglob("*") if path.suffix in _SHIPPED and path.is_file())
    files: dict[str, bytes | Path] = {f"hfcls/{path.relative_to(_PACKAGE).as_posix()}": path for path in found}
    if (_PACKAGE / "LICENSE").is_file():  # in a Space
        return files | {"hfcls/LICENSE": _PACKAGE / "LICENSE"}
    try:
        text = distribution("hfcls").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    return files | ({"hfcls/LICENSE": text.encode()} if text else {})


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)


def _render(template: str, **context: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(context)
