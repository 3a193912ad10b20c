"""One whole training, from flags to a run directory that is finished but for its report and card."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from hfcls.arguments import (
    TRAIN_ARGUMENTS,
    AugmentationArguments,
    DataArguments,
    MethodArguments,
    TransferArguments,
    only,
)
from hfcls.data.augmentation import describe_dials
from hfcls.data.batches import BatchCollator
from hfcls.data.labelled import LabelledData, load_data
from hfcls.errors import UserError
from hfcls.evaluation.measure import measure_split, write_results
from hfcls.evaluation.trusting import learn_and_measure_trust
from hfcls.launcher import check_launcher, is_first_process
from hfcls.models import Classifier, describe_steps, save_classifier
from hfcls.parsing import training_flags
from hfcls.training.fit import Fit, fit
from hfcls.training.flags import check_training
from hfcls.training.learned import keep_learned
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
from hfcls.training.start import Start, cache_pixels, prepare_training, with_old_revision
from hfcls.training.whitening import whiten_first_layer


@dataclass(frozen=True)
class TrainedRun:
    """A finished training, as its run directory has it.

    Attributes:
        run_dir: holds weights, settings, predictions and figures.
        start: what the training began with; its `classifier` is the trained one.
        measured: by split, the figures.
        content: what ``metrics.json`` holds; the same as `measured` in all but the first of several processes.
    """

    run_dir: Path
    start: Start
    classifier: Classifier
    measured: dict[str, Any]
    content: dict[str, Any]


def train_whole(
    values: dict[str, Any],
    *,
    say: Callable[[str], None] = lambda text: None,
    splits: Sequence[str] = ("validation", "test"),
    callbacks: Sequence[TrainerCallback] = (),
) -> TrainedRun:
    """Loads data and classifier, trains, predicts, measures; goes on with a run that was stopped.

    Args:
        values: flags of ``hfcls train`` by name, checked.
        say: is told what the user should know.
        splits: to predict and measure at the end, of those that there are.
        callbacks: of Trainer, beside those that every training has.

    Raises:
        UserError: bad input; see the message.
        KeyboardInterrupt: Ctrl-C; what was trained by then is saved.
    """
    check_training(values)
    check_launcher()
    run_dir = Path(values["output_dir"]).expanduser()
    resume = values.get("resume_from_checkpoint")
    first = is_first_process()
    if first:
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
    if first:
        open_run_directory(run_dir, resume=bool(resume))
        with writing(run_dir):
            write_settings(run_dir, settings, summary)
            if start.loaded.stream is None:
                keep_learned(run_dir, start.splits["train"].image_keys, before=_began_with(start.values))
    result = fit(
        start.classifier,
        start.splits,
        preprocessing=start.preprocessing,
        training=start.training,
        method=only(MethodArguments, start.values),
        augmentation=only(AugmentationArguments, start.values),
        transfer=only(TransferArguments, start.values),
        checkpoint=checkpoint,
        callbacks=callbacks,
        say=say,
    )
    if first:
        _add_dropped(run_dir, summary, settings, result, say)
    if result.interrupted:
        raise KeyboardInterrupt(f"Stopped at step {result.state.global_step} of {result.state.max_steps}, all saved.")
    with writing(run_dir):
        return _measure(run_dir, start, result, splits)


def _load(values: dict[str, Any]) -> tuple[LabelledData, dict[str, Any]]:
    """The data, and what ``data.json`` says of it."""
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


def _began_with(values: dict[str, Any]) -> Path | None:
    """Directory of the weights that a training began with, where it is one here."""
    if values.get("weights"):
        return Path(values["weights"]).parent
    name = values.get("model_name_or_path")
    return Path(name) if name and Path(name).is_dir() else None


def _resolve(start: Start) -> dict[str, Any]:
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


def _add_dropped(
    run_dir: Path, summary: dict[str, Any], settings: dict[str, Any], result: Fit, say: Callable[[str], None]
) -> None:
    """Writes down what a stream left out."""
    if not result.dropped:
        return
    known = {entry["id"] for entry in summary["dropped"]}
    summary["dropped"] += [vars(entry) for entry in result.dropped if entry.id not in known]
    say(f"note: {len(result.dropped)} images of the stream could not be read and were left out: see data.json.")
    with writing(run_dir):
        write_settings(run_dir, settings, summary)


def _measure(run_dir: Path, start: Start, result: Fit, splits: Sequence[str]) -> TrainedRun:
    """Predictions and figures of some splits, and the weights, on disk."""
    first = result.accelerator.is_main_process
    collator, training = BatchCollator(start.preprocessing), start.training
    classifier = Classifier(result.model, start.classifier.image_processor)
    measured: dict[str, Any] = {}
    flat: dict[str, dict[str, Any]] = {}
    for split in (name for name in splits if name in start.splits):
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
            origin=classifier,
        )
    if not first:
        return TrainedRun(run_dir, start, classifier, measured, measured)
    save_classifier(classifier, run_dir)
    result.state.save_to_json(str(run_dir / "trainer_state.json"))
    learn_and_measure_trust(run_dir, classifier, measured, validation_data=start.loaded.splits.get("validation"))
    content = write_results(run_dir, result, measured, flat, start.splits, collator)
    return TrainedRun(run_dir, start, classifier, measured, content)


def _headline(start: Start, summary: dict[str, Any]) -> str:
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
