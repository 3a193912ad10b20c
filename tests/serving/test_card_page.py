"""A model's card and report on the page: readable, and nothing in them is obeyed."""

import time
from pathlib import Path

import pytest

from hfcls.serving.card_page import card_html, facts_html, render_card, report_html

CARD = """---
license: apache-2.0
---
# Title <script>alert(1)</script>

<details>
<summary>All &#124; classes</summary>

| class | n |
| --- | ---: |
| <img src=x onerror=alert(1)> | 1<br><sub>all</sub> |

</details>

[web](https://example.org) [script](javascript:alert(1)) [file](report/index.html) ![far](https://example.org/x.png)
<img src="figures/a.png" alt="The [curve]" width="49%">
![up](../secret.png) ![page](data:text/html;base64,AAAA) `a<br>b`

<!-- written `by` someone -->
"""


def test_a_card(tmp_path: Path):
    assert card_html(tmp_path) is None
    (tmp_path / "run" / "figures").mkdir(parents=True)
    (tmp_path / "run" / "README.md").write_text(CARD)
    for name in ("secret.png", "run/figures/a.png"):
        (tmp_path / name).write_bytes(b"\x89PNG" + name.encode())
    html = card_html(tmp_path / "run")
    assert html and "license" not in html and "<table>" in html
    assert "1<br><sub>all</sub>" in html and "<code>a&lt;br&gt;b</code>" in html and "someone" not in html
    assert "<details><summary>All | classes</summary>" in html and "</details>" in html
    for tag in ("<script", "onerror=alert(1)>", 'href="javascript', "<img src=x"):
        assert tag not in html.replace("onerror=alert(1)&gt;", "")
    assert html.count("<a href=") == 1 and 'rel="noopener noreferrer nofollow"' in html
    assert html.count("<img") == 1 and 'alt="The curve" src="data:image/png;base64,' in html
    assert "example.org/x.png" not in html


def test_odd_cards(tmp_path: Path):
    (tmp_path / "README.md").write_bytes(b"\xff\xfe" + b"[" * 20_000)
    assert card_html(tmp_path)
    (tmp_path / "README.md").write_bytes(bytes(2**20 + 1))
    assert card_html(tmp_path) is None
    assert "<div" not in render_card("</details></div><div onclick=x>").removeprefix('<div class="card">')


def test_a_report_runs_nothing(tmp_path: Path):
    assert report_html(tmp_path) is None
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<html><head></head><body>\"'<script>alert(1)</script>")
    html = report_html(tmp_path)
    assert html and " sandbox srcdoc=" in html and "<script" not in html
    assert "default-src &#x27;none&#x27;" in html and html.index("default-src") < html.index("alert")
    assert 'download="report.html"' in html


def test_facts_are_text():
    assert "<b>" not in facts_html({"Network": "<b>x</b>\x00"})


@pytest.mark.parametrize("text", ["<!--\n", "<details>\n<summary>\n\n", "<details><summary>x\n\n"])
def test_a_card_that_never_ends_takes_no_time(text: str):
    begun = time.monotonic()
    render_card(text * (200_000 // len(text)))
    assert time.monotonic() - begun < 15  # quadratic: minutes


def test_comments_are_left_out_and_open_ones_stay():
    html = render_card("a\n\n<!-- hidden -->\n\nb\n\n<!-- open")
    assert "hidden" not in html and "open" in html and ">a<" in html and ">b<" in html
