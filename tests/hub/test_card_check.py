"""What `hfcls card --check` says of cards, whoever wrote them."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from hfcls.command_arguments import CardArguments
from hfcls.commands.card import main
from hfcls.errors import UserError
from hfcls.hub.card import build_card, check_card, find_gaps, is_ours, seal
from tests.hub.hubs import hub_that_says
from tests.hub.runs import card_run

INDEX = """model-index:
- name: x
  results:
  - task: {type: image-classification}
    dataset: {type: a/b, name: b}
    metrics:
    - {type: accuracy, value: 0.5}
"""
GOOD = f"---\nlicense: mit\nlibrary_name: timm\npipeline_tag: image-classification\n{INDEX}---\n# A card\n\n"
HARMLESS = [
    "`<script>` is how a script begins.",
    "```html\n<script>alert(1)</script>\n```",
    "&lt;script&gt; and a \\<b>",
    "[paper](https://arxiv.org/abs/1) <https://hf.co> <me@example.org> [here](figures/x.svg) [there](#results)",
    "<details><summary>More</summary>\n\n| a | b |\n| --- | --- |\n\n</details>",
    '<img src="figures/x.svg" alt="x" width="49%">',
    "![x](data:image/png;base64,AAAA)",
    "[![x](https://img.shields.io/badge/a-b.svg?style=flat)](https://a.example) ![y](https://cdn-uploads.huggingface.co/y)",
    '<p align="center" style="text-align: center; color: red; background-position: top">x</p> [z](https://a.example/b.png)',
    "onerror=1 is said of javascript: in words; 1 < 2 and a <name> to fill in",
    "Put it at /tmp/x, /workspace/app or /data/x; `docker run -v ~/.cache:/root/.cache`, then /home/user/app",
    "photos/sk-bratislava-old-town-001.jpg, xoxo-valentines-cards",
    "Seen at /resolve/main/home and ./data/x.csv",
]
BAD = {
    "": "no metadata",
    "---\nlicense: mit\n# never ends\n": "never end",
    "---\nlicense: [mit\n---\n": "not YAML",
    "---\n- a\n---\n": "a list",
    "---\n---\n": "are empty",
    "---\nlicense: mit\nlicense: gpl\n---\n": "'license' comes twice",
    "---\nx: !!python/object/apply:os.system ['true']\n---\n": "not YAML",
    "---\na: &a [x,x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
    "d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n---\n": "anchors",
    "---\na: " + "[" * 5000 + "]" * 5000 + "\n---\n": "YAML",
    "---\na: " + "[" * 60 + "]" * 60 + "\n---\n": "unfold",
    "---\nlicense: apache 2.0\n---\n": "no identifier",
    "---\nlicense: other\n---\n": "license_name",
    "---\nlicense: true\n---\n": "no identifier",
    "---\ntags: [a, 1]\n---\n": "`tags` must be text",
    "---\ntags: [yes]\n---\n": "put it in quotes",
    "---\ndatasets: /home/me/x\n---\n": "no Hub id",
    "---\nbase_model: a/b/c\n---\n": "no Hub id",
    "---\npipeline_tag: image-clasification\n---\n": "no task of the Hub",
    "---\nlibrary_name: 3.5\n---\n": "`library_name`",
    "---\nbase_model: a/b\nbase_model_relation: child\n---\n": "expected one of",
    "---\nbase_model_relation: finetune\n---\n": "without `base_model`",
    "---\nmodel-index: {}\n---\n": "must be a list",
    "---\nmodel-index: [{}]\n---\n": "model-index[0].name",
    "---\n" + INDEX.replace("type: a/b, ", "") + "---\n": "dataset.type",
    "---\n" + INDEX.replace("task: {type: image-classification}", "task: 1") + "---\n": "task.type",
    "---\n" + INDEX.replace("value: 0.5", "value: .nan") + "---\n": "finite",
    "---\n" + INDEX.replace("value: 0.5", "v: 1") + "---\n": "metrics[0].value",
    "---\n" + INDEX.split("    metrics:")[0] + "---\n": "metrics` is required",
    "---\nwidget: cat.jpg\n---\n": "`widget`",
    GOOD + "<script>alert(1)</script>": "<script>",
    GOOD + "<ScRiPt src=//x>": "<script>",
    GOOD + "<img src=x onerror=alert(1)>": "onerror",
    GOOD + "> - <svg onload=alert(1)>": "<svg>",
    GOOD + "[x](javascript:alert(1))": "javascript",
    GOOD + "[x](JaVa&#115;cript:alert(1))": "javascript",
    GOOD + '<a href="java\tscript:alert(1)">x</a>': "javascript",
    GOOD + "[x]\n\n[x]: vbscript:x": "vbscript",
    GOOD + "[x](data:text/html;base64,AAAA)": "data",
    GOOD + '<a href="file:///etc/passwd">x</a>': "file",
    GOOD + '<iframe src="https://x"></iframe>': "<iframe>",
    GOOD + "<div style='background:url(https://x)'>": "style",
    GOOD + "a <plaintext> b": "<plaintext>",
    GOOD + '<video autoplay src="https://x.example/a.mp4"></video>': "<video>",
    GOOD + "<audio autoplay src=a.mp3>": "<audio>",
    GOOD + "<div style='position: sticky; top: 0'>x</div>": "style",
    GOOD + "<div style='pos\\69tion: fixed'>x</div>": "style",
    GOOD + "<div style='position/**/: absolute'>x</div>": "style",
    GOOD + "<div style='background: image-set(\"//x.example/y\" 1x)'>": "style",
    GOOD + "![](https://t.example/p.gif?u=1)": "t.example",
    GOOD + "![x][1]\n\n[1]: //t.example/p.gif": "t.example",
    GOOD + '<img src="https:\\\\t.example/p.gif" alt="x">': "t.example",
    GOOD + '<img src="https://img.shields.io@t.example/p.gif" alt="x">': "t.example",
    GOOD + '<img src="ht&#10;tp:/t.example/p.gif" alt="x">': "t.example",
    GOOD + '<img src="https://notshields.io/p.gif" alt="x">': "notshields.io",
    GOOD + '<img src="a.png" srcset="b.png 1x, https://t.example/p.gif 2x" alt="x">': "t.example",
    GOOD + '<table background="http://t.example/p.gif"><tr><td>x</td></tr></table>': "t.example",
    GOOD + '<form action="https://x"><input></form>': "<form>",
    GOOD + "use hf_" + "A" * 34: "Hugging Face token",
    GOOD + "ghp_" + "a1" * 18: "GitHub token",
    GOOD + "AKIA" + "A" * 16: "AWS",
    GOOD + "-----BEGIN RSA PRIVATE KEY-----": "private key",
    GOOD + "Data from /home/somebody/photos": "someone's machine",
    GOOD + "Data from C:\\Users\\somebody": "someone's machine",
    GOOD + "[More Information Needed]": "template",
    GOOD + "{{ model_summary }}": "template",
    GOOD + "a\x00b": "U+0000",
    GOOD + "a\u202eb": "U+202E",
    GOOD + "x" * 1_000_001: "MB",
}  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text(text: str):
    assert check_card(GOOD + text) == []
    assert check_card((GOOD + text).replace("\n", "\r\n")) == []


@pytest.mark.parametrize(("text", "said"), BAD.items(), ids=[f"{i}-{said[:20]}" for i, said in enumerate(BAD.values())])
def test_what_must_be_mended(text: str, said: str):
    problems = check_card(text)
    assert any(said in problem for problem in problems), problems
    assert all(len(problem) < 400 and problem.isprintable() for problem in problems)


def test_bad_cards_of_the_corpus(shared: Path, tmp_path: Path, capsys):
    with tarfile.open(shared / "tools/badcorpus/dev.tar.gz") as archive:
        members = [one for one in archive.getmembers() if one.name.startswith(("dev/text/", "dev/manifest"))]
        archive.extractall(tmp_path, members, filter="data")
    cases = [case for case in json.loads((tmp_path / "dev/manifest.json").read_text()) if case["family"] == "text"]
    assert len(cases) >= 2
    for case in cases:
        assert main(["--check", str(tmp_path / "dev" / case["path"])]) == 1, case["why"]
    said = capsys.readouterr().out
    assert "holds a Hugging Face token" in said and "onerror" in said and "javascript" in said
    assert "hf_AAAAAAA" not in said


def test_what_is_lacking(capsys, tmp_path: Path):
    file = tmp_path / "README.md"
    file.write_text("---\nlicense: mit\n---\n# x\nAccuracy 0.9 ![](a.png)")
    assert main(["--check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for gap in ("no library_name", "no pipeline_tag", "nothing on limits", "without intervals", "text alternative"):
        assert f"gap         {gap}" in said or gap in said
    assert "0 problems" in said
    assert "a remote image, from img.shields.io: it may change or go" in find_gaps(GOOD + HARMLESS[7])
    declared = CardArguments(license="mit", datasets=["a/b"], authors="A. Nonymous")
    assert find_gaps(build_card(card_run(tmp_path / "run", ["a", "b"]), declared).text) == [
        "no widget: no example image to try it with"
    ]


def test_places_that_hold_no_card(tmp_path: Path):
    (tmp_path / "latin.md").write_bytes(b"---\n\xe9")
    for place, said in {
        "nowhere.md": "does not exist",
        str(tmp_path): "cannot be read",
        "user/none": "HF_HUB_OFFLINE keeps it from being fetched",
    }.items():
        with pytest.raises(UserError, match=said):
            main(["--check", place])
    with pytest.raises(UserError, match="not UTF-8"):
        main(["--check", str(tmp_path / "latin.md")])
    with pytest.raises(UserError, match="one of the two"):
        main([])
    with pytest.raises(UserError, match="would have no effect"):
        main(["--check", "x.md", "--license", "mit"])


def test_seals():
    text = seal("# ä card\n")
    assert is_ours(text)
    assert not is_ours(text + " ") and not is_ours(text.replace("ä", "a")) and not is_ours("# x\n") and not is_ours("")


def test_the_hub_is_asked(tmp_path: Path):
    file = tmp_path / "README.md"
    file.write_text(GOOD)
    with hub_that_says(['"license" is not allowed'], ["add a tag"], status=400) as (address, asked):
        environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": address, "HF_HOME": str(tmp_path)}
        environment["HF_TOKEN"] = "hf_secret"
        done = subprocess.run(
            [sys.executable, "-m", "hfcls", "card", "--check", str(file)],
            env=environment,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 1, done.stderr
    assert 'problem     The Hub: "license" is not allowed' in done.stdout and "The Hub: add a tag" in done.stdout
    assert asked[0]["path"] == "/api/validate-yaml" and asked[0]["body"] == {"repoType": "model", "content": GOOD}
    assert "hf_secret" not in str(asked)
    done = subprocess.run(
        [sys.executable, "-m", "hfcls", "card", "--check", str(file)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and "the Hub gave no answer" in done.stdout
