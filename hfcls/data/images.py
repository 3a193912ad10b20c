"""Images without a thought for labels, from wherever they lie."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from datasets import Dataset, Features, Image, Value, concatenate_datasets

from hfcls.arguments import DataArguments
from hfcls.data.folder import loose_images
from hfcls.data.kinds import files_of, kind_of, prefixed, read_path, unread_archives
from hfcls.data.layout import is_image_name
from hfcls.data.reading import Reading, texts_of
from hfcls.data.sources import read_named, refuse_hub_flags
from hfcls.errors import UserError


@dataclass(frozen=True)
class Images:
    """Images to be classified.

    Attributes:
        data: the columns ``id`` (unique: the path of a file, the path of an archive or table and the name inside, or
            ``split/row``) and ``image``.
        notices: what was left out or looks odd, for the user.
        files: that list images or hold them: tables, archives, Parquet and Arrow files.
        fingerprints: of data sets that know their own state: of the Hub, or written by save_to_disk.
    """

    data: Dataset
    notices: tuple[str, ...]
    files: tuple[Path, ...]
    fingerprints: tuple[str, ...]


def load_images(paths: list[str], arguments: DataArguments) -> Images:
    """Reads files, folders at any depth, archives, tables, data sets with splits of any name.

    Args:
        paths: in the order wanted; none where ``--dataset_name`` names the data.

    Raises:
        UserError: a path does not exist or holds no images, or an image comes twice.
    """
    name = arguments.dataset_name
    if not paths and name is not None and name != "digits" and Path(name).exists():
        refuse_hub_flags(arguments)
        paths = [name]
    if paths:
        sources = [_images_at(Path(path), arguments, alone=len(paths) == 1) for path in paths]
    else:
        reading, _ = read_named(arguments, str(name), labelled=False)
        sources = [_Source(list(reading.splits.values()), reading.notices, fingerprints=_fingerprints(reading))]
    parts = [part for source in sources for part in source.parts]
    data = concatenate_datasets([part.select_columns(["id", "image"]) for part in parts])
    repeated = [sample_id for sample_id, times in Counter(texts_of(data, "id")).items() if times > 1]
    if repeated:
        raise UserError(f"{repeated[0]!r} is named more than once: name each image once.")
    return Images(
        data,
        notices=tuple(notice for source in sources for notice in source.notices),
        files=tuple(file for source in sources for file in source.files),
        fingerprints=tuple(fingerprint for source in sources for fingerprint in source.fingerprints),
    )


@dataclass
class _Source:
    """What one path holds; see `Images`."""

    parts: list[Dataset]
    notices: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    fingerprints: list[str] = field(default_factory=list)


def _images_at(path: Path, arguments: DataArguments, *, alone: bool) -> _Source:
    if not path.exists():
        raise UserError(f"{path} does not exist: expected an image, a folder, a zip or tar, a table or a data set.")
    if path.is_file() and is_image_name(path.name):
        return _Source([_files([str(path)])])
    kind = kind_of(path)
    if kind == "folder" or (kind in {"metadata", "archives"} and arguments.image_column_name is None):
        names, notices = loose_images(path)
        if names:
            return _Source([_files([str(path / name) for name in names])], notices + unread_archives(path, deep=True))
        if kind == "folder":
            raise UserError(f"{path} holds no image files.")
    reading = read_path(path, arguments, labelled=False)
    prefix = "" if alone and kind not in {"archive", "archives"} else f"{path}/"
    parts = [prefixed(data, prefix) if prefix else data for data in reading.splits.values()]
    return _Source(parts, reading.notices, files_of(path), _fingerprints(reading) if kind == "saved" else [])


def _fingerprints(reading: Reading) -> list[str]:
    return [data._fingerprint for data in reading.splits.values()]


def _files(paths: list[str]) -> Dataset:
    features = Features({"id": Value("string"), "image": Image()})
    return Dataset.from_dict({"id": paths, "image": [{"path": p, "bytes": None} for p in paths]}, features=features)
