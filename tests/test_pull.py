"""Models and data sets of a loopback Hub, pulled by real clients in processes of their own."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from hfcls.errors import UserError
from hfcls.models import build_classifier
from hfcls.pull import RepoId, commit_of, local_model, parse_repo_id
from tests.conftest import write_images
from tests.hubs import environment, hfcls, put, python, running_hub

TOKEN = "hf_alice"
CLASSES = ("blue", "green", "red")
LARGE = np.random.default_rng(0).bytes(3_000_000)

# Pulls what it is told to, one after the other; prints a line of JSON for each.
PULLS = """
import json, sys
from hfcls.errors import UserError
from hfcls.pull import pull
for words in sys.argv[1:]:
    name, _, options = words.partition(" ")
    try:
        print(json.dumps({"path": str(pull(name, **json.loads(options or "{}")))}))
    except UserError as error:
        print(json.dumps({"error": str(error)}))
"""


def pulls(*names: str, env: dict[str, str]) -> tuple[list[dict[str, str]], str]:
    """What came of each, and what was said meanwhile."""
    ended = python(PULLS, *names, env=env)
    assert ended.returncode == 0, ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr


def pull_one(name: str, env: dict[str, str]) -> tuple[dict[str, str], str]:
    (result,), said = pulls(name, env=env)
    return result, said


def tiny_model(root: Path, architecture: str = "resnet18", **options: Any) -> dict[str, bytes]:
    """The files of a classifier of 32 pixels."""
    classifier = build_classifier(architecture, class_names=CLASSES, image_size=32, **options)
    classifier.model.save_pretrained(root)
    classifier.image_processor.save_pretrained(root)
    return {file.name: file.read_bytes() for file in root.iterdir() if file.is_file()}


def requests(hub: Any, part: str = "") -> list[tuple[str, str | None]]:
    return [(entry["method"], entry["range"]) for entry in hub.log() if part in entry["path"]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_faults(request):
    yield
    if "hub" in request.fixturenames:
        request.getfixturevalue("hub").clear()


def test_what_names_a_repository(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_repo_id("user/name") == RepoId("user/name")
    assert parse_repo_id("user/name@v1.0") == RepoId("user/name", "v1.0")
    assert parse_repo_id("user/name@refs/pr/1") == RepoId("user/name", "refs/pr/1")
    for other in (
        "name",
        "/a/b",
        "./a",
        "../a",
        "a/b/c",
        "user/name@",
        "~/x",
        "user/na me",
        "a/..",
        "-a/b",
        "user/n@a..b",
    ):
        assert parse_repo_id(other) is None, other


def test_a_directory_goes_first(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("user/name").mkdir(parents=True)
    assert parse_repo_id("user/name") is None
    assert local_model("user/name") == Path("user/name")
    assert commit_of(Path("user/name")) is None
    with pytest.raises(UserError, match="has no revisions"):
        local_model("user/name@v1")
    with pytest.raises(UserError, match="--model_revision would have no effect"):
        local_model("user/name", revision="v1")
    Path("user/name@v1").mkdir()
    assert local_model("user/name@v1") == Path("user/name@v1")
    Path("file").touch()
    with pytest.raises(UserError, match="is a file"):
        local_model("file")
    with pytest.raises(UserError, match="nowhere does not exist"):
        local_model(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="in the Hub's cache, and HF_HUB_OFFLINE"):
        local_model("some/model")


def test_revisions_and_what_is_needed(hub, tmp_path: Path):
    files = {"config.json": b"{}", "model.safetensors": LARGE, "modeling.py": b"1", "run.yaml": b"a: 1"}
    other = {
        "README.md": b"# x",
        "predictions/test.parquet": b"p",
        "pytorch_model.bin": b"b",
        "x/model.safetensors": b"x",
    }
    first = put(hub, "alice/revisions", files | other)
    second = put(hub, "alice/revisions", {"config.json": b'{"a": 1}'})
    third = put(hub, "alice/revisions", {"config.json": b'{"a": 2}'}, ref="refs/pr/1")
    env = environment(hub, tmp_path)
    names = ["alice/revisions", f"alice/revisions@{first}", "alice/revisions@refs/pr/1", "alice/revisions@nope"]
    (main, old, pr, unknown), said = pulls(*names, env=env)
    assert said == ""
    assert {Path(found["path"]).name: Path(found["path"], "config.json").read_bytes() for found in (main, old, pr)} == {
        second: b'{"a": 1}',
        first: b"{}",
        third: b'{"a": 2}',
    }
    assert {file.name for file in Path(main["path"]).rglob("*")} == set(files)
    assert Path(main["path"], "model.safetensors").read_bytes() == LARGE
    assert "has no revision 'nope'" in unknown["error"]
    assert len(requests(hub, "_cdn")) == 1, "the same bytes were fetched once for three commits"

    # Found again: by name with one question, by commit without any, offline with none.
    hub.clear()
    pulls("alice/revisions", f"alice/revisions@{first}", env=env)
    assert requests(hub) == [("GET", None)]
    assert pull_one("alice/revisions", {**env, "HF_HUB_OFFLINE": "1"})[0] == main
    # What lies in the cache is what the Hub's own client puts there.
    read = """
