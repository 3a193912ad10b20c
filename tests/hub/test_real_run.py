"""The card of a real training: what it says that its example prints is what it prints."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import hfcls
from hfcls.command_arguments import CardArguments
from hfcls.errors import UserError
from hfcls.hub.card import build_card, check_card, save_card


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "digits"
    hfcls.train(
        {
            "dataset_name": "digits", "architecture": "lenet5", "max_steps": 4, "max_train_samples": 64,
            "max_eval_samples": 20, "max_test_samples": 60, "output_dir": str(output), "disable_tqdm": True,
            "eval_strategy": "steps", "eval_steps": 4, "save_strategy": "steps", "save_steps": 4,
        }
    )  # fmt: skip
    return output


def test_the_example_prints_what_the_card_says(run: Path):
    card = build_card(run, CardArguments())
    save_card(run, card)
    assert check_card(card.text) == []
    assert build_card(run, CardArguments()) == card
    programs = re.findall(r"^```python\n(.*?)\n```$", card.text, re.M | re.S)
    said = re.search(r"^```text\n(.*?)\n```$", card.text, re.M | re.S)
    assert len(programs) == 2 and said is not None
    code = "import sys; sys.modules['hfcls'] = None\n" + "\n".join(programs)
    done = subprocess.run([sys.executable, "-c", code], cwd=run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *answers, best = done.stdout.splitlines()
    assert answers == said[1].splitlines()
    assert best == answers[0].split()[1]


def test_examples_are_pixels_alone(run: Path):
    card = build_card(run, CardArguments(examples=5))
    examples = {path: content for path, content in card.pictures.items() if path.startswith("examples/")}
    assert len(examples) == 5
    save_card(run, card)
    for path in examples:
        with Image.open(run / path) as image:
            assert image.info == {} and image.mode == "RGB" and image.size == (8, 8)
    # Whatever lies there under their names is replaced by what is in the data.
    for path in examples:
        Image.new("RGB", (8, 8), "red").save(run / path)
    assert build_card(run, CardArguments(examples=5)) == card
    data = json.loads((run / "data.json").read_text())
    changed = {**data, "splits": {**data["splits"], "test": {**data["splits"]["test"], "fingerprint": "0" * 32}}}
    (run / "data.json").write_text(json.dumps(changed))
    with pytest.raises(UserError, match="are others than those that were measured"):
        build_card(run, CardArguments(examples=5))
    (run / "data.json").write_text(json.dumps(data))
    without = build_card(run, CardArguments(examples=0))
    save_card(run, without)
    assert not list((run / "examples").iterdir()) and "widget" not in without.text
    assert "For the first of its test images" in without.text
