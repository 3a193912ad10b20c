"""From a path on this machine to splits of images: a row for each kind of source."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from datasets import ClassLabel, Dataset, Value, concatenate_datasets

from hfcls.arguments import DataArguments
from hfcls.data.archives import is_archive, pack_archive
from hfcls.data.cells import named_files
from hfcls.data.columns import LABEL_NAMES, Columns
from hfcls.data.folder import list_files, loose_images, read_folder
from hfcls.data.layout import SPLIT_FOLDERS, arrange, is_image_name, listing, natural_order
from hfcls.data.reading import Reading, set_column, texts_of
from hfcls.data.rows import open_table
from hfcls.data.stored import parquet_files, read_arrow, read_parquet, read_saved
from hfcls.data.tables import metadata_file, read_table
from hfcls.data.webdataset import images_of, looks_like_webdataset, read_shards
from hfcls.errors import UserError

TABLE_SUFFIXES = frozenset((".csv", ".tsv", ".jsonl", ".json"))
_EXPECTED = (
    "expected a folder with one folder of images per class, a zip or tar of that, a CSV, TSV, JSONL or Parquet file, "
    "WebDataset shards, or what save_to_disk wrote"
)


def columns_of(arguments: DataArguments, *, labelled: bool = True) -> Columns:
    """What the flags say about the columns of a table."""
    return Columns(
        image=arguments.image_column_name,
        label=arguments.label_column_name,
        group=arguments.group_column_name,
        labelled=labelled,
        path_root=None if arguments.image_dir is None else Path(arguments.image_dir),
    )


def kind_of(path: Path) -> str:
    """Which kind of source a path is: a key of `READERS`.

    Raises:
        UserError: it does not exist, or is a file of no known kind.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist: {_EXPECTED}.")
    if path.is_file():
        if path.suffix.lower() in TABLE_SUFFIXES:
            return "table"
        if path.suffix.lower() in {".parquet", ".arrow"}:
            return path.suffix.lower()[1:]
        if is_archive(path):
            return "archive"
        raise UserError(f"{path} is a file of no known kind: {_EXPECTED}.")
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return "saved"
    if metadata_file(path) is not None:
        return "metadata"
    if found := parquet_files(path):
        _refuse_class_folders_beside(path, next(iter(found.values()))[0])
        return "parquet"
    return "archives" if archives_in(path) else "folder"


def files_of(path: Path) -> list[Path]:
    """The files that say what the data at a path is, or hold its images: a table, Parquet or Arrow files, archives.

    None for images as files, and for what ``save_to_disk`` wrote, which knows its own state.

    Raises:
        UserError: see `kind_of`.
    """
    if path.is_file():
        return [path]
    kind = kind_of(path)
    if kind == "parquet":
        return [Path(file) for files in parquet_files(path).values() for file in files]
    if kind == "archives":
        return archives_in(path)
    file = metadata_file(path) if kind == "metadata" else None
    return [file] if file is not None else []


def _refuse_class_folders_beside(path: Path, parquet: str) -> None:
    """Of Parquet files and class folders in one place, only one can be the data."""
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        image = next((entry for entry in folder.iterdir() if is_image_name(entry.name)), None)
        if image is not None:
            raise UserError(
                f"{path} holds the table {Path(parquet).name} and folders of images such as {folder.name}: name the "
                "table itself, or move one of the two away."
            )


def read_path(path: Path, arguments: DataArguments, *, labelled: bool = True) -> Reading:
    """Reads a local file or directory, whatever its kind.

    Args:
        labelled: without it, images alone are enough.

    Raises:
        UserError: it does not exist, or holds no images in any known layout.
    """
    kind = kind_of(path)
    has_columns = kind in {"saved", "parquet", "arrow", "table", "metadata"}
    for unused in ("image_column_name", "label_column_name", "group_column_name"):
        if not has_columns and getattr(arguments, unused) is not None and not kind.startswith("archive"):
            raise UserError(f"--{unused} would have no effect: {path} is a folder of images, not a table.")
    if arguments.image_dir is not None and not has_columns:
        raise UserError(f"--image_dir would have no effect: {path} is no table of paths.")
    reading = READERS[kind](path, columns_of(arguments, labelled=labelled))
    if path.is_dir():
        reading.notices += (
            unread_archives(path, deep=False) if kind == "folder" else _unread_images(path, kind, reading)
        )
    return reading


def _unread_images(path: Path, kind: str, reading: Reading) -> list[str]:
    """What is to be said about the image files in a folder whose data is something else, or a list of some of them."""
    taken = {file for data in reading.splits.values() for file in named_files(data)}
    root = path.resolve()
    unread = [name for name in loose_images(path)[0] if str(root / name) not in taken]
    if not unread:
        return []
    file = metadata_file(path)
    read = {
        "metadata": f"what {file.name if file else ''} lists",
        "parquet": "what Parquet files hold",
        "archives": "what archives hold",
        "saved": "what save_to_disk wrote",
    }[kind]
    many = f"{len(unread)} images lie" if len(unread) > 1 else "1 image lies"
    return [f"{many} unread in {path}, such as {unread[0]!r}: only {read} there is the data."]


