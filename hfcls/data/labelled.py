"""The data of a run: read, aligned, checked, split; and what there is to say about it."""

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from datasets import Dataset, DatasetDict, Value

from hfcls.arguments import DataArguments
from hfcls.data.choices import map_classes
from hfcls.data.content import fingerprint, image_keys, sample_keys
from hfcls.data.corrections import GIVEN, Corrections, correct, describe_test, read_corrections, strata_of
from hfcls.data.decode import MAX_PIXELS
from hfcls.data.groups import groups_of
from hfcls.data.kinds import read_path
from hfcls.data.labels import align_splits, labels_of
from hfcls.data.reading import set_column, texts_of
from hfcls.data.screening import Dropped, describe, screen
from hfcls.data.sources import SPLITS, RawData, read_data
from hfcls.data.splits import carve, limit
from hfcls.errors import UserError

if TYPE_CHECKING:
    from hfcls.data.hub import HubData
    from hfcls.data.streams import Stream

VALIDATION_FRACTION, TEST_FRACTION = 0.1, 0.2
# Below zero: those from zero on belong to the augmentations.
VALIDATION_STREAM, TEST_STREAM, LIMIT_STREAM = -11, -10, -12
_LIMITS = {"train": "max_train_samples", "validation": "max_eval_samples", "test": "max_test_samples"}


