"""One whole training: what `train`, and every command that trains many times, calls."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.utils.data import IterableDataset
from transformers import (
    EvalPrediction,
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)

from hfcls.arguments import AugmentationArguments, MethodArguments, TransferArguments
from hfcls.data.augmentation import AugmentationPlan, build_augmentations
from hfcls.data.batches import BatchCollator, EpochSampler, class_weights
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError, suggest
from hfcls.methods import METHODS
from hfcls.metrics import compute_values
from hfcls.models import Classifier
from hfcls.structures import Predictions
from hfcls.training.callbacks import Clock, EarlyStopping, Interruptible, Progress
from hfcls.training.checkpoints import checkpoint_step
from hfcls.training.memory import keep_freed_memory
from hfcls.training.processes import share_normalization
from hfcls.training.trainer import ClassifierTrainer
from hfcls.training.transfer import build_transfer


@dataclass(frozen=True)
class Fit:
    """A finished training.

    Attributes:
        model: with the weights to keep: the best ones where the run chose among them.
        state: Trainer's, with the logged history.
        train_loss: mean over the steps of this session.
        seconds: training time over all sessions, evaluations during training included.
        samples_per_second: of this session; None where it had no step left to make.
        accelerator: for what comes after.
        interrupted: Ctrl-C ended it before its time.
        dropped: images of a stream that could not be read, from all processes.
    """

    model: PreTrainedModel
    state: TrainerState
    train_loss: float | None
    seconds: float
    samples_per_second: float | None
    accelerator: Accelerator
    interrupted: bool
    dropped: tuple[Any, ...] = ()


def fit(
    classifier: Classifier,
    splits: dict[str, Any],
    *,
    preprocessing: Preprocessing,
    training: TrainingArguments,
    method: MethodArguments,
    augmentation: AugmentationArguments,
    transfer: TransferArguments | None = None,
    checkpoint: Path | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Fit:
    """Trains a classifier.

    Args:
        classifier: its model is changed in place.
        splits: ``train`` (an `ImageDataset` or a `StreamDataset`) and, where there is one, ``validation``.
        checkpoint: to go on from.
        callbacks: of Trainer, beside our own.
        say: is told what the user should know.

    Raises:
        UserError: an image cannot be decoded, or a setting does not fit the data.
    """
    transfer = TransferArguments() if transfer is None else transfer
    if training.device.type == "cpu":
        keep_freed_memory()
    interruptible, clock = Interruptible(), Clock()
    trainer = _build_trainer(
        classifier,
        splits,
        preprocessing=preprocessing,
        training=training,
        method=method,
        augmentation=augmentation,
        transfer=transfer,
        callbacks=[interruptible, clock, *callbacks],
        say=say,
    )
    with interruptible:
        output = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    interrupted = interruptible.interrupted and trainer.state.global_step < trainer.state.max_steps
    if not interrupted:
        trainer.keep_plain_network()
        if transfer.average_checkpoints is not None:
            say(f"note: {trainer.keep_average_of_checkpoints(transfer.average_checkpoints)}")
    made = trainer.state.global_step - (0 if checkpoint is None else checkpoint_step(checkpoint) or 0)
    speed = output.metrics.get("train_samples_per_second")
    return Fit(
        # Trainer leaves autocast wrapped around forward; what is judged and saved computes in float32.
        model=trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False),
        state=trainer.state,
        train_loss=output.training_loss if made else None,
        seconds=clock.seconds,
        samples_per_second=(speed or None) if made else None,
        accelerator=trainer.accelerator,
        interrupted=interrupted,
        dropped=tuple({entry.id: entry for entry in gather_object(list(trainer.dropped.values()))}.values()),
    )


def _build_trainer(
    classifier: Classifier,
    splits: dict[str, Any],
    *,
    preprocessing: Preprocessing,
    training: TrainingArguments,
    method: MethodArguments,
    augmentation: AugmentationArguments,
    transfer: TransferArguments,
    callbacks: list[Any],
    say: Callable[[str], None],
) -> ClassifierTrainer:
    """Everything that `fit` needs, put together and checked; nothing has learned yet."""
    train, validation = splits["train"], splits.get("validation")
    streamed = isinstance(train, IterableDataset)
    if streamed and (method.weighted_sampling or method.class_weight == "auto"):
        unused = "weighted_sampling" if method.weighted_sampling else "class_weight auto"
        raise UserError(f"--{unused} needs the class counts beforehand, which --streaming does not know.")
    seed = training.seed if training.data_seed is None else training.data_seed
    changes = AugmentationPlan(build_augmentations(augmentation), seed)
    if changes.mixes and training.per_device_train_batch_size == 1:
        raise UserError(
            "--mixup and --cutmix need --per_device_train_batch_size 2 or more: they mix images of a batch."
        )
    learner = METHODS["supervised"](
        label_smoothing=training.label_smoothing_factor,
        class_weight=read_class_weight(method.class_weight, None if streamed else train.labels, train.class_names),
    )
    if method.early_stopping_patience is not None:
        callbacks = [*callbacks, _early_stopping(method, training)]
    elif method.early_stopping_threshold is not None:
        raise UserError("--early_stopping_threshold would have no effect without --early_stopping_patience.")
    # The method owns label smoothing; Trainer's own would come on top.
    unsmoothed = copy(training)
    unsmoothed.label_smoothing_factor = 0.0
    if training.activation_checkpointing and not classifier.model.supports_gradient_checkpointing:
        raise UserError("--activation_checkpointing is refused: this network has no way to do it.")
    plan = build_transfer(classifier.model, transfer, training)
    if plan.description:
        say(f"transfer  {plan.description}")
    share_normalization(classifier.model, training, say)
    try:
        trainer = ClassifierTrainer(
            model=classifier.model,
            args=unsmoothed,
            method=learner,
            freezing=plan.freezing,
            rates=plan.rates,
            ema_decay=transfer.ema_decay,
            snapshots=transfer.snapshots,
            sampler=None if streamed else EpochSampler(train, seed, balanced=method.weighted_sampling),
            train_collator=BatchCollator(
                preprocessing,
                changes,
                class_count=len(train.class_names),
                on_device=training.device.type != "cpu",
            ),
            data_collator=BatchCollator(preprocessing),
            train_dataset=train,
            eval_dataset=validation,
            processing_class=classifier.image_processor,
            compute_metrics=_Metrics(train.class_names, training.metric_for_best_model),
            callbacks=callbacks,
        )
    except (ValueError, ImportError, RuntimeError) as error:
        raise UserError(f"The training cannot be set up with these flags: {' '.join(str(error).split())}") from None
    trainer.remove_callback(PrinterCallback if training.disable_tqdm else ProgressCallback)
    metric = (training.metric_for_best_model or "loss").removeprefix("eval_")
    trainer.add_callback(Progress(metric, quiet=bool(training.disable_tqdm)))
    return trainer


def read_class_weight(wanted: str, labels: np.ndarray | None, class_names: tuple[str, ...]) -> torch.Tensor | None:
    """Weights (K,) from ``auto``, ``none`` or a YAML file of class: weight (1 where a class is not in it).

    Raises:
        UserError: the file is missing, or names a class that the data has not.
    """
    if wanted == "none":
        return None
    if wanted == "auto" and labels is not None:
        return class_weights(labels, len(class_names))
    try:
        content = yaml.safe_load(Path(wanted).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"--class_weight {wanted}: expected auto, none or a readable YAML file ({error}).") from None
    if not isinstance(content, dict):
        raise UserError(f"--class_weight {wanted}: expected lines of `class: weight`.")
    weights = torch.ones(len(class_names))
    for name, weight in content.items():
        if str(name) not in class_names:
            raise UserError(
                f"--class_weight {wanted} names the class {name!r}, which the data has not."
                f"{suggest(str(name), class_names)}"
            )
        if not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise UserError(f"--class_weight {wanted} gives {name!r} the weight {weight!r}: expected 0 or more.")
        weights[class_names.index(str(name))] = float(weight)
    if not (weights if labels is None else weights[np.unique(labels)]).sum() > 0:
        raise UserError(f"--class_weight {wanted} gives no class of the training images a weight above 0.")
    return weights


def _early_stopping(method: MethodArguments, training: TrainingArguments) -> EarlyStopping:
    if training.eval_strategy == "no":
        raise UserError("--early_stopping_patience would have no effect: nothing is evaluated during training.")
    if method.early_stopping_patience is None or method.early_stopping_patience < 1:
        raise UserError(f"--early_stopping_patience is {method.early_stopping_patience}: expected 1 or more.")
    return EarlyStopping(method.early_stopping_patience, method.early_stopping_threshold or 0.0)


class _Metrics:
    """Every metric that is defined, after each evaluation."""

    def __init__(self, class_names: tuple[str, ...], needed: str | None):
        self._class_names = class_names
        self._needed = (needed or "loss").removeprefix("eval_")

    def __call__(self, outputs: EvalPrediction) -> dict[str, float]:
        logits, labels = np.asarray(outputs.predictions), np.asarray(outputs.label_ids)
        if not np.isfinite(logits).all():
            raise UserError("The training has diverged: the logits are no longer finite. Lower --learning_rate.")
        ids = tuple(map(str, range(len(labels))))
        values = compute_values(Predictions(logits.astype(np.float32), labels, ids, self._class_names))
        if self._needed != "loss" and values.get(self._needed) is None:
            raise UserError(
                f"--metric_for_best_model {self._needed} is undefined on this validation split: choose another one."
            )
        return {name: value for name, value in values.items() if value is not None}
