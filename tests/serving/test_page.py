"""The page's named endpoint from another process, and what its server refuses."""

import io
import json
import socket
import tarfile
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hfcls.serving.predictor import Predictor
from tests.serving.page import Page

pytestmark = pytest.mark.filterwarnings("ignore")
META = {"_type": "gradio.FileData"}


@pytest.fixture(scope="module")
def client(page: Page, tmp_path_factory):
    gradio_client = pytest.importorskip("gradio_client", reason="comes with Gradio")
    return gradio_client.Client(page.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def ask(client, file: Path, *rest: Any) -> dict[str, Any]:
    from gradio_client import handle_file

    return client.predict(handle_file(str(file)), *rest, api_name="/predict")


def refusal(client, *inputs: Any, endpoint: str = "/predict") -> str:
    """The one sentence that comes back instead of an answer."""
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as caught:
        client.predict(*inputs, api_name=endpoint)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence, sentence
    return sentence


def test_answers(client, picture: Path, page: Page):
    said = ask(client, picture)
    expected = Predictor(page.log.parent / "space" / "tiny", device="cpu").predict(picture.read_bytes()).top(5)
    assert said["model"] == "Colours" and [one["label"] for one in said["predictions"]] == [n for n, _ in expected]
    np.testing.assert_allclose([one["score"] for one in said["predictions"]], [p for _, p in expected], rtol=1e-6)
    assert [one["label"] for one in ask(client, picture, "runs/mine", 1)["predictions"]] in (["cat"], ["dog"])


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "1", "P"])
def test_kinds_of_pictures(mode: str, client, tmp_path: Path):
    grey = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "x.png")
    assert len(ask(client, tmp_path / "x.png")["predictions"]) == 3


def test_refusals(client, tmp_path: Path, picture: Path):
    from gradio_client import handle_file

    huge = io.BytesIO()
    Image.new("1", (9000, 9000)).save(huge, "PNG")
    cases = {
        "broken": (picture.read_bytes()[:700], "The file is cut short."),
        "huge": (huge.getvalue(), "The file claims 9000 x 9000 pixels, more than the limit of 64000000."),
        "text": (b"<html>", "The file is a web page (HTML), not an image."),
        "empty": (b"", "The file is an empty file."),
    }
    for name, (content, sentence) in cases.items():
        (tmp_path / name).write_bytes(content)
        assert refusal(client, handle_file(str(tmp_path / name))).startswith(sentence)
    sent = handle_file(str(picture))
    assert "choose one of 'Colours'" in refusal(client, sent, "../tiny")
    gone = refusal(client, sent, "Not there")
    assert gone.startswith("The model Not there does not exist") and str(tmp_path.parent) not in gone
    for top_k in (0, 1.5, "x", True):
        assert "top_k" in refusal(client, sent, "Colours", top_k)
    assert refusal(client, None).startswith("No picture")


def test_the_whole_corpus(client, shared: Path, tmp_path: Path):
    archive = shared / "tools" / "badcorpus" / "dev.tar.gz"
    if not archive.is_file():
        pytest.skip("needs the corpus of bad inputs, which is not here")
    from gradio_client.exceptions import AppError

    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="fully_trusted")  # it holds links on purpose
    cases = [c for c in json.loads((tmp_path / "dev" / "manifest.json").read_text()) if c["kind"] == "image"]
    assert len(cases) > 50
    for case in cases:
        try:
            said = ask(client, tmp_path / "dev" / case["path"])["predictions"]
        except AppError as error:
            assert str(error).startswith("The file ") and str(error).endswith("."), (case, error)
            assert case["expect"] in {"reject", "accept-or-reject"}, (case, error)
        else:
            assert len(said) == 3 and case["expect"] != "reject", case


# What each endpoint takes, with None for a picture and [] for several.
FAR = {
    "compare": [None, "Colours", "runs/mine", 5],
    "predict_many": [[], "Colours", 5],
    "explain": [None, "Colours", "grad-cam", "", 60.0, 0.5],
    "perturb": [None, "Colours", 0, 0, 0, 0, 0, 0.5, 0.5, 0, "", 5],
}


def in_base64(file: Path) -> str:
    return "data:image/png;base64," + b64encode(file.read_bytes()).decode()


