"""Training images that are read piece by piece, for what does not fit the disk: an endless sequence of passes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from datasets import ClassLabel, Dataset, Features, Image, IterableDataset, Value, load_dataset
from datasets.distributed import split_dataset_by_node
from tqdm.auto import tqdm

from hfcls.arguments import DataArguments
from hfcls.data.cells import confined
from hfcls.data.choices import read_class_mapping
from hfcls.data.columns import choose_columns, class_name, text_of
from hfcls.data.content import sample_keys
from hfcls.data.decode import decode_bytes, read_bytes
from hfcls.data.hub import find_hub_data
from hfcls.data.kinds import archives_in, columns_of, kind_of
from hfcls.data.layout import SPLIT_FOLDERS, natural_order
from hfcls.data.paths import Roots, roots_of
from hfcls.data.reading import Reading
from hfcls.data.screening import Dropped
from hfcls.data.stored import escaped, load_parquet, parquet_features, parquet_files
from hfcls.data.transforms import Preprocessing
from hfcls.data.webdataset import read_shards, split_of, stream_samples
from hfcls.errors import BadImage, UserError, suggest

# So often a share of a stream may hold nothing but bad images before it counts as empty.
_FRUITLESS_PASSES = 20
BUFFER_SIZE = 1000
_FEATURES = Features({"id": Value("string"), "image": Image(decode=False), "label": Value("string")})
_LABEL_BAR: dict[str, Any] = {"desc": "Reading labels", "unit": "image", "leave": False, "disable": None}
_WITHOUT_EFFECT = (
    *("samples", "exclude", "relabel", "group_column_name", "group_pattern", "max_train_samples", "image_dir"),
    *("validation_fraction", "test_fraction"),
)


@dataclass(frozen=True)
class Stream:
    """The training images of a source that is read piece by piece.

    Attributes:
        examples: one pass: ``id``, ``image`` (undecoded), ``label`` (the class name as it is stored).
        class_names: K names.
        mapping: from stored to wanted class names; None leaves a class out.
        source: in words, where it comes from.
    """

    examples: IterableDataset
    class_names: tuple[str, ...]
    mapping: dict[str, str | None]
    source: str

    def renamed(self, names: dict[str, str], order: Sequence[str]) -> "Stream":
        """The same with other class names, in the order of a checkpoint that knows these classes."""
        mapping = {**names, **{old: new and names[new] for old, new in self.mapping.items()}}
        return replace(self, class_names=tuple(order), mapping=mapping)


def open_stream(arguments: DataArguments) -> tuple[Stream, Reading]:
    """Opens the train split of the data that the flags name.

    Returns:
        The stream, and the other splits of the same source, read whole.

    Raises:
        UserError: the source cannot be streamed, or a flag would have no effect.
    """
    for name in _WITHOUT_EFFECT:
        if getattr(arguments, name) is not None:
            raise UserError(f"--{name} would have no effect with --streaming: no one knows the images beforehand.")
    place = arguments.train_dir or arguments.dataset_name
    if place is None or place == "digits":
        raise UserError("--streaming needs --train_dir or --dataset_name with WebDataset shards, Parquet or a Hub id.")
    path = Path(place)
    if not path.exists():
        examples, names, others = _from_hub(place, arguments)
    elif (kind := kind_of(path)) in {"archive", "archives"}:
        examples, names, others = _from_shards(path, arguments)
    elif kind == "parquet":
        examples, names, others = _from_parquet(path, arguments)
    else:
        raise UserError(
            f"--streaming reads WebDataset shards, Parquet and Hub ids: {path} is none of them, leave it out."
        )
    mapping = read_class_mapping(arguments.class_mapping) if arguments.class_mapping else {}
    unknown = [name for name in mapping if name not in names]
    if unknown:
        raise UserError(
            f"--class_mapping names the class {unknown[0]!r}, which the data has not.{suggest(unknown[0], names)}"
        )
    wanted = dict.fromkeys(mapping.get(name, name) for name in names)
    return Stream(examples, tuple(name for name in wanted if name is not None), mapping, place), others


def _from_shards(path: Path, arguments: DataArguments) -> tuple[IterableDataset, list[str], Reading]:
    archives = [path] if path.is_file() else archives_in(path)
    shards = sorted((a for a in archives if split_of(a) == "train"), key=lambda a: natural_order(a.name))
    if not shards:
        raise UserError(f"{path} holds no shards of the train split.")
    paths, key = [str(shard) for shard in shards], arguments.label_column_name
    examples = IterableDataset.from_generator(
        _shard_samples, features=_FEATURES, gen_kwargs={"paths": paths, "label_key": key}
    )
    labels = {sample["label"] for sample in tqdm(_shard_samples(paths, key, images=False), **_LABEL_BAR)}
    rest = [archive for archive in archives if archive not in shards]
    others = read_shards(rest, label_key=arguments.label_column_name) if rest else Reading()
    return examples, sorted(labels, key=natural_order), others


def _shard_samples(paths: list[str], label_key: str | None, images: bool = True) -> Iterator[dict[str, Any]]:
    for path in paths:
        for sample in stream_samples(Path(path), label_key, images=images):
            # Without its name, which `datasets` would take for a local file where there is one.
            yield {**sample, "image": {"bytes": sample["image"]["bytes"], "path": None}}


def _from_parquet(path: Path, arguments: DataArguments) -> tuple[IterableDataset, list[str], Reading]:
    files = parquet_files(path)
    if "train" not in files:
        raise UserError(f"{path} holds no Parquet files of the train split.")
    features = parquet_features(files["train"])
    examples = load_dataset(
        "parquet", data_files={"train": escaped(files["train"])}, features=features, split="train", streaming=True
    )
    chosen = choose_columns({"train": features}, columns_of(arguments))
    label = features[chosen.label]
    if isinstance(label, ClassLabel):
        names = list(label.names)
    else:
        values: Counter[Any] = Counter()
        for file in files["train"]:
            values.update(pq.read_table(file, columns=[chosen.label]).column(0).to_pylist())
        names = sorted({text for value in values if (text := text_of(value)) is not None}, key=natural_order)
    rest = {split: shards for split, shards in files.items() if split != "train"}
    others = load_parquet(rest, columns_of(arguments)) if rest else Reading()
    roots = [roots_of(None, Path(files["train"][0]).parent)]
    return _standard(examples, chosen.image, str(chosen.label), label, roots), names, others


def _from_hub(name: str, arguments: DataArguments) -> tuple[IterableDataset, list[str], Reading]:
    found = find_hub_data(name, arguments.dataset_revision)
    where = {"revision": found.commit or found.revision, "streaming": True}
    try:
        loaded = found.ask(lambda: load_dataset(found.repo_id, arguments.dataset_config_name, **where))
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"The data set {name} cannot be streamed: {reason}") from None
    known = {SPLIT_FOLDERS.get(split, split): examples for split, examples in loaded.items()}
    if "train" not in known:
        raise UserError(f"{name} has the splits {', '.join(loaded)}: expected one called train.")
    features = known["train"].features
    if features is None:
        raise UserError(f"{name} does not say what its columns hold, so it cannot be streamed.")
    chosen = choose_columns({"train": features}, columns_of(arguments))
    label = features[chosen.label]
    if not isinstance(label, ClassLabel):
        raise UserError(
            f"The column {chosen.label!r} of {name} does not list its classes, so it cannot be streamed: leave out "
            "--streaming."
        )
    others = Reading(hub=found)
    for split, most in (("validation", arguments.max_eval_samples), ("test", arguments.max_test_samples)):
        if split in known:
            rows = _standard(known[split], chosen.image, str(chosen.label), label)
            taken = list(rows if most is None else rows.take(most))
            others.splits[split] = Dataset.from_dict(
                {
                    "id": [f"{split}/{row}" for row in range(len(taken))],
                    "image": [row["image"] for row in taken],
                    "label": [label.names.index(row["label"]) for row in taken],
                },
                features=Features({"id": Value("string"), "image": Image(), "label": label}),
            )
    return _standard(known["train"], chosen.image, str(chosen.label), label), list(label.names), others


def _standard(
    examples: IterableDataset, image: str, label: str, feature: Any, roots: Sequence[Roots] = ()
) -> IterableDataset:
    """Any stream with the columns ``id``, ``image``, ``label``; the id is the image's path where it has one.

    Files that cells name are read below the roots alone.
    """
    examples = examples.select_columns([image, label]).cast_column(image, Image(decode=False))

    def standard(row: dict[str, Any]) -> dict[str, Any]:
        cell, value = row[image], row[label]
        if isinstance(feature, ClassLabel):
            value = class_name(feature, value, label)
        path, content = (cell or {}).get("path"), (cell or {}).get("bytes")
        # Without its name, which `datasets` would take for a local file where there is one.
        stored = {"bytes": content, "path": confined(path, roots) if path and content is None else None}
        return {"id": path or "", "image": stored, "label": text_of(value)}

    gone = [column for column in (image, label) if column not in _FEATURES]
    return examples.map(standard, remove_columns=gone, features=_FEATURES)


@dataclass
class StreamDataset(torch.utils.data.IterableDataset):
    """A stream as 8-bit pixels of the classifier's size; one pass follows another without end.

    All processes and workers together see each sample once in a pass. The order of a pass is fixed by the seed and the
    pass: shards shuffled, then mixed through a buffer.

    Attributes:
        stream: what is read.
        preprocessing: of the classifier.
        seed: of the order.
        buffer_size: how many samples are mixed at a time.
        skip_bad: leave out images that can't be read, instead of ending the training.
        max_pixels: of a stored image.
        rank, world_size: of this process, and how many there are.
    """

    stream: Stream
    preprocessing: Preprocessing
    seed: int = 0
    buffer_size: int = BUFFER_SIZE
    skip_bad: bool = False
    max_pixels: int = 89_478_485
    rank: int = 0
    world_size: int = 1
    positions: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.positions = {name: index for index, name in enumerate(self.stream.class_names)}

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names; a label is an index into them."""
        return self.stream.class_names

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Samples as of `hfcls.data.batches.ImageDataset`, with ``dropped``: what was left out since the last one.

        Raises:
            UserError: an image cannot be read, a class is unknown, or a whole pass had no image that can be used.
        """
        dropped: list[Dropped] = []
        fruitless = 0
        for epoch in count():
            empty, before = True, len(dropped)
            for sample in self.one_pass(epoch, dropped):
                empty = False
                yield sample
            fruitless = fruitless + 1 if empty else 0
            if empty and len(dropped) > before and fruitless < _FRUITLESS_PASSES:
                continue  # images there were, all of them bad: the next pass deals out the shards anew
            worker = torch.utils.data.get_worker_info()
            if empty and worker is not None and worker.id > 0:
                return  # more workers than shards: the others read all there is
            if empty:
                raise UserError(
                    f"{self.stream.source} holds too few images that can be used: a process found none in a whole "
                    "pass. Use more shards, or fewer processes."
                )

    def one_pass(self, epoch: int, dropped: list[Dropped] | None = None) -> Iterator[dict[str, Any]]:
        """The samples of one pass that fall to this process and worker.

        Args:
            dropped: what was left out and not told yet, here and in the pass before.
        """
        dropped = [] if dropped is None else dropped
        examples = self.stream.examples.shuffle(seed=self.seed, buffer_size=self.buffer_size)
        if self.world_size > 1:
            examples = split_dataset_by_node(examples, rank=self.rank, world_size=self.world_size)
        examples.set_epoch(epoch)
        for row in examples:
            label = self._label(row)
            if label is None:
                continue
            try:
                content = read_bytes(row["image"] or {}, row["id"])
                digest = blake2b(content, digest_size=16).digest()
                sample_id = row["id"] or digest.hex()
                decoded = decode_bytes(content, sample_id, max_pixels=self.max_pixels)
            except BadImage as error:
                if not self.skip_bad:
                    raise
                dropped.append(Dropped(row["id"] or error.sample_id, "train", error.reason))
                continue
            yield {
                "pixels": self.preprocessing.pixels(decoded.image),
                "label": label,
                "id": sample_id,
                "key": sample_keys([digest], [self.class_names[label]])[0],
                "epoch": epoch,
                "dropped": list(dropped),
            }
            dropped.clear()

    def _label(self, row: dict[str, Any]) -> int | None:
        name = row["label"]
        if name is None:
            raise UserError(f"The image {row['id']!r} has no label: every one needs one.")
        wanted = self.stream.mapping.get(name, name)
        if wanted is None:
            return None
        if wanted not in self.positions:
            raise UserError(
                f"The image {row['id']!r} is of the class {wanted!r}, which was not there when the run began."
            )
        return self.positions[wanted]
