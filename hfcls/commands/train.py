"""``hfcls train``: data → classifier → training → predictions → figures → report → card."""

from pathlib import Path
from shlex import quote
from typing import Any

from hfcls.arguments import (
    TRAIN_ARGUMENTS,
    AugmentationArguments,
    CardArguments,
    DataArguments,
    MethodArguments,
    ModelArguments,
    PushArguments,
    RunArguments,
    TransferArguments,
    only,
)
from hfcls.errors import UserError
from hfcls.parsing import Parser, flags_of, training_flags

DESCRIPTION = """Trains or fine-tunes an image classifier, evaluates it and writes the run directory.

examples:
  hfcls train --dataset_name digits --architecture simple_cnn --output_dir runs/digits
  hfcls train --train_dir photos --model_name_or_path timm/mobilenetv2_100.ra_in1k --output_dir runs/photos
  hfcls train --config runs/photos/run.yaml --resume_from_checkpoint auto"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("train", DESCRIPTION)
    parser.add_config()
    parser.add_flags("data", flags_of(DataArguments))
    parser.add_flags("model", flags_of(ModelArguments))
    parser.add_flags("augmentation", flags_of(AugmentationArguments))
    parser.add_flags("method", flags_of(MethodArguments))
    parser.add_flags("transfer", flags_of(TransferArguments))
    parser.add_flags("run", flags_of(RunArguments))
    parser.add_flags(
        "training (the fields of transformers' TrainingArguments that have an effect here)", training_flags()
    )
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and trains."""
    train(build_parser().values(argv))


def _check(values: dict[str, Any]) -> None:
    """What can be said before anything heavy is imported."""
    if not values.get("output_dir"):
        raise UserError("No --output_dir: say where the run goes, such as --output_dir runs/first.")
    if values.get("model_name_or_path") is None and values.get("architecture") is None:
        raise UserError(
            "No model: give --model_name_or_path CHECKPOINT to fine-tune or --architecture NAME to start anew."
        )
    if not 0 <= (values.get("cache_gb") or 0) < float("inf"):
        raise UserError(f"--cache_gb is {values['cache_gb']}: expected a number, 0 (no cache) or more.")
    if values.get("cache_gb") and values.get("streaming"):
        raise UserError("--cache_gb would have no effect with --streaming, whose images are decoded as they come.")
    from hfcls.pages.standalone import check_formats

    check_formats(values.get("figures"))
    _check_publishing(values)


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
    if _is_first_process():
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
    values = build_parser().check(values)
    _check(values)
    from hfcls.training.fit import fit
    from hfcls.training.processes import check_launcher
    from hfcls.training.resume import find_resumable
    from hfcls.training.run_directory import (
        check_nothing_inside,
        check_run_directory,
        is_run,
        open_run_directory,
        read_settings,
        write_settings,
        writing,
    )
    from hfcls.training.start import cache_pixels, prepare_training, with_old_revision
    from hfcls.training.whitening import whiten_first_layer

    check_launcher()
    run_dir = Path(values["output_dir"]).expanduser()
    resume = values.get("resume_from_checkpoint")
    say = _printer()
    if _is_first_process():
        check_run_directory(run_dir, resume=bool(resume), overwrite=bool(values.get("overwrite_output_dir")))
        check_nothing_inside(run_dir, values)
    before = read_settings(run_dir) if resume and is_run(run_dir) else None
    values = with_old_revision(values, before)
    loaded, summary = _load(values)
    start = prepare_training(values, loaded, before=before)
    settings = _resolve(start)
    checkpoint, notices = find_resumable(run_dir, resume, summary, settings)
    start = cache_pixels(start, values.get("cache_gb"), say)
    if not start.pretrained and checkpoint is None:
        notices += whiten_first_layer(start.classifier.model, start.splits["train"], start.preprocessing)
    for notice in (*start.loaded.notices, *start.classifier.notices, *notices):
        say(f"note: {notice}")
    say(_headline(start, summary))
    if _is_first_process():
        open_run_directory(run_dir, resume=bool(resume))
        with writing(run_dir):
            write_settings(run_dir, settings, summary)

    result = fit(
        start.classifier,
        start.splits,
        preprocessing=start.preprocessing,
        training=start.training,
        method=only(MethodArguments, start.values),
        augmentation=only(AugmentationArguments, start.values),
        transfer=only(TransferArguments, start.values),
        checkpoint=checkpoint,
        say=say,
    )
    _add_dropped(run_dir, summary, settings, result, say)
    if result.interrupted:
        raise KeyboardInterrupt(
            f"Stopped at step {result.state.global_step} of {result.state.max_steps}, all saved. Go on with:\n"
            f"  hfcls train --config {quote(str(run_dir / 'run.yaml'))} --resume_from_checkpoint auto"
        )
    with writing(run_dir):
        content = _finish(run_dir, start, result, say)
    if values.get("push_to_hub") and _is_first_process():
        _publish(run_dir, values, say)
    return content


