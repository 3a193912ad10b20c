"""What is said to visitors when there is no answer."""

from pathlib import Path

import pytest

from hfcls.errors import UserError
from hfcls.serving.bars import format_share, sentence_html
from hfcls.serving.desk import Desk
from hfcls.serving.menu import Menu, Offer
from hfcls.serving.predictor import Predictor

pytest.importorskip("gradio", reason="needs Gradio: pip install 'hfcls[demo]'")
PIXEL = {"url": "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("read them first, in /home/me/.cache/hub/x.", "read them first, in a folder of the server"),
        ("user/name@refs/pr/1 is private: see https://huggingface.co/user/name.", None),
        ("It has 3/4 of 16/32 files (and/or none).", None),
    ],
)
def test_no_path_of_the_server_is_told(said: str, shown: str | None, monkeypatch):
    def fail(self, *rest, **named):
        raise UserError(said)

    monkeypatch.setattr(Predictor, "predict", fail)
    with pytest.raises(UserError) as caught:
        Desk(Menu(offers={"A": Offer("A", "user/a", on_hub=True)})).answer("A", PIXEL)
    assert str(caught.value) == (shown or said)


def test_a_directory_goes_by_its_title(tmp_path: Path):
    (tmp_path / "m").mkdir()
    with pytest.raises(UserError, match=r"^My model holds no config"):
        Desk(Menu(offers={"My model": Offer("My model", str(tmp_path / "m"), on_hub=False)})).answer("My model", PIXEL)


def test_how_shares_are_written():
    shares = (0, 1e-9, 0.0006, 0.5, 0.9994, 0.9996, 1)
    shown = ["0.0 %", "< 0.1 %", "0.1 %", "50.0 %", "99.9 %", "> 99.9 %", "100.0 %"]
    assert [format_share(share) for share in shares] == shown
    assert "<b>" not in sentence_html("<b>\x00", "problem")
