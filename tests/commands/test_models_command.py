"""The catalogue as a user sees it."""

import json
from pathlib import Path

import pytest

from hfcls.commands.models import main
from hfcls.errors import UserError

README = Path(__file__).parents[2] / "README.md"


def said(capsys, *flags: str) -> str:
    main(list(flags))
    return capsys.readouterr().out


def test_the_table_in_the_readme_is_the_command_s(capsys):
    shown = README.read_text(encoding="utf-8").split("<!-- catalogue -->\n")[1].split("<!-- end of catalogue -->")[0]
    assert shown.strip() == said(capsys, "--format", "markdown").strip()


def test_filters(capsys):
    rows = json.loads(said(capsys, "--format", "json", "--max_parameters", "6e6", "--pretrained"))
    assert {row["name"] for row in rows} == {
        *("mobilenetv2_100", "mobilenetv3_large_100", "efficientnet_b0", "vit_tiny", "deit_tiny")
    }
    assert [row["name"] for row in json.loads(said(capsys, "deit*", "--format", "json"))] == [
        *("deit_tiny", "deit_small", "deit_base")
    ]
    with pytest.raises(UserError, match="resnet50"):
        main(["resnet5O"])


def test_one_in_full(capsys):
    text = said(capsys, "squeezenet1_1")
    assert "1,235,496" in text  # torchvision's documentation
    assert "arXiv:1602.07360" in text
