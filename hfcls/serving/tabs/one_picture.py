"""One picture: what it is taken for, how surely, and why."""

from collections.abc import Iterator
from typing import Any

from hfcls.errors import UserError
from hfcls.pages.svg import shorten
from hfcls.serving.bars import answer_html, format_share, sentence_html, text_html
from hfcls.serving.desk import BUG, Desk, log_bug, sentences
from hfcls.serving.explanations import Explanation, data_uri, list_methods
from hfcls.serving.jobs import Job
from hfcls.serving.limits import TOP_K
from hfcls.serving.predictor import Answer
from hfcls.serving.tabs.picture import build_examples, build_picture

_INVITATION = "Drop, paste or photograph a picture to see what it is taken for."
_WHY = "Choose how to look into the model, and press Explain."
# More would take longer to send than anyone reads; the likeliest are always there.
_MOST_CLASSES = 5000
_NAME_WIDTH = 70
_FADE = "(value) => { document.documentElement.style.setProperty('--opacity', value / 100); }"


def build(gradio: Any, desk: Desk, model: Any) -> Any:
    """Builds the tab's content; returns its picture."""
    with gradio.Row(equal_height=False):
        with gradio.Column(min_width=300):
            picture = build_picture(gradio)
            build_examples(gradio, picture)
        with gradio.Column(min_width=300):
            panel = gradio.HTML(sentence_html(_INVITATION), container=True, padding=False, min_height=120)
    with gradio.Column(visible=False, elem_classes="why") as why:
        gradio.HTML("<h2>Why?</h2>")
        with gradio.Row():
            method = gradio.Dropdown([], label="Explanation", min_width=200)
            target = gradio.Dropdown([], label="Of the class", min_width=200, filterable=True)
        with gradio.Row():
            ask = gradio.Button("Explain", variant="primary", min_width=120)
            stop = gradio.Button("Stop", visible=False, min_width=120)
        shown = gradio.HTML(sentence_html(_WHY), container=True, padding=False, min_height=60)
        fade = gradio.Slider(0, 100, value=55, step=1, label="Strength of the colours (%)", visible=False)
    fade.input(None, inputs=fade, js=_FADE)
    flag = _build_flag(gradio, desk) if desk.flags else None
    _connect_answer(gradio, desk, model, picture, panel, why, method, target, shown, fade, stop, flag)
    _connect_explanation(gradio, desk, model, picture, method, target, ask, stop, shown, fade)
    if flag:
        _connect_flag(desk, model, picture, flag)
    return picture


def _connect_answer(
    gradio: Any, desk: Desk, model: Any, picture: Any, panel: Any, why: Any, method: Any, target: Any, shown: Any,
    fade: Any, stop: Any, flag: Any,
) -> None:  # fmt: skip
    from gradio import Request

    outputs = [panel, why, method, target, shown, fade, stop, *(flag[:2] if flag else ())]
    rest = [gradio.skip()] * (len(outputs) - 2)

    def show(title: str, upload: Any, way: Any, request: Request) -> Iterator[list[Any]]:
        """What stands in the panel, one thing after the other; errors are sentences there."""
        desk.jobs.stop(request.session_hash, "explain")
        hidden = gradio.update(visible=False)
        if upload is None:
            yield [sentence_html(_INVITATION), hidden, *rest]
            return
        try:
            if not desk.predictor(title).is_loaded:
                busy = f"Loading {title}, which is used for the first time …"
                yield [sentence_html(busy, "busy"), hidden, *rest]
            answer = desk.answer(title, upload)
        except UserError as error:
            yield [sentence_html(str(error), "problem"), hidden, *rest]
            return
        except Exception:
            log_bug()
            yield [sentence_html(BUG, "problem"), hidden, *rest]
            return
        said = answer_html(answer, desk.menu[title], top_k=TOP_K)
        methods = list_methods(desk.predictor(title).classifier.model)
        ways = [(f"{one.title} (slow)" if one.slow else one.title, one.key) for one in methods]
        kept = next((key for _, key in ways if key == way), ways[0][1] if ways else None)
        classes = class_choices(answer)
        yield [
            said,
            gradio.update(visible=bool(ways)),
            gradio.update(choices=ways, value=kept),
            gradio.update(choices=classes, value=classes[0][1]),
            sentence_html(_WHY),
            hidden,
            hidden,
            *([gradio.update(visible=True, open=False), gradio.update(choices=classes, value=None)] if flag else ()),
        ]

    # Raw values: Gradio would open the file by itself, and would not say what is wrong with it.
    gradio.on(
        [picture.change, model.change],
        show,
        inputs=[model, picture, method],
        outputs=outputs,
        preprocess=False,
        show_progress="minimal",
        show_progress_on=panel,
        trigger_mode="always_last",
        concurrency_id="answers",
        api_visibility="private",
    )