def unread_archives(path: Path, *, deep: bool) -> list[str]:
    """What is to be said about archives and Parquet files in a folder whose image files are the data.

    Args:
        deep: in its folders too.
    """
    packed = [name for name in list_files(path)[0] if is_archive(Path(name)) or name.lower().endswith(".parquet")]
    packed = [name for name in packed if deep or "/" not in name]
    if not packed:
        return []
    many = f"{len(packed)} archives or Parquet files lie" if len(packed) > 1 else "1 archive or Parquet file lies"
    return [f"{many} unread in {path}, such as {packed[0]!r}: only the image files there are the data."]


def _read_metadata(path: Path, columns: Columns) -> Reading:
    """A folder whose metadata file lists the images; where it has no labels, the folders are the classes."""
    file = metadata_file(path)
    assert file is not None
    has_labels = any(name.casefold() in LABEL_NAMES for name in open_table(file).names)
    if has_labels or columns.label is not None or not columns.labelled:
        return read_table(file, columns)
    listed = read_table(file, replace(columns, labelled=False))
    data = concatenate_datasets(list(listed.splits.values()))
    rows = {sample_id: row for row, sample_id in enumerate(texts_of(data, "id"))}
    layout = arrange(rows, root=str(path))
    splits = {}
    for split, entries in layout.splits.items():
        if len(listed.splits) == 1:
            chosen = {split: entries}
        else:
            # The table's own column says what is train and what is test.
            own = {name: part for part, there in listed.splits.items() for name in texts_of(there, "id")}
            chosen = {part: [entry for entry in entries if own[entry[0]] == part] for part in listed.splits}
        for part, members in chosen.items():
            if members:
                labels = [label for _, label in members]
                splits[part] = _with_labels(data.select([rows[name] for name, _ in members]), labels)
    return Reading(splits, listed.notices + layout.notices)


def _read_archive(path: Path, columns: Columns) -> Reading:
    """A zip or tar: WebDataset where labels lie beside the images, else folders."""
    packed = pack_archive(path)
    names = texts_of(packed, "name")
    if looks_like_webdataset(names):
        return _read_shards([path], columns)
    _refuse_columns(path, columns)
    if not columns.labelled:
        return Reading({"train": images_of(packed, [i for i, name in enumerate(names) if is_image_name(name)])})
    rows = {name: row for row, name in enumerate(names)}
    layout = arrange(names, root=str(path))
    splits = {
        split: _with_labels(images_of(packed, [rows[name] for name, _ in entries]), [label for _, label in entries])
        for split, entries in layout.splits.items()
    }
    return Reading(splits, layout.notices)


def _read_archives(path: Path, columns: Columns) -> Reading:
    """A folder of archives: WebDataset shards, or one archive a split."""
    archives = archives_in(path)
    if all(looks_like_webdataset(texts_of(pack_archive(archive), "name")) for archive in archives):
        return _read_shards(archives, columns)
    reading = Reading()
    for archive in archives:
        stem = archive.name.partition(".")[0]
        split = SPLIT_FOLDERS.get(stem.lower(), "train" if len(archives) == 1 else None)
        if split is None or split in reading.splits:
            raise UserError(
                f"{path} holds the archives {listing(a.name for a in archives)}: expected WebDataset shards, or one "
                "archive for each split (train, validation, test)."
            )
        own = _read_archive(archive, columns)
        if len(own.splits) > 1:
            raise UserError(f"{archive} has splits of its own ({', '.join(own.splits)}): give that file alone.")
        (data,) = own.splits.values()
        reading.splits[split] = prefixed(data, f"{stem}/") if len(archives) > 1 else data
        reading.notices += own.notices
    return reading


def _read_shards(paths: list[Path], columns: Columns) -> Reading:
    if columns.image is not None:
        raise UserError(f"--image_column_name would have no effect: in {paths[0].name} each sample has one image.")
    return read_shards(paths, labelled=columns.labelled, label_key=columns.label, group_key=columns.group)


def _read_class_folders(path: Path, columns: Columns) -> Reading:
    return read_folder(path)


def _refuse_columns(path: Path, columns: Columns) -> None:
    if columns.image or columns.label or columns.group:
        raise UserError(f"{path} is an archive of folders, not a table: column flags would have no effect.")


READERS: dict[str, Callable[[Path, Columns], Reading]] = {
    "folder": _read_class_folders,
    "archive": _read_archive,
    "archives": _read_archives,
    "table": read_table,
    "metadata": _read_metadata,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "saved": read_saved,
}


def archives_in(path: Path) -> list[Path]:
    """Archives in a folder that has nothing else to offer."""
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    found = [entry for entry in entries if entry.is_file() and is_archive(entry)]
    if not found or any(entry.is_dir() and entry.name != "__MACOSX" for entry in entries):
        return []
    return sorted(found, key=lambda entry: natural_order(entry.name))


def _with_labels(data: Dataset, labels: list[str]) -> Dataset:
    names = list(dict.fromkeys(labels))
    positions = {name: index for index, name in enumerate(names)}
    return set_column(data, "label", [positions[label] for label in labels], ClassLabel(names=names))


def prefixed(data: Dataset, prefix: str) -> Dataset:
    """The same with `prefix` before each id."""
    ids = [prefix + sample_id for sample_id in texts_of(data, "id")]
    return set_column(data, "id", ids, Value("string"))
