"""The Hub client's own cache on disk, with what is known of it: which files were compared with their digests."""

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import WeakFileLock

from hfcls.download import RemoteFile, is_whole
from hfcls.files import cache_directory, write_json, write_text

DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")
# Beyond so many files a list costs more to keep than to ask for.
_LONGEST_LIST = 10_000


class HubCache:
    """What the cache holds of one repository.

    Its layout is the one that the Hub client documents: ``refs/REVISION`` names a commit, ``snapshots/COMMIT/PATH``
    links to ``blobs/DIGEST``. What was compared with its digest is written down elsewhere, by size and time of change:
    the cache can be read-only, and is shared with other programs.
    """

    def __init__(self, repo_id: str, repo_type: str):
        folder = repo_folder_name(repo_id=repo_id, repo_type=repo_type)
        self.root = Path(constants.HF_HUB_CACHE).expanduser() / folder
        self._lock = self.root.parent / ".locks" / folder / "hfcls.lock"
        self._record_file = cache_directory() / "hub" / f"{folder}.json"
        self._record: dict[str, dict[str, Any]] = {"checked": {}, "lists": {}, **_read(self._record_file)}
        self._changed = False

    def snapshot(self, commit: str) -> Path:
        """Where the files of a commit lie."""
        return self.root / "snapshots" / commit

    def place(self, remote: RemoteFile) -> Path:
        """Where the bytes of a file lie."""
        return self.root / "blobs" / remote.etag

    def commit_of(self, revision: str | None) -> str | None:
        """The commit that a revision was when it was last asked for; None where it never was."""
        revision = revision or constants.DEFAULT_REVISION
        if COMMIT.fullmatch(revision):
            return revision
        try:
            text = (self.root / "refs" / revision).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
        return text if COMMIT.fullmatch(text) else None

    def listed(self, commit: str) -> dict[str, RemoteFile] | None:
        """All files of a commit, where they were listed before."""
        kept = self._record["lists"].get(commit)
        return kept and {path: RemoteFile(path, size, etag) for path, (size, etag) in kept.items()}

    def found(self, commit: str) -> dict[str, RemoteFile]:
        """The files of a commit that the cache holds, whoever fetched them; their names there are their digests."""
        files = {}
        root = self.snapshot(commit)
        for file in sorted(root.rglob("*")) if root.is_dir() else ():
            blob = file.resolve()
            if blob.is_file():
                path = file.relative_to(root).as_posix()
                files[path] = RemoteFile(path, blob.stat().st_size, blob.name if DIGEST.fullmatch(blob.name) else "")
        return files

    def holds(self, commit: str, remote: RemoteFile) -> bool:
        """Whether a file is there; not whether it is whole."""
        return (self.snapshot(commit) / remote.path).is_file()

    def is_whole(self, commit: str, remote: RemoteFile) -> bool:
        """Whether a file that is there is what it should be; read only where it changed since that was last seen."""
        file = (self.snapshot(commit) / remote.path).resolve()
        if not remote.etag:
            return True  # without links its name is no digest, and no one can tell
        if self._record["checked"].get(str(file)) == [remote.etag, *_state(file)]:
            return True
        if not is_whole(file, remote):
            return False
        self._remember(file, remote)
        return True

    def has_blob(self, remote: RemoteFile) -> bool:
        """Whether the bytes of a file are there and whole, such as for another commit; damaged ones are thrown away."""
        place = self.place(remote)
        if place.is_file() and not is_whole(place, remote):
            place.unlink()
        return place.is_file()

    def remove(self, commit: str, remote: RemoteFile) -> None:
        """Throws a damaged file away; of a link out of the cache only the link."""
        snapshot = self.snapshot(commit)
        pointer = snapshot / remote.path
        folders = [folder for folder in pointer.parents if folder.is_relative_to(snapshot) and folder.is_symlink()]
        if folders:
            folders[-1].unlink()
            return
        target = pointer.resolve()
        if target.parent == (self.root / "blobs").resolve():
            target.unlink(missing_ok=True)
        pointer.unlink(missing_ok=True)

    def lock(self) -> Any:
        """Held while files are fetched, so that of several processes one fetches and the others find them there."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        return WeakFileLock(self._lock)

    def link(self, commit: str, remote: RemoteFile) -> None:
        """Gives a file that was fetched and compared its name in the snapshot."""
        pointer, place = self.snapshot(commit) / remote.path, self.place(remote)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(place, pointer.parent))
        except OSError:  # no links on this system, or none allowed
            shutil.copyfile(place, pointer)
        self._remember(pointer.resolve(), remote)

    def point(self, revision: str | None, commit: str) -> None:
        """Writes down which commit a revision is, where it is not known already."""
        self.snapshot(commit).mkdir(parents=True, exist_ok=True)
        if self.commit_of(revision) != commit:
            write_text(self.root / "refs" / (revision or constants.DEFAULT_REVISION), commit)

    def keep(self, commit: str, files: Iterable[RemoteFile]) -> None:
        """Writes down what was learned, where it can be written: it saves time, and no more than that."""
        lists, listed = self._record["lists"], {file.path: [file.size, file.etag] for file in files}
        if len(listed) <= _LONGEST_LIST and lists.get(commit) != listed:
            lists[commit], self._changed = listed, True
        if self._changed:
            try:
                write_json(self._record_file, self._record)
            except OSError:
                return
            self._changed = False

    def _remember(self, file: Path, remote: RemoteFile) -> None:
        self._record["checked"][str(file)] = [remote.etag, *_state(file)]
        self._changed = True


def _state(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """What was written down; nothing where it cannot be read, since all of it can be learned again."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    kept = content if isinstance(content, dict) else {}
    return {key: kept[key] for key in ("checked", "lists") if isinstance(kept.get(key), dict)}
