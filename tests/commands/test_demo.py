"""`hfcls demo`: what it refuses, and one page from the command to Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from hfcls.arguments import DataArguments
from hfcls.cli import main
from hfcls.data.labelled import load_data
from tests.serving.conftest import save_model
from tests.serving.page import ROOT, answers


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ([], "the folder runs holds no trained one"),
        (["nope"], "nope is no directory and no Hub id"),
        (["user/name"], "not in the cache"),
        (["empty"], "empty holds no config.json"),
        (["model", "--port", "0"], "--port is 0"),
        (["model", "--port", "x"], "--port is 'x'"),
        (["model", "--flag_dir", "model"], "model holds other files"),
        (["model", "--share"], "Unknown flag --share"),
    ],
)
def test_what_is_refused(flags: list[str], why: str, tmp_path: Path, monkeypatch, capsys):
    pytest.importorskip("gradio", reason="needs Gradio: pip install 'hfcls[demo]'")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    assert main(["demo", *flags]) == 2
    said = capsys.readouterr().err
    assert why in said and said.count("\n") == 1


@pytest.mark.filterwarnings("ignore")
def test_from_the_command_to_ctrl_c(tmp_path: Path):
    """A visitor says that an answer is wrong; the folder that this makes can be trained on."""
    gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio: pip install 'hfcls[demo]'")
    save_model(tmp_path / "runs" / "pets", ("cat", "../dog"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"PYTHONPATH": str(ROOT), "GRADIO_TEMP_DIR": str(tmp_path / "up"), "PYTHONWARNINGS": "ignore"}
    process = subprocess.Popen(
        [sys.executable, "-m", "hfcls", "demo", "--port", str(port), "--flag_dir", "wrong", "--use_cpu"],
        cwd=tmp_path,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests themselves run in the background, Ctrl-C would be switched off for what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        begun = time.monotonic()
        while not answers(f"http://127.0.0.1:{port}"):
            assert process.poll() is None and time.monotonic() - begun < 120
            time.sleep(0.1)
        client = gradio_client.Client(f"http://127.0.0.1:{port}", verbose=False)
        for number, label in enumerate(("cat", "../dog", "cat", "../dog")):
            Image.new("RGB", (20, 20), (number * 60, 90, 30)).save(tmp_path / "x.png")
            said = client.predict(gradio_client.handle_file(str(tmp_path / "x.png")), label, api_name="/flag")
            assert said == f"Thank you: kept as “{label}”."
        with pytest.raises(Exception, match="The class is 'cow', which the model does not know"):
            client.predict(gradio_client.handle_file(str(tmp_path / "x.png")), "cow", api_name="/flag")
        taken = subprocess.run(
            [sys.executable, "-m", "hfcls", "demo", "--port", str(port)],
            cwd=tmp_path, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert taken.returncode == 2 and "Nothing can listen at" in taken.stderr and "Traceback" not in taken.stderr
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err.strip() == "", err
    assert out.strip() == f"runs/pets: http://127.0.0.1:{port}/  (Ctrl-C stops it)"
    data = load_data(DataArguments(train_dir=str(tmp_path / "wrong")))
    assert set(data.class_names) == {"cat", "../dog"}
    rows = [json.loads(line) for line in (tmp_path / "wrong" / "metadata.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and all(row["model"] == "runs/pets" for row in rows)
