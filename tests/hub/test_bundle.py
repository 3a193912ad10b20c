"""What leaves the machine: no places, no secrets, no pickles, no photo's metadata."""

import base64
import io
import json
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hfcls.errors import UserError
from hfcls.hub.bundle import build_bundle
from hfcls.hub.photos import strip_metadata
from hfcls.hub.secrets import find_secret

GPS = 0x8825
SECRETS = {
    "a Hugging Face token": "hf_" + "aB3dE6gH9j" * 4,
    "a GitHub token": "ghp_" + "aB3dE6gH9j" * 4,
    "an AWS access key": "AKIA" + "ABCDEFGH12345678",
    "a Slack token": "xoxb-" + "1234567890-abc",
    "an API key (sk-...)": "sk-" + "proj-abcDEF0123456789xyzuvw",
    "an API key (sk-...) ": "sk-" + "ant-api03-abcDEF0123456789xyzuvw",
    "an API key (sk-...)  ": "sk-" + "aB3dE6gH" * 6,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a password in a URL": "https://someone:" + "pass123@example.org/x",
    "a password in a URL ": "postgresql+psycopg2://someone:" + "pass123@db/x",
    "a password in a URL  ": "redis://:" + "pass123@cache:6379/0",
    "an AWS secret key": "aws_secret_access_key = " + "aB3dE6gH9j" * 4,
}


