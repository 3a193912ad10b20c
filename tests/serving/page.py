"""A Space that runs in a process of its own, as anybody would start it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Page:
    """Where it is, and what it has printed."""

    url: str
    log: Path
    process: subprocess.Popen
    seconds_to_start: float


@contextmanager
def running_page(folder: Path, place: Path, env: dict[str, str] | None = None) -> Iterator[Page]:
    """Runs ``python app.py`` in the folder until the block ends.

    Args:
        folder: a Space.
        place: for its uploads and its log.
        env: instead of ours, which has the package on its path.
    """
    pytest.importorskip("gradio", reason="needs Gradio: pip install 'hfcls[demo]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(place / "uploads"), "PYTHONWARNINGS": "ignore"}
    url, log = f"http://127.0.0.1:{port}", place / "log.txt"
    begun = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {}), **settings},
            stdout=stream,
            stderr=stream,
        )
    try:
        while not answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - begun < 180, log.read_text()
            time.sleep(0.1)
        yield Page(url, log, process, time.monotonic() - begun)
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def copy_space(to: Path, menu: str) -> Path:
    """`spaces/image-classifier` alone, with another menu."""
    shutil.copytree(ROOT / "spaces" / "image-classifier", to)
    (to / "menu.yaml").write_text(menu, encoding="utf-8")
    return to


def find_browser() -> str:
    """A Chromium on this machine, to be driven by Playwright; skips the test where there is none."""
    pytest.importorskip("playwright", reason="needs playwright, which drives the browser")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs a browser, and there is none of {', '.join(BROWSERS)}")
    return found
