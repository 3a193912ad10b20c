"""The page: choose a model, give it a picture, see what it takes it for."""

import base64
import binascii
import re
import sys
import traceback
from collections.abc import Iterator
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from hfcls.data.decode import read_bytes
from hfcls.errors import BadImage, UserError
from hfcls.escaping import terminal_text
from hfcls.extras import require
from hfcls.pages.render import clean_text
from hfcls.serving.bars import answer_html, sentence_html
from hfcls.serving.gate import Gate, names_address
from hfcls.serving.look import CSS, HEAD, build_theme
from hfcls.serving.menu import Menu
from hfcls.serving.predictor import Answer, Predictor

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 64_000_000
MAX_WAITING = 32
# More at a time would only slow each other down; one more than one, so that nobody waits for another's download.
AT_ONCE = 2
TOP_K = 5
_KEEP_SECONDS = 3600
_NO_PICTURE = "No picture: drop, paste or photograph one."
_INVITATION = "Drop, paste or photograph a picture to see what it is taken for."
# Where things lie on this machine is nobody's business.
_PATH = re.compile(r"(?<![\w/:.])(?:/[^\s/,;:'\"()]+){2,}/?")
_BUG = "Something went wrong on the server."


class Desk:
    """Answers what the page and its API ask: a title of the menu and an uploaded file in, an Answer out.

    Args:
        menu: what is offered.
        device: as `Predictor` takes it.
    """

    def __init__(self, menu: Menu, *, device: str | None = None):
        self.menu = menu
        self._predictors = {
            title: Predictor(offer.model, device=device, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)
            for title, offer in menu.offers.items()
        }

    def predictor(self, title: str) -> Predictor:
        """The predictor of one offer.

        Raises:
            UserError: there is no such offer.
        """
        return self._predictors[self.menu[title].title]

    def answer(self, title: str, upload: Any) -> Answer:
        """Classifies an uploaded file.

        Args:
            title: of an offer.
            upload: what Gradio says of it: a dict with a path, or with a ``data:`` URL.

        Raises:
            UserError: no answer, with the reason in a sentence for whoever sent the file.
        """
        if not self.menu.offers:
            raise UserError(self.menu.note)
        predictor = self.predictor(title)
        try:
            return predictor.predict(_content(upload), name="file")
        except BadImage as error:
            raise UserError(f"The file {error.reason}.") from None
        except UserError as error:
            named = str(error) if self.menu[title].on_hub else str(error).replace(predictor.model, title)
            raise UserError(_PATH.sub("a folder of the server", named)) from None


