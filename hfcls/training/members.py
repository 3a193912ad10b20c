"""The members of an ensemble: found by name, with the data that all of them share and what each makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfcls.arguments import DATA_FLAGS, DataArguments, only
from hfcls.data.batches import BatchCollator, ImageDataset
from hfcls.data.content import image_keys
from hfcls.data.judged import split_for
from hfcls.data.labelled import LabelledData, load_data
from hfcls.data.reading import texts_of
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.evaluation.predict import predict
from hfcls.evaluation.reuse import same_predictions
from hfcls.models import Classifier, load_classifier
from hfcls.models.digest import weights_digest
from hfcls.pull import local_model
from hfcls.structures import Predictions
from hfcls.training.checkpoints import checkpoint_step, list_checkpoints
from hfcls.training.learned import count_learned
from hfcls.training.own_data import load_own_data, own_arguments
from hfcls.training.run_directory import is_run, read_data_summary, read_settings
from hfcls.training.snapshots import snapshots_of


@dataclass(frozen=True)
class Member:
    """One classifier among several.

    Attributes:
        name: for people.
        directory: of its weights.
        run_dir: of the run that they are from; None where they are from elsewhere.
        classifier: in evaluation mode.
    """

    name: str
    directory: Path
    run_dir: Path | None
    classifier: Classifier

    def dataset(self, data: Dataset, loaded: LabelledData) -> ImageDataset:
        """A split in the size of this member, with labels as it numbers them; from a cache, where there is one."""
        preprocessing = Preprocessing(self.classifier.image_processor)
        return split_for(self.name, self.classifier.class_names, data, loaded, preprocessing)


@dataclass(frozen=True)
class SharedData:
    """The splits that all members are judged on.

    Attributes:
        loaded: the data.
        summary: what ``data.json`` says of it.
        arguments: the flags that name it.
        notices: for the user.
    """

    loaded: LabelledData
    summary: dict[str, Any]
    arguments: DataArguments
    notices: tuple[str, ...] = ()


def find_members(
    names: Sequence[str], *, snapshots: bool = False, trust_remote_code: bool = False, allow_pickle: bool = False
) -> list[Member]:
    """Loads what the user names.

    Args:
        names: run directories, their checkpoints, directories or Hub ids of models.
        snapshots: the one run that is named stands for the checkpoints that it keeps.

    Raises:
        UserError: one cannot be loaded, two are the same, or a run has no checkpoints.
    """
    names = _own_checkpoints(names[0]) if snapshots else names
    found: list[Member] = []
    seen: dict[str, str] = {}
    for name, shown in zip(names, _short(names), strict=True):
        directory = local_model(name, allow_pickle=allow_pickle)
        classifier = load_classifier(
            name, directory=directory, trust_remote_code=trust_remote_code, allow_pickle=allow_pickle
        )
        classifier.model.eval()
        digest = weights_digest(classifier.model)
        if digest in seen:
            raise UserError(f"{seen[digest]} and {name} have the same weights: one of them is enough.")
        seen[digest] = name
        found.append(Member(shown, directory, _run_of(directory), classifier))
    return found


def load_shared_data(members: Sequence[Member], values: dict[str, Any]) -> SharedData:
    """The data that the flags name, or else that of the members' runs; none of them has learned from what is measured.

    Args:
        values: flags by name.

    Raises:
        UserError: there is none, or a member has learned from other splits of it.
    """
    runs = [member.run_dir for member in members if member.run_dir is not None and is_run(member.run_dir)]
    before: dict[str, Any] | None = None
    if any(values.get(flag) for flag in DATA_FLAGS):
        arguments = only(DataArguments, values)
        loaded = load_data(arguments)
        summary = loaded.summary()
    elif runs:
        arguments = own_arguments(str(runs[0]), runs[0], values)
        loaded, summary = load_own_data(str(runs[0]), runs[0], values, split="validation")
        before = read_data_summary(runs[0])
    else:
        raise UserError("No data: none of the members is a run with splits of its own; give --validation_dir FOLDER.")
    # What is corrected here still holds the same images: splits are compared as they were before.
    unknown = _check_unseen(members, loaded, before or summary)
    notices = [*loaded.notices]
    if unknown:
        whom = unknown[0] if len(unknown) == 1 else f"{unknown[0]} and {len(unknown) - 1} more"
        notices.append(f"That {whom} did not learn from the images that are measured on is taken on trust.")
    return SharedData(loaded, summary, arguments, tuple(notices))


def _check_unseen(members: Sequence[Member], loaded: LabelledData, summary: dict[str, Any]) -> list[str]:
    """Whether the members may be judged on the shared splits; the names of those of which nobody can tell.

    Raises:
        UserError: one has learned from images of them, or has split the same data otherwise and cannot be asked.
    """
    splits = [split for split in ("validation", "test") if split in loaded.splits]
    judged = {split: image_keys(texts_of(loaded.splits[split], "digest")) for split in splits}
    unknown = []
    for member in members:
        own = None if member.run_dir is None else read_data_summary(member.run_dir)
        other = [split for split in judged if own is None or _fingerprint(own, split) != _fingerprint(summary, split)]
        counts = {split: count_learned(member.directory, judged[split]) for split in other}
        if None in counts.values():
            unknown.append(member.name)
        for split, seen in counts.items():
            elsewhere = own is None or own["source"] != summary["source"]
            if seen == 0 or (seen is None and elsewhere):
                continue
            from_them = f"from {seen} of the {len(judged[split])} {split} images" if seen else "from them"
            raise UserError(
                f"{member.name} was trained on other splits than those that are measured on, and "
                f"{'has' if seen else 'may have'} learned {from_them}: train all members with the same data and "
                "--split_seed, or name images that none of them has seen with --validation_dir and --test_dir."
            )
    return unknown


def _fingerprint(summary: dict[str, Any], split: str) -> str | None:
    """Of a split that a ``data.json`` has."""
    found: str | None = (summary["splits"].get(split) or {}).get("fingerprint")
    return found


def predictions_of(
    member: Member, split: str, shared: SharedData, settings: dict[str, Any]
) -> tuple[Predictions, bool]:
    """What a member says of a split: from its run where that has it, else predicted now.

    Args:
        settings: of `hfcls.evaluation.predict.predict`: accelerator, batch_size, num_workers, quiet.

    Returns:
        The predictions in the member's order of classes, and whether they were saved before.
    """
    dataset = member.dataset(shared.loaded.splits[split], shared.loaded)
    saved = same_predictions(member.directory, split, classifier=member.classifier, dataset=dataset)
    if saved is not None:
        return saved, True
    found = predict(
        member.classifier.model,
        dataset,
        BatchCollator(Preprocessing(member.classifier.image_processor)),
        class_names=member.classifier.class_names,
        description=f"{member.name}: {split}",
        **settings,
    )
    return found, False


def _own_checkpoints(name: str) -> list[str]:
    """Of a run that was trained with --snapshots the ends of its cycles, of another one all that it keeps."""
    run_dir = Path(name)
    if not is_run(run_dir):
        raise UserError(f"--snapshots needs a run directory, and {name} is none.")
    steps = snapshots_of(run_dir, read_settings(run_dir))
    kept = list_checkpoints(run_dir)[::-1]
    found = [str(path) for path in kept if steps is None or checkpoint_step(path) in steps]
    if len(found) < 2:
        raise UserError(
            f"{name} keeps {len(found)} checkpoints that could be members: train with --snapshots 5, which keeps the "
            "end of each of 5 cycles."
        )
    return found


def _run_of(directory: Path) -> Path | None:
    """The run that weights are from."""
    if is_run(directory):
        return directory
    inside = checkpoint_step(directory) is not None and is_run(directory.resolve().parent)
    return directory.resolve().parent if inside else None


def _short(names: Sequence[str]) -> list[str]:
    """Names for people: the last part of a path, with the one before it where that is not enough."""
    paths = [Path(name).resolve() if Path(name).exists() else Path(name) for name in names]
    last = [path.name for path in paths]
    if len(set(last)) == len(last):
        return [name if not Path(name).exists() else path.name for name, path in zip(names, paths, strict=True)]
    two = [f"{path.parent.name}/{path.name}" for path in paths]
    return two if len(set(two)) == len(two) else list(names)
