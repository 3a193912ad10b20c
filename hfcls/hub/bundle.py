"""The files of a run that are published, made fit for it: no places, no secrets, no pickles, no photo's metadata."""

import ast
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
from safetensors import SafetensorError, safe_open

from hfcls.errors import UserError
from hfcls.hub.paths import Places, find_home, places_of
from hfcls.hub.photos import strip_metadata
from hfcls.hub.redaction import redact
from hfcls.hub.secrets import find_secret

# Files of a run directory that its repository has as well; checkpoints, optimizer states and the report stay behind.
_FILES = (
    *("config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors"),
    *("model.safetensors.index.json", "run.yaml", "data.json", "metrics.json", "trainer_state.json"),
    *("calibration.json", "ensemble.json"),
    *("train_results.json", "eval_results.json", "test_results.json", "all_results.json"),
)
_SHARDS = "model-*-of-*.safetensors"
# What a push has brought, with the digests of its files: a later push removes no others.
MANIFEST = ".hfcls.json"
PARTS = ("predictions", "exports")
_EXPORTS = (".onnx", ".onnx_data", ".onnx.data", ".tflite", ".xml", ".pte", ".json", ".yaml", ".txt", ".md")
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
    places = Places([*places_of(_settings(run_dir)), run_dir, run_dir.resolve()])
    files: dict[str, bytes | Path] = {name: strip_metadata(picture) for name, picture in card.pictures.items()}
    shortened = []
    for name, path in paths.items():
        try:
            files[name] = content = _published(name, path, places)
            if isinstance(content, bytes) and content != path.read_bytes():
                shortened.append(name)
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise UserError(f"{path} cannot be read ({reason}): nothing was sent.") from None
    files["README.md"] = card.text.encode()
    for name, content in files.items():
        if not isinstance(content, bytes) or name == "README.md" or name.endswith(".parquet"):
            continue
        if home := find_home(content.decode(errors="replace")):
            notices.append(f"{name} names a place of this machine, {home}, and goes as it is.")
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
    if not (run_dir / "metrics.json").is_file():
        raise UserError(f"{run_dir} holds no metrics.json, which says what was measured: nothing was sent.")
    for weights in sorted(run_dir.glob("model*.safetensors")):
        try:
            with safe_open(weights, framework="pt") as tensors:
                tensors.keys()
        except (SafetensorError, OSError) as error:
            raise UserError(f"{weights} is damaged ({error}): nobody could load it, and nothing was sent.") from None


def _choose(run_dir: Path, *, predictions: bool, exports: bool) -> tuple[dict[str, Path], list[str]]:
    """Files by their paths in the repository, and what is to be said of those left out."""
    found = [run_dir / name for name in _FILES if (run_dir / name).is_file()]
    found += [*run_dir.glob(_SHARDS), *_code(run_dir)]
    if predictions:
        found += run_dir.glob("predictions/*.parquet")
    odd = []
    if exports and (run_dir / "exports").is_dir():
        files = [path for path in (run_dir / "exports").rglob("*") if path.is_file() and not path.is_symlink()]
        found += [path for path in files if _is_export(path)]
        odd = sorted(path.relative_to(run_dir).as_posix() for path in files if not _is_export(path))
    named = {path.relative_to(run_dir).as_posix(): path for path in found}
    pickles = sorted(name for name, path in named.items() if name.endswith(_PICKLES) or _is_pickle(path))
    notices = [f"{name} is left out: it is, or may hold, a pickle, which could run anything." for name in pickles]
    notices += [f"{name} is left out: no format of an exported model, nor a text beside one." for name in odd]
    return {name: path for name, path in named.items() if name not in pickles}, notices


def _is_export(path: Path) -> bool:
    """A model in another format or a text; of OpenVINO's the weights beside their network."""
    return path.name.endswith(_EXPORTS) or (path.suffix == ".bin" and path.with_suffix(".xml").is_file())


def _code(run_dir: Path) -> list[Path]:
    """The files that loading the model runs, with those beside them that they import."""
    wanted: list[str] = []
    for name in ("config.json", "preprocessor_config.json", "processor_config.json"):
        if (run_dir / name).is_file():
            wanted += _mapped(run_dir / name)
    found: dict[str, Path] = {}
    while wanted:
        name = wanted.pop()
        path = run_dir / f"{name}.py"
        if name not in found and path.is_file():
            found[name] = path
            wanted += _siblings(path)
    return list(found.values())


def _mapped(config: Path) -> list[str]:
    """The modules of the run that a configuration names for its classes."""
    try:
        classes = (json.loads(config.read_text(encoding="utf-8")).get("auto_map") or {}).values()
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{config} cannot be read ({' '.join(str(error).split())}): nothing was sent.") from None
    names = [name for entry in classes for name in (entry if isinstance(entry, list) else [entry])]
    return [name.rpartition(".")[0] for name in names if isinstance(name, str) and "--" not in name]


def _siblings(path: Path) -> list[str]:
    """The modules beside a file that it imports."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): nothing was sent.") from None
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    return [
        name for node in imports for name in ([node.module] if node.module else [alias.name for alias in node.names])
    ]


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(2)
    if start == b"PK":  # as torch.save writes them
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith((".pkl", ".pickle")) for name in archive.namelist())
        except zipfile.BadZipFile:
            return False
    return start[:1] == b"\x80" and start[1:] in {b"\x02", b"\x03", b"\x04", b"\x05"}


def _settings(run_dir: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load((run_dir / "run.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{run_dir / 'run.yaml'} cannot be read ({' '.join(str(error).split())}).") from None
    return settings if isinstance(settings, dict) else {}


def _published(name: str, path: Path, places: Places) -> bytes | Path:
    """The content as it is published; the file itself where nothing changes and it may be large."""
    if name.endswith(".safetensors"):
        _check_told(path, places)
    if name.endswith(_BINARY):
        return path
    return redact(name, strip_metadata(path.read_bytes()), places)


def _check_told(weights: Path, places: Places) -> None:
    """Whether weights tell of a place of this machine, which nobody sees who does not look for it."""
    header = json.loads(_safetensors_header(weights))
    for key, value in (header.get("__metadata__") or {}).items():
        if find_home(value) or places.starts(value):
            raise UserError(
                f"{weights} holds a place of this machine in its metadata ({key}: {value}), and nothing was sent: save "
                "the weights again without it."
            )


def _searchable(name: str, content: bytes | Path) -> bytes:
    """What of a file could hold a secret: of weights the header, of tables what their compression hides."""
    if name.endswith(".safetensors"):
        return _safetensors_header(content)
    data = content if isinstance(content, bytes) else content.read_bytes()
    return data + _parquet_texts(data) if name.endswith(".parquet") else data


def _safetensors_header(content: bytes | Path) -> bytes:
    with BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        return stream.read(min(int.from_bytes(stream.read(_HEADER), "little"), _size(content)))


def _parquet_texts(data: bytes) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(BytesIO(data))
    columns = [f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    texts: Iterable[Any] = ([*table.column(name).to_pylist()] for name in columns)
    told = [value.decode(errors="replace") for value in (table.schema.metadata or {}).values()]
    return json.dumps([*texts, told], ensure_ascii=False).encode()
