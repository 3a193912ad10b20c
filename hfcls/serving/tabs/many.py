"""Many: a stack of pictures, a folder or an archive at once."""

import csv
from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

from hfcls.errors import UserError
from hfcls.escaping import spreadsheet_text, terminal_text, utf8_text
from hfcls.serving.bars import format_share, sentence_html, text_html
from hfcls.serving.desk import BUG, Desk, Row, log_bug
from hfcls.serving.doubt import describe_doubt
from hfcls.serving.jobs import Job
from hfcls.serving.limits import MAX_ARCHIVE_BYTES, MAX_BYTES, MAX_FILES

_INVITATION = (
    f"Up to {MAX_FILES} pictures of {MAX_BYTES >> 20} MiB, or a zip or tar of them of {MAX_ARCHIVE_BYTES >> 20} MiB."
)
HEADERS = ["File", "Class", "Share (%)", "Second", "Second (%)", "Doubt", "Problem"]
_CSV_CLASSES = 3
_WIDTHS = [220, 220, 90, 200, 100, 100, 220]


def build(gradio: Any, desk: Desk, model: Any) -> None:
    """Builds the tab's content."""
    with gradio.Row(equal_height=False):
        with gradio.Column(min_width=300, scale=1):
            files = gradio.File(label="Pictures, or a zip of them", file_count="multiple", type="filepath", height=200)
            folder = gradio.UploadButton("Choose a folder", file_count="directory", size="sm", variant="secondary")
            with gradio.Row():
                ask = gradio.Button("Classify all", variant="primary", min_width=120)
                stop = gradio.Button("Stop", visible=False, min_width=120)
        with gradio.Column(min_width=300, scale=2):
            said = gradio.HTML(sentence_html(_INVITATION), container=True, padding=False, min_height=60)
    gallery = gradio.HTML(visible=False)
    table = gradio.Dataframe(
        headers=HEADERS,
        datatype=["str", "str", "number", "str", "number", "str", "str"],
        type="array",
        interactive=False,
        visible=False,
        label="All answers",
        show_label=True,
        wrap=True,
        column_widths=_WIDTHS,
        buttons=["fullscreen"],
        max_height=420,
    )
    _connect(gradio, desk, model, files, folder, ask, stop, said, gallery, table)


def _connect(
    gradio: Any, desk: Desk, model: Any, files: Any, folder: Any, ask: Any, stop: Any, said: Any, gallery: Any,
    table: Any,
) -> None:  # fmt: skip
    from gradio import Request

    def classify(title: str, uploads: Any, request: Request) -> Iterator[list[Any]]:
        """Progress, then the gallery, the table and the CSV."""
        rows: list[Row] = []
        yield [sentence_html("Reading …", "busy"), gradio.skip(), gradio.skip(), gradio.update(visible=True)]
        steps = desk.jobs.run(
            request.session_hash, "many", lambda report: desk.answer_many(title, uploads, rows=rows, report=report)
        )
        for job in steps:
            if job.is_over:
                yield [
                    summary_html(job, rows),
                    gradio.update(value=gallery_html(rows), visible=bool(rows)),
                    gradio.update(value=[cells(row) for row in rows], visible=bool(rows)),
                    gradio.update(visible=False),
                ]
            else:
                busy = f"{job.done:,} done · {job.seconds:.0f} s"
                yield [sentence_html(busy, "busy"), gradio.skip(), gradio.skip(), gradio.skip()]

    def halt(request: Request) -> None:
        """Ends the visitor's work."""
        desk.jobs.stop(request.session_hash, "many")

    shared: dict[str, Any] = {
        "outputs": [said, gallery, table, stop],
        "preprocess": False,
        "show_progress": "hidden",
        "concurrency_id": "many",
        "concurrency_limit": 2,
        "api_visibility": "private",
    }
    ask.click(classify, inputs=[model, files], **shared)
    folder.upload(classify, inputs=[model, folder], **shared)
    stop.click(halt, queue=False, api_visibility="private")


def summary_html(job: Job[None], rows: Sequence[Row]) -> str:
    """How many, and the CSV to keep; or why it ended."""
    good = sum(row.answer is not None for row in rows)
    parts = []
    if job.error is not None and not job.was_stopped:
        known = isinstance(job.error, UserError)
        if not known:
            try:
                raise job.error
            except Exception:
                log_bug()
        parts.append(sentence_html(str(job.error) if known else BUG, "problem"))
    if rows:
        stopped = "Stopped. " if job.was_stopped else ""
        bad = f"; {len(rows) - good:,} could not be read, the table says why" if good < len(rows) else ""
        parts.append(sentence_html(f"{stopped}{_count(good)} classified in {job.seconds:.1f} s{bad}."))
        content = b64encode(rows_csv(rows).encode()).decode("ascii")
        link = f'<a download="answers.csv" href="data:text/csv;base64,{content}">Download answers.csv</a>'
        parts.append(f'<p class="aside">{link}</p>')
    elif job.was_stopped:
        parts.append(sentence_html("Stopped."))
    return "".join(parts)


def gallery_html(rows: Sequence[Row]) -> str:
    """A card for each picture that has an answer, those of one class together, the clearest first."""
    answered = [(row, *row.answer.top(1)[0]) for row in rows if row.answer is not None]
    answered.sort(key=lambda one: (one[1].casefold(), -one[2]))
    cards = "".join(
        f'<li><img loading="lazy" alt="" src="{row.thumbnail}"><b><bdi>{text_html(name)}</bdi></b>'
        f'<span class="share" style="--share:{100 * share:.1f}%">{text_html(format_share(share))}</span>'
        f"<small><bdi>{text_html(terminal_text(row.name))}</bdi></small></li>"
        for row, name, share in answered
    )
    return f'<ul class="gallery" aria-label="Pictures by class">{cards}</ul>'


def cells(row: Row) -> list[Any]:
    """A row of the table, as in `HEADERS`."""
    name = terminal_text(row.name)
    if row.answer is None:
        return [name, "", None, "", None, "", row.problem]
    top = row.answer.top(2)
    second = [terminal_text(top[1][0]), round(100 * top[1][1], 2)] if len(top) > 1 else ["", None]
    return [name, terminal_text(top[0][0]), round(100 * top[0][1], 2), *second, describe_doubt(row.answer)[0], ""]


def rows_csv(rows: Sequence[Row]) -> str:
    """``file, label_1, score_1, ..., error``; no cell is a formula to a spreadsheet."""
    count = max((min(_CSV_CLASSES, len(row.answer.class_names)) for row in rows if row.answer), default=1)
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ranks = range(1, count + 1)
    writer.writerow(["file", *(f"{what}_{rank}" for rank in ranks for what in ("label", "score")), "error"])
    for row in rows:
        scores = (
            [cell for name, share in row.answer.top(count) for cell in (_safe(name), f"{share:.6g}")]
            if (row.answer)
            else [""] * (2 * count)
        )
        writer.writerow([_safe(row.name), *scores, _safe(row.problem)])
    return file.getvalue()


def _safe(text: str) -> str:
    return utf8_text(spreadsheet_text(text))


def _count(number: int) -> str:
    return "1 picture" if number == 1 else f"{number:,} pictures"
