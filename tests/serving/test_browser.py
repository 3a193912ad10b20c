"""The page in a real browser, at a desktop's and a phone's width."""

import contextlib
import csv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hfcls.pages.palette import DARK
from tests.serving.conftest import ODD_NAMES, save_model
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


def is_dark(tab) -> bool:
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, background[4:-1].split(","))) < 200


def drop(tab, *files: Path) -> None:
    place = tab.locator("[role=tabpanel]:visible input[type=file]").first
    place.wait_for(state="attached")
    place.set_input_files([str(file) for file in files])


def go(tab, name: str) -> None:
    tab.get_by_role("tab", name=name).click()
    tab.get_by_role("tabpanel").filter(visible=True).wait_for()


def choose(tab, *keys: str) -> None:
    """Keys pressed in the menu of models."""
    tab.get_by_label("Model", exact=True).focus()
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
        assert is_dark(tab) == dark

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
        assert not tab.locator(".answer script, .answer img, .answer i, .answer bdi b").count()
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


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (390, False)])
def test_why(width: int, dark: bool, browser, page: Page, picture: Path):
    with looking_at(browser, page.url, width=width, dark=dark) as tab:
        drop(tab, picture)
        tab.wait_for_selector(".answer .doubt b")
        first = tab.locator(".answer li bdi").first.inner_text()
        tab.get_by_label("Explanation").focus()
        tab.wait_for_selector("[role=option]")
        slow = [text for text in tab.locator("[role=option]").all_inner_texts() if "slow" in text]
        tab.keyboard.press("Escape")
        tab.get_by_role("button", name="Explain", exact=True).press("Enter")
        tab.wait_for_selector(".explanation")
        assert first in tab.inner_text(".explanation figcaption")
        over = tab.locator(".explanation .over")
        assert float(over.evaluate("e => getComputedStyle(e).opacity")) == pytest.approx(0.55)
        tab.get_by_role("slider", name="Strength").fill("20")
        assert float(over.evaluate("e => getComputedStyle(e).opacity")) == pytest.approx(0.2)
        if any("LIME" in text for text in slow):
            explain_by_lime(tab)


def explain_by_lime(tab) -> None:
    """A slow one, to its end."""
    tab.get_by_label("Explanation").fill("LIME")
    tab.keyboard.press("Enter")
    tab.get_by_role("button", name="Explain", exact=True).click()
    tab.wait_for_selector(".explanation figcaption:has-text('LIME')", timeout=60_000)


SLOW = """
import time
import torch
from hfcls.explain import EXPLAINERS, Explainer

class Slow(Explainer):
    title, paper, cost = "Sleepy", "none", "slow"

    def maps(self, pixel_values, targets):
        self.effort.total = 300
        for _ in range(300):
            self.logits(pixel_values)
            time.sleep(0.02)
        print("NOBODY STOPPED IT", flush=True)
        return torch.rand(1, 4, 4)

EXPLAINERS["sleepy"] = Slow
"""


def test_a_slow_explanation_can_be_stopped(browser, tmp_path: Path, picture: Path):
    """It tells how far it is, it stops where it is told to or is no more looked at, and answers go on meanwhile."""
    space = copy_space(tmp_path / "space", "models: [{title: A, model: a}, {title: B, model: b}]")
    for name in ("a", "b"):
        save_model(space / name, ("red", "green"))
    (space / "app.py").write_text(SLOW + (space / "app.py").read_text())
    with running_page(space, tmp_path) as page:
        with looking_at(browser, page.url, width=390) as tab:
            drop(tab, picture)
            tab.wait_for_selector(".answer")
            tab.get_by_label("Explanation").focus()
            tab.get_by_role("option", name="Sleepy (slow)").click()
            ask = tab.get_by_role("button", name="Explain", exact=True)
            ask.click()
            tab.wait_for_selector("text=/[0-9]+ of 300 passes/")
            tab.get_by_role("button", name="Stop").click()
            tab.wait_for_selector("text=Stopped.")
            ask.click()
            tab.wait_for_selector("text=/[0-9]+ of 300 passes/")
            choose(tab, "ArrowDown", "Enter", "Tab")
            tab.wait_for_selector(".answer .aside:has-text('B chooses')")
            ask.click()
            tab.wait_for_selector("text=/[0-9]+ of 300 passes/")
        with looking_at(browser, page.url) as tab:  # whoever left has left nothing behind
            tab.wait_for_timeout(7_000)
        assert "NOBODY" not in page.log.read_text()