from huggingface_hub import scan_cache_dir, snapshot_download
print(snapshot_download("alice/revisions", local_files_only=True))
assert not scan_cache_dir().warnings
"""
    assert python(read, env=env).stdout.strip() == main["path"]
    more = [f'alice/revisions@refs/pr/1 {{"revision": "{revision}"}}' for revision in (first, "main")]
    (fixed, torn), _ = pulls(*more, env=env)
    assert fixed == old and "contradict each other" in torn["error"]
    (named,), _ = pulls('alice/revisions {"what": ["predictions/*", "README.md"]}', env=env)
    assert Path(named["path"], "predictions/test.parquet").read_bytes() == b"p"
    assert "holds no file a.txt" in pull_one('alice/revisions {"what": ["a.txt"]}', env)[0]["error"]


def test_faults_that_pass(hub, tmp_path: Path):
    faults: dict[str, dict[str, Any]] = {
        "truncated": {"truncate": 2_000_000},
        "corrupted": {"corrupt": True},
        "busy": {"status": 429, "headers": {"Retry-After": "1"}},
        "ill": {"status": 503},
        "lost": {"lose": True},
        "slow": {"delay": 30},
    }
    digests = {}
    for name, fault in faults.items():
        content = name.encode() + LARGE
        put(hub, f"alice/{name}", {"config.json": b"{}", "model.safetensors": content})
        digests[name] = hub.app.store.put_blob(content)
        hub.fault(path=f"_cdn/{digests[name]}", **fault)
    env = environment(hub, tmp_path, HF_HUB_DOWNLOAD_TIMEOUT="1")
    results, said = pulls(*(f"alice/{name}" for name in faults), env=env)
    for name, found in zip(faults, results, strict=True):
        assert Path(found["path"], "model.safetensors").read_bytes() == name.encode() + LARGE, found
    assert requests(hub, digests["truncated"]) == [("GET", None), ("GET", "bytes=2000000-")]
    for words in ("cut the connection", "arrived damaged", "(too many requests)", "503", "did not answer in time"):
        assert words in said
    assert not [entry for entry in hub.log() if "_cdn" in entry["path"] and entry["auth"]], "the token went elsewhere"


def test_faults_that_stay(hub, tmp_path: Path):
    expected = {
        "gated": ({"status": 403, "error_code": "GatedRepo"}, "is gated: ask for access on http"),
        "forbidden": ({"status": 403}, "does not let you read it (403)"),
        "unknown": ({"status": 401, "message": "Invalid credentials in Authorization header"}, "your token"),
        "long": ({"status": 429, "headers": {"Retry-After": "4000"}}, "no more requests for 4,000 s"),
        "odd": ({"status": 413}, "answered 413"),
        "broken": ({"corrupt": True}, "arrived damaged 3 times"),
    }
    for name, (fault, _) in expected.items():
        content = name.encode() + LARGE
        put(hub, f"alice/{name}", {"config.json": b"{}", "model.safetensors": content})
        hub.fault(path=f"_cdn/{hub.app.store.put_blob(content)}|api/models/alice/{name}", times=-1, **fault)
        if name == "broken":
            hub.app.faults[-1]["path"] = hub.app.faults[-1]["path"].partition("|")[0]
    results, _ = pulls(*(f"alice/{name}" for name in expected), "alice/no-such", env=environment(hub, tmp_path))
    *results, missing = results
    for (name, (_, words)), found in zip(expected.items(), results, strict=True):
        assert words in found.get("error", ""), (name, found)
        assert "\n" not in found["error"]
    assert "no model has that name, or it is private" in missing["error"]
    assert not list(tmp_path.rglob("snapshots/*/model.safetensors"))
    assert not list(tmp_path.rglob("*.incomplete"))


def test_private_and_without_a_token(hub, tmp_path: Path):
    put(hub, "alice/private", {"config.json": b"{}", "model.safetensors": LARGE})
    repo = hub.app.store.load("model", "alice/private")
    hub.app.store.save({**repo, "private": True})
    env = environment(hub, tmp_path)
    assert "path" in pull_one("alice/private", env)[0]
    others = {**environment(hub, tmp_path / "b"), **hub.env("bob")}
    assert "use a token (HF_TOKEN) of an account that may" in pull_one("alice/private", others)[0]["error"]
    assert "log in with `hf auth login`" in pull_one("alice/private", {**others, "HF_TOKEN": ""})[0]["error"]


def test_an_interrupted_download_goes_on(hub, tmp_path: Path):
    content = b"goes on" + LARGE
    put(hub, "alice/goes-on", {"config.json": b"{}", "model.safetensors": content})
    place = f"_cdn/{hub.app.store.put_blob(content)}"
    env = environment(hub, tmp_path)
    hub.fault(path=place, truncate=1_500_000)
    hub.fault(path=place, drop=0, times=-1)
    stopped, _ = pull_one("alice/goes-on", env)
    assert "cut the connection" in stopped["error"] and "what has arrived is kept" in stopped["error"]
    hub.clear()
    found, _ = pull_one("alice/goes-on", env)
    assert requests(hub, place) == [("GET", "bytes=1500000-")]
    assert Path(found["path"], "model.safetensors").read_bytes() == content


def test_a_file_that_changed_in_the_cache(hub, tmp_path: Path):
    put(hub, "alice/changed", {"config.json": b"{}", "model.safetensors": LARGE})
    env = environment(hub, tmp_path)
    found, _ = pull_one("alice/changed", env)
    for name, intact in (("model.safetensors", LARGE), ("config.json", b"{}")):
        file = Path(found["path"], name)
        file.write_bytes(intact[:-1] + b"?")
        damaged, _ = pull_one("alice/changed", {**env, "HF_HUB_OFFLINE": "1"})
        assert f"{name} of alice/changed is damaged in the cache" in damaged["error"]
        again, said = pull_one("alice/changed", env)
        assert again == found and f"{name} of alice/changed is damaged in the cache: it is fetched again." in said
        assert file.read_bytes() == intact


def test_a_link_out_of_the_cache(hub, tmp_path: Path):
    """What someone linked into the cache is theirs; only the link goes."""
    put(hub, "alice/linked", {"config.json": b"{}", "model.safetensors": LARGE, "code/a.py": b"1", "code/b.py": b"2"})
    env = environment(hub, tmp_path)
    found, _ = pull_one("alice/linked", env)
    root, mine = Path(found["path"]), tmp_path / "mine"
    mine.mkdir()
    kept = {mine / "config.json": "{1}", mine / "a.py": "3", mine / "b.py": "2"}
    for file, text in kept.items():
        file.write_text(text)
    (root / "config.json").unlink()
    (root / "config.json").symlink_to(mine / "config.json")
    shutil.rmtree(root / "code")
    (root / "code").symlink_to(mine)
    again, said = pull_one("alice/linked", env)
    assert again == found and "config.json of alice/linked is damaged" in said
    assert {file: file.read_text() for file in kept} == kept
    files = {"config.json": "{}", "code/a.py": "1", "code/b.py": "2"}
    assert {path: (root / path).read_text() for path in files} == files


def test_a_file_that_is_a_folder_too(hub, tmp_path: Path):
    put(hub, "alice/both", {"config.json": b"{}", "model.safetensors": LARGE, "a.py": b"1", "a.py/b.py": b"2"})
    refused, _ = pull_one("alice/both", environment(hub, tmp_path))
    assert "a.py is both a file and a folder there" in refused["error"]


def test_without_a_network(tmp_path: Path):
    with running_hub(tmp_path / "hub") as hub:
        commit = put(hub, "alice/away", {"config.json": b"{}", "model.safetensors": LARGE})
        put(hub, "alice/part", {"config.json": b"{}", "model.safetensors": LARGE})
        env = environment(hub, tmp_path)
        assert (
            python('from huggingface_hub import *; hf_hub_download("alice/part", "config.json")', env=env).returncode
            == 0
        )
        pull_one("alice/away", env)
    (cached, part, absent), said = pulls("alice/away", "alice/part", "alice/other", env=env)
    assert Path(cached["path"]).name == commit
    assert f"is taken from the cache, as it was at commit {commit}" in said
    assert "The part of alice/part that is in the Hub's cache" in part["error"]
    assert "cannot be reached" in absent["error"] and "check the network" in absent["error"]


def test_a_full_disk(hub, tmp_path: Path):
    put(hub, "alice/full", {"config.json": b"{}", "model.safetensors": b"full" + LARGE})
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, -1))\n{PULLS}"
    env = environment(hub, tmp_path)
    ended = python(code, "alice/full", env=env)
    assert "make room, or let HF_HOME point to another disk" in json.loads(ended.stdout)["error"], ended.stderr
    assert "path" in pull_one("alice/full", env)[0]


def test_pickles_and_code(hub, tmp_path: Path):
    put(hub, "alice/pickle", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    put(hub, "alice/nothing", {"config.json": b"{}"})
    put(hub, "alice/data", {"README.md": b"{}"})
    names = ("alice/pickle", 'alice/pickle {"allow_pickle": true}', "alice/nothing", "alice/data")
    (pickle, allowed, nothing, data), _ = pulls(*names, env=environment(hub, tmp_path))
    assert "weights in a pickle, pytorch_model.bin" in pickle["error"] and "--allow_pickle" in pickle["error"]
    assert Path(allowed["path"], "pytorch_model.bin").read_bytes() == b"pickle"
    assert "holds no weights" in nothing["error"] and "holds no config.json" in data["error"]

    model = tiny_model(tmp_path / "model", "simple_cnn")
    config = {**json.loads(model["config.json"]), "model_type": "stranger"}
    commit = put(hub, "alice/stranger", {**model, "config.json": json.dumps(config).encode()})
    config["auto_map"] = {name: f"bob/code--{place}" for name, place in config["auto_map"].items()}
    put(hub, "alice/elsewhere", {**model, "config.json": json.dumps(config).encode()})
    load = """
