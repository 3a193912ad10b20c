"""The floors of the house: a file imports only from lower ones. Read from the imports, nothing is run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = (
    "networks",
    "structures",
    "registry",
    "losses",
    "extras",
    "errors",
    "arguments",
    "command_arguments",
    "trainer_flags",
    "parsing",
    "files",
    "pages",
    "escaping",
    "catalogue",
    "hub_errors",
    "launcher",
    "download",
    "hub_cache",
    "pull",
)
FLOORS = {
    **dict.fromkeys(GROUND, 1),
    **dict.fromkeys(("data", "models", "metrics", "uncertainty"), 2),
    **dict.fromkeys(("methods", "evaluation", "inspection", "explain", "ensembling"), 3),
    **dict.fromkeys(("training", "search", "hub", "serving"), 4),
    "commands": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": 7,
}
# Rooms of one floor that may know each other, beside each room itself.
NEIGHBOURS = {
    "parsing": {"arguments", "errors", "trainer_flags"},
    "command_arguments": {"arguments"},
    "registry": {"errors"},
    "extras": {"errors"},
    "structures": {"errors"},
    "pages": {"errors", "extras"},
    "search": {"training"},
    "hub_errors": {"errors"},
    "launcher": {"errors"},
    "download": {"errors", "hub_errors", "launcher"},
    "hub_cache": {"download", "files"},
    "pull": {"download", "errors", "hub_cache", "hub_errors"},
}
FILES = sorted((ROOT / "hfcls").rglob("*.py"))
OPTIONAL = {
    "gradio",
    "fastapi",
    "cleanlab",
    "tensorboard",
    "shap",
    "lime",
    "captum",
    "onnx",
    "onnxruntime",
    "optuna",
    "peft",
}


def room(path: Path) -> str:
    """The first folder or file name below hfcls/."""
    return path.relative_to(ROOT / "hfcls").parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Dotted names that a file imports, and whether at the top of the module."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = list(path.relative_to(ROOT).with_suffix("").parts)[: -node.level] if node.level else []
            found.append((".".join([*package, *([node.module] if node.module else [])]), id(node) in top))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path):
    here = room(path)
    for name, at_top in imports(path):
        parts = name.split(".")
        if parts[0] != "hfcls":
            assert not (at_top and parts[0] in OPTIONAL), f"{name} is optional: import it where it is used"
            continue
        there = parts[1] if len(parts) > 1 else "__init__"
        assert there in FLOORS, f"{name}: a room without a floor"
        allowed = FLOORS[there] < FLOORS[here] or there == here or there in NEIGHBOURS.get(here, ())
        assert allowed, f"{path.name} (floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]})"
        if here == there == "commands":
            pytest.fail(f"the command {path.name} imports {name}")
        if here == "networks":
            assert there == "networks", f"networks are copied next to weights: {name} would stay behind"


def test_light_rooms_stay_light():
    """What `--help` needs imports neither torch nor transformers."""
    light = [
        ROOT / "hfcls" / name
        for name in (
            "cli.py",
            "parsing.py",
            "arguments.py",
            "command_arguments.py",
            "catalogue.py",
            "errors.py",
            "__init__.py",
        )
    ]
    heavy = {"torch", "torchvision", "transformers", "datasets", "timm", "accelerate", "evaluate", "sklearn", "numpy"}
    for path in [*light, *(ROOT / "hfcls" / "commands").glob("*.py")]:
        at_top = {name.split(".")[0] for name, top in imports(path) if top}
        assert not at_top & heavy, f"{path.name} imports {at_top & heavy} at its top"