@dataclass(frozen=True)
class LabelledData:
    """All splits of a data set.

    Attributes:
        splits: ``train`` and, where they exist or were carved, ``validation`` and ``test``; columns id, image, label,
            ``key`` (what random numbers hang on; see `hfcls.data.content.sample_keys`) and ``digest`` (of the image's
            stored bytes), and ``group`` where samples are grouped.
        origins: for each split, in words, where it came from.
        notices: what was left out or looks odd, for the user.
        source: in words, where all of it came from.
        dropped: the images that could not be read.
        stream: the training images, where they are read piece by piece; `splits` then holds the others.
        max_image_pixels: of a stored image; what is larger counts as unreadable.
        hub: where on the Hub it came from, if it did.
        corrections: which images were left out or relabelled.
    """

    splits: DatasetDict
    origins: dict[str, str]
    notices: tuple[str, ...]
    source: str
    dropped: tuple[Dropped, ...] = field(default=())
    stream: "Stream | None" = None
    max_image_pixels: int = MAX_PIXELS
    hub: "HubData | None" = None
    corrections: Corrections = field(default_factory=Corrections)

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names; a label is an index into them."""
        if self.stream is not None:
            return self.stream.class_names
        return tuple(next(iter(self.splits.values())).features["label"].names)

    def corrected(self, *, exclude: str | None, relabel: str | None) -> "LabelledData":
        """The same splits with images left out and relabelled.

        Raises:
            UserError: see `hfcls.data.corrections`.
        """
        corrections = read_corrections(self.splits, exclude=exclude, relabel=relabel)
        splits, corrections, more = correct(dict(self.splits), corrections)
        if "test" in splits:
            more += describe_test(splits["test"], corrections, carved=False)
        splits = _without_given(splits)
        return replace(self, splits=DatasetDict(splits), notices=(*self.notices, *more), corrections=corrections)

    def summary(self) -> dict[str, Any]:
        """What ``data.json`` holds."""
        names = self.class_names
        splits = {}
        digests = {split: texts_of(data, "digest") for split, data in self.splits.items()}
        for split, data in self.splits.items():
            labels = labels_of(data)
            splits[split] = {
                "n": len(data),
                "from": self.origins[split],
                "fingerprint": fingerprint(digests[split], [names[label] for label in labels]),
                "label_counts": dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True)),
            }
            if "group" in data.column_names:
                splits[split]["groups"] = len(set(texts_of(data, "group")))
        total = blake2b("".join(f"{k}{v['fingerprint']}" for k, v in sorted(splits.items())).encode(), digest_size=16)
        return {
            "source": self.source,
            **({} if self.hub is None else {"hub": {"repo_id": self.hub.repo_id, "commit": self.hub.commit}}),
            "fingerprint": total.hexdigest(),
            "class_names": list(names),
            "splits": splits,
            "overlap": _overlap(digests),
            **({} if self.stream is None else {"stream": {"source": self.stream.source, "fingerprint": None}}),
            "dropped": [asdict(entry) for entry in self.dropped],
            **({"corrections": self._corrections()} if self.corrections else {}),
            "notices": list(self.notices),
        }

    def _corrections(self) -> dict[str, dict[str, int]]:
        """How many images were left out of each given split, and relabelled in each that there is now."""
        relabelled = {
            split: sum(sample_id in self.corrections.labels for sample_id in texts_of(data, "id"))
            for split, data in self.splits.items()
        }
        found = {"excluded": self.corrections.left_out, "relabelled": relabelled}
        return {what: {split: n for split, n in counts.items() if n} for what, counts in found.items()}


def load_data(
    arguments: DataArguments, *, splits_needed: tuple[str, ...] = ("train", "validation", "test")
) -> LabelledData:
    """Loads, aligns, checks and splits the data that the flags name.

    Args:
        splits_needed: splits to carve out of train where they don't exist.

    Raises:
        UserError: the flags contradict each other, or the data is not as they say.
    """
    _check(arguments)
    stream = None
    if arguments.streaming:
        stream, raw = _open_stream(arguments)
        splits, more = align_splits(raw.splits, stream.class_names)
    else:
        raw = read_data(arguments)
        splits, more = align_splits(raw.splits)
    notices = [*raw.notices, *more]
    splits, digests, dropped = screen(
        splits, on_bad_image=arguments.on_bad_image, max_pixels=arguments.max_image_pixels, source=raw.source
    )
    if dropped:
        are = "1 image cannot be read and is" if len(dropped) == 1 else f"{len(dropped)} images cannot be read and are"
        notices.append(f"{are} left out: {describe(dropped)}.")
        splits, more = align_splits(splits, None if stream is None else stream.class_names)
        notices += [notice for notice in more if notice not in notices]
    splits = {split: _with_keys(data, digests[split]) for split, data in splits.items()}
    if "train" in splits and "group" in splits["train"].column_names and groups_of(splits["train"]) is None:
        notices.append("Every image is a group of its own, so groups change nothing.")
    origins = dict.fromkeys(splits, "given")
    notices += _leaks(splits)  # of the data as given: carving would move some of its copies elsewhere
    _carve_missing(splits, origins, arguments, splits_needed)
    _limit(splits, origins, arguments)
    if "test" in splits:
        notices += describe_test(splits["test"], raw.corrections, carved=origins["test"] != "given")
    splits = _without_given(splits)
    ordered = {split: splits[split] for split in SPLITS if split in splits}
    return LabelledData(
        DatasetDict(ordered),
        origins,
        tuple(notices),
        raw.source,
        tuple(dropped),
        stream,
        arguments.max_image_pixels,
        raw.hub,
        raw.corrections,
    )


def _open_stream(arguments: DataArguments) -> tuple["Stream", RawData]:
    """The stream of training images, and the splits beside it."""
    from hfcls.data.streams import open_stream

    stream, beside = open_stream(arguments)
    for split in ("validation", "test"):
        directory = getattr(arguments, f"{split}_dir")
        if directory is not None:
            own = read_path(Path(directory), arguments)
            if len(own.splits) > 1:
                raise UserError(f"{directory} has splits of its own ({', '.join(own.splits)}): name that of {split}.")
            (beside.splits[split],) = own.splits.values()
            beside.notices += own.notices
    if arguments.class_mapping and beside.splits:
        present = {name for data in beside.splits.values() for name in data.features["label"].names}
        mapping = {old: new for old, new in stream.mapping.items() if old in present}
        beside.splits, more = map_classes(beside.splits, mapping, arguments.class_mapping)
        beside.notices += more
    return stream, RawData(beside.splits, tuple(beside.notices), f"a stream of {stream.source}", beside.hub)


def _check(arguments: DataArguments) -> None:
    for flag in _LIMITS.values():
        if (most := getattr(arguments, flag)) is not None and most < 1:
            raise UserError(f"--{flag} is {most}: expected 1 or more.")
    if arguments.shuffle_buffer_size is not None and not arguments.streaming:
        raise UserError("--shuffle_buffer_size would have no effect without --streaming.")
    if arguments.shuffle_buffer_size is not None and arguments.shuffle_buffer_size < 1:
        raise UserError(f"--shuffle_buffer_size is {arguments.shuffle_buffer_size}: expected 1 or more.")
    if not 1 <= arguments.max_image_pixels <= 2 * 89_478_485:
        raise UserError(f"--max_image_pixels is {arguments.max_image_pixels}: expected 1 to {2 * 89_478_485}.")


def _carve_missing(
    splits: dict[str, Dataset], origins: dict[str, str], arguments: DataArguments, needed: tuple[str, ...]
) -> None:
    """Carves test, then validation, out of train where the data has none."""
    for number, split, given, default in (
        (TEST_STREAM, "test", arguments.test_fraction, TEST_FRACTION),
        (VALIDATION_STREAM, "validation", arguments.validation_fraction, VALIDATION_FRACTION),
    ):
        fraction = _fraction(split, given, default, splits)
        if not fraction or "train" not in splits or split in splits or split not in needed:
            continue
        train = splits["train"]
        groups, keys = groups_of(train), image_keys(texts_of(train, "digest"))
        for labels in strata_of(train):
            stays, goes = carve(keys, labels, fraction, seed=arguments.split_seed, stream=number, groups=groups)
            if set(labels_of(train)[goes]) <= set(labels_of(train)[stays]):
                break
        splits["train"], splits[split] = train.select(stays), train.select(goes)
        how = "stratified" if groups is None else "stratified, groups kept together"
        share = fraction if groups is None else len(goes) / len(train)
        origins[split] = f"{share:.0%} of train, {how}, split seed {arguments.split_seed}"


def _limit(splits: dict[str, Dataset], origins: dict[str, str], arguments: DataArguments) -> None:
    """Keeps so many samples of each split as the flags allow."""
    for split, flag in _LIMITS.items():
        most = getattr(arguments, flag)
        if most is not None and split not in splits:
            raise UserError(f"--{flag} would have no effect: there is no {split} split.")
        if most is not None and most < len(splits[split]):
            data = splits[split]
            present = len(np.unique(labels_of(data)))
            if split == "train" and most < present:
                raise UserError(
                    f"--{flag} is {most}, but train has {present} classes: expected at least one image of each."
                )
            keys = image_keys(texts_of(data, "digest"))
            for labels in strata_of(data):
                chosen = limit(keys, labels, most, seed=arguments.split_seed, stream=LIMIT_STREAM)
                if len(np.unique(labels_of(data)[chosen])) == min(present, most):
                    break
            origins[split] += f"; {len(chosen)} of its {len(data)} images (--{flag})"
            if most < present:
                origins[split] += f", {present - most} of its {present} classes without one"
            splits[split] = data.select(chosen)


def _fraction(split: str, given: float | None, default: float, splits: dict[str, Dataset]) -> float:
    if given is None:
        return default
    if "train" not in splits and not given:
        return 0.0
    if "train" not in splits:
        raise UserError(f"--{split}_fraction needs a train split to carve from: the data has none.")
    if split in splits:
        raise UserError(f"--{split}_fraction would have no effect: the data has a {split} split of its own.")
    if not 0 <= given < 1:
        raise UserError(f"--{split}_fraction is {given}: expected a share of train from 0 up to 1.")
    return given


def _with_keys(data: Dataset, digests: list[bytes]) -> Dataset:
    names = data.features["label"].names
    keys = sample_keys(digests, [names[label] for label in labels_of(data)])
    columns = [name for name in ("id", "image", "label", "group", GIVEN) if name in data.column_names]
    data = set_column(data.select_columns(columns), "digest", digests, Value("binary"))
    return set_column(data, "key", keys, Value("uint64"))


def _without_given(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    return {s: data.remove_columns(GIVEN) if GIVEN in data.column_names else data for s, data in splits.items()}


def _overlap(digests: dict[str, list[bytes]]) -> dict[str, int]:
    """For each two splits, how many images of the second are byte for byte in the first, as ``train/test``."""
    found = {}
    for first, second in combinations(digests, 2):
        present = set(digests[first])
        found[f"{first}/{second}"] = sum(digest in present for digest in digests[second])
    return found


def _leaks(splits: dict[str, Dataset]) -> list[str]:
    """Images and groups that given splits share."""
    notices = []
    for name, column in (("images (byte for byte)", "digest"), ("groups", "group")):
        places: dict[Any, set[str]] = {}
        for split, data in splits.items():
            for value in set(texts_of(data, column)) - {None, ""} if column in data.column_names else ():
                places.setdefault(value, set()).add(split)
        for pair, count in sorted(Counter(tuple(s for s in SPLITS if s in p) for p in places.values()).items()):
            if len(pair) > 1:
                notices.append(
                    f"{count} {name} are in {' and '.join(pair)} at once, so figures will look too good: "
                    "`hfcls inspect` shows them."
                )
    return notices
