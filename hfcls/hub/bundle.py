"""The files of a run that are published, made fit for it: no places, no secrets, no pickles, no photo's metadata."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import yaml

from hfcls.errors import UserError
from hfcls.hub.photos import strip_metadata
from hfcls.hub.redaction import Places
from hfcls.hub.secrets import find_secret

# Files of a run directory that its repository has as well; checkpoints, optimizer states and the report stay behind.
_FILES = (
    *("config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors"),
    *("model.safetensors.index.json", "run.yaml", "data.json", "metrics.json", "trainer_state.json"),
    *("train_results.json", "eval_results.json", "test_results.json", "all_results.json"),
)
_SHARDS = "model-*-of-*.safetensors"
# What a push has brought, with the digests of its files: a later push removes no others.
MANIFEST = ".hfcls.json"
PARTS = ("predictions", "exports")
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
# Never texts, and possibly large.
_BINARY = (".safetensors", ".onnx", ".bin", ".pte", ".tflite")
_HEADER = 8


class Card(Protocol):
    """What is needed of a card."""

    @property
    def text(self) -> str:
        """Of README.md."""

    @property
    def pictures(self) -> Mapping[str, bytes]:
        """By path in the repository."""


class Digests(NamedTuple):
    """What the Hub knows a file by: the one or the other, as it stores it."""

    git: str
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """Files to be published together.

    Attributes:
        files: path in the repository to content, or to the file that holds it.
        notices: what the user must know about them.
    """

    files: dict[str, bytes | Path]
    notices: tuple[str, ...] = field(default=())

    @cached_property
    def digests(self) -> dict[str, Digests]:
        """By path, the manifest's own among them."""
        return {**self._listed, MANIFEST: digests_of(self.sent[MANIFEST])}

    @cached_property
    def sent(self) -> dict[str, bytes | Path]:
        """All files, and the manifest by which the next push knows them."""
        listed = {path: digests._asdict() for path, digests in self._listed.items()}
        return {MANIFEST: json.dumps({"files": listed}, indent=1).encode() + b"\n", **self.files}

    @cached_property
    def _listed(self) -> dict[str, Digests]:
        return {path: digests_of(content) for path, content in self.files.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """In bytes, by path."""
        return {path: _size(content) for path, content in self.sent.items()}

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(self.sizes.values())


def build_bundle(
    run_dir: Path, *, card: Card, predictions: bool = True, exports: bool = True, token: str | None = None
) -> Bundle:
    """Collects what is published of a run.

    Args:
        run_dir: a finished run.
        card: its model card and pictures.
        predictions: with the logits of each measured image.
        exports: with the models in other formats, where there are.
        token: of the Hub, in use; a file that holds it is not published.

    Raises:
        UserError: the run is not finished, a file cannot be read, or one holds a secret.
    """
    _check_finished(run_dir)
    paths, notices = _choose(run_dir, predictions=predictions, exports=exports)
    places = Places(_settings(run_dir), run_dir, run_dir.resolve())
    files: dict[str, bytes | Path] = {name: strip_metadata(picture) for name, picture in card.pictures.items()}
    shortened = []
    for name, path in paths.items():
        try:
            files[name] = content = _published(name, path, places)
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): nothing was sent.") from None
        if isinstance(content, bytes) and content != path.read_bytes():
            shortened.append(name)
    files["README.md"] = _shorten_card(card.text, places).encode()
    if shortened:
        notices.append(f"Absolute paths keep their last part alone in {', '.join(shortened)}.")
    check_secrets(files, token=token)
    return Bundle(dict(sorted(files.items())), tuple(notices))