import sys
from hfcls import UserError, load_classifier
for name, trust in (("alice/stranger", False), ("alice/elsewhere", True)):
    try: load_classifier(name, trust_remote_code=trust)
    except UserError as error: print(error)
"""
    refused, elsewhere = python(load, env=environment(hub, tmp_path)).stdout.splitlines()
    for words in ("--trust_remote_code would run", f"alice/stranger at commit {commit[:12]}", "read them first, in /"):
        assert words in refused
    assert "takes its Python code from another repository, bob/code" in elsewhere


@pytest.fixture(scope="module")
def trained(hub, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A folder of photos, and a run in it that began from a model of the Hub, went on and was evaluated."""
    root = tmp_path_factory.mktemp("commands")
    write_images(root / "photos", {"red": 10, "green": 10, "blue": 10})
    return root, environment(hub, root)


def _train(*words: str) -> list[str]:
    fixed = ["--train_dir", "photos", "--output_dir", "run", "--use_cpu", "--per_device_train_batch_size", "8"]
    return ["train", *fixed, *words]


def test_train_says_the_commit_and_resumes(hub, trained, tmp_path: Path):
    root, env = trained
    model = tiny_model(tmp_path / "model", "lenet5")
    commit = put(hub, "alice/base", model, ref="v1")
    put(hub, "alice/base", {**model, "config.json": b"{}"})
    first = _train("--num_train_epochs", "1", "--model_name_or_path", "alice/base@v1")
    codes, out, said = hfcls(first, env=env, cwd=root)
    assert codes == [0], said
    settings = yaml.safe_load((root / "run" / "run.yaml").read_text())
    assert settings["model_name_or_path"] == "alice/base@v1" and settings["model_revision"] == commit
    written = "".join(file.read_text() for suffix in ("json", "yaml") for file in (root / "run").rglob(f"*.{suffix}"))
    assert "snapshots" not in written and TOKEN not in written + out + said

    put(hub, "alice/base", {"config.json": b"{}"}, ref="v1")  # has moved on since
    hub.clear()
    longer = [*_train("--num_train_epochs", "2"), "--resume_from_checkpoint", "auto"]
    codes, _, said = hfcls([*longer, "--model_name_or_path", "alice/base@v1"], env=env, cwd=root)
    assert codes == [0], said
    assert hub.log() == [], "a commit that is here needs no one to be asked"
    assert yaml.safe_load((root / "run" / "run.yaml").read_text()) == {**settings, "num_train_epochs": 2.0}