def test_one_picture_through_the_tabs(browser, page: Page, picture: Path):
    """It is taken along: two models look at it, and it is turned."""
    with looking_at(browser, page.url, width=390) as tab:
        drop(tab, picture)
        tab.wait_for_selector(".answer")
        go(tab, "Compare")
        tab.wait_for_selector(".verdict")
        assert "no class in common" in tab.inner_text(".verdict")
        assert tab.locator(".side-by-side:visible .answer").count() == 2
        assert not tab.locator(".side-by-side script, .side-by-side img, .side-by-side h3 i").count()
        go(tab, "Perturb")
        tab.wait_for_selector(".curve circle:nth-of-type(9)")
        before = tab.locator(".pair img").nth(1).get_attribute("src")
        tab.get_by_role("slider", name="Rotation").fill("90")
        tab.wait_for_function("src => document.querySelectorAll('.pair img')[1].src != src", arg=before)
        tab.get_by_role("button", name="Back to the picture").click()
        tab.wait_for_function("src => document.querySelectorAll('.pair img')[1].src == src", arg=before)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_zip_of_twenty(width: int, browser, page: Page, picture: Path, tmp_path: Path):
    names = [f"{number}.png" for number in range(18)] + ["<img src=x onerror=alert(1)>.png", "=1+1.png"]
    with zipfile.ZipFile(tmp_path / "twenty.zip", "w") as archive:
        for name in names:
            archive.writestr(name, picture.read_bytes())
    with looking_at(browser, page.url, width=width) as tab:
        choose(tab, "ArrowDown", "Enter", "Tab")
        go(tab, "Many")
        drop(tab, tmp_path / "twenty.zip")
        tab.wait_for_selector("[role=tabpanel]:visible >> text=twenty")
        tab.get_by_role("button", name="Classify all").click()
        tab.wait_for_selector(".gallery li:nth-child(20)")
        assert set(tab.locator(".gallery small").all_inner_texts()) == set(names)
        assert set(tab.locator(".gallery b").all_inner_texts()) <= set(ODD_NAMES)
        assert tab.locator("ul.gallery img").count() == 20
        tab.get_by_role("gridcell").or_(tab.locator("td")).first.wait_for()
        assert not tab.locator("td img, td script").count()
        with tab.expect_download() as download:
            tab.get_by_role("link", name="Download answers.csv").click()
        rows = list(csv.DictReader(Path(download.value.path()).read_text(encoding="utf-8").splitlines()))
        assert len(rows) == 20 and "'=1+1.png" in {row["file"] for row in rows}


def test_the_card_of_a_model(browser, page: Page):
    with looking_at(browser, page.url, width=390, dark=True) as tab:
        choose(tab, "ArrowUp", "Enter", "Tab")  # around to the last one, a run
        go(tab, "About")
        tab.wait_for_selector(".about h1:has-text('The card')")
        assert not tab.locator(".about script, .about b").count()
        tab.get_by_role("button", name="Show the report").click()
        frame = tab.frame_locator("iframe.report")
        assert frame.locator("h1").inner_text() == "The report"
        choose(tab, "ArrowDown", "Enter", "Tab")  # around to the first one, which has no report
        tab.wait_for_selector(".about h2:has-text('Colours')")
        assert not tab.locator("iframe.report").count()


def test_light_and_dark_by_hand(browser, page: Page):
    """What Gradio's own settings do."""
    with looking_at(browser, page.url) as tab:
        tab.wait_for_selector("h1")
        tab.get_by_role("button", name="Settings").click()
        tab.get_by_text("Dark", exact=False).first.click()
        tab.wait_for_function("document.body.classList.contains('dark')")
        track = "getComputedStyle(document.querySelector('.gradio-container')).getPropertyValue('--track')"
        tab.wait_for_function(f"document.querySelector('.gradio-container') && {track}.trim() == '{DARK['q0']}'")
        tab.get_by_role("tab", name="One picture").wait_for()


def test_without_any_model(browser, tmp_path: Path):
    space = copy_space(tmp_path / "space", "title: Empty\nruns: runs")
    with running_page(space, tmp_path) as empty, looking_at(browser, empty.url, width=390) as tab:
        assert "hfcls train --dataset_name digits" in tab.wait_for_selector(".sentence.problem").inner_text()
        assert not tab.locator("input[type=file]").count()


def test_a_drawing_is_answered(browser, page: Page):
    with looking_at(browser, page.url, width=390) as tab:
        tab.locator("button.gallery-item").nth(1).click()
        tab.wait_for_selector(".answer li")
        assert tab.locator(".answer li").count() == 3
