"""From an evaluation to its suite: what is measured, what is fitted on, which strangers there are."""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from hfcls.command_arguments import EvaluateArguments
from hfcls.data.transforms import Preprocessing
from hfcls.data.workers import WorkerStart
from hfcls.errors import UserError
from hfcls.evaluation.fingerprints import classifier_digest, dataset_digest
from hfcls.evaluation.reuse import unseen_predictions
from hfcls.evaluation.suite.run import SEEN, run_suite
from hfcls.evaluation.suite.stranger_sets import drawn_rows, made_strangers, named_strangers, place_of
from hfcls.evaluation.suite.subject import FEWEST, Subject, TrainImages
from hfcls.models import Classifier
from hfcls.structures import Predictions

# Of the train split, as many as say enough of it.
MOST_TRAIN = 10_000
# Below zero: those from zero on belong to the augmentations.
_STREAM = -21


def check_suite(arguments: EvaluateArguments, *, processes: int) -> None:
    """What can be said of the flags alone.

    Raises:
        UserError: they contradict each other.
    """
    if arguments.strangers is not None and not arguments.suite:
        raise UserError("--strangers would have no effect without --suite.")
    for place in arguments.strangers or ():
        path = place_of(place)[1]
        if not Path(path).exists():
            raise UserError(
                f"--strangers {place}: {path} does not exist: expected an image, a folder, a zip or tar, a table or a "
                "data set, with near= or far= before it where that is to be told."
            )
    if arguments.suite and arguments.tta != "none":
        raise UserError("--suite is for the model's own answers, and has views of its own: leave --tta out.")
    if arguments.suite and processes > 1:
        raise UserError("--suite runs in one process: start it without a launcher.")


def evaluate_suite(
    arguments: EvaluateArguments,
    *,
    model: str,
    directory: Path,
    classifier: Classifier,
    device: torch.device,
    dataset: Any,
    train: Any,
    collator: Any,
    predictions: Predictions,
    features: np.ndarray | None,
    output: Path,
    source: str,
    learned: int,
) -> tuple[Path, str]:
    """Runs the suite on what was just evaluated.

    Args:
        model, directory: of the model, as the user named it and where it lies here.
        dataset: of the measured split.
        train: of the train split, or None.
        collator: from samples to batches.
        predictions, features: of one pass over `dataset`; without features they are made where they are needed.
        output: of the evaluation; the suite's files go to ``suite/`` in it.
        source: of the images, in words.
        learned: how many of them the model has learned from, as far as is known.

    Returns:
        The page, and in sentences what it says.

    Raises:
        UserError: see `run_suite`; strangers that are not there.
    """
    preprocessing, size = Preprocessing(classifier.image_processor), arguments.per_device_eval_batch_size
    images = dataset_digest(dataset)
    validation = _validation(directory, classifier, dataset)
    strangers = (
        *named_strangers(arguments.strangers or [], preprocessing, batch_size=size),
        *made_strangers(dataset, preprocessing, batch_size=size, record=images),
    )

    def batches_of(data: Any) -> Callable[[np.ndarray], Iterable[Any]]:
        workers = arguments.dataloader_num_workers
        return lambda rows: DataLoader(
            Subset(data, rows.tolist()),
            batch_size=size,
            num_workers=workers,
            collate_fn=collator,
            worker_init_fn=WorkerStart(),
        )

    subject = Subject(
        name=Path(model).name if Path(model).exists() else model,
        classifier=classifier,
        device=device,
        split=arguments.split,
        predictions=predictions,
        passed_features=features,
        batches=batches_of(dataset),
        validation=validation,
        train=None if train is None else _train_images(train, batches_of(train)),
        strangers=strangers,
        keep=output / "suite" / SEEN,
        record={
            "the model": classifier_digest(classifier),
            "the images": images,
            "the images to fit on": None if validation is None else _predictions_digest(validation),
        },
        batch_size=size,
        learned=learned,
    )
    subject.remember_features()
    return run_suite(str(arguments.suite), subject, output / "suite", source=source)


def _train_images(train: Any, batches: Callable[[np.ndarray], Iterable[Any]]) -> TrainImages:
    """The train split, or 10,000 of its images, drawn by their contents."""
    rows = drawn_rows(train.keys, MOST_TRAIN, stream=_STREAM)
    record = f"{dataset_digest(train)} {len(rows)}"
    return TrainImages(len(rows), len(train), np.asarray(train.labels)[rows], lambda: batches(rows), record)


def _validation(directory: Path, classifier: Classifier, dataset: Any) -> Predictions | None:
    """The predictions of the run's own validation split, where they can be fitted on.

    That is where they are of this very classifier, and of images of which none is measured.
    """
    found = unseen_predictions(directory, "validation", classifier=classifier, dataset=dataset)
    if found is None:
        return None
    found = found.known
    fits = found.class_names == classifier.class_names and len(found) >= FEWEST and np.isfinite(found.logits).all()
    return found if fits else None


def _predictions_digest(predictions: Predictions) -> str:
    digest = blake2b(np.ascontiguousarray(predictions.logits).tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(predictions.labels).tobytes())
    return digest.hexdigest()
