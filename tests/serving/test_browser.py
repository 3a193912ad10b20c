"""The page in a real browser, at a desktop's and a phone's width."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving.conftest import ODD_NAMES
from tests.serving.page import Page, copy_space, find_browser, running_page

pytestmark = pytest.mark.filterwarnings("ignore")
ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@pytest.fixture(scope="module")
def browser():
    path = find_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", ONLY_HERE, *CAMERA])
        yield browser
        browser.close()


@contextlib.contextmanager
def looking_at(browser, url: str, *, width: int = 1280, dark: bool = False) -> Iterator:
    """A tab; in the end it must have met no error, and asked nobody but the page's server."""
    tab = browser.new_page(viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light")
    wrong: list[str] = []
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("dialog", lambda dialog: wrong.append(dialog.message))
    tab.on(
        "request",
        lambda request: None if request.url.startswith((url, "data:", "blob:")) else wrong.append(request.url),
    )
    tab.goto(url)
    yield tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert not wrong
    tab.close()


def drop(tab, file: Path) -> None:
    tab.wait_for_selector("input[type=file]", state="attached")
    tab.set_input_files("input[type=file]", str(file))


def choose(tab, *keys: str) -> None:
    """Keys pressed in the menu of models."""
    tab.get_by_label("Model").focus()
    tab.wait_for_selector("[role=option]")
    for key in keys:
        tab.keyboard.press(key)
        tab.wait_for_timeout(100)  # nobody is faster, and Gradio would lose a key


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a <b>picture.png")
    return tmp_path / "a <b>picture.png"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_picture_becomes_classes(width: int, dark: bool, browser, page: Page, picture: Path, tmp_path: Path):
    with looking_at(browser, page.url, width=width, dark=dark) as tab:
        assert tab.inner_text("h1") == "Test <b>page"
        drop(tab, picture)
        tab.wait_for_selector(".answer")
        assert set(tab.locator(".answer li bdi").all_inner_texts()) == {"red", "green", "blue"}
        shares = [float(text.split()[0]) for text in tab.locator(".answer li span").all_inner_texts()]
        assert shares == sorted(shares, reverse=True) and abs(sum(shares) - 100) < 0.2
        assert "chooses among 3 classes" in tab.inner_text(".aside")
        background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) < 200) == dark

        (tmp_path / "broken.png").write_bytes(picture.read_bytes()[:500])
        tab.get_by_label("Clear").or_(tab.get_by_label("Remove Image")).first.click()
        tab.wait_for_selector("text=Drop, paste or photograph")
        drop(tab, tmp_path / "broken.png")
        assert tab.wait_for_selector(".sentence.problem").inner_text() == "The file is cut short."


def test_another_model_by_keyboard(browser, page: Page, picture: Path):
    with looking_at(browser, page.url) as tab:
        drop(tab, picture)
        tab.wait_for_selector(".answer")
        choose(tab, "ArrowDown", "Enter", "Tab")
        tab.wait_for_selector(".answer li:nth-child(5)")
        shown = tab.locator(".answer li bdi").all_inner_texts()
        assert len(shown) == 5 and set(shown) <= set(ODD_NAMES)
        assert not tab.locator(".answer script, .answer img, .answer i, .answer b").count()
        assert tab.inner_text(".aside").startswith("Odd <i>names chooses among 7")
        choose(tab, "ArrowDown", "Enter", "Tab")
        assert "Not there does not exist" in tab.wait_for_selector(".sentence.problem").inner_text()
        assert tab.evaluate("document.activeElement.tagName") == "BUTTON"


def test_a_photograph(browser, page: Page):
    with looking_at(browser, page.url, width=390) as tab:
        tab.get_by_label("Capture from camera").click()
        tab.get_by_text("Click to Access Webcam").click()
        tab.wait_for_function("document.querySelector('video')?.videoWidth > 0")
        tab.get_by_label("capture photo").click()
        tab.wait_for_selector(".answer")
        assert tab.locator(".answer li").count()


def test_without_any_model(browser, tmp_path: Path):
    space = copy_space(tmp_path / "space", "title: Empty\nruns: runs")
    with running_page(space, tmp_path) as empty, looking_at(browser, empty.url, width=390) as tab:
        assert "hfcls train --dataset_name digits" in tab.wait_for_selector(".sentence.problem").inner_text()
        assert not tab.locator("input[type=file]").count()
