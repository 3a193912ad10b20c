"""Flagged pictures reach a data set on the Hub, whole and alone."""

import io
import json

import pytest
from PIL import Image

from tests.hubs import environment, python, running_hub

CODE = """
import sys
from pathlib import Path
from PIL import Image
from hfcls.hub.flagged import pushed_folder
from hfcls.serving.flags import FlagFolder

folder = FlagFolder(Path(sys.argv[1]))
with pushed_folder(folder.folder, sys.argv[2], say=print):
    (folder.folder / ".half.png.1").write_bytes(b"not whole")
    folder.add(Image.new("RGB", (8, 6), "red"), "cat", predicted="dog", score=0.5, model="m")
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with running_hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


def test_pictures_are_pushed_at_the_end(hub, tmp_path):
    ended = python(CODE, str(tmp_path / "wrong"), "alice/wrong", env=environment(hub, tmp_path))
    assert ended.returncode == 0, ended.stderr
    store = hub.app.store
    repo = store.load("dataset", "alice/wrong")
    assert repo["private"]
    files = store.commit(repo["refs"]["refs/heads/main"])["files"]
    (stored,) = (path for path in files if path.endswith(".png"))
    assert not [path for path in files if "half" in path] and "metadata.jsonl" in files
    assert (
        stored.startswith("cat/")
        and stored == json.loads((tmp_path / "wrong" / "metadata.jsonl").read_text())["file_name"]
    )
    assert Image.open(io.BytesIO((tmp_path / "wrong" / stored).read_bytes())).size == (8, 6)


def test_a_data_set_of_someone_else_is_refused_in_a_sentence(hub, tmp_path):
    ended = python(CODE, str(tmp_path / "wrong"), "bob/wrong", env=environment(hub, tmp_path))
    assert ended.returncode == 1 and "UserError: " in ended.stderr.splitlines()[-1], ended.stderr