def test_evaluate_and_predict_a_pushed_run(hub, trained):
    root, env = trained
    run = root / "run"
    kept = [*run.glob("*.json"), *run.glob("*.yaml"), *run.glob("*.py"), *run.glob("*.safetensors")]
    commit = put(hub, "alice/run", {file.name: file.read_bytes() for file in kept})
    put(hub, "alice/moved", {"run.yaml": (run / "run.yaml").read_bytes().replace(b"photos", b"gone")})
    put(hub, "alice/moved", {name: (run / name).read_bytes() for name in ("config.json", "model.safetensors")})
    hub.clear()
    codes, out, said = hfcls(
        ["evaluate", "alice/run", "--use_cpu"],
        ["predict", f"alice/run@{commit}", "photos/red/0.png", "--use_cpu"],
        ["evaluate", "alice/moved"],
        ["predict", "alice/no-such@v2", "x.png"],
        env=env,
        cwd=root,
    )
    assert codes == [0, 0, 2, 2], said
    content = json.loads((root / "runs/alice--run/evaluation/test/metrics.json").read_text())
    assert (content["model"], content["model_revision"]) == ("alice/run", commit)
    before = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert content["splits"]["test"]["confusion_matrix"] == before["confusion_matrix"]
    asked = [entry["path"] for entry in hub.log() if "/resolve/" in entry["path"] and "alice/run" in entry["path"]]
    assert asked and all(f"/resolve/{commit}/" in path for path in asked)
    assert "photos/red/0.png" in out
    assert "hfcls: The data that alice/moved was trained on is not here" in said
    assert "hfcls: alice/no-such is neither a path here nor to be had" in said and TOKEN not in said + out


