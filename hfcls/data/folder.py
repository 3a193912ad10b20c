"""Images as files: one folder per class, with or without split folders above."""

import os
from collections.abc import Sequence
from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Image, Value

from hfcls.data.layout import arrange, is_image_name, is_system_file, natural_order
from hfcls.data.reading import Reading
from hfcls.errors import UserError


def read_folder(root: Path) -> Reading:
    """Reads class folders, or split folders that hold class folders; see `hfcls.data.layout.arrange`.

    Hidden files are passed over; ids are paths below `root`.

    Raises:
        UserError: no class folders, no images, or split folders mixed with class folders.
    """
    names, folders, notices = list_files(root)
    layout = arrange(names, root=str(root), folders=folders)
    splits = {}
    for split, entries in layout.splits.items():
        splits[split] = labelled_dataset(
            [name for name, _ in entries],
            [{"path": str(root / name), "bytes": None} for name, _ in entries],
            [label for _, label in entries],
        )
    return Reading(splits, notices + layout.notices)


def labelled_dataset(ids: Sequence[str], cells: Sequence[dict], labels: Sequence[str]) -> Dataset:
    """A data set of images in files, whose class list is the labels in their order."""
    names = list(dict.fromkeys(labels))
    positions = {name: index for index, name in enumerate(names)}
    features = Features({"id": Value("string"), "image": Image(), "label": ClassLabel(names=names)})
    columns = {"id": list(ids), "image": list(cells), "label": [positions[label] for label in labels]}
    return Dataset.from_dict(columns, features=features)


def list_files(root: Path) -> tuple[list[str], list[str], list[str]]:
    """All files and folders below `root`, as names with ``/``, and notices.

    Links are followed, except to folders that hold this one, lie in it or were reached by another link: each image
    comes once. Broken links and other things that are no files are listed where they are named as images: whoever
    reads them says what is wrong.

    Raises:
        UserError: a name that is not valid text.
    """
    files: list[str] = []
    folders: list[str] = []
    notices: list[str] = []
    pending, reached = [""], [root.resolve()]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = prefix + entry.name
                if is_system_file(entry.name):
                    continue
                if entry.is_symlink() and entry.is_dir():
                    target = Path(entry.path).resolve()
                    if any(target.is_relative_to(place) or place.is_relative_to(target) for place in reached):
                        notices.append(f"The link {str(root / name)!r} was not followed: its folder is read already.")
                        continue
                    reached.append(target)
                if entry.is_dir():
                    folders.append(name)
                    pending.append(name + "/")
                elif entry.is_file() or is_image_name(name):
                    files.append(name)
    for name in (*files, *folders):
        if not name.isprintable() and name != name.encode("utf-8", "replace").decode("utf-8", "replace"):
            raise UserError(f"The name {str(root / name)!r} is not valid text: rename it.")
    return sorted(files, key=natural_order), folders, sorted(notices)


def loose_images(root: Path) -> tuple[list[str], list[str]]:
    """The names of all images below `root`, at any depth, in natural order; and the notices of `list_files`."""
    names, _, notices = list_files(root)
    return [name for name in names if is_image_name(name)], notices
