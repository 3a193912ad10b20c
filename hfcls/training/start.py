"""What a training starts with: from flags and data to a classifier, its settings and the images in its size."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from transformers import TrainingArguments, set_seed

from hfcls.arguments import AugmentationArguments, DataArguments, ModelArguments, TransferArguments, only
from hfcls.data.augmentation import expand_preset
from hfcls.data.batches import ImageDataset
from hfcls.data.labelled import LabelledData
from hfcls.data.labels import match_names, relabel
from hfcls.data.pixel_building import CacheBuilder
from hfcls.data.pixel_cache import PixelCache
from hfcls.data.room import available_cores
from hfcls.data.streams import BUFFER_SIZE, StreamDataset
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.hub_cache import COMMIT
from hfcls.models import (
    Classifier,
    asked_steps,
    build_classifier,
    default_checkpoint,
    is_ensemble,
    load_classifier,
    load_weights,
    prepare_images,
    steps_of,
)
from hfcls.pull import commit_of, local_model
from hfcls.training.recipe import fill_in, read_situation
from hfcls.training.settings import build_training_arguments, choose_bf16
from hfcls.training.snapshots import snapshot_settings
from hfcls.training.transfer import check_transfer, checkpoints_to_keep, learning_of

# Of all pixel caches together, where the user says nothing; and the passes over the images that make one pay.
_CACHE_GB, _PASSES = 10.0, 1.5
# Processes that decode beside a training, where the user says nothing; a processor is busy with the training itself.
_MOST_WORKERS = 8


@dataclass(frozen=True)
class Start:
    """All that `hfcls.training.fit.fit` is given.

    Attributes:
        values: the flags by name, with what was left open filled in.
        chosen: that, in words; empty where nothing was.
        loaded: the data, its classes in the order of the logits.
        pretrained: the weights have learned from other images before.
        input: where the pixels come from, in words.
    """

    values: dict[str, Any]
    chosen: str
    classifier: Classifier
    loaded: LabelledData
    training: TrainingArguments
    preprocessing: Preprocessing
    splits: dict[str, Any]
    pretrained: bool
    input: str = ""


def prepare_training(values: dict[str, Any], loaded: LabelledData, *, before: dict[str, Any] | None = None) -> Start:
    """Builds the classifier, and settles what the user left open by it and the data.

    Args:
        values: flags by name.
        before: the settings of the run that is to be resumed; None for a new one.

    Raises:
        UserError: flags that contradict each other or have no effect, or a model that cannot be had.
    """
    model, transfer = only(ModelArguments, values), only(TransferArguments, values)
    streamed, steps = loaded.stream is not None, asked_steps(model)
    settled: dict[str, Any] = {"has_validation": "validation" in loaded.splits, "streaming": streamed}
    pretrained = bool(model.model_name_or_path or model.pretrained or model.weights)
    check_transfer(transfer, pretrained=pretrained, streamed=streamed)
    values = {**values, **checkpoints_to_keep(transfer, values), **snapshot_settings(transfer.snapshots, values)}
    seed = build_training_arguments(values, **settled).seed
    directory, revision = find_checkpoint(model, before=before, quiet=bool(values.get("disable_tqdm")))
    values = {**values, "model_revision": revision, "dataset_revision": _data_revision(values, loaded, before)}
    classifier, loaded = build_for(model, loaded, directory=directory, seed=seed)
    if steps:
        classifier = prepare_images(classifier, Preprocessing(classifier.image_processor).spec, steps)
    images = None if streamed else len(loaded.splits["train"])
    situation = read_situation(classifier, pretrained=pretrained, learning=learning_of(transfer), images=images)
    values, chosen = fill_in(values | steps_of(classifier.image_processor), situation, before=before)
    preprocessing = Preprocessing(classifier.image_processor)
    values = values | expand_preset(only(AugmentationArguments, values), size=preprocessing.spec.size)
    if before is not None and values.get("bf16") in (None, "auto"):
        values = {**values, "bf16": before.get("bf16", "auto")}
    training = build_training_arguments(choose_bf16(values, classifier.model), **settled)
    splits = build_datasets(loaded, preprocessing, only(DataArguments, values), training)
    return Start(values, chosen, classifier, loaded, training, preprocessing, splits, pretrained)


def with_old_revision(values: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """The flags of a resumed run, with the commit of its data where they name none.

    Args:
        before: the settings of the run that is to be resumed; None for a new one.
    """
    if before is None or values.get("dataset_revision") or before.get("dataset_name") != values.get("dataset_name"):
        return values
    return {**values, "dataset_revision": before.get("dataset_revision")}


def _data_revision(values: dict[str, Any], loaded: LabelledData, before: dict[str, Any] | None) -> str | None:
    """The commit of a data set of the Hub; a run that was begun without one goes on without."""
    given: str | None = values.get("dataset_revision")
    unknown = before is not None and not COMMIT.fullmatch(str(before.get("dataset_revision")))
    return given if loaded.hub is None or unknown else loaded.hub.commit or given


def find_checkpoint(
    arguments: ModelArguments, *, before: dict[str, Any] | None = None, quiet: bool = False
) -> tuple[Path | None, str | None]:
    """Where the checkpoint to start from lies here, and the commit if it is from the Hub.

    Args:
        before: the settings of the run that is to be resumed, which goes on with its commit.
        quiet: show no progress.

    Raises:
        UserError: it is not to be had, or a flag would have no effect.
    """
    name = checkpoint_name(arguments)
    if name is None:
        if arguments.model_revision:
            raise UserError("--model_revision would have no effect: it goes with --model_name_or_path.")
        return None, None
    revision = arguments.model_revision
    if before is not None and before.get("model_name_or_path") == arguments.model_name_or_path:
        revision = revision or before.get("model_revision")
    directory = local_model(name, revision=revision, allow_pickle=arguments.allow_pickle, quiet=quiet)
    # A run that is older than the flag goes on without.
    unknown = before is not None and not before.get("model_revision")
    return directory, None if unknown else commit_of(directory)


def build_for(
    arguments: ModelArguments, loaded: LabelledData, *, seed: int, directory: Path | None = None
) -> tuple[Classifier, LabelledData]:
    """The classifier for the data's classes; where a checkpoint has the same ones, its order of them is taken over.

    Args:
        directory: where the checkpoint lies here; found anew where None.
        seed: of the fresh weights.

    Raises:
        UserError: flags that contradict each other, or a model that cannot be had.
    """
    set_seed(seed)
    name = checkpoint_name(arguments)
    changes: dict[str, Any] = {key: getattr(arguments, key) for key in ("image_size", "dropout", "drop_path")}
    if name is None:
        for unused in ("trust_remote_code", "allow_pickle"):
            if getattr(arguments, unused):
                raise UserError(f"--{unused} would have no effect: it goes with --model_name_or_path.")
        classifier = build_classifier(str(arguments.architecture), class_names=loaded.class_names, **changes)
        if arguments.weights:
            classifier = replace(classifier, notices=load_weights(classifier, arguments.weights))
        return classifier, loaded
    options: dict[str, Any] = {
        "trust_remote_code": arguments.trust_remote_code,
        "allow_pickle": arguments.allow_pickle,
        **changes,
    }
    options["directory"] = directory or find_checkpoint(arguments)[0]
    classifier = load_classifier(name, **options)
    if is_ensemble(classifier.model):
        raise UserError(f"{name} is an ensemble, which is not trained itself: train its members, then make a new one.")
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


def checkpoint_name(arguments: ModelArguments) -> str | None:
    """The checkpoint to start from, or None for fresh weights."""
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


def cache_pixels(start: Start, cache_gb: float | None, say: Callable[[str], None] = lambda text: None) -> Start:
    """The same training from decoded images, where they are read often enough, and fit.

    Of several processes on one machine the first builds the cache and the others wait.

    Args:
        cache_gb: as the flag says; None leaves it open.

    Raises:
        UserError: an image cannot be decoded.
    """
    loaded, training = start.loaded, start.training
    most = _CACHE_GB if cache_gb is None else cache_gb
    if loaded.stream is not None:
        return start
    if not most:
        return _decode_beside(start, "--cache_gb 0")
    builder = CacheBuilder(
        loaded.splits,
        start.preprocessing,
        most_gb=most,
        max_pixels=loaded.max_image_pixels,
        quiet=bool(training.disable_tqdm),
    )
    cache: PixelCache | None
    if _passes(start) < _PASSES:
        cache, words = builder.find() or (None, f"it pays from {_PASSES} epochs on")
    else:
        with training.main_process_first(desc="the pixel cache"):
            builder.reserve()
        cache, words = builder.obtain(say)
    if cache is None:
        return _decode_beside(start, words)
    splits = build_datasets(loaded, start.preprocessing, only(DataArguments, start.values), training, cache=cache)
    return replace(start, splits=splits, input=f"cache: {words}")


def _decode_beside(start: Start, reason: str) -> Start:
    """Without a cache: as many workers as the hardware has to spare, where the user says nothing."""
    training = start.training
    if start.values.get("dataloader_num_workers") is None:
        cores = available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        spare = cores - 1 if training.device.type != "cpu" else cores // 4
        training.dataloader_num_workers = min(max(spare, 0), _MOST_WORKERS)
    workers = training.dataloader_num_workers
    by = f" by {workers} worker{'' if workers == 1 else 's'}" if workers else ""
    return replace(start, input=f"decoded each time{by}: {reason}")


def _passes(start: Start) -> float:
    """How often the training images are read."""
    training = start.training
    if training.max_steps < 1:
        return training.num_train_epochs
    images = training.train_batch_size * training.gradient_accumulation_steps * training.world_size
    return training.max_steps * images / len(start.splits["train"])


def build_datasets(
    loaded: LabelledData,
    preprocessing: Preprocessing,
    arguments: DataArguments,
    training: TrainingArguments,
    *,
    cache: PixelCache | None = None,
) -> dict[str, Any]:
    """The splits as 8-bit pixels of the classifier's size.

    Args:
        cache: of the splits in that size.
    """
    most = loaded.max_image_pixels
    splits: dict[str, Any] = {
        name: ImageDataset(data, preprocessing, max_pixels=most, cache=cache) for name, data in loaded.splits.items()
    }
    if loaded.stream is not None:
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
