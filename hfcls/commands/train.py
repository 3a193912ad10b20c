"""``hfcls train``: data → classifier → training → predictions → figures → report."""

from pathlib import Path
from typing import Any

from hfcls.arguments import (
    AugmentationArguments,
    DataArguments,
    MethodArguments,
    ModelArguments,
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
    from hfcls.pages.standalone import check_formats

    check_formats(values.get("figures"))


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
    from hfcls.data.batches import BatchCollator
    from hfcls.data.pictures import Pictures
    from hfcls.data.transforms import Preprocessing
    from hfcls.training.fit import fit
    from hfcls.training.processes import check_launcher
    from hfcls.training.run_directory import (
        check_nothing_inside,
        check_run_directory,
        open_run_directory,
        write_settings,
        writing,
    )
    from hfcls.training.settings import build_training_arguments
    from hfcls.training.transfer import check_transfer, checkpoints_to_keep
    from hfcls.training.whitening import whiten_first_layer

    check_launcher()
    run_dir = Path(values["output_dir"]).expanduser()
    resume = values.get("resume_from_checkpoint")
    say = _printer()
    if _is_first_process():
        check_run_directory(run_dir, resume=bool(resume), overwrite=bool(values.get("overwrite_output_dir")))
        check_nothing_inside(run_dir, values)
    loaded, summary = _load(values)
    settled: dict[str, Any] = {"has_validation": "validation" in loaded.splits, "streaming": loaded.stream is not None}
    model_arguments, transfer = only(ModelArguments, values), only(TransferArguments, values)
    pretrained = bool(model_arguments.model_name_or_path or model_arguments.pretrained or model_arguments.weights)
    check_transfer(transfer, pretrained=pretrained, streamed=loaded.stream is not None)
    values = {**values, **checkpoints_to_keep(transfer, values)}
    seed = build_training_arguments(values, **settled).seed
    classifier, loaded = _build(model_arguments, loaded, seed=seed)
    values, recipe = _with_recipe(values, classifier, loaded, pretrained=pretrained)
    training = build_training_arguments(values, **settled)
    preprocessing = Preprocessing(classifier.image_processor)
    splits = _datasets(loaded, preprocessing, only(DataArguments, values), training)
    settings = _resolve(values, training, loaded)
    checkpoint, notices = _find_checkpoint(run_dir, resume, summary, settings)
    if not pretrained:
        notices += whiten_first_layer(classifier.model, splits["train"], preprocessing)
    for notice in (*loaded.notices, *classifier.notices, *notices):
        say(f"note: {notice}")
    say(_headline(classifier, splits, summary, training, only(AugmentationArguments, values)))
    if recipe:
        say(f"chosen    {recipe}")
    if _is_first_process():
        open_run_directory(run_dir, resume=bool(resume))
        with writing(run_dir):
            write_settings(run_dir, settings, summary)

    result = fit(
        classifier,
        splits,
        preprocessing=preprocessing,
        training=training,
        method=only(MethodArguments, values),
        augmentation=only(AugmentationArguments, values),
        transfer=transfer,
        checkpoint=checkpoint,
        say=say,
    )
    _add_dropped(run_dir, summary, settings, result, say)
    if result.interrupted:
        raise KeyboardInterrupt(
            f"Stopped at step {result.state.global_step} of {result.state.max_steps}, all saved. Go on with:\n"
            f"  hfcls train --config {run_dir / 'run.yaml'} --resume_from_checkpoint auto"
        )
    pictures = {name: Pictures(data, max_pixels=loaded.max_image_pixels) for name, data in loaded.splits.items()}
    report = {"pictures": pictures, "figures": values.get("figures") or ()}
    with writing(run_dir):
        return _finish(run_dir, classifier, result, splits, BatchCollator(preprocessing), training, report, say)


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


def _build(arguments: ModelArguments, loaded: Any, *, seed: int) -> tuple[Any, Any]:
    """The classifier for the data's classes; where a checkpoint has the same ones, its order of them is taken over."""
    from dataclasses import replace

    from datasets import DatasetDict
    from transformers import set_seed

    from hfcls.data.labels import match_names, relabel
    from hfcls.models import build_classifier, load_classifier, load_weights

    set_seed(seed)
    name = _checkpoint_name(arguments)
    changes: dict[str, Any] = {key: getattr(arguments, key) for key in ("image_size", "dropout", "drop_path")}
    if name is None:
        for unused in ("trust_remote_code", "allow_pickle"):
            if getattr(arguments, unused):
                raise UserError(f"--{unused} would have no effect: it goes with --model_name_or_path.")
        classifier = build_classifier(str(arguments.architecture), class_names=loaded.class_names, **changes)
        if arguments.weights:
            classifier = replace(classifier, notices=load_weights(classifier, arguments.weights))
        return classifier, loaded
    options = {"trust_remote_code": arguments.trust_remote_code, "allow_pickle": arguments.allow_pickle, **changes}
    classifier = load_classifier(name, **options)
    matches = match_names(list(loaded.class_names), classifier.class_names)
    mapping = [index for index in matches if index is not None]
    if len(set(mapping)) == len(matches) == len(classifier.class_names):
        names = list(classifier.class_names)
        splits = {k: relabel(data, mapping, names) for k, data in loaded.splits.items()}
        if loaded.stream is not None:
            renamed = {name: names[index] for name, index in zip(loaded.class_names, mapping, strict=True)}
            loaded = replace(loaded, stream=loaded.stream.renamed(renamed, names))
        return classifier, replace(loaded, splits=DatasetDict(splits))
    return load_classifier(name, class_names=loaded.class_names, **options), loaded


def _with_recipe(
    values: dict[str, Any], classifier: Any, loaded: Any, *, pretrained: bool
) -> tuple[dict[str, Any], str]:
    """Adds what the user left open, by the kind of network and the size of the data; and says what that is."""
    from hfcls.training.recipe import choose_recipe, read_situation

    situation = read_situation(
        classifier,
        pretrained=pretrained,
        learning="adapters" if values.get("lora_rank") else "head" if values.get("freeze") == "backbone" else "all",
        images=None if loaded.stream is not None else len(loaded.splits["train"]),
    )
    recipe = choose_recipe(situation)
    augmentations = {flag.name for flag in flags_of(AugmentationArguments)}
    left_alone = augmentations if any(values.get(name) is not None for name in augmentations) else set()
    if (values.get("max_steps") or 0) > 0:
        left_alone = left_alone | {"num_train_epochs"}
    chosen = {n: value for n, value in recipe.items() if values.get(n) is None and n not in left_alone}
    listed = ", ".join(f"{name} {value:g}" for name, value in chosen.items())
    return {**values, **chosen}, f"{listed} (for {situation.describe()})" if chosen else ""


def _checkpoint_name(arguments: ModelArguments) -> str | None:
    """The checkpoint to start from, or None for fresh weights."""
    from hfcls.models import default_checkpoint

    if arguments.model_name_or_path is not None:
        for unused in ("architecture", "weights", "pretrained"):
            if getattr(arguments, unused):
                raise UserError(f"--{unused} would have no effect: --model_name_or_path decides it.")
        return arguments.model_name_or_path
    if not arguments.pretrained:
        return None
    for unused in ("weights", "trust_remote_code", "allow_pickle"):
        if getattr(arguments, unused):
            raise UserError(f"--{unused} would have no effect: --pretrained decides where the weights come from.")
    return default_checkpoint(str(arguments.architecture))


def _datasets(loaded: Any, preprocessing: Any, arguments: DataArguments, training: Any) -> dict[str, Any]:
    """The splits as 8-bit pixels of the classifier's size."""
    from hfcls.data.batches import ImageDataset

    most = loaded.max_image_pixels
    splits: dict[str, Any] = {
        name: ImageDataset(data, preprocessing, max_pixels=most) for name, data in loaded.splits.items()
    }
    if loaded.stream is not None:
        from hfcls.data.streams import BUFFER_SIZE, StreamDataset

        splits["train"] = StreamDataset(
            loaded.stream,
            preprocessing,
            seed=training.seed if training.data_seed is None else training.data_seed,
            buffer_size=arguments.shuffle_buffer_size or BUFFER_SIZE,
            skip_bad=arguments.on_bad_image == "skip",
            max_pixels=most,
            rank=training.process_index,
            world_size=training.world_size,
        )
    return splits


def _find_checkpoint(
    run_dir: Path, resume: str | None, summary: dict[str, Any], settings: dict[str, Any]
) -> tuple[Path | None, list[str]]:
    from hfcls.training.checkpoints import find_checkpoint
    from hfcls.training.run_directory import SETTINGS, compare_settings, read_data_summary, read_settings

    if not resume:
        return None, []
    before = read_data_summary(run_dir)
    if before is not None and before["class_names"] != summary["class_names"]:
        raise UserError(
            f"The classes have changed since {run_dir} was begun, or come in another order (now "
            f"{', '.join(summary['class_names'][:5])}): restore the data as it was given then."
        )
    if before is not None and before["fingerprint"] != summary["fingerprint"]:
        raise UserError(
            f"The data has changed since {run_dir} was begun (fingerprint {before['fingerprint']}, now "
            f"{summary['fingerprint']}): restore it, or train anew in another --output_dir."
        )
    streamed = "stream" in summary
    notices = []
    if (run_dir / SETTINGS).is_file():
        notices = compare_settings(read_settings(run_dir), settings, streamed=streamed)
    if streamed:
        notices.append("A stream has no fingerprint: that its images are still the same is taken on trust.")
        # What was left out before the stop is not seen again.
        summary["dropped"] += [entry for entry in (before or {}).get("dropped", []) if entry not in summary["dropped"]]
    checkpoint, more = find_checkpoint(run_dir, resume)
    notices += more
    if checkpoint is None:
        return None, [*notices, f"{run_dir} holds no checkpoint yet: the training starts from the beginning."]
    return checkpoint, [*notices, f"The training goes on from {checkpoint}."]


def _resolve(values: dict[str, Any], training: Any, loaded: Any) -> dict[str, Any]:
    """Every argument as it was resolved, without those that have no effect in this run."""
    resolved: dict[str, Any] = {}
    for cls in (DataArguments, ModelArguments, AugmentationArguments, MethodArguments, TransferArguments):
        resolved |= vars(only(cls, values))
    for flag in training_flags():
        value = getattr(training, flag.name)
        value = value.to_dict() if hasattr(value, "to_dict") else getattr(value, "value", value)
        resolved[flag.name] = None if flag.name == "resume_from_checkpoint" else value
    idle = {"num_train_epochs"} if loaded.stream is not None else set()
    if "validation" not in loaded.splits:
        idle |= {"metric_for_best_model", "greater_is_better", "load_best_model_at_end"}
    return {n: value for n, value in resolved.items() if value not in (None, [], {}) and n not in idle}


def _finish(
    run_dir: Path,
    classifier: Any,
    result: Any,
    splits: dict[str, Any],
    collator: Any,
    training: Any,
    report: dict[str, Any],
    say: Any,
) -> dict[str, Any]:
    """Predictions and figures of validation and test, the weights, the report.

    Args:
        report: ``pictures`` by split, and the formats of its ``figures``.
    """
    from hfcls.evaluation.measure import measure_split, write_results
    from hfcls.evaluation.measured_run import choose_split
    from hfcls.evaluation.report import save_report

    first = result.accelerator.is_main_process
    measured: dict[str, Any] = {}
    flat: dict[str, dict[str, Any]] = {}
    for split in ("validation", "test"):
        if split in splits:
            measured[split], flat[split] = measure_split(
                result.model,
                splits[split],
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
    result.model.save_pretrained(run_dir)
    classifier.image_processor.save_pretrained(run_dir)
    result.state.save_to_json(str(run_dir / "trainer_state.json"))
    content = write_results(run_dir, result, measured, flat, splits, collator)
    page = None
    if measured:  # without a validation and a test split there is nothing to report
        pictures = report["pictures"][choose_split(measured)]
        page = save_report(run_dir, pictures=pictures, figures=report["figures"])
    say(_results_text(measured, run_dir, page))
    return content


def _headline(
    classifier: Any, splits: dict[str, Any], summary: dict[str, Any], training: Any, augmentation: AugmentationArguments
) -> str:
    config = classifier.model.config
    name = getattr(config, "architecture", None) or config.model_type.removeprefix("hfcls_")
    count = sum(p.numel() for p in classifier.model.parameters())
    sizes = ", ".join(f"{len(data):,} {split}" for split, data in splits.items() if hasattr(data, "labels"))
    length = f"{training.max_steps} steps" if training.max_steps > 0 else _epochs(training)
    optim = getattr(training.optim, "value", training.optim)
    lines = [
        f"data      {summary['source']}: {len(summary['class_names'])} classes; {sizes}",
        *(f"          {split}: {s['from']}" for split, s in summary["splits"].items() if s["from"] != "given"),
        f"model     {name}, {count:,} parameters",
        f"training  {length}, batch {training.per_device_train_batch_size}, {optim}, "
        f"learning rate {training.learning_rate:g} ({training.lr_scheduler_type.value}), "
        f"weight decay {training.weight_decay:g}, label smoothing {training.label_smoothing_factor:g}, "
        f"seed {training.seed}, {'bf16' if training.bf16 else 'fp32'}",
        f"augment   {', '.join(f'{name} {value:g}' for name, value in vars(augmentation).items() if value) or 'none'}",
    ]
    return "\n".join(lines)


def _epochs(training: Any) -> str:
    return f"{training.num_train_epochs:g} epoch{'' if training.num_train_epochs == 1 else 's'}"


def _results_text(measured: dict[str, Any], run_dir: Path, report: Path | None) -> str:
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
            f"next        hfcls predict {run_dir} IMAGE ...",
            f"            hfcls evaluate {run_dir} --test_dir FOLDER",
        ]
    )


def _is_first_process() -> bool:
    import os

    return int(os.environ.get("RANK", "0")) == 0


def _printer() -> Any:
    return (lambda text: print(text, flush=True)) if _is_first_process() else (lambda text: None)
