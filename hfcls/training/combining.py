"""From members and the data that they share to one classifier, and what it is worth."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from scipy.special import softmax
from torch import Tensor

from hfcls.command_arguments import EnsembleArguments
from hfcls.data.batches import BatchCollator, ImageDataset
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.evaluation.measure import measure_split
from hfcls.evaluation.members import align, compare_members
from hfcls.evaluation.predict import predict
from hfcls.evaluation.speed import describe_training, measure_latency, measure_speed
from hfcls.evaluation.trusting import learn_and_measure_trust
from hfcls.files import write_json, write_text
from hfcls.models import Classifier, build_ensemble, save_classifier
from hfcls.models.ensemble import check_members
from hfcls.models.figures import measure_model
from hfcls.parsing import dump_yaml
from hfcls.structures import Predictions
from hfcls.training.learned import keep_learned_by_all
from hfcls.training.members import Member, SharedData, predictions_of
from hfcls.training.run_directory import DATA, SETTINGS

# Of training images, for the statistics of batch normalization in a soup.
_MOST_IMAGES = 5000
_BATCH = 100
# Images on which members and ensemble are timed, and how often in turn.
_TIMED, _ROUNDS = 15, 3


@dataclass(frozen=True)
class Combined:
    """One classifier made of several.

    Attributes:
        classifier: the ensemble or the soup.
        members: all that were named, and `weights` of each, 0 where it was left out.
        choice: of `hfcls.ensembling`.
        predictions: of each measured split, each member's, in the classifier's order of classes.
        reused: how many of these predictions were saved before, by split.
    """

    classifier: Classifier
    members: tuple[Member, ...]
    weights: np.ndarray
    choice: Any
    predictions: dict[str, list[Predictions]]
    reused: dict[str, int]
    arguments: EnsembleArguments
    metric: str


def choose_members(
    members: Sequence[Member], shared: SharedData, arguments: EnsembleArguments, *, accelerator: Accelerator
) -> Combined:
    """Lets the method choose by validation, and builds the classifier.

    Raises:
        UserError: the members do not go together, or there are no validation images to choose by.
    """
    from hfcls.ensembling import COMBINATIONS, Case
    from hfcls.ensembling.soups import check_ingredients, make_soup

    row, names = COMBINATIONS[arguments.method], [member.name for member in members]
    classifiers = [member.classifier for member in members]
    metric = arguments.metric or row.metric
    notices: tuple[str, ...] = ()
    if row.of == "weights":
        notices = check_ingredients(classifiers, names)
    else:
        check_members(classifiers, names)
    settings = _settings(arguments, accelerator)
    splits = [split for split in ("validation", "test") if split in shared.loaded.splits]
    if "validation" not in splits and arguments.method not in ("average", "uniform_soup"):
        raise UserError(
            f"--method {arguments.method} learns from validation images, and there are none: name them with "
            "--validation_dir, or choose average."
        )
    if not splits:
        raise UserError("The data has neither a validation nor a test split to measure on: name one with --test_dir.")
    predictions, reused = {}, {}
    for split in splits:
        found = [predictions_of(member, split, shared, settings) for member in members]
        predictions[split] = [align(one, found[0][0]) for one, _ in found]
        reused[split] = sum(saved for _, saved in found)
    known = [one.known for one in predictions[splits[0]]]
    batches = _train_batches(members[0], shared)

    def soup(chosen: Sequence[int]) -> np.ndarray:
        made = make_soup([classifiers[index] for index in chosen], batches)
        dataset = members[0].dataset(shared.loaded.splits[splits[0]], shared.loaded)
        collator = BatchCollator(Preprocessing(made.image_processor))
        said = predict(made.model, dataset, collator, class_names=made.class_names, description="Soup", **settings)
        return said.known.probabilities

    case = Case(
        np.stack([softmax(one.logits.astype(np.float64), axis=1) for one in known]),
        known[0].labels,
        metric=metric,
        bags=arguments.bags or 0,
        seed=arguments.seed,
        soup=soup,
    )
    choice = row.choose(case)
    chosen = np.flatnonzero(choice.weights).tolist()
    if row.of == "weights":
        classifier = replace(make_soup([classifiers[index] for index in chosen], batches), notices=notices)
    else:
        classifier = build_ensemble(classifiers, choice.weights.tolist(), names=names)
    return Combined(classifier, tuple(members), choice.weights, choice, predictions, reused, arguments, metric)


def measure_combined(
    combined: Combined, shared: SharedData, output: Path, named: Sequence[str], *, accelerator: Accelerator
) -> dict[str, Any]:
    """Predicts, measures and writes all but the pages.

    Args:
        output: the directory, ready.
        named: the members as the user named them.

    Returns:
        What ``ensemble.json`` holds.
    """
    classifier, arguments = combined.classifier, combined.arguments
    # First, so that what a kill leaves is known as a run, which may be overwritten.
    own = {key: value for key, value in vars(shared.arguments).items() if value is not None and value is not False}
    header = "# The data of an ensemble, and what it was made of; ensemble.json has all of it.\n"
    write_text(output / SETTINGS, header + dump_yaml({"method": arguments.method, "members": list(named), **own}))
    write_json(output / DATA, shared.summary)
    keep_learned_by_all(output, [one.directory for one in combined.members])
    collator = BatchCollator(Preprocessing(classifier.image_processor))
    member = Member("ensemble", output, None, classifier)
    settings = _settings(arguments, accelerator)
    measured: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    datasets = {split: member.dataset(shared.loaded.splits[split], shared.loaded) for split in combined.predictions}
    for split, dataset in datasets.items():
        measured[split], flat[split] = measure_split(
            classifier.model,
            dataset,
            collator,
            split=split,
            output=output / "predictions",
            origin=classifier,
            **settings,
        )
    save_classifier(classifier, output)
    learn_and_measure_trust(output, classifier, measured, validation_data=shared.loaded.splits.get("validation"))
    shown = datasets.get("test") or datasets["validation"]
    speed = {f"{_prefix(s)}_samples_per_second": f[f"{_prefix(s)}_samples_per_second"] for s, f in flat.items()}
    speed |= measure_speed(classifier.model, shown, collator, device=accelerator.device)
    write_json(
        output / "metrics.json", {"splits": measured, "speed": speed, "training": describe_training(accelerator)}
    )
    for split, figures in flat.items():
        write_json(output / f"{_prefix(split)}_results.json", figures)
    write_json(output / "all_results.json", {k: v for figures in flat.values() for k, v in figures.items()})
    content = _describe(combined, shared, output, shown, accelerator)
    write_json(output / "ensemble.json", content)
    return content


def _describe(
    combined: Combined, shared: SharedData, output: Path, shown: ImageDataset, accelerator: Accelerator
) -> dict[str, Any]:
    """What ``ensemble.json`` holds."""
    from hfcls.ensembling import COMBINATIONS, METRICS

    first = next(iter(combined.predictions.values()))
    scores = [METRICS[combined.metric](one.known.probabilities, one.known.labels) for one in first]
    best = int(np.argmax(scores))
    splits = {
        split: compare_members(
            Predictions.load(output / "predictions" / f"{split}.parquet").known,
            [one.known for one in members],
            best=best,
        )
        for split, members in combined.predictions.items()
    }
    size = Preprocessing(combined.classifier.image_processor).spec.size
    sizes = [measure_model(member.classifier.model, size) for member in combined.members]
    row = COMBINATIONS[combined.arguments.method]
    return {
        "method": combined.arguments.method,
        "title": row.title,
        "of": row.of,
        "metric": combined.metric if "metric" in row.asks else None,
        "bags": combined.arguments.bags or 0,
        "seed": combined.arguments.seed,
        "learned_on": "validation" if "validation" in combined.predictions else None,
        "n_validation": len(first[0].known) if "validation" in combined.predictions else 0,
        "source": shared.loaded.source,
        "members": [
            {
                "name": member.name,
                "architecture": str(
                    getattr(member.classifier.model.config, "architecture", None)
                    or member.classifier.model.config.model_type.removeprefix("hfcls_")
                ),
                "weight": float(weight),
                "parameters": parameters,
                "macs": macs,
            }
            for member, weight, (parameters, macs) in zip(combined.members, combined.weights, sizes, strict=True)
        ],
        "best_member": best,
        "steps": combined.choice.steps,
        "splits": splits,
        "reused_predictions": combined.reused,
        "cost": _cost(combined, size, shown, accelerator),
    }


def _cost(combined: Combined, size: tuple[int, int], shown: ImageDataset, accelerator: Accelerator) -> dict[str, Any]:
    """Of one answer, beside that of the members; latencies in milliseconds, decoding included."""
    parameters, macs = measure_model(combined.classifier.model, size)
    members = [measure_model(member.classifier.model, size) for member in combined.members]

    def timed(classifier: Classifier) -> float:
        collator = BatchCollator(Preprocessing(classifier.image_processor))
        found = measure_latency(classifier.model, shown, collator, device=accelerator.device, images=_TIMED)
        return float(found["latency_p50_ms"])

    # In turns, and the fastest of each: what else the machine does falls on all.
    rounds = [
        [timed(one) for one in (combined.classifier, *(member.classifier for member in combined.members))]
        for _ in range(_ROUNDS)
    ]
    together, *alone = np.min(rounds, axis=0).tolist()
    passes = 1 if combined.classifier.model.config.model_type != "hfcls_ensemble" else int((combined.weights > 0).sum())
    return {
        "parameters": parameters,
        "macs": macs,
        "passes": passes,
        "latency_ms": together,
        "mean_member": {
            "parameters": float(np.mean([one for one, _ in members])),
            "macs": float(np.mean([one for _, one in members])),
            "latency_ms": float(np.mean(alone)),
        },
        "latency_ratio": together / float(np.mean(alone)),
    }


def _train_batches(member: Member, shared: SharedData) -> Callable[[], Iterable[Tensor]] | None:
    """Training images with the smallest keys, as they are without augmentation; None where there are none."""
    if "train" not in shared.loaded.splits:
        return None
    preprocessing = Preprocessing(member.classifier.image_processor)
    dataset = member.dataset(shared.loaded.splits["train"], shared.loaded)
    chosen = np.argsort(dataset.keys, kind="stable")[:_MOST_IMAGES].tolist()

    def batches() -> Iterable[Tensor]:
        for start in range(0, len(chosen), _BATCH):
            yield preprocessing.normalize(dataset.__getitems__(chosen[start : start + _BATCH])["pixels"])

    return batches


def _settings(arguments: EnsembleArguments, accelerator: Accelerator) -> dict[str, Any]:
    return {
        "accelerator": accelerator,
        "batch_size": arguments.per_device_eval_batch_size,
        "num_workers": arguments.dataloader_num_workers,
    }


def _prefix(split: str) -> str:
    """Of flat figures, as Trainer has it."""
    return "eval" if split == "validation" else split
