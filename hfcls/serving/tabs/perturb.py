"""Perturb: how firmly an answer stands when the picture is turned, blurred, covered."""

from typing import Any

from hfcls.pages.svg import Frame, shorten, wrap_svg
from hfcls.serving.bars import bars_html, format_share, sentence_html, text_html
from hfcls.serving.desk import Desk, Trial, sentences
from hfcls.serving.explanations import data_uri
from hfcls.serving.perturbing import DIALS, PLACES, Dial, build_perturbation
from hfcls.serving.tabs.picture import build_picture

_INVITATION = "Give it a picture, and move a slider."
_NO_CURVE = ""
_BARS = 3


def build(gradio: Any, desk: Desk, model: Any) -> Any:
    """Builds the tab's content; returns its picture."""
    with gradio.Row(equal_height=False):
        with gradio.Column(min_width=300, scale=1):
            picture = build_picture(gradio, height=220)
            sliders = {name: _slider(gradio, dial, 0) for name, dial in DIALS.items()}
            with gradio.Accordion("Where the square lies, and the noise's seed", open=False):
                sliders |= {name: _slider(gradio, dial, 0.5) for name, dial in PLACES.items()}
                sliders["seed"] = gradio.Slider(0, 99, value=0, step=1, label="Seed")
            curve = gradio.Dropdown(
                [("none", _NO_CURVE), *((dial.title, name) for name, dial in DIALS.items())],
                value="rotation",
                label="Curve over",
                filterable=False,
            )
            reset = gradio.Button("Back to the picture as it is", min_width=160)
        with gradio.Column(min_width=300, scale=2):
            panel = gradio.HTML(sentence_html(_INVITATION), container=True, padding=False, min_height=120)

    def show(title: str, upload: Any, dial: str, *values: float) -> str:
        """Both pictures, both answers, and the curve."""
        if upload is None:
            return sentence_html(_INVITATION)
        return sentences(
            lambda: trial_html(
                desk.perturb(
                    title, upload, build_perturbation(dict(zip(sliders, values, strict=True))), dial=dial or None
                ),
                dial,
                values[list(sliders).index(dial)] if dial else 0.0,
            ),
            lambda text: sentence_html(text, "problem"),
        )

    gradio.on(
        [picture.change, model.change, curve.change, *(slider.change for slider in sliders.values())],
        show,
        inputs=[model, picture, curve, *sliders.values()],
        outputs=panel,
        preprocess=False,
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_id="answers",
        api_visibility="private",
    )
    calm = [0.0] * len(DIALS) + [0.5] * len(PLACES) + [0]
    reset.click(None, outputs=list(sliders.values()), js=f"() => {calm}", api_visibility="private")
    return picture


def trial_html(trial: Trial, dial: str, strength: float) -> str:
    """Before and after side by side, what became of the answer, and the curve."""
    (name, share), (other, other_share) = trial.original.top(1)[0], trial.answer.top(1)[0]
    if name == other:
        said = f"It stays “{name}”: {format_share(share)} before, {format_share(other_share)} now."
    else:
        said = f"“{name}” ({format_share(share)}) has turned into “{other}” ({format_share(other_share)})."
    sides = "".join(
        f'<div class="answer"><h3>{heading}</h3><img alt="The picture {heading.lower()}" '
        f'src="{data_uri(image, format="JPEG")}">{bars_html(answer, top_k=_BARS)}</div>'
        for heading, image, answer in (
            ("As it is", trial.before, trial.original),
            ("Perturbed", trial.after, trial.answer),
        )
    )
    kind = "agree" if name == other else "differ"
    drawn = curve_svg(trial.curve, DIALS[dial], strength, name) if trial.curve else ""
    told = f'<p class="verdict {kind}" role="status">{text_html(said)}</p>'
    return f'{told}<div class="side-by-side pair">{sides}</div>{drawn}'


def curve_svg(curve: list[tuple[float, float]], dial: Dial, strength: float, name: str) -> str:
    """The probability of one class over the strengths of one dial, and where the slider stands."""
    frame = Frame(
        x=(dial.low, dial.high),
        y=(0, 1),
        x_ticks=[dial.low + quarter * (dial.high - dial.low) / 4 for quarter in range(5)],
        y_ticks=(0, 0.5, 1),
        x_label=f"{dial.title}{f' ({dial.unit.strip()})' if dial.unit else ''}",
        y_label=f"How likely “{shorten(name, 40)}” is",
        y_format=lambda value: f"{100 * value:.0f} %",
    )
    points = " ".join(f"{frame.px(x):.1f},{frame.py(y):.1f}" for x, y in curve)
    dots = "".join(
        f'<circle cx="{frame.px(x):.1f}" cy="{frame.py(y):.1f}" r="4" style="fill:var(--link)"><title>{x:g}: '
        f"{text_html(format_share(y))}</title></circle>"
        for x, y in curve
    )
    here = frame.segment((strength, 0), (strength, 1), "stroke:var(--warn);stroke-width:2;stroke-dasharray:5 4")
    line = f'<polyline points="{points}" style="fill:none;stroke:var(--link);stroke-width:2.5"/>'
    told = "; ".join(f"{x:g}: {100 * y:.1f} %" for x, y in curve)
    drawn = wrap_svg("curve", f"{dial.title} and the answer", told, frame.axes() + here + line + dots)
    return f'<div class="curve">{drawn}</div>'


def _slider(gradio: Any, dial: Dial, value: float) -> Any:
    unit = f" ({dial.unit.strip()})" if dial.unit else ""
    return gradio.Slider(dial.low, dial.high, value=value, step=dial.step, label=f"{dial.title}{unit}")