def post(url: str, content: dict[str, Any], endpoint: str = "predict") -> str:
    """What the server says in the end: the events of a call, or the reply to it."""
    request = urllib.request.Request(
        f"{url}/gradio_api/call/{endpoint}", json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            event = json.load(reply)["event_id"]
        with urllib.request.urlopen(f"{url}/gradio_api/call/{endpoint}/{event}", timeout=60) as reply:
            return reply.read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


def test_no_address_is_fetched(page: Page):
    visits = []
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.2)
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                try:
                    visits.append(trap.accept()[0].close())
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        address = f"http://127.0.0.1:{trap.getsockname()[1]}/x.png"
        for place in (0, 1, 2):  # whatever input it is sent to
            data: list[Any] = [None, "Colours", 5]
            data[place] = {"path": address, "url": address, "meta": META}
            assert "no address is fetched" in post(page.url, {"data": data})
        far = {"path": address, "url": address, "meta": META}
        for endpoint, data in FAR.items():
            sent = [far if one is None else [far, far] if one == [] else one for one in data]
            assert "no address is fetched" in post(page.url, {"data": sent}, endpoint)
        nested = {"path": "", "meta": META, "more": [{"path": address, "meta": META}]}
        assert "no address is fetched" in post(page.url, {"data": [nested, "Colours", 5]})
        assert "No picture" in post(page.url, {"data": [{"url": address, "meta": META}, "Colours", 5]})
        for form in (f"file={address}", f"file/{address}", f"file=HTTP://{address[7:]}", f"proxy={address}"):
            for encoded in (form, form.replace("/", "%2F").replace(":", "%3A")):
                assert get(page.url, f"gradio_api/{encoded}")[0] in {403, 404}
        stop.set()
        listener.join()
    assert not visits


def get(url: str, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"{url}/{path}", timeout=60) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_no_file_of_the_server_is_read(page: Page, picture: Path):
    space = page.log.parent / "space"
    for path in ("/etc/passwd", "../../../../etc/passwd", str(picture), str(space / "menu.yaml"), "app.py", "."):
        for given in ({"path": path, "meta": META}, {"path": path}):
            said = post(page.url, {"data": [given, "Colours", 5]})
            assert "predictions" not in said and "root:" not in said, said
            for endpoint, data in FAR.items():
                sent = [given if one is None else [given] if one == [] else one for one in data]
                said = post(page.url, {"data": sent}, endpoint)
                assert '"predictions"' not in said and "root:" not in said and "overlay" not in said, said
        assert "root:" not in (found := get(page.url, f"gradio_api/file={path}"))[1].decode(), found
        assert found[0] in {403, 404}
    assert get(page.url, "monitoring")[0] == 403
    assert get(page.url, "gradio_api/monitoring")[0] in {403, 404}


def test_large_requests(page: Page):
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="x.png"\r\n\r\n'
    for size in (101, 129):
        body = form + bytes(size << 20) + b"\r\n--x--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        request = urllib.request.Request(f"{page.url}/gradio_api/upload", body, headers)
        try:
            code = urllib.request.urlopen(request, timeout=60).status
        except urllib.error.HTTPError as error:
            code = error.code
        except (urllib.error.URLError, ConnectionError):
            code = 413  # it hung up while we were still talking
        assert code == 413
    body = json.dumps({"data": [{"url": "data:image/png;base64," + "A" * (31 << 20), "meta": META}]}).encode()
    request = urllib.request.Request(f"{page.url}/gradio_api/call/predict", body, {"Content-Type": "application/json"})
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(request, timeout=60)


def test_base64(page: Page, picture: Path):
    assert "predictions" in post(page.url, {"data": [{"url": in_base64(picture), "meta": META}, "Colours", 5]})
    assert "base64" in post(page.url, {"data": [{"url": "data:image/png;base64,?"}, "Colours", 5]})


def test_many_at_once(page: Page, picture: Path):
    question = {"data": [{"url": in_base64(picture), "meta": META}, "Colours", 5]}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(page.url, question), range(24)))
    assert "predictions" in answers[0] and all(answer == answers[0] for answer in answers)


def test_no_visit_is_kept(page: Page):
    """Gradio's links to a visit would keep its pictures for ever."""
    for path in ("gradio_api/deep_link?session_hash=x", "?deep_link=x", "gradio_api/%64eep_link"):
        assert get(page.url, path)[0] == 403
