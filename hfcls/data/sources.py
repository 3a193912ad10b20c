"""From the data flags to splits of images, whatever they came in."""

from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset

from hfcls.arguments import DataArguments
from hfcls.data.choices import choose_samples, map_classes, read_class_mapping
from hfcls.data.corrections import Corrections, correct, read_corrections
from hfcls.data.digits import read_digits
from hfcls.data.groups import group_by_pattern
from hfcls.data.hub import HubData, find_hub_data
from hfcls.data.kinds import columns_of, prefixed, read_path
from hfcls.data.reading import Reading
from hfcls.data.stored import read_hub
from hfcls.errors import UserError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class RawData:
    """The splits as they are given: nothing aligned, checked or carved.

    Attributes:
        splits: columns id, image, label (each split with a class list of its own), and group where there is one.
        notices: what was left out or looks odd, for the user.
        source: in words, where all of it came from.
        hub: where on the Hub, if it came from there.
        corrections: what was left out and relabelled; a split with new labels has the column ``given``.
    """

    splits: dict[str, Dataset]
    notices: tuple[str, ...]
    source: str
    hub: HubData | None = None
    corrections: Corrections = field(default_factory=Corrections)


def read_data(arguments: DataArguments) -> RawData:
    """Reads what the flags name, and applies the user's own lists: samples, classes, corrections, groups.

    Corrections come last but for groups, so that the labels of neither a list of samples nor a mapping undo them.

    Raises:
        UserError: the flags contradict each other, or the data is not as they say.
    """
    reading, source = _read(arguments)
    splits, notices = reading.splits, list(reading.notices)
    corrections = read_corrections(splits, exclude=arguments.exclude, relabel=arguments.relabel)
    if arguments.samples:
        splits, more = choose_samples(splits, arguments.samples)
        notices += more
    if arguments.class_mapping:
        splits, more = map_classes(splits, read_class_mapping(arguments.class_mapping), arguments.class_mapping)
        notices += more
    splits, corrections, more = correct(splits, corrections)
    notices += more
    if arguments.group_pattern:
        if arguments.group_column_name:
            raise UserError("--group_pattern and --group_column_name both say what the groups are: give one of them.")
        splits = group_by_pattern(splits, arguments.group_pattern)
    ordered = {split: splits[split] for split in SPLITS if split in splits}
    return RawData(ordered, tuple(notices), source, reading.hub, corrections)


def _read(arguments: DataArguments) -> tuple[Reading, str]:
    """The splits as they are stored, and the source in words."""
    directories = {s: path for s in SPLITS if (path := getattr(arguments, f"{s}_dir")) is not None}
    if arguments.dataset_name is not None and directories:
        raise UserError(
            f"--dataset_name and --{next(iter(directories))}_dir both say where the data is: give one of them."
        )
    if arguments.dataset_name is not None:
        return read_named(arguments, arguments.dataset_name)
    if not directories:
        raise UserError("No data: give --train_dir FOLDER or --dataset_name NAME (`digits` is built in).")
    refuse_hub_flags(arguments)
    alone = len(directories) == 1
    reading = Reading()
    for split, directory in directories.items():
        own = read_path(Path(directory), arguments)
        reading.notices += own.notices
        if alone and split == "train":
            reading.splits = own.splits
        elif len(own.splits) > 1:
            raise UserError(
                f"{directory} has splits of its own ({', '.join(own.splits)}): give it alone, as --train_dir, "
                f"or name the folder of the {split} split."
            )
        else:
            (data,) = own.splits.values()
            reading.splits[split] = data if alone or split == "train" else prefixed(data, f"{split}/")
    return reading, ", ".join(directories.values())


def read_named(arguments: DataArguments, name: str, *, labelled: bool = True) -> tuple[Reading, str]:
    """Reads what ``--dataset_name`` names: the built-in digits, a path, or a data set of the Hub.

    Args:
        labelled: without it, images alone are enough, and splits of all names are read.

    Returns:
        The splits as they are stored, and the source in words.

    Raises:
        UserError: it is not to be had, or a flag would have no effect.
    """
    if name == "digits":
        refuse_hub_flags(arguments)
        for unused in ("image_column_name", "label_column_name", "group_column_name", "image_dir"):
            if getattr(arguments, unused) is not None:
                raise UserError(f"--{unused} would have no effect: digits has one image and one label column.")
        return Reading(read_digits()), "the handwritten digits of scikit-learn"
    if Path(name).exists():
        refuse_hub_flags(arguments)
        return read_path(Path(name), arguments, labelled=labelled), name
    if name.partition("@")[0].count("/") > 1 or name.startswith((".", "/", "~")):
        raise UserError(f"--dataset_name {name} does not exist: expected a path, a Hub id or `digits`.")
    columns = columns_of(arguments, labelled=labelled)
    found = find_hub_data(name, arguments.dataset_revision)
    return read_hub(found, arguments.dataset_config_name, columns), found.words


def refuse_hub_flags(arguments: DataArguments) -> None:
    """What goes with a data set of the Hub alone.

    Raises:
        UserError: it is given.
    """
    for unused in ("dataset_config_name", "dataset_revision"):
        if getattr(arguments, unused) is not None:
            raise UserError(f"--{unused} would have no effect: it goes with a Hub id in --dataset_name.")
