"""A loopback Hub for tests, where there is one beside the project; what asks it runs in processes of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED

MINIHUB = SHARED / "tools" / "minihub.py"


def load_minihub(file: Path = MINIHUB) -> Any:
    """The module, from its file."""
    spec = importlib.util.spec_from_file_location("minihub", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def running_hub(root: Path, **options: Any) -> Iterator[Any]:
    """A Hub of its own; skips the test where there is none to run."""
    if not MINIHUB.is_file():
        pytest.skip("needs the loopback Hub, which is not here")
    for module in ("starlette", "uvicorn"):
        pytest.importorskip(module, reason=f"the loopback Hub needs {module}")
    with load_minihub().running(root, **options) as hub:
        yield hub


def put(hub: Any, repo_id: str, files: dict[str, bytes], *, repo_type: str = "model", ref: str = "main") -> str:
    """Commits files as the owner would, in a blink; safetensors and pickles are large files. Returns the commit."""
    store = hub.app.store
    repo = store.load(repo_type, repo_id) or {
        **{"type": repo_type, "id": repo_id, "private": False, "refs": {}, "created": "2026-01-01T00:00:00.000Z"},
        **{"sdk": None, "secrets": {}, "variables": {}},
    }
    name = ref if ref.startswith("refs/") else f"refs/heads/{ref}"
    parent = repo["refs"].get(name) or repo["refs"].get("refs/heads/main")
    entries = dict(store.commit(parent)["files"]) if parent else {}
    for path, content in files.items():
        large = path.endswith((".safetensors", ".bin", ".parquet"))
        entries[path] = store.lfs_entry(store.put_blob(content), len(content)) if large else store.file_entry(content)
    repo["refs"][name] = commit = store.add_commit(repo, entries, "files", "", repo_id.split("/")[0], parent)
    store.save(repo)
    return commit


def environment(hub: Any, home: Path, **changes: str) -> dict[str, str]:
    """For a process that sees this Hub and an empty cache."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    places = {"HF_HOME": str(home / "hf"), "HFCLS_CACHE": str(home / "hfcls"), "HOME": str(home)}
    return {**inherited, **places, **hub.env(), "PYTHONPATH": str(Path(__file__).parents[1]), **changes}


def python(code: str, *words: str, env: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs some lines of Python to their end."""
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


_COMMANDS = """
import json, sys
from hfcls.cli import main
print(*[main(json.loads(words)) for words in sys.argv[1:]], file=sys.stderr)
"""


def hfcls(*commands: list[str], env: dict[str, str], cwd: Path | None = None) -> tuple[list[int], str, str]:
    """Runs commands in one process, one after the other.

    Returns:
        Their exit codes; all that they wrote to stdout; to stderr.
    """
    ended = python(_COMMANDS, *map(json.dumps, commands), env=env, cwd=cwd)
    said, _, codes = ended.stderr.rstrip().rpartition("\n")
    assert ended.returncode == 0, ended.stderr
    return [int(code) for code in codes.split()], ended.stdout, said
