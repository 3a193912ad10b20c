"""Data sets with the images inside: Parquet and Arrow files, what save_to_disk wrote, the Hub."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import (
    Dataset,
    DatasetDict,
    Features,
    Value,
    config,
    disable_progress_bars,
    load_dataset,
    load_from_disk,
    logging,
)
from datasets.exceptions import DatasetsError
from huggingface_hub.constants import HF_HUB_CACHE

from hfcls.data.cells import confine_paths
from hfcls.data.columns import Columns, choose_columns, column_texts, image_columns, is_text, listed, standard_columns
from hfcls.data.hub import HubData, load_hub_data
from hfcls.data.layout import SPLIT_FOLDERS
from hfcls.data.paths import roots_of
from hfcls.data.reading import Reading
from hfcls.data.rows import first_line
from hfcls.data.tables import read_tables
from hfcls.errors import UserError

disable_progress_bars()

SPLITS = ("train", "validation", "test")
# Whatever pyarrow and datasets make of bytes that are not what they should be.
_BROKEN = (DatasetsError, pa.ArrowException, ValueError, TypeError, KeyError, AttributeError, OSError)
_SPLIT_NAME = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_FOLDERS)})(?![a-z])", re.IGNORECASE)
# Images that are copied at a time, as `datasets` does itself: row groups may hold more than the memory does.
_BATCH = 100
# Types that an image column cannot be made of.
_SIMPLER = {"binary_view": "binary", "large_binary": "binary", "string_view": "string"}


def parquet_files(path: Path) -> dict[str, list[str]]:
    """Parquet files by split, told from names such as ``train.parquet`` or ``test-00000-of-00002.parquet``.

    Args:
        path: one file, or a directory that holds them (or has them in ``data/``).

    Raises:
        UserError: a name holds the names of two splits.
    """
    return _files_by_split(path, ".parquet")


def _files_by_split(path: Path, suffix: str) -> dict[str, list[str]]:
    files = [path] if path.is_file() else sorted([*path.glob(f"*{suffix}"), *path.glob(f"data/*{suffix}")])
    splits: dict[str, list[str]] = {}
    for file in files:
        if file.is_file() and not file.name.startswith("."):
            splits.setdefault(_split_of(file), []).append(str(file.absolute()))
    return {split: splits[split] for split in SPLITS if split in splits}


def _split_of(file: Path) -> str:
    """The split at the start of the name, else the only one in it, else train."""
    found = list(_SPLIT_NAME.finditer(file.name))
    splits = {SPLIT_FOLDERS[match[1].lower()] for match in found}
    if found and (found[0].start() == 0 or len(splits) == 1):
        return SPLIT_FOLDERS[found[0][1].lower()]
    if splits:
        raise UserError(f"The name of {file} holds {listed(sorted(splits))}: rename it after the split that it holds.")
    return "train"


def read_parquet(path: Path, columns: Columns, *, prefix: str = "") -> Reading:
    """Reads Parquet files with the images inside, or with their paths.

    Args:
        path: see `parquet_files`.
        prefix: goes before each id.

    Raises:
        UserError: a file cannot be read, the files of a split don't match, or see `standard_columns`.
    """
    files = parquet_files(path)
    if not files:
        raise UserError(f"{path} holds no Parquet files.")
    return load_parquet(files, columns, prefix=prefix)


def load_parquet(files: dict[str, list[str]], columns: Columns, *, prefix: str = "") -> Reading:
    """Reads the files of each split; see `read_parquet`."""
    features = {split: _features(shards, pq.read_schema, "Parquet") for split, shards in files.items()}
    first = next(iter(features.values()))
    asked = first.get(columns.image) if columns.image else None
    if is_text(asked) or (asked is None and not image_columns(first) and any(map(is_text, first.values()))):
        listing = [(Path(file), split) for split, shards in files.items() for file in shards]
        return read_tables(listing, columns, prefix=prefix)
    chosen = choose_columns(features, columns)
    splits = {}
    for split, shards in files.items():
        kept = Features({name: features[split][name] for name in chosen.names()})
        splits[split] = _load("parquet", shards, kept, columns=list(kept), batch_size=_BATCH)
    return Reading(
        _confined(standard_columns(splits, columns, prefix=prefix), columns, Path(next(iter(files.values()))[0]))
    )


def read_arrow(path: Path, columns: Columns, *, prefix: str = "") -> Reading:
    """Reads Arrow files, streams or with a footer, such as `datasets` keeps in its cache.

    Raises:
        UserError: as `read_parquet` does.
    """
    files = _files_by_split(path, ".arrow")
    if not files:
        raise UserError(f"{path} holds no Arrow files.")
    splits = {split: _load("arrow", f, _features(f, _arrow_schema, "Arrow")) for split, f in files.items()}
    return Reading(
        _confined(standard_columns(splits, columns, prefix=prefix), columns, Path(next(iter(files.values()))[0]))
    )


def read_saved(path: Path, columns: Columns, *, prefix: str = "") -> Reading:
    """Reads what ``save_to_disk`` wrote.

    Raises:
        UserError: it cannot be read, has none of the usual splits, or see `standard_columns`.
    """
    try:
        saved = load_from_disk(str(path))
        splits = dict(saved) if isinstance(saved, DatasetDict) else {"train": saved}
        for data in splits.values():
            # It is mapped into memory unseen: offsets that point elsewhere would end the process.
            data.data.validate(full=True)
    except _BROKEN as error:
        raise UserError(f"{path} is not a data set that save_to_disk wrote: {first_line(error)}") from None
    reading = _usual_splits(splits, str(path), columns, prefix)
    reading.splits = _confined(reading.splits, columns, path / "state.json")
    return reading


def read_hub(found: HubData, config_name: str | None, columns: Columns) -> Reading:
    """Downloads (or finds in the cache) a data set of the Hub.

    Raises:
        UserError: it is not to be had, has none of the usual splits, or see `standard_columns`.
    """
    name = found.name
    try:
        loaded = load_hub_data(found, config_name)
    except (FileNotFoundError, ConnectionError) as error:
        raise UserError(
            f"The data set {name} is neither a directory here nor to be had from the Hub ({first_line(error)})."
        ) from None
    except (DatasetsError, pa.ArrowException, ValueError, RuntimeError, OSError) as error:
        # datasets names the configurations on a second line.
        several = re.search(r"Config name is missing.*\n.*?(\[.*\])", str(error))
        cause = f"choose one of {several[1]} with --dataset_config_name." if several else first_line(error)
        raise UserError(f"The data set {name} cannot be loaded: {cause}") from None
    reading = _usual_splits(dict(loaded), name, columns, "")
    reading.hub = found
    # What the Hub sent lies in these; a path to anywhere else was not made here.
    roots = [roots_of(None, Path(place)) for place in (config.HF_DATASETS_CACHE, HF_HUB_CACHE)]
    reading.splits = {split: confine_paths(data, roots) for split, data in reading.splits.items()}
    return reading


def _usual_splits(splits: dict[str, Dataset], name: str, columns: Columns, prefix: str) -> Reading:
    """Train, validation and test, whatever they are called; what is left out is said.

    Where labels aren't needed, every split has images, and nothing is left out.
    """
    reading = Reading()
    known: dict[str, Dataset] = {}
    others: dict[str, Dataset] = {}
    # A split that is called as it should be goes before one that means the same.
    for own in sorted(splits, key=lambda own: own not in SPLITS):
        split = SPLIT_FOLDERS.get(own.lower())
        if split is not None and split not in known:
            known[split] = splits[own]
        elif not columns.labelled:
            others[own] = splits[own]
        else:
            reading.notices.append(f"The split {own!r} of {name} was left out.")
    if not known and not others:
        raise UserError(f"{name} has the splits {listed(splits)}: expected train, validation or test.")
    known = {split: known[split] for split in SPLITS if split in known} | others
    chosen = choose_columns({split: data.features for split, data in known.items()}, columns)
    for split in [split for split in known if columns.labelled and chosen.label and split != "train"]:
        if len(known) > 1 and not any(column_texts(known[split], str(chosen.label))):
            reading.notices.append(f"The {split} split of {name} has no labels and was left out.")
            del known[split]
    reading.splits = standard_columns(known, columns, prefix=prefix)
    return reading


def _confined(splits: dict[str, Dataset], columns: Columns, file: Path) -> dict[str, Dataset]:
    """Splits whose cells name no files but those below the folder of the first file, or below ``--image_dir``."""
    roots = [roots_of(columns.path_root, file.parent)]
    return {split: confine_paths(data, roots) for split, data in splits.items()}


# -- files -----------------------------------------------------------------------------------------------------


def _features(files: list[str], schema_of: Callable[[str], pa.Schema], kind: str) -> Features:
    """The columns of the files of one split, which must agree."""
    found: list[Features] = []
    for file in files:
        try:
            schema = schema_of(file)
            features = Features({name: _simpler(f) for name, f in Features.from_arrow_schema(schema).items()})
        except _BROKEN as error:
            raise UserError(f"{file} cannot be read as {kind}: {first_line(error)}") from None
        repeated = [name for name in schema.names if schema.names.count(name) > 1]
        if repeated:
            raise UserError(f"{file} has two columns called {repeated[0]!r}: rename one.")
        if found and features != found[0]:
            differing = next(n for n in [*features, *found[0]] if features.get(n) != found[0].get(n))
            raise UserError(
                f"{file} and {files[0]} differ in the column {differing!r} ({features.get(differing, 'absent')} and "
                f"{found[0].get(differing, 'absent')}): the files of one split must have the same columns."
            )
        found.append(features)
    return found[0]


def _simpler(feature: Any) -> Any:
    return Value(_SIMPLER[feature.dtype]) if getattr(feature, "dtype", None) in _SIMPLER else feature


def _arrow_schema(file: str) -> pa.Schema:
    with open(file, "rb") as stream:
        try:
            return pa.ipc.open_stream(stream).schema
        except pa.ArrowInvalid:
            return pa.ipc.open_file(stream).schema


def parquet_features(files: list[str]) -> Features:
    """The columns of the Parquet files of one split.

    Raises:
        UserError: one cannot be read, or they do not agree.
    """
    return _features(files, pq.read_schema, "Parquet")


def escaped(files: list[str]) -> list[str]:
    """Paths in which brackets and stars are no patterns."""
    return [re.sub(r"([*?[])", r"[\1]", file) for file in files]


def _load(kind: str, files: list[str], features: Features, **settings: Any) -> Dataset:
    try:
        with _without_logging():
            return load_dataset(kind, data_files={"train": escaped(files)}, features=features, **settings)["train"]
    except _BROKEN as error:
        cause = first_line(error.__cause__ or error)
        if "corresponds to no data" in cause:
            raise UserError(f"{_listed_files(files)} holds no rows: leave it out or fill it.") from None
        raise UserError(f"{_listed_files(files)} cannot be read as {kind.capitalize()}: {cause}") from None


@contextmanager
def _without_logging() -> Iterator[None]:
    """What `datasets` would log goes into the error."""
    level = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _listed_files(files: list[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} (or one of the {len(files) - 1} beside it)"