def check_secrets(files: Mapping[str, bytes | Path], *, token: str | None) -> None:
    """Whether the files may be published.

    Raises:
        UserError: one holds a secret, which the message does not repeat.
    """
    for name, content in files.items():
        kind = find_secret(_searchable(name, content), token=token)
        if kind is not None:
            raise UserError(
                f"{name} holds {kind}: nothing was sent. Take it out of what {name} was made from; if it has been seen "
                "elsewhere, revoke it."
            )


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def digests_of(content: bytes | Path) -> Digests:
    """As git and the store for large files count them."""
    found = hashlib.sha1(b"blob %d\0" % _size(content), usedforsecurity=False), hashlib.sha256()
    with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        while block := stream.read(1 << 20):
            for digest in found:
                digest.update(block)
    return Digests(*(digest.hexdigest() for digest in found))


def _check_finished(run_dir: Path) -> None:
    if not (run_dir / "run.yaml").is_file():
        raise UserError(f"{run_dir} holds no run.yaml: expected the directory of a run, such as runs/first.")
    if not (run_dir / "config.json").is_file() or not list(run_dir.glob("model*.safetensors")):
        raise UserError(
            f"{run_dir} holds no finished run: go on with `hfcls train --config {run_dir / 'run.yaml'} "
            "--resume_from_checkpoint auto`, then push it."
        )


def _choose(run_dir: Path, *, predictions: bool, exports: bool) -> tuple[dict[str, Path], list[str]]:
    """Files by their paths in the repository, and what is to be said of those left out."""
    found = [run_dir / name for name in _FILES if (run_dir / name).is_file()]
    found += [*run_dir.glob(_SHARDS), *run_dir.glob("*.py")]
    if predictions:
        found += run_dir.glob("predictions/*.parquet")
    if exports and (run_dir / "exports").is_dir():
        found += [path for path in (run_dir / "exports").rglob("*") if path.is_file() and not path.is_symlink()]
    named = {path.relative_to(run_dir).as_posix(): path for path in found}
    pickles = sorted(name for name, path in named.items() if name.endswith(_PICKLES) or _is_pickle(path))
    notices = [f"{name} is left out: it is, or may hold, a pickle, which could run anything." for name in pickles]
    return {name: path for name, path in named.items() if name not in pickles}, notices


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(2)
    if start == b"PK":  # as torch.save writes them
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
    return start[:1] == b"\x80" and start[1:] in {b"\x02", b"\x03", b"\x04", b"\x05"}


def _settings(run_dir: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load((run_dir / "run.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{run_dir / 'run.yaml'} cannot be read ({' '.join(str(error).split())}).") from None
    return settings if isinstance(settings, dict) else {}


def _published(name: str, path: Path, places: Places) -> bytes | Path:
    """The content as it is published; the file itself where nothing changes and it may be large."""
    if name.endswith(".parquet"):
        return places.shorten_parquet(path.read_bytes())
    if name.endswith(_BINARY):
        return path
    content = strip_metadata(path.read_bytes())
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return path if content == path.read_bytes() else content
    return places.shorten(text).encode()


def _shorten_card(text: str, places: Places) -> str:
    """The card without places; one of ours keeps a digest that is right."""
    short = places.shorten(text)
    if short == text:
        return text
    from hfcls.hub.card import is_ours, seal

    return seal(short[: short.rstrip("\n").rfind("\n") + 1]) if is_ours(text) else short


def _searchable(name: str, content: bytes | Path) -> bytes:
    """What of a file could hold a secret: of weights the header, of tables what their compression hides."""
    if name.endswith(".safetensors"):
        return _safetensors_header(content)
    data = content if isinstance(content, bytes) else content.read_bytes()
    return data + _parquet_texts(data) if name.endswith(".parquet") else data


def _safetensors_header(content: bytes | Path) -> bytes:
    if isinstance(content, bytes):
        return content[: _HEADER + int.from_bytes(content[:_HEADER], "little")]
    with content.open("rb") as stream:
        return stream.read(min(int.from_bytes(stream.read(_HEADER), "little"), content.stat().st_size))


def _parquet_texts(data: bytes) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(BytesIO(data))
    columns = [f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    texts: Iterable[Any] = ([*table.column(name).to_pylist()] for name in columns)
    told = [value.decode(errors="replace") for value in (table.schema.metadata or {}).values()]
    return json.dumps([*texts, told], ensure_ascii=False).encode()
