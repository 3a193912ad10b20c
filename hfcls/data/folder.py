"""One folder per class, with or without split folders above."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Image, Value

from hfcls.errors import UserError

IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".jp2",
        ".avif",
    )
)
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_IGNORED = {"thumbs.db", "desktop.ini"}


def natural_order(name: str) -> tuple:
    """Sort key that puts "2" before "10" and is total over any names."""
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts if part), name


@dataclass
class FolderReading:
    """What a folder held.

    Attributes:
        splits: by name; ``train`` alone where the folder has no split folders.
        notices: what was left out, for the user.
    """

    splits: dict[str, Dataset] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def read_folder(root: Path) -> FolderReading:
    """Reads class folders, or split folders that hold class folders.

    The class is the first folder level; what lies deeper belongs to it. Hidden files and links to folders are passed
    over.

    Raises:
        UserError: no class folders, no images, or split folders mixed with class folders.
    """
    folders = _folders(root)
    named_as_split = {folder for folder in folders if folder.name.lower() in SPLIT_FOLDERS}
    holding_folders = {folder for folder in named_as_split if _folders(folder)}
    reading = FolderReading()
    if not holding_folders:
        if len(named_as_split) == len(folders) > 1 and "train" in {SPLIT_FOLDERS[f.name.lower()] for f in folders}:
            raise UserError(
                f"{root} has the folders {_listing(folders)} with no class folders inside: expected one folder per "
                f"class below each, such as {folders[0] / 'CLASS' / 'image.jpg'}."
            )
        reading.splits["train"] = _read_classes(root, root, reading.notices)
        return reading
    others = [folder for folder in folders if folder not in holding_folders]
    if others:
        raise UserError(
            f"{root} mixes the split folders {_listing(holding_folders)} with {_listing(others)}: expected either "
            "split folders alone or class folders alone."
        )
    for folder in folders:
        split = SPLIT_FOLDERS[folder.name.lower()]
        if split in reading.splits:
            raise UserError(f"{root} holds two folders for the {split} split: {_listing(folders)}. Merge them.")
        reading.splits[split] = _read_classes(folder, root, reading.notices)
    if "train" not in reading.splits and len(reading.splits) > 1:
        raise UserError(f"{root} has the split folders {_listing(folders)} but no train folder.")
    return reading


def _read_classes(folder: Path, root: Path, notices: list[str]) -> Dataset:
    """All images below the class folders of `folder`; ids are paths below `root`."""
    class_folders = sorted(_folders(folder), key=lambda path: natural_order(path.name))
    notices.extend(f"The link {link} to a folder was not followed." for link in _links(folder))
    if not class_folders:
        raise UserError(f"{folder} holds no class folders: expected one folder of images per class.")
    paths: list[str] = []
    names: list[str] = []
    labels: list[int] = []
    loose = _images(folder.iterdir())
    if loose:
        notices.append(
            f"{len(loose)} images lie beside the class folders in {folder} and were left out, such as {loose[0].name}."
        )
    for class_folder in class_folders:
        images = sorted(_images(_walk(class_folder, notices)), key=lambda path: natural_order(str(path)))
        if not images:
            notices.append(f"The folder {class_folder} holds no images: it is no class.")
            continue
        paths += map(str, images)
        labels += [len(names)] * len(images)
        names.append(class_folder.name)
    if not paths:
        raise UserError(f"{folder} holds no images in its class folders ({_listing(class_folders)}).")
    for path in paths:
        if not path.isprintable() and path != path.encode("utf-8", "replace").decode("utf-8", "replace"):
            raise UserError(f"The file name {path!r} is not valid text: rename it.")
    ids = [Path(path).relative_to(root).as_posix() for path in paths]
    features = Features({"id": Value("string"), "image": Image(), "label": ClassLabel(names=names)})
    return Dataset.from_dict({"id": ids, "image": paths, "label": labels}, features=features)


def _folders(folder: Path) -> list[Path]:
    found = [p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith(".")]
    return sorted((path for path in found if path.name != "__MACOSX"), key=lambda path: natural_order(path.name))


def _links(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_symlink() and path.is_dir())


def _walk(folder: Path, notices: list[str]) -> list[Path]:
    found: list[Path] = []
    for directory, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        notices.extend(f"The link {os.path.join(directory, name)} to a folder was not followed." for name in links)
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(directory, name) for name in files]
    others = [p for p in found if p.suffix.lower() not in IMAGE_SUFFIXES and not _ignored(p)]
    if others:
        notices.append(f"{len(others)} files in {folder} are not images and were left out, such as {others[0].name}.")
    return found


def _ignored(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _IGNORED


def _images(paths) -> list[Path]:
    return [p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and not _ignored(p) and p.is_file()]


def _listing(paths) -> str:
    names = sorted((path.name for path in paths), key=natural_order)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