@dataclass
class Card:
    text: str = "---\nlicense: mit\n---\n# A model\n"
    pictures: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with everything that a run may leave there, small."""
    root = tmp_path / "someone" / "runs" / "first"
    (root / "predictions").mkdir(parents=True)
    photos = tmp_path / "someone" / "My Photos" / "photos"
    settings = f"train_dir: {photos}\noutput_dir: {root}\nclass_weight: none\n"
    (root / "run.yaml").write_text(settings)
    (root / "config.json").write_text(
        '{"auto_map": {"AutoModel": "simple_cnn.X"}, "label_names": ["a/b", "../x", "<script>"]}'
    )
    (root / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (root / "simple_cnn.py").write_text("X = 1\n")
    (root / "data.json").write_text(json.dumps({"source": str(photos), "dropped": [{"id": "/media/card/a b/1.png"}]}))
    (root / "metrics.json").write_text('{"accuracy": 0.5}')
    (root / "calibration.json").write_text('{"n": 100, "images": "0123456789ab"}')
    state = {"best_model_checkpoint": f"{root}/checkpoint-7", "of": "images/second"}
    (root / "trainer_state.json").write_text(json.dumps(state))
    table = pa.table(
        {"id": [f"{photos}/cats/1.png", "/mnt/one/2.png", "/mnt/two/2.png", "dogs/3.png"], "label": [0] * 4}
    )
    pq.write_table(table.replace_schema_metadata({"class_names": '["a"]'}), root / "predictions" / "test.parquet")
    (root / "checkpoint-7").mkdir()
    (root / "checkpoint-7" / "optimizer.pt").write_bytes(b"x")
    (root / "training_args.bin").write_bytes(pickle.dumps({}))
    (root / "exports").mkdir()
    (root / "exports" / "model.onnx").write_bytes(b"onnx")
    (root / "exports" / "model.bin").write_bytes(pickle.dumps([1]))
    return root


def test_only_what_belongs_there(run: Path):
    bundle = build_bundle(run, card=Card())
    assert set(bundle.files) == {
        *("README.md", "run.yaml", "config.json", "model.safetensors", "simple_cnn.py", "data.json", "metrics.json"),
        "calibration.json",
        *("trainer_state.json", "predictions/test.parquet", "exports/model.onnx"),
    }
    assert any("exports/model.bin is left out" in notice for notice in bundle.notices)
    without = build_bundle(run, card=Card(), predictions=False, exports=False)
    assert set(bundle.files) - set(without.files) == {"predictions/test.parquet", "exports/model.onnx"}
    assert bundle.size == sum(bundle.sizes.values()) and set(bundle.sizes) == {".hfcls.json", *bundle.files}


def test_places_are_shortened(run: Path):
    files = build_bundle(run, card=Card()).files
    table = pq.read_table(io.BytesIO(files["predictions/test.parquet"]))
    everything = b"".join(f for f in files.values() if isinstance(f, bytes)) + str(table.to_pydict()).encode()
    assert b"someone" not in everything and b"/mnt" not in everything and b"/media" not in everything
    assert b"train_dir: photos\n" in files["run.yaml"] and b"output_dir: first\n" in files["run.yaml"]
    assert json.loads(files["data.json"]) == {"source": "photos", "dropped": [{"id": "1.png"}]}
    assert json.loads(files["trainer_state.json"]) == {
        "best_model_checkpoint": "first/checkpoint-7",
        "of": "images/second",
    }
    assert files["config.json"] == (run / "config.json").read_bytes()
    assert files["README.md"] == Card().text.encode()
    assert json.loads(files["calibration.json"]) == {"n": 100}  # which images they were is for this machine alone
    assert table.column("id").to_pylist() == ["photos/cats/1.png", "one/2.png", "two/2.png", "dogs/3.png"]
    assert table.schema.metadata[b"class_names"] == b'["a"]'


def test_names_are_no_places(run: Path):
    """Of classes, of photos that lie below no place, and in addresses."""
    classes = ["/m/01g317", "/t/01g317", "/data/x", "C:\\x\\y"]
    config = json.dumps({"label2id": {name: i for i, name in enumerate(classes)}})
    (run / "config.json").write_text(config)
    (run / "metrics.json").write_text(json.dumps({"per_class": {"/m/01g317": 1, "/t/01g317": 0}}))
    (run / "run.yaml").write_text("# Again\ntrain_dir: /data\ngroup_pattern: /a/(.*)/b\n")
    data = {"source": "/data", "class_names": classes, "notices": ["'/data/a b/1.png' and https://x.org/data/set"]}
    (run / "data.json").write_text(json.dumps(data))
    ids = ["/data/cats/1.png", "cats/data/1.png", "https://x.org/data/set/1.png", "my/data/2.png", None]
    table = pa.table({"id": ids}).replace_schema_metadata({"class_names": json.dumps(classes)})
    pq.write_table(table, run / "predictions" / "test.parquet")
    files = build_bundle(run, card=Card()).files
    assert files["config.json"] == config.encode()
    (run / "config.json").write_text('{"file": "/home/somebody/w.bin"}')
    assert any("config.json names a place of this machine, /home/somebody/w.bin" in n for n in notices_of(run))
    assert files["metrics.json"] == (run / "metrics.json").read_bytes()
    assert files["run.yaml"] == b"# Again\ntrain_dir: data\ngroup_pattern: /a/(.*)/b\n"
    notices = ["'data/a b/1.png' and https://x.org/data/set"]
    assert json.loads(files["data.json"]) == {"source": "data", "class_names": classes, "notices": notices}
    published = pq.read_table(io.BytesIO(files["predictions/test.parquet"]))
    assert published.column("id").to_pylist() == ["data/cats/1.png", *ids[1:]]
    assert published.schema.metadata == table.schema.metadata


def notices_of(run: Path) -> tuple[str, ...]:
    return build_bundle(run, card=Card()).notices


def test_code_that_loading_runs(run: Path):
    config = {"auto_map": {"AutoModel": "simple_cnn.Net", "AutoConfig": ["a--b.C", None], "Else": "user/x--other.C"}}
    (run / "config.json").write_text(json.dumps(config))
    (run / "preprocessor_config.json").write_text('{"auto_map": {"AutoImageProcessor": "prepare.Prepare"}}')
    (run / "simple_cnn.py").write_text("from .base import X\nfrom . import parts\nimport train_at_home\n")
    (run / "parts.py").write_text("from .simple_cnn import Y\n")
    for name in ("base", "prepare", "other", "train_at_home"):
        (run / f"{name}.py").write_text("")
    files = build_bundle(run, card=Card()).files
    assert {name for name in files if name.endswith(".py")} == {"simple_cnn.py", "base.py", "parts.py", "prepare.py"}
    (run / "base.py").write_text("def:")
    with pytest.raises(UserError, match=r"base\.py cannot be read"):
        build_bundle(run, card=Card())


def test_exports(run: Path):
    kept = ("net.xml", "net.bin", "model.pte", "model.tflite", "a.onnx.data", "labels.txt", "deep/README.md")
    for name in (*kept, "photo.jpg", "notes.docx", ".env", "lonely.bin", "script.py"):
        (run / "exports" / name).parent.mkdir(exist_ok=True)
        (run / "exports" / name).write_bytes(b"PK, said the text")
    bundle = build_bundle(run, card=Card())
    assert {name for name in bundle.files if name.startswith("exports/")} == {
        f"exports/{name}" for name in (*kept, "model.onnx")
    }
    (run / "exports" / "labels.txt").write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(UserError, match=r"labels\.txt cannot be read \(no JPEG picture as it should be: it is damaged"):
        build_bundle(run, card=Card())
    for name in ("photo.jpg", "notes.docx", ".env", "lonely.bin", "script.py"):
        assert any(f"exports/{name} is left out" in notice for notice in bundle.notices)


def test_places_in_weights(run: Path):
    def write(**told: str) -> None:
        header = json.dumps({"__metadata__": {"format": "pt", **told}}).encode()
        (run / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)

    write(notes="see /tmp/x")
    build_bundle(run, card=Card())
    for place in (str(run), "/home/somebody/photos"):
        write(made_from=place)
        with pytest.raises(UserError, match=r"model\.safetensors holds a place of this machine .*made_from"):
            build_bundle(run, card=Card())


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_stop_the_push(run: Path, kind: str):
    (run / "metrics.json").write_text(json.dumps({"note": SECRETS[kind]}))
    with pytest.raises(UserError, match=r"metrics\.json holds") as caught:
        build_bundle(run, card=Card())
    assert kind.strip() in str(caught.value) and SECRETS[kind] not in str(caught.value)


def test_hidden_secrets(run: Path):
    token = "hf_short1"
    header = json.dumps({"__metadata__": {"by": token}}).encode()
    (run / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UserError, match=r"model\.safetensors holds the Hub token in use"):
        build_bundle(run, card=Card(), token=token)
    (run / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    ids = pa.table({"id": [SECRETS["a GitHub token"]] * 500, "label": [0] * 500})
    pq.write_table(ids, run / "predictions" / "test.parquet", compression="zstd")
    with pytest.raises(UserError, match=r"predictions/test\.parquet holds a GitHub token"):
        build_bundle(run, card=Card())
    honest = (
        *("photos/sk-bratislava-old-town-001.jpg", "sk-landscapes_2024_summer_001", "xoxo-valentines-cards"),
        *("screenshot://icon:home@2x", "https://someone:$TOKEN@hf.co/x", "sk-ant-colonies-of-the-old-forest-01"),
        *("https://x.org/a:b and me@example.org"),
    )
    assert [name for name in honest if find_secret(name.encode())] == []
    assert find_secret(b"sk-learn, hf_hub, AKIA, task-specific-things-of-twenty, mask-rcnn-with-a-long-name") is None


def test_an_unfinished_run(run: Path):
    (run / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no finished run"):
        build_bundle(run, card=Card())


def test_a_run_that_nobody_could_use(run: Path):
    whole = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        build_bundle(run, card=Card())
    (run / "model.safetensors").write_bytes(whole)
    (run / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"no metrics\.json"):
        build_bundle(run, card=Card())


def photo(kind: str, *, orientation: int = 1) -> tuple[bytes, Image.Image]:
    image = Image.radial_gradient("L").resize((40, 24)).convert("RGB")
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "A camera", orientation
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (52.0, 30.0, 0.0)
    stream = io.BytesIO()
    settings = {"lossless": True} if kind == "WEBP" else {"comment": b"Made at home"} if kind == "JPEG" else {}
    image.save(stream, kind, exif=exif, xmp=b"<x:xmpmeta>home</x:xmpmeta>", **settings)
    content = stream.getvalue() + (b"\0trailer at home" if kind == "JPEG" else b"")
    return content, Image.open(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_photos_lose_what_cameras_say(kind: str):
    content, before = photo(kind)
    assert before.getexif().get_ifd(GPS)
    stripped = strip_metadata(content)
    after = Image.open(io.BytesIO(stripped))
    assert not after.getexif() and b"home" not in stripped and b"camera" not in stripped and b"Exif" not in stripped
    assert after.format == kind and after.tobytes() == before.tobytes()
    assert strip_metadata(stripped) == stripped


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_turned_photos_stay_upright(kind: str):
    content, before = photo(kind, orientation=6)
    after = Image.open(io.BytesIO(strip_metadata(content)))
    upright = before.transpose(Image.Transpose.ROTATE_270)
    difference = max(abs(a - b) for a, b in zip(after.tobytes(), upright.tobytes(), strict=True))
    assert not after.getexif() and after.size == (24, 40)
    assert difference <= (8 if kind == "JPEG" else 0)


def test_embedded_photos():
    content, _ = photo("JPEG")
    svg = b'<svg><image href="data:image/jpeg;base64,' + base64.b64encode(content) + b'"/></svg>'
    stripped = strip_metadata(svg)
    assert len(stripped) < len(svg) and stripped.endswith(b'"/></svg>')
    assert base64.b64decode(stripped.split(b"base64,")[1][:-9]) == strip_metadata(content)


def test_damaged_photos_keep_their_pixels_alone():
    content, before = photo("PNG")
    stripped = strip_metadata(content[:-6])
    assert Image.open(io.BytesIO(stripped)).tobytes() == before.tobytes() and b"camera" not in stripped
    for broken in (photo("JPEG")[0][:300], b"\xff\xd8\xff nothing"):
        with pytest.raises(ValueError, match=r"no JPEG picture as it should be: .*(runcated|damaged)"):
            strip_metadata(broken)
