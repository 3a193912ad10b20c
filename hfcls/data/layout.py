"""What the names of files say: which are images, which folder is a split, which is a class."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from hfcls.errors import UserError

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".ico", ".avif", ".heic", ".heif"),
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
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}


def natural_order(name: str) -> tuple:
    """Sort key that puts "2" before "10" and is total over any names."""
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts if part), name


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image; hidden files are not."""
    base = name.rpartition("/")[2]
    return "." + base.rpartition(".")[2].lower() in IMAGE_SUFFIXES and not base.startswith(".")


def is_system_file(name: str) -> bool:
    """Hidden files and folders, and what file managers leave behind."""
    return name.rpartition("/")[2].lower() in _SYSTEM_FILES or any(
        part.startswith(".") or part == "__MACOSX" for part in name.split("/")
    )


@dataclass
class Layout:
    """Where each image belongs.

    Attributes:
        splits: for each split, (name of the file, class) in the order of the classes; ``train`` alone where there are
            no split folders.
        notices: what was left out or looks odd, for the user.
    """

    splits: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def arrange(names: Iterable[str], *, root: str, folders: Collection[str] = ()) -> Layout:
    """Finds classes and splits in the names of files.

    The class is the first folder level, or the second one below split folders; what lies deeper belongs to it. A
    single folder around everything is looked through, also where a few images have strayed beside the classes.

    Args:
        names: of all files below the root, with ``/`` between folders.
        root: what holds them, for messages.
        folders: names of folders below the root, which shows the empty ones.

    Raises:
        UserError: no class folders, no images, or split folders mixed with class folders.
    """
    files = [name for name in names if not is_system_file(name)]
    folders = [name for name in folders if not is_system_file(name)]
    prefix, passed = "", []
    while True:
        tops = _top_folders(files, folders, prefix)
        as_split = [top for top in tops if top.lower() in SPLIT_FOLDERS]
        holding = [top for top in as_split if _top_folders(files, folders, f"{prefix}{top}/")]
        if len(tops) != 1 or holding or not _is_wrapper(files, folders, prefix, tops[0]):
            break
        if loose := _direct_images(files, prefix):
            passed.append(f"{_loose(loose)} beside the folder {tops[0]!r} and left out, such as {loose[0]!r}.")
        prefix += tops[0] + "/"
    where = f"{root}/{prefix}".rstrip("/") if prefix else root
    layout = Layout(notices=passed)
    if not holding:
        if len(as_split) == len(tops) > 1 and "train" in {SPLIT_FOLDERS[top.lower()] for top in tops}:
            raise UserError(
                f"{where} has the folders {listing(tops)} with no class folders inside: expected one folder per class "
                f"below each, such as {where}/{tops[0]}/CLASS/image.jpg."
            )
        layout.splits["train"] = _arrange_classes(files, folders, prefix, where, layout.notices)
        return layout
    if others := [top for top in tops if top not in holding]:
        raise UserError(
            f"{where} mixes the split folders {listing(holding)} with {listing(others)}: expected either split folders "
            "alone or class folders alone."
        )
    for top in tops:
        split = SPLIT_FOLDERS[top.lower()]
        if split in layout.splits:
            raise UserError(f"{where} holds two folders for the {split} split: {listing(tops)}. Merge them.")
        layout.splits[split] = _arrange_classes(files, folders, f"{prefix}{top}/", f"{where}/{top}", layout.notices)
    if "train" not in layout.splits and len(layout.splits) > 1:
        raise UserError(f"{where} has the split folders {listing(tops)} but no train folder.")
    if loose := _direct_images(files, prefix):
        layout.notices.append(
            f"{_loose(loose)} beside the split folders in {where} and left out, such as {loose[0]!r}."
        )
    return layout


def _is_wrapper(files: Sequence[str], folders: Sequence[str], prefix: str, top: str) -> bool:
    """Whether the only folder at `prefix` is one around the class folders, and not a class itself."""
    inner = f"{prefix}{top}/"
    loose = len(_direct_images(files, prefix)) + len(_direct_images(files, inner))
    if not loose:
        return bool(_top_folders(files, folders, inner))
    below = Counter(
        name[len(inner) :].partition("/")[0]
        for name in files
        if name.startswith(inner) and "/" in name[len(inner) :] and is_image_name(name)
    )
    return len(below) > 1 and below.total() > loose


def _arrange_classes(
    files: Sequence[str], folders: Sequence[str], prefix: str, where: str, notices: list[str]
) -> list[tuple[str, str]]:
    """(name, class) of all images below the class folders at `prefix`."""
    classes = _top_folders(files, folders, prefix)
    if not classes:
        raise UserError(f"{where} holds no class folders: expected one folder of images per class.")
    if loose := _direct_images(files, prefix):
        notices.append(f"{_loose(loose)} beside the class folders in {where} and left out, such as {loose[0]!r}.")
    images: dict[str, list[str]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    for name in files:
        if name.startswith(prefix) and "/" in name[len(prefix) :]:
            found = images if is_image_name(name) else others
            found[name[len(prefix) :].partition("/")[0]].append(name)
    for name in classes:
        if not images[name]:
            notices.append(f"The folder {f'{where}/{name}'!r} holds no images: it is no class.")
        if others[name]:
            example = PurePosixPath(others[name][0]).name
            notices.append(
                f"{len(others[name])} files in {f'{where}/{name}'!r} are not images and were left out, such as "
                f"{example!r}."
            )
    arranged = [(image, name) for name in classes for image in sorted(images[name], key=natural_order)]
    if not arranged:
        raise UserError(f"{where} holds no images in its class folders ({listing(classes)}).")
    _notice_deeper_classes({name: images[name] for name in classes if images[name]}, prefix, where, notices)
    return arranged


def _notice_deeper_classes(images: dict[str, list[str]], prefix: str, where: str, notices: list[str]) -> None:
    """Says so where the folders one level deeper look more like the classes."""
    below: Counter[str] = Counter()
    for name, paths in images.items():
        start = len(prefix) + len(name) + 1
        inner = {path[start:].partition("/")[0] if "/" in path[start:] else "" for path in paths}
        if "" in inner:
            return
        below.update(inner)
    if len(images) > 1 and len(below) > 1 and set(below.values()) == {len(images)}:
        notices.append(
            f"The classes are the first folders in {where} ({listing(images)}). All of them hold the same folders "
            f"({listing(below)}): if those are the classes, move them one level up."
        )


def _top_folders(files: Sequence[str], folders: Sequence[str], prefix: str) -> list[str]:
    start = len(prefix)
    tops = {name[start:].partition("/")[0] for name in files if name.startswith(prefix) and "/" in name[start:]}
    tops |= {name[start:].partition("/")[0] for name in folders if name.startswith(prefix) and name[start:]}
    return sorted(tops, key=natural_order)


def _direct_images(files: Sequence[str], prefix: str) -> list[str]:
    start = len(prefix)
    found = [n[start:] for n in files if n.startswith(prefix) and "/" not in n[start:] and is_image_name(n)]
    return sorted(found, key=natural_order)


def _loose(images: Sequence[str]) -> str:
    return f"{len(images)} images lie" if len(images) > 1 else "1 image lies"


def listing(names: Iterable[str]) -> str:
    """A few names, and how many more there are."""
    ordered = sorted(names, key=natural_order)
    shown = ", ".join(name if name.isprintable() else repr(name) for name in ordered[:5])
    return shown + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")