def _add_dropped(run_dir: Path, summary: dict[str, Any], settings: dict[str, Any], result: Any, say: Any) -> None:
    """Writes down what a stream left out."""
    from hfcls.training.run_directory import write_settings, writing

    if not result.dropped or not _is_first_process():
        return
    known = {entry["id"] for entry in summary["dropped"]}
    summary["dropped"] += [vars(entry) for entry in result.dropped if entry.id not in known]
    say(f"note: {len(result.dropped)} images of the stream could not be read and were left out: see data.json.")
    with writing(run_dir):
        write_settings(run_dir, settings, summary)


def _load(values: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The data, and what ``data.json`` says of it."""
    from hfcls.data.labelled import load_data

    loaded = load_data(only(DataArguments, values))
    if "train" not in loaded.splits and loaded.stream is None:
        raise UserError(f"{loaded.source} has no train split.")
    summary = loaded.summary()
    present = list(loaded.class_names)
    if loaded.stream is None:
        present = [name for name, count in summary["splits"]["train"]["label_counts"].items() if count]
    if len(present) < 2:
        raise UserError(f"All training images are of the class {present[0]!r}: a classifier needs two or more.")
    return loaded, summary


def _resolve(start: Any) -> dict[str, Any]:
    """Every argument as it was resolved, without those that have no effect in this run."""
    resolved: dict[str, Any] = {}
    for cls in TRAIN_ARGUMENTS:
        resolved |= vars(only(cls, start.values))
    for flag in training_flags():
        value = getattr(start.training, flag.name)
        value = value.to_dict() if hasattr(value, "to_dict") else getattr(value, "value", value)
        resolved[flag.name] = None if flag.name == "resume_from_checkpoint" else value
    # As the user said, since each machine chooses anew.
    resolved |= {"use_cpu": bool(start.values.get("use_cpu")), "bf16": start.values.get("bf16", "auto")}
    resolved["dataloader_num_workers"] = start.values.get("dataloader_num_workers")
    idle = {"num_train_epochs"} if start.loaded.stream is not None else set()
    if "validation" not in start.loaded.splits:
        idle |= {"metric_for_best_model", "greater_is_better", "load_best_model_at_end"}
    return {n: value for n, value in resolved.items() if value not in (None, [], {}) and n not in idle}


def _finish(run_dir: Path, start: Any, result: Any, say: Any) -> dict[str, Any]:
    """Predictions and figures of validation and test, the weights, the report."""
    from hfcls.data.batches import BatchCollator
    from hfcls.data.pictures import Pictures
    from hfcls.evaluation.measure import measure_split, write_results
    from hfcls.evaluation.measured_run import choose_split
    from hfcls.evaluation.report import save_report
    from hfcls.evaluation.trusting import learn_and_measure_trust
    from hfcls.explain.report_pictures import report_overlays
    from hfcls.models import Classifier, save_classifier

    first = result.accelerator.is_main_process
    collator, training = BatchCollator(start.preprocessing), start.training
    measured: dict[str, Any] = {}
    flat: dict[str, dict[str, Any]] = {}
    for split in ("validation", "test"):
        if split in start.splits:
            measured[split], flat[split] = measure_split(
                result.model,
                start.splits[split],
                collator,
                split=split,
                output=run_dir / "predictions" if first else None,
                accelerator=result.accelerator,
                batch_size=training.per_device_eval_batch_size,
                num_workers=training.dataloader_num_workers,
                quiet=bool(training.disable_tqdm),
            )
    if not first:
        return measured
    classifier = Classifier(result.model, start.classifier.image_processor)
    save_classifier(classifier, run_dir)
    result.state.save_to_json(str(run_dir / "trainer_state.json"))
    learn_and_measure_trust(run_dir, measured)
    content = write_results(run_dir, result, measured, flat, start.splits, collator)
    page = None
    if measured:  # without a validation and a test split there is nothing to report
        data = start.loaded.splits[choose_split(measured)]
        pictures = Pictures(data, max_pixels=start.loaded.max_image_pixels)
        explain = report_overlays(classifier)
        page = save_report(run_dir, pictures=pictures, explain=explain, figures=start.values.get("figures") or ())
    say(_results_text(measured, run_dir, page, _write_card(run_dir)))
    return content


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


def _headline(start: Any, summary: dict[str, Any]) -> str:
    from hfcls.data.augmentation import describe_dials
    from hfcls.models import describe_steps

    config, training = start.classifier.model.config, start.training
    name = getattr(config, "architecture", None) or config.model_type.removeprefix("hfcls_")
    count = sum(p.numel() for p in start.classifier.model.parameters())
    sizes = ", ".join(f"{len(data):,} {split}" for split, data in start.splits.items() if hasattr(data, "labels"))
    length = f"{training.max_steps} steps" if training.max_steps > 0 else _epochs(training)
    processes = f" in each of {training.world_size} processes" if training.world_size > 1 else ""
    optim = getattr(training.optim, "value", training.optim)
    augmented = describe_dials(vars(only(AugmentationArguments, start.values)))
    prepared = describe_steps(start.classifier.image_processor)
    lines = [
        f"data      {summary['source']}: {len(summary['class_names'])} classes; {sizes}",
        *(f"          {split}: {s['from']}" for split, s in summary["splits"].items() if s["from"] != "given"),
        *([f"input     {start.input}"] if start.input else []),
        f"model     {name}, {count:,} parameters",
        *([f"prepare   {prepared}"] if prepared else []),
        f"training  {length}, batch {training.per_device_train_batch_size}{processes}, {optim}, "
        f"learning rate {training.learning_rate:g} ({training.lr_scheduler_type.value}), "
        f"weight decay {training.weight_decay:g}, label smoothing {training.label_smoothing_factor:g}, "
        f"seed {training.seed}, {'bf16' if training.bf16 else 'fp32'}",
        f"augment   {augmented or 'none'}",
        *([f"chosen    {start.chosen}"] if start.chosen else []),
    ]
    return "\n".join(lines)


def _epochs(training: Any) -> str:
    return f"{training.num_train_epochs:g} epoch{'' if training.num_train_epochs == 1 else 's'}"


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
            f"next        hfcls predict {quote(str(run_dir))} IMAGE ...",
            f"            hfcls evaluate {quote(str(run_dir))} --test_dir FOLDER",
            f"            hfcls push {quote(str(run_dir))} --repo_id USER/NAME --dry_run",
        ]
    )


def _is_first_process() -> bool:
    import os

    return int(os.environ.get("RANK", "0")) == 0


def _printer() -> Any:
    return (lambda text: print(text, flush=True)) if _is_first_process() else (lambda text: None)
