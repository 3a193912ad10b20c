"""The page: choose a model, give it pictures, see what it takes them for, how surely, and why."""

from collections.abc import Callable
from importlib.util import find_spec
from threading import Event
from typing import Any

from hfcls.errors import UserError
from hfcls.extras import require
from hfcls.serving.api import build_api
from hfcls.serving.bars import sentence_html, text_html
from hfcls.serving.desk import Desk
from hfcls.serving.flags import FlagFolder
from hfcls.serving.gate import Gate, names_address
from hfcls.serving.limits import AT_ONCE, MAX_ARCHIVE_BYTES, MAX_BYTES, MAX_UPLOAD_BYTES, MAX_WAITING
from hfcls.serving.look import CSS, HEAD, build_theme
from hfcls.serving.menu import Menu
from hfcls.serving.tabs import about, compare, many, one_picture, perturb

_KEEP_SECONDS = 3600
# A picture that one tab has is taken along to the next, unless that one has a picture of its own.
_TAKE_ALONG = "(mine, first) => mine ?? first"


def build_demo(menu: Menu, *, device: str | None = None, flags: FlagFolder | None = None) -> Any:
    """The page as Gradio Blocks, with the endpoints of `hfcls.serving.api`; `launch` shows it.

    Args:
        menu: what is offered.
        device: as `hfcls.serving.predictor.Predictor` takes it.
        flags: where pictures go of which a visitor says that the answer is wrong; there is no such button where None.

    Raises:
        UserError: Gradio is not installed.
    """
    gradio = require("gradio", extra="demo")
    desk = Desk(menu, device=device, flags=flags)
    with gradio.Blocks(title=menu.title, analytics_enabled=False, delete_cache=(_KEEP_SECONDS, _KEEP_SECONDS)) as demo:
        gradio.HTML(_head(menu), elem_classes="page-head")
        if menu.note:
            gradio.HTML(sentence_html(menu.note, "problem"))
        if menu.offers:
            _build_tabs(gradio, desk)
        build_api(gradio, desk)
        _stop_with_the_page(demo, desk)
    demo.queue(max_size=MAX_WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    _refuse_addresses(gradio, demo)
    return demo


def launch(
    demo: Any, *, host: str | None = None, port: int | None = None, started: Callable[[str], None] | None = None
) -> None:
    """Serves the page until it is stopped.

    Args:
        host, port: ``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT`` where None, or else 127.0.0.1 and the first free
            one from 7860 on.
        started: is told the address; Gradio prints it where None.

    Raises:
        UserError: nobody can listen there.
    """
    try:
        _, address, _ = _launch(demo, host, port, by_itself=started is None)
    except OSError as error:
        where = f"{host or '127.0.0.1'}:{port}" if port else host or "127.0.0.1"
        why = "it is taken" if port and "GRADIO_SERVER_PORT" in str(error) else _first_line(error)
        raise UserError(f"Nothing can listen at {where} ({why}): choose another --port or --host.") from None
    if started is not None:
        try:
            started(address)
            Event().wait()
        finally:
            demo.close(verbose=False)


def _launch(demo: Any, host: str | None, port: int | None, *, by_itself: bool) -> Any:
    return demo.launch(
        share=False,
        server_name=host,
        server_port=port,
        quiet=not by_itself,
        prevent_thread_lock=not by_itself,
        enable_monitoring=False,
        max_file_size=MAX_ARCHIVE_BYTES,
        allowed_paths=[],
        ssr_mode=False,
        footer_links=["api", "settings"],
        theme=build_theme(),
        css=CSS,
        head=HEAD,
        # Tools for agents, where the package is there (pip install 'gradio[mcp]').
        mcp_server=find_spec("mcp") is not None,
        app_kwargs={"middleware": [_gate()]},
    )


def _build_tabs(gradio: Any, desk: Desk) -> None:
    titles = list(desk.menu.offers)
    model = gradio.Dropdown(
        titles, value=titles[0], label="Model", visible=len(titles) > 1, filterable=len(titles) > 8, elem_id="model"
    )
    with gradio.Tabs(overflow_behavior="wrap"):
        with gradio.Tab("One picture"):
            first = one_picture.build(gradio, desk, model)
        pictures = []
        if len(titles) > 1:
            with gradio.Tab("Compare") as tab:
                pictures.append((tab, compare.build(gradio, desk, model)))
        with gradio.Tab("Perturb") as tab:
            pictures.append((tab, perturb.build(gradio, desk, model)))
        with gradio.Tab("Many"):
            many.build(gradio, desk, model)
        with gradio.Tab("About") as tab:
            about.build(gradio, desk, model, tab)
    for tab, mine in pictures:
        tab.select(
            None, inputs=[mine, first], outputs=mine, js=_TAKE_ALONG, show_progress="hidden", api_visibility="private"
        )


def _stop_with_the_page(demo: Any, desk: Desk) -> None:
    from gradio import Request

    def stop(request: Request) -> None:
        desk.jobs.stop(request.session_hash)

    demo.unload(stop)


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
    return Middleware(Gate, max_bytes=MAX_BYTES * 3 // 2, max_upload_bytes=MAX_UPLOAD_BYTES)


def _head(menu: Menu) -> str:
    description = f"<p>{text_html(menu.description)}</p>" if menu.description else ""
    return f"<h1>{text_html(menu.title)}</h1>{description}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
