"""Checkpoints that are whole or not there: written aside, hashed, renamed; verified before they are used."""

import json
import os
import shutil
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

import torch
from transformers import PreTrainedModel

from hfcls.errors import UserError

MANIFEST = "manifest.json"
_PREFIX = "checkpoint-"
_NEEDED = {"trainer_state.json", "optimizer.pt", "scheduler.pt"}


def checkpoint_step(path: Path) -> int | None:
    """The step in a name such as ``checkpoint-120``, or None."""
    number = path.name.removeprefix(_PREFIX)
    return int(number) if path.name.startswith(_PREFIX) and number.isdecimal() else None


def list_checkpoints(run_dir: Path) -> list[Path]:
    """The checkpoints of a run, newest first."""
    found = [p for p in run_dir.glob(_PREFIX + "*") if p.is_dir() and checkpoint_step(p) is not None]
    return sorted(found, key=lambda path: checkpoint_step(path) or 0, reverse=True)


def publish_checkpoint(staged: Path, final: Path) -> None:
    """Writes the manifest into a finished directory and gives it its name, in one step.

    What stood there before (a damaged checkpoint that a resume fell back from) is replaced.
    """
    files = {p.relative_to(staged).as_posix(): _entry(p) for p in sorted(staged.rglob("*")) if p.is_file()}
    (staged / MANIFEST).write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")
    remove_checkpoint(final)
    os.replace(staged, final)


def remove_checkpoint(path: Path) -> None:
    """Deletes a checkpoint; renamed first, so that a kill in between leaves nothing that looks like one."""
    if path.exists():
        doomed = path.with_name(f".removed-{path.name}")
        shutil.rmtree(doomed, ignore_errors=True)
        os.replace(path, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def remove_checkpoints(run_dir: Path) -> None:
    """Deletes all checkpoints of a training that will not go on, and what a kill left of some."""
    for checkpoint in list_checkpoints(run_dir):
        remove_checkpoint(checkpoint)
    for left in [*run_dir.glob(".checkpoint-*"), *run_dir.glob(".removed-checkpoint-*")]:
        shutil.rmtree(left, ignore_errors=True)


def damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint in words, or None where every file is as it was written."""
    try:
        files = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{MANIFEST} cannot be read"
    for name in _NEEDED - files.keys():
        return f"it was saved without {name}, which an exact resume needs"
    for name, expected in files.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        size = path.stat().st_size
        if size != expected["size"]:
            return f"{name} has {size} bytes instead of {expected['size']}"
        if _hash(path) != expected["sha256"]:
            return f"{name} has changed since it was written"
    return None


def find_checkpoint(run_dir: Path, wanted: str) -> tuple[Path | None, list[str]]:
    """The checkpoint to go on from.

    Args:
        wanted: ``auto`` for the newest whole one, or a path.

    Returns:
        The checkpoint (None: there is none yet), and notices that name the damaged ones passed over.

    Raises:
        UserError: the one asked for is missing or damaged, or all are damaged.
    """
    if wanted != "auto":
        path = Path(wanted)
        if not path.is_dir():
            raise UserError(f"--resume_from_checkpoint {wanted} does not exist: give a checkpoint directory or `auto`.")
        wrong = damage(path)
        if wrong:
            raise UserError(f"The checkpoint {path} is damaged ({wrong}): give another one, or `auto` to find one.")
        return path, []
    candidates = list_checkpoints(run_dir)
    notices: list[str] = []
    for path in candidates:
        wrong = damage(path)
        if wrong is None:
            return path, notices
        notices.append(f"The checkpoint {path} is damaged ({wrong}): it is passed over.")
    if candidates:
        raise UserError(" ".join(notices) + " No whole one is left: start anew with --overwrite_output_dir.")
    return None, []


def rotate(run_dir: Path, *, limit: int | None, best: Path | None, always: Collection[Path] = ()) -> None:
    """Keeps the newest `limit` checkpoints; the newest and the best are always among them.

    Args:
        always: those that stay and do not count.
    """
    if not limit or limit < 0:
        return
    checkpoints = [path for path in list_checkpoints(run_dir) if path not in always]
    if not checkpoints:
        return
    kept = {checkpoints[0]} | ({best} if best in checkpoints else set())
    for path in checkpoints[1:]:
        if len(kept) < limit:
            kept.add(path)
    for path in checkpoints:
        if path not in kept:
            remove_checkpoint(path)


def load_exactly(model: PreTrainedModel, checkpoint: str | Path) -> None:
    """Puts every tensor of a checkpoint into the model, or raises.

    Trainer's own way goes by the keys in the file, which several families (ViT, DeiT, Swin, BEiT, DINOv2) save under
    other names than they have in memory; it then leaves most weights as they were and only warns.
    """
    saved = type(model).from_pretrained(checkpoint, dtype=torch.float32, use_safetensors=True)
    model.load_state_dict(saved.state_dict(), strict=True)


def _entry(path: Path) -> dict[str, object]:
    return {"size": path.stat().st_size, "sha256": _hash(path)}


def _hash(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