def class_choices(answer: Answer) -> list[tuple[str, int]]:
    """Classes to choose from, the likeliest first with their probabilities, and then all by name."""
    order = (-answer.probabilities).argsort(kind="stable").tolist()
    first = order[:TOP_K]
    rest = order[TOP_K:_MOST_CLASSES]
    rest.sort(key=lambda index: answer.class_names[index].casefold())
    names = [shorten(name, _NAME_WIDTH) or "(no name)" for name in answer.class_names]
    shares = [format_share(float(answer.probabilities[index])) for index in first]
    likeliest = [(f"{names[index]} · {share}", index) for index, share in zip(first, shares, strict=True)]
    return likeliest + [(names[index], index) for index in rest]


def _connect_explanation(
    gradio: Any, desk: Desk, model: Any, picture: Any, method: Any, target: Any, ask: Any, stop: Any, shown: Any,
    fade: Any,
) -> None:  # fmt: skip
    from gradio import Request

    def show_why(title: str, upload: Any, way: str, index: int | None, request: Request) -> Iterator[list[Any]]:
        """Progress, and then the picture with its heat map."""
        yield [sentence_html("Waiting for a turn …", "busy"), gradio.update(visible=False), gradio.update(visible=True)]
        steps = desk.jobs.run(
            request.session_hash,
            "explain",
            lambda report: desk.explain(title, upload, method=way, target=index, report=report),
        )
        for job in steps:
            if not job.is_over:
                yield [progress_html(job), gradio.skip(), gradio.skip()]
                continue
            said = sentences(lambda job=job: outcome_html(job), lambda text: sentence_html(text, "problem"))  # type: ignore[misc]
            yield [said, gradio.update(visible=job.result is not None), gradio.update(visible=False)]

    def halt(request: Request) -> None:
        """Ends the visitor's work."""
        desk.jobs.stop(request.session_hash, "explain")

    ask.click(
        show_why,
        inputs=[model, picture, method, target],
        outputs=[shown, fade, stop],
        preprocess=False,
        show_progress="hidden",
        concurrency_id="explanations",
        concurrency_limit=2,
        api_visibility="private",
    )
    stop.click(halt, queue=False, api_visibility="private")


def progress_html(job: Job[Any]) -> str:
    """How far work is."""
    done = f"{job.done:,} of {job.total:,} passes" if job.total else f"{job.done:,} passes" if job.done else "Starting"
    share = f' value="{job.done}" max="{job.total}"' if job.total else ""
    return (
        f'<div class="progress" role="status"><progress aria-label="Explanation"{share}></progress>'
        f'<p class="sentence busy">{done} · {job.seconds:.0f} s</p></div>'
    )


def outcome_html(job: Job[Explanation]) -> str:
    """The explanation, or a word on why there is none.

    Raises:
        UserError: the work ended with one; any other error of it is raised as well.
    """
    if job.was_stopped:
        return sentence_html("Stopped.")
    if job.error is not None:
        raise job.error
    assert job.result is not None
    return explanation_html(job.result)


def explanation_html(explanation: Explanation) -> str:
    """The picture, the heat map above it as strong as the slider says, and what was done."""
    heatmap = explanation.heatmap
    name = text_html(heatmap.class_name)
    title = next((one.title for one in list_methods() if one.key == heatmap.method), heatmap.method)
    layer = f" at the layer {heatmap.layer}" if heatmap.layer else ""
    passes = "1 pass" if heatmap.passes == 1 else f"{heatmap.passes:,} passes"
    cut = "" if heatmap.complete else " It was cut short: more time would make it sharper."
    width, height = explanation.picture.size
    scale = ", ".join("rgb({},{},{})".format(*colour) for colour in explanation.scale())
    return (
        f'<figure class="explanation"><div class="stack" style="--ratio:{width / height:.4f}">'
        f'<img alt="The picture" src="{data_uri(explanation.picture, format="JPEG")}">'
        f'<img class="over" alt="Where {name} comes from" src="{data_uri(explanation.painted())}"></div>'
        f'<div class="scale" style="--heat:linear-gradient(90deg, {scale})"><span>little</span><i></i>'
        "<span>much</span></div>"
        f"<figcaption>Bright is what speaks for <bdi>{name}</bdi>. {text_html(title)}{text_html(layer)}, {passes}, "
        f"{heatmap.seconds:.1f} s.{cut} It shows what the model looks at, not whether that is a good reason."
        "</figcaption></figure>"
    )


def _build_flag(gradio: Any, desk: Desk) -> tuple[Any, Any, Any, Any]:
    with gradio.Accordion("Is this wrong?", open=False, visible=False) as fold:
        right = gradio.Dropdown([], label="What it shows", filterable=True)
        keep = gradio.Button("Keep it as an example", min_width=160)
        said = gradio.HTML(
            sentence_html("The picture (small, without its EXIF) and your class are kept on the server.")
        )
    return fold, right, keep, said


def _connect_flag(desk: Desk, model: Any, picture: Any, flag: tuple[Any, Any, Any, Any]) -> None:
    _, right, keep, said = flag

    def keep_it(title: str, upload: Any, index: int | None) -> str:
        """Keeps the picture; says so."""
        return sentences(
            lambda: sentence_html(desk.keep(title, upload, index)), lambda text: sentence_html(text, "problem")
        )

    keep.click(
        keep_it,
        inputs=[model, picture, right],
        outputs=said,
        preprocess=False,
        concurrency_id="answers",
        api_visibility="private",
    )