def build_demo(menu: Menu, *, device: str | None = None) -> Any:
    """The page as Gradio Blocks, with the named endpoint ``predict``; `launch` shows it.

    Raises:
        UserError: Gradio is not installed.
    """
    gradio = require("gradio", extra="demo")
    desk = Desk(menu, device=device)
    titles = list(menu.offers)
    with gradio.Blocks(title=menu.title, analytics_enabled=False, delete_cache=(_KEEP_SECONDS, _KEEP_SECONDS)) as demo:
        gradio.HTML(_head(menu), elem_classes="page-head")
        if menu.note:
            gradio.HTML(sentence_html(menu.note, "problem"))
        if titles:
            _build_picture_row(gradio, desk, titles)
        _build_api(gradio, desk, titles)
    demo.queue(max_size=MAX_WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    _refuse_addresses(gradio, demo)
    return demo


def launch(demo: Any) -> None:
    """Serves the page until it is stopped, on 127.0.0.1 unless ``GRADIO_SERVER_NAME`` says otherwise."""
    demo.launch(
        share=False,
        enable_monitoring=False,
        max_file_size=MAX_BYTES,
        allowed_paths=[],
        ssr_mode=False,
        footer_links=["api", "settings"],
        theme=build_theme(),
        css=CSS,
        head=HEAD,
        app_kwargs={"middleware": [_gate()]},
    )


def _build_picture_row(gradio: Any, desk: Desk, titles: list[str]) -> None:
    choice = gradio.Dropdown(
        titles, value=titles[0], label="Model", visible=len(titles) > 1, filterable=len(titles) > 8
    )
    with gradio.Row(equal_height=False):
        with gradio.Column(min_width=300):
            picture = gradio.Image(
                label="Picture",
                type="filepath",
                image_mode=None,
                sources=["upload", "webcam", "clipboard"],
                buttons=["fullscreen"],
                height=340,
                placeholder="Drop a picture here\nor click to choose one",
                alt_text="The picture to be classified",
            )
        with gradio.Column(min_width=300):
            panel = gradio.HTML(sentence_html(_INVITATION), container=True, padding=False, min_height=120)
    # Raw values: Gradio would open the file by itself, and would not say what is wrong with it.
    gradio.on(
        [picture.change, choice.change],
        partial(_show, desk),
        inputs=[choice, picture],
        outputs=panel,
        preprocess=False,
        show_progress="minimal",
        trigger_mode="always_last",
        concurrency_id="answers",
        api_visibility="private",
    )


def _show(desk: Desk, title: str, upload: Any) -> Iterator[str]:
    """What stands in the panel, one thing after the other; errors are sentences there."""
    if upload is None:
        yield sentence_html(_INVITATION)
        return
    try:
        if not desk.predictor(title).is_loaded:
            yield sentence_html(f"Loading {title}, which is used for the first time …", "busy")
        yield answer_html(desk.answer(title, upload), desk.menu[title], top_k=TOP_K)
    except UserError as error:
        yield sentence_html(str(error), "problem")
    except Exception:
        _log()
        yield sentence_html(_BUG, "problem")


def _build_api(gradio: Any, desk: Desk, titles: list[str]) -> None:
    from gradio import FileData

    first = titles[0] if titles else ""

    def predict(image: FileData, model: str = first, top_k: int = TOP_K) -> dict[str, Any]:
        """Classifies one picture.

        Args:
            image: a picture file (JPEG, PNG, GIF, WebP, BMP, TIFF, ...).
            model: a title of the menu.
            top_k: how many of the likeliest classes.
        """
        if type(top_k) is not int or top_k < 1:
            raise gradio.Error("top_k is a whole number from 1 on.", print_exception=False)
        try:
            answer = desk.answer(model, image)
        except UserError as error:
            raise gradio.Error(str(error), print_exception=False) from None
        except Exception:
            _log()
            raise gradio.Error(_BUG, print_exception=False) from None
        return {"model": model, "predictions": [{"label": name, "score": p} for name, p in answer.top(top_k)]}

    # The annotations are read from the function, where they have to be types, not names.
    gradio.api(predict, api_name="predict", concurrency_id="answers")


def _content(upload: Any) -> bytes:
    """The bytes of an upload.

    Raises:
        BadImage: there are none, or they are not where Gradio keeps uploads.
    """
    from gradio.utils import get_upload_folder

    path, url = (upload.get("path"), upload.get("url")) if isinstance(upload, dict) else (None, None)
    if isinstance(path, str) and path:
        if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
            raise BadImage("", reason="has not been uploaded")
        return read_bytes({"bytes": None, "path": path}, "file")
    if isinstance(url, str) and url.startswith("data:") and ";base64," in url[:100]:
        try:
            return base64.b64decode(url.partition(",")[2], validate=True)
        except binascii.Error:
            raise BadImage("", reason="is not whole: its base64 text cannot be read") from None
    raise UserError(_NO_PICTURE)


def _refuse_addresses(gradio: Any, demo: Any) -> None:
    """Gradio downloads a file that is named by an address, whatever component it is sent to: not here."""
    preprocess = demo.preprocess_data

    async def checked(block_fn: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        if names_address(inputs):
            raise gradio.Error("Only uploaded files are read: no address is fetched.", print_exception=False)
        return await preprocess(block_fn, inputs, *rest, **named)

    demo.preprocess_data = checked


def _gate() -> Any:
    from starlette.middleware import Middleware

    # Base64 takes a third more, and a form a little.
    return Middleware(Gate, max_bytes=MAX_BYTES * 3 // 2)


def _head(menu: Menu) -> str:
    description = f"<p>{escape(clean_text(menu.description))}</p>" if menu.description else ""
    return f"<h1>{escape(clean_text(menu.title))}</h1>{description}"


def _log() -> None:
    print(terminal_text(traceback.format_exc()).replace("\\n", "\n"), file=sys.stderr)
