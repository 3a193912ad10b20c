"""``hfcls train``: data → classifier → training → predictions → figures → report → card."""

from pathlib import Path
from shlex import quote
from typing import Any

from hfcls.arguments import RunArguments
from hfcls.command_arguments import CardArguments, PushArguments
from hfcls.errors import UserError
from hfcls.launcher import is_first_process
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Trains or fine-tunes an image classifier, evaluates it and writes the run directory.

examples:
  hfcls train --dataset_name digits --architecture simple_cnn --output_dir runs/digits
  hfcls train --train_dir photos --model_name_or_path timm/mobilenetv2_100.ra_in1k --output_dir runs/photos
  hfcls train --config runs/photos/run.yaml --resume_from_checkpoint auto"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("train", DESCRIPTION)
    parser.add_config()
    parser.add_training()
    parser.add_flags("run", flags_of(RunArguments))
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and trains."""
    train(build_parser().values(argv))


def _check_publishing(values: dict[str, Any]) -> None:
    """Whether what is trained can be pushed; asks the Hub, since hours lie between now and the push."""
    repo_id = values.get("hub_model_id")
    if not values.get("push_to_hub"):
        for name in ("hub_model_id", "hub_private_repo"):
            if values.get(name):
                raise UserError(f"--{name} would have no effect without --push_to_hub.")
        return
    if not repo_id:
        raise UserError("--push_to_hub needs --hub_model_id: say where the model goes, such as user/name.")
    if is_first_process():
        from hfcls.hub.rights import check_rights

        check_rights(repo_id, say=_printer())


def train(values: dict[str, Any]) -> dict[str, Any]:
    """One run, from flags to a finished run directory.

    Args:
        values: flags by name, as on the command line.

    Returns:
        What ``metrics.json`` holds.

    Raises:
        UserError: bad input; see the message.
    """
    from hfcls.pages.standalone import check_formats
    from hfcls.training.flags import check_training

    values = build_parser().check(values)
    check_training(values)
    check_formats(values.get("figures"))
    _check_publishing(values)
    from hfcls.training.run_directory import writing
    from hfcls.training.whole_run import train_whole

    say = _printer()
    try:
        run = train_whole(values, say=say)
    except KeyboardInterrupt as stop:
        raise _with_the_way_on(stop, values) from None
    if is_first_process():
        with writing(run.run_dir):
            _report(run, say)
        if values.get("push_to_hub"):
            _publish(run.run_dir, values, say)
    return run.content


def _with_the_way_on(stop: KeyboardInterrupt, values: dict[str, Any]) -> KeyboardInterrupt:
    if not str(stop):  # before anything was trained
        return stop
    settings = quote(str(Path(values["output_dir"]).expanduser() / "run.yaml"))
    return KeyboardInterrupt(f"{stop} Go on with:\n  hfcls train --config {settings} --resume_from_checkpoint auto")


def _report(run: Any, say: Any) -> None:
    """The report and the card of a finished training.

    Args:
        run: a `hfcls.training.whole_run.TrainedRun`.
    """
    from hfcls.data.pictures import Pictures
    from hfcls.evaluation.measured_run import choose_split
    from hfcls.evaluation.report import save_report
    from hfcls.explain.report_pictures import report_overlays

    page = None
    if run.measured:  # without a validation and a test split there is nothing to report
        data = run.start.loaded.splits[choose_split(run.measured)]
        pictures = Pictures(data, max_pixels=run.start.loaded.max_image_pixels)
        explain, figures = report_overlays(run.classifier), run.start.values.get("figures") or ()
        page = save_report(run.run_dir, pictures=pictures, explain=explain, figures=figures)
    say(_results_text(run.measured, run.run_dir, page, _write_card(run.run_dir)))


def _write_card(run_dir: Path) -> str:
    """Where the card is, or why there is none; one that someone has edited stays."""
    from hfcls.hub.card import README, build_card, check_card, is_ours, save_card

    file = run_dir / README
    try:
        if file.is_file() and not is_ours(file.read_text(encoding="utf-8", errors="replace")):
            return f"{file}, edited by hand: `hfcls card {quote(str(run_dir))} --overwrite` writes it anew"
        card = build_card(run_dir, CardArguments())
        save_card(run_dir, card)
    except Exception as error:  # whatever it is, the run itself is finished
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"none: {reason} The run is finished; `hfcls card {quote(str(run_dir))}` writes its card"
    return "\n            ".join([str(file), *(f"problem: {problem}" for problem in check_card(card.text))])


def _publish(run_dir: Path, values: dict[str, Any], say: Any) -> None:
    from hfcls.hub.publish import publish

    where = PushArguments(repo_id=values["hub_model_id"], private=bool(values.get("hub_private_repo")))
    try:
        publish(run_dir, where, say=say)
    except UserError as error:
        again = f"hfcls push {quote(str(run_dir))} --repo_id {where.repo_id}{' --private' if where.private else ''}"
        raise UserError(f"{error} The run itself is finished: `{again}` pushes it.") from None


def _results_text(measured: dict[str, Any], run_dir: Path, report: Path | None, card: str) -> str:
    from hfcls.evaluation.measure import headline_text

    lines = [f"{split:<10}  {headline_text(figures)}" for split, figures in measured.items()]
    if measured.keys() == {"validation"}:
        lines.append("            (the best epoch was chosen on these images: expect a little less on new ones)")
    return "\n".join(
        [
            "",
            *lines,
            "",
            f"run         {run_dir}",
            f"report      {report or 'none: no image was set apart to measure on'}",
            f"card        {card}",
            *_trust_lines(measured, run_dir),
            f"next        hfcls predict {quote(str(run_dir))} IMAGE ...",
            f"            hfcls evaluate {quote(str(run_dir))} --test_dir FOLDER",
            f"            hfcls push {quote(str(run_dir))} --repo_id USER/NAME --dry_run",
        ]
    )


def _trust_lines(measured: dict[str, Any], run_dir: Path) -> list[str]:
    """Whether the run knows how far its answers can be trusted."""
    from hfcls.evaluation.trusting import FEWEST
    from hfcls.uncertainty.trust import CALIBRATION

    if "validation" not in measured:
        return []
    n = measured["validation"]["n"]
    if (run_dir / CALIBRATION).is_file():
        return [f"trust       learned from {n:,} validation images: {run_dir / CALIBRATION}"]
    few = f"{n} validation images, {FEWEST} are needed: --validation_fraction sets more apart"
    return [f"trust       not learned: {few if n < FEWEST else 'some outputs of the network are not numbers'}"]


def _printer() -> Any:
    return (lambda text: print(text, flush=True)) if is_first_process() else (lambda text: None)
