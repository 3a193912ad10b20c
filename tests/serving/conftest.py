"""One page for all tests that look at it."""

from pathlib import Path

import pytest
import torch

from hfcls.models import build_classifier
from tests.serving.page import Page, copy_space, running_page

ODD_NAMES = (
    "<script>alert(1)</script>",
    "a|b",
    "🐸 frog",
    "x" * 200,
    "../x",
    "- yaml: {{value}} ${value}",
    "<img src=http://127.0.0.1:9/x onerror=alert(1)>",
)
MENU = """
title: Test <b>page
models:
  - {title: Colours, model: tiny}
  - {title: Odd <i>names, model: odd}
  - {title: Not there, model: ./gone}
runs: runs
"""


def save_model(folder: Path, names: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    classifier = build_classifier("lenet5", class_names=names)
    classifier.model.save_pretrained(folder)
    classifier.image_processor.save_pretrained(folder)


@pytest.fixture(scope="session")
def page(tmp_path_factory) -> Page:
    place = tmp_path_factory.mktemp("page")
    space = copy_space(place / "space", MENU)
    save_model(space / "tiny", ("red", "green", "blue"))
    save_model(space / "odd", ODD_NAMES)
    save_model(run := space / "runs" / "mine", ("cat", "dog"))
    (run / "README.md").write_text("---\nlicense: mit\n---\n# The card <b>of it</b>\n\n![x](https://example.org/x.png)")
    (run / "report").mkdir()
    (run / "report" / "index.html").write_text("<head></head><h1>The report</h1>")
    with running_page(space, place) as page:
        yield page
