"""Each named endpoint from another process: what it gives, and what it refuses."""

import base64
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.serving.conftest import ODD_NAMES
from tests.serving.page import Page
from tests.serving.test_page import client, picture, refusal  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore")


def sent(file: Path):
    from gradio_client import handle_file

    return handle_file(str(file))


def opened(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_each_has_a_name_and_says_what_it_takes(client):  # noqa: F811
    told = client.view_api(return_format="dict")["named_endpoints"]
    assert set(told) == {
        *("/models", "/about", "/predict", "/compare", "/predict_many", "/explainers", "/explain", "/perturb")
    }
    for name, endpoint in told.items():
        assert endpoint["description"].endswith("."), name
        assert all(one["type"] for one in endpoint["parameters"]), name


def test_models(client):  # noqa: F811
    assert [one["title"] for one in client.predict(api_name="/models")] == [
        *("Colours", "Odd <i>names", "Not there", "runs/mine")
    ]
    about = client.predict("Odd <i>names", api_name="/about")
    assert about["class_names"] == list(ODD_NAMES) and about["Network"] == "lenet5"
    assert refusal(client, "Not there", endpoint="/about").startswith("The model Not there does not exist")


def test_explain(client, picture: Path):  # noqa: F811
    methods = client.predict(api_name="/explainers")
    assert methods[0] == {"method": "grad-cam", "title": "Grad-CAM", "slow": False}
    said = client.predict(sent(picture), "Colours", "grad-cam", "blue", api_name="/explain")
    assert said["label"] == "blue" and said["complete"] and said["passes"] >= 1
    heat, over = opened(said["heatmap"]), opened(said["overlay"])
    assert heat.shape == (40, 60) and heat.max() > 200 and over.shape == (40, 60, 3)
    unlit = client.predict(sent(picture), "Colours", "grad-cam", "blue", 60.0, 0.0, api_name="/explain")
    np.testing.assert_array_equal(opened(unlit["overlay"]), np.asarray(Image.open(picture)))
    for inputs, part in [
        (("tarot", ""), "Unknown explainer 'tarot'"),
        (("grad-cam", "violet"), "The class is 'violet', which the model does not know"),
        (("grad-cam", "", 0), "seconds"),
        (("grad-cam", "", 1e9), "seconds"),
        (("grad-cam", "", 60, 2), "opacity"),
    ]:
        assert part in refusal(client, sent(picture), "Colours", *inputs, endpoint="/explain")


def test_compare(client, picture: Path):  # noqa: F811
    said = client.predict(sent(picture), "Colours", "runs/mine", 2, api_name="/compare")
    assert said["agreement"] == "apart" and [one["model"] for one in said["answers"]] == ["Colours", "runs/mine"]
    assert [len(one["predictions"]) for one in said["answers"]] == [2, 2]
    assert client.predict(sent(picture), "Colours", "Colours", api_name="/compare")["agreement"] == "agree"


def test_perturb(client, picture: Path):  # noqa: F811
    said = client.predict(sent(picture), rotation=180, curve="rotation", api_name="/perturb")
    np.testing.assert_array_equal(opened(said["picture"]), np.asarray(Image.open(picture))[::-1, ::-1])
    top = said["original"]["predictions"][0]
    assert said["curve"][4] == {"strength": 0.0, "score": top["score"]}
    ends = {one["label"]: one["score"] for one in said["perturbed"]["predictions"]}
    assert said["curve"][0]["score"] == said["curve"][-1]["score"] == ends[top["label"]]
    assert "blur is" in refusal(client, sent(picture), "Colours", 0, 99, endpoint="/perturb")
    assert "Unknown dial" in refusal(
        client, sent(picture), "Colours", 0, 0, 0, 0, 0, 0.5, 0.5, 0, "tilt", endpoint="/perturb"
    )


def test_many_with_good_and_bad_ones(client, picture: Path, tmp_path: Path):  # noqa: F811
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number in range(20):
            archive.writestr(f"deep/{number}.png", picture.read_bytes())
        archive.writestr("=cmd.png", picture.read_bytes()[:300])
        archive.writestr("notes.txt", "hello")
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr("../../evil.png", picture.read_bytes())
    (tmp_path / "empty.png").touch()
    files = [picture, tmp_path / "all.zip", tmp_path / "slip.zip", tmp_path / "empty.png"]
    rows = client.predict([sent(file) for file in files], api_name="/predict_many")
    assert sum(row["error"] is None for row in rows) == 21
    bad = {row["file"]: row["error"] for row in rows if row["error"]}
    assert set(bad) == {"=cmd.png", "notes.txt", "slip.zip", "empty.png"}
    assert bad["=cmd.png"] == "is cut short" and "climbs out" in bad["slip.zip"]
    assert str(tmp_path) not in json.dumps(bad) and "/gradio" not in json.dumps(bad)
    assert "No pictures" in refusal(client, [], endpoint="/predict_many")


def test_no_more_than_so_many(client, picture: Path, tmp_path: Path):  # noqa: F811
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for number in range(205):
            archive.writestr(f"{number}.png", picture.read_bytes())
    rows = client.predict([sent(tmp_path / "all.zip")], api_name="/predict_many")
    assert len(rows) == 201 and "more than 200" in rows[-1]["error"]


def test_archives_of_the_corpus(client, page: Page, shared: Path, tmp_path: Path):  # noqa: F811
    archive = shared / "tools" / "badcorpus" / "dev.tar.gz"
    if not archive.is_file():
        pytest.skip("needs the corpus of bad inputs, which is not here")
    with tarfile.open(archive) as opened_archive:
        opened_archive.extractall(tmp_path, filter="fully_trusted")  # it holds links on purpose
    cases = [c for c in json.loads((tmp_path / "dev" / "manifest.json").read_text()) if c["kind"] == "archive"]
    assert len(cases) > 5
    for case in cases:
        rows = client.predict([sent(tmp_path / "dev" / case["path"])], api_name="/predict_many")
        assert rows and len(rows) <= 201
        if case["expect"] == "reject":
            assert rows[-1]["error"], case
        assert str(tmp_path) not in json.dumps(rows)
    assert page.process.poll() is None