def test_a_data_set(hub, tmp_path: Path):
    def parquet(level: int) -> bytes:
        from datasets import Dataset, Features, Value
        from datasets import Image as ImageFeature

        rows = []
        for number in range(8):
            stream = io.BytesIO()
            pixels = np.full((16, 16, 3), level + 10 * number, np.uint8)
            Image.fromarray(pixels).save(stream, "PNG")
            rows.append({"bytes": stream.getvalue(), "path": None})
        features = Features({"image": ImageFeature(), "label": Value("string")})
        data = Dataset.from_dict({"image": rows, "label": ["a", "b"] * 4}, features=features)
        out = io.BytesIO()
        data.to_parquet(out)
        return out.getvalue()

    first = put(hub, "alice/d", {"data/train.parquet": parquet(0), "notes.txt": b"n"}, repo_type="dataset")
    second = put(hub, "alice/d", {"data/train.parquet": parquet(100)}, repo_type="dataset")
    load = """
import sys
from hfcls import DataArguments, UserError, load_data
for name in sys.argv[1:]:
    try:
        loaded = load_data(DataArguments(dataset_name=name))
        pixels = {int(row["image"].getpixel((0, 0))[0]) // 100 for data in loaded.splits.values() for row in data}
        print(loaded.source, sorted(pixels))
    except UserError as error:
        print(error)
"""
    env = environment(hub, tmp_path)
    digest = hub.app.store.put_blob(parquet(100))
    hub.fault(path=f"_cdn/{digest}", corrupt=True)
    names = (f"alice/d@{first}", "alice/d", "alice/none", "alice/d@nope")
    ended = python(load, *names, env=env)
    old, new, missing, unknown = ended.stdout.splitlines()
    assert old == f"the Hub data set alice/d@{first} at commit {first[:12]} [0]"
    assert new == f"the Hub data set alice/d at commit {second[:12]} [1]"
    assert "arrived damaged" in ended.stderr
    assert "no data set has that name" in missing and "has no revision 'nope'" in unknown
    off = {**env, "HF_HUB_OFFLINE": "1"}
    assert python(load, "alice/d", env=off).stdout.splitlines() == [new]


def test_progress_is_for_people(hub, tmp_path: Path):
    put(hub, "alice/bar", {"config.json": b"{}", "model.safetensors": b"bar" + LARGE})
    termios = pytest.importorskip("termios", reason="needs a pseudo-terminal")
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    env = environment(hub, tmp_path)
    code = 'from hfcls.pull import pull; pull("alice/bar")'
    subprocess.run([sys.executable, "-c", code], env=env, stderr=follower, check=True, timeout=60)
    assert b"Fetching alice/bar" in os.read(leader, 100_000)
    os.close(follower)
    os.close(leader)
