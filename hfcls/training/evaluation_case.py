"""What an evaluation is about: a model, a split in its order of classes, and where the results go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from datasets import Dataset, DatasetDict

from hfcls.arguments import DATA_FLAGS, DataArguments, only
from hfcls.command_arguments import EvaluateArguments
from hfcls.data.batches import BatchCollator, ImageDataset
from hfcls.data.content import image_keys
from hfcls.data.judged import split_for
from hfcls.data.labelled import LabelledData, load_data
from hfcls.data.parts import read_parts
from hfcls.data.reading import texts_of
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.evaluation.suite.start import check_suite
from hfcls.evaluation.trusting import check_calibrating, check_known_trust, fingerprint_of
from hfcls.models import Classifier, load_classifier
from hfcls.pages.standalone import check_formats
from hfcls.pull import local_model
from hfcls.training.learned import count_learned
from hfcls.training.own_data import load_own_data, own_arguments
from hfcls.training.run_directory import SETTINGS


@dataclass(frozen=True)
class Case:
    """What is evaluated: a model, a split in its order of classes, and where the results go.

    Attributes:
        name, directory: of the model, as the user named it and where it lies here.
        output: where the results go.
        loaded, summary: the data, and what ``data.json`` says of it.
        data, dataset: the split, as it is given and ready for the network.
        parts: of each sample the value in the column that ``--by`` names.
    """

    name: str
    directory: Path
    output: Path
    arguments: EvaluateArguments
    accelerator: Accelerator
    loaded: LabelledData
    summary: dict[str, Any]
    classifier: Classifier
    preprocessing: Preprocessing
    collator: BatchCollator
    data: Dataset
    dataset: ImageDataset
    parts: Sequence[str] | None

    @property
    def prefix(self) -> str:
        """Of flat figures, as Trainer has it."""
        return "eval" if self.arguments.split == "validation" else self.arguments.split

    @property
    def train(self) -> ImageDataset | None:
        """The train split, beside another one that is evaluated; None where there is none."""
        if self.arguments.split == "train" or "train" not in self.loaded.splits:
            return None
        names = self.classifier.class_names
        return split_for(self.name, names, self.loaded.splits["train"], self.loaded, self.preprocessing)


def prepare_case(name: str, values: dict[str, Any]) -> Case:
    """Checks the flags of an evaluation, loads data and model.

    Args:
        name: of the model, as the user named it.
        values: flags by name, checked.

    Raises:
        UserError: bad input; see the message.
    """
    arguments = only(EvaluateArguments, values)
    check_formats(arguments.figures)
    output = _output(name, values, arguments)
    directory = local_model(name, allow_pickle=arguments.allow_pickle)
    check_calibrating(name, arguments)
    accelerator = Accelerator(cpu=arguments.use_cpu)
    check_suite(arguments, processes=accelerator.num_processes)
    loaded, summary, named = _data(name, directory, values, arguments.split)
    classifier = load_classifier(
        name,
        directory=directory,
        trust_remote_code=arguments.trust_remote_code,
        allow_pickle=arguments.allow_pickle,
    )
    check_known_trust(directory, classifier, arguments, data=fingerprint_of(summary, arguments.split))
    preprocessing = Preprocessing(classifier.image_processor)
    data = loaded.splits[arguments.split]
    dataset = split_for(name, classifier.class_names, data, loaded, preprocessing)
    return Case(
        name,
        directory,
        output,
        arguments,
        accelerator,
        loaded,
        summary,
        classifier,
        preprocessing,
        BatchCollator(preprocessing),
        data,
        dataset,
        read_parts(named, arguments.by, dataset.ids) if arguments.by else None,
    )


def _output(model: str, values: dict[str, Any], arguments: EvaluateArguments) -> Path:
    """Where the results go.

    Raises:
        UserError: they would replace a run's own, or a flag is out of range.
    """
    if arguments.per_device_eval_batch_size < 1 or arguments.dataloader_num_workers < 0:
        raise UserError("--per_device_eval_batch_size is a whole number from 1 on, --dataloader_num_workers from 0 on.")
    output = Path(arguments.output_dir) if arguments.output_dir else _default_output(model, values)
    if (output / "run.yaml").is_file():
        raise UserError(f"--output_dir {output} is a run: its own figures would be lost. Choose another place.")
    return output


def _data(
    model: str, directory: Path, values: dict[str, Any], split: str
) -> tuple[LabelledData, dict[str, Any], DataArguments]:
    """The data that the flags name; for a run without any, the run's own, compared with what it was.

    Args:
        model: as the user named it.
        directory: where it lies here.

    Returns:
        The data, what ``data.json`` says of it, and the flags that name it.
    """
    given = [name for name in DATA_FLAGS if values.get(name)]
    own = not given and (directory / SETTINGS).is_file()
    if not given and not own:
        raise UserError(f"No data: {model} is no run with splits of its own; give --test_dir or --dataset_name.")
    if own:
        named = own_arguments(model, directory, values)
        loaded, summary = load_own_data(model, directory, values, split=split)
    else:
        # Of foreign data nothing is set apart: one split alone is what is to be evaluated, whatever its name.
        named = only(DataArguments, values)
        loaded = load_data(named, splits_needed=())
        if len(loaded.splits) == 1:
            (data,) = loaded.splits.values()
            loaded = replace(loaded, splits=DatasetDict({split: data}), origins={split: "given"})
        loaded, summary = _told_of_learning(model, directory, loaded, split)
    if split not in loaded.splits:
        raise UserError(f"The data has no {split} split, only {', '.join(loaded.splits)}: choose one with --split.")
    return loaded, summary, named


def _told_of_learning(
    model: str, directory: Path, loaded: LabelledData, split: str
) -> tuple[LabelledData, dict[str, Any]]:
    """The data with a notice of how many of its images the model has learned from, and its summary with their count."""
    data = loaded.splits.get(split)
    keys = None if data is None or split == "train" else image_keys(texts_of(data, "digest"))
    seen = None if keys is None else count_learned(directory, keys)
    if keys is not None and seen:
        notice = (
            f"{model} has learned from {seen:,} of these {len(keys):,} images: on new ones it will do worse than the "
            "figures say."
        )
        loaded = replace(loaded, notices=(*loaded.notices, notice))
    summary = loaded.summary()
    return loaded, summary if seen is None else {**summary, "overlap": {**summary["overlap"], f"train/{split}": seen}}


def default_comparison(models: list[str], values: dict[str, Any]) -> Path:
    """Beside the evaluations of the first model, named after all of them and the data."""
    own = _default_output(models[0], values)
    others = "\0".join(str(Path(model).resolve()) if Path(model).is_dir() else model for model in models[1:])
    return own.with_name(f"{own.name}-against-{blake2b(others.encode(), digest_size=3).hexdigest()}")


def _default_output(model: str, values: dict[str, Any]) -> Path:
    """Named after the data and how it is looked at, so that one evaluation does not take another's place."""
    path = Path(model)
    base = path if path.is_dir() else Path("runs") / model.replace("/", "--")
    data = next((values[name] for name in DATA_FLAGS if values.get(name)), None)
    tta = values.get("tta", "none")
    how = "" if tta == "none" else f"-{tta}"
    how += "-corrected" if values.get("exclude") or values.get("relabel") else ""
    if data is None:
        return base / "evaluation" / f"{values.get('split', 'test')}{how}"
    # Many folders are called test: the whole place tells them apart.
    place = Path(data).resolve()
    return base / "evaluation" / f"{place.name}-{blake2b(str(place).encode(), digest_size=3).hexdigest()}{how}"
