"""What a finished run directory promises, for every family of networks."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from hfcls.structures import Predictions

STRANGER = """
import importlib.util, json, sys
sys.path.append(sys.argv[1])
assert importlib.util.find_spec("hfcls") is None
from PIL import Image
from transformers import pipeline
asked = json.load(open(sys.argv[2]))
answers = {}
for model in asked["models"]:
    classifier = pipeline("image-classification", model=model, trust_remote_code=asked["own"])
    for image in asked["images"]:
        rows = classifier(Image.open(image), top_k=2, function_to_apply="none")
        answers[f"{model} {image}"] = {row["label"]: row["score"] for row in rows}
json.dump(answers, open(sys.argv[3], "w"))
"""


def test_a_stranger_s_pipeline_gives_our_logits(trained_run: Path, mixed_folder: Path, tmp_path: Path):
    best = Path(json.loads((trained_run / "trainer_state.json").read_text())["best_model_checkpoint"])
    predictions = Predictions.load(trained_run / "predictions" / "test.parquet")
    images = {sample_id: str(mixed_folder / sample_id) for sample_id in predictions.ids[:6]}
    asked = {
        "models": [str(trained_run), str(best)],
        "images": list(images.values()),
        "own": (trained_run / "simple_cnn.py").exists(),
    }
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    # -S: without the .pth files that put this package on the path
    command = [sys.executable, "-S", "-c", STRANGER, sysconfig.get_path("purelib"), "asked.json", "answers.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "answers.json").read_text())
    for model in asked["models"]:
        for row, (_, path) in enumerate(images.items()):
            theirs = [answers[f"{model} {path}"][name] for name in predictions.class_names]
            # float32 networks on the same pixels: only the batch they were computed in differs
            np.testing.assert_allclose(theirs, predictions.logits[row], atol=1e-5, rtol=1e-5)


def test_the_run_holds_every_tensor_of_the_best_checkpoint(trained_run: Path):
    state = json.loads((trained_run / "trainer_state.json").read_text())
    best = load_file(trained_run / f"checkpoint-{state['best_global_step']}" / "model.safetensors")
    # Of timm, a run has the names that timm knows.
    best = {name.removeprefix("timm_model."): tensor for name, tensor in best.items()}
    kept = load_file(trained_run / "model.safetensors")
    assert best.keys() == kept.keys()
    assert all(torch.equal(best[name], kept[name]) for name in best)


def test_results_say_what_predictions_say(trained_run: Path):
    predictions = Predictions.load(trained_run / "predictions" / "test.parquet")
    accuracy = float((predictions.logits.argmax(1) == predictions.labels).mean())
    flat = json.loads((trained_run / "test_results.json").read_text())
    measured = json.loads((trained_run / "metrics.json").read_text())
    assert flat["test_accuracy"] == accuracy == measured["splits"]["test"]["headline"]["accuracy"]["value"]
    assert json.loads((trained_run / "all_results.json").read_text())["test_accuracy"] == accuracy
    data = json.loads((trained_run / "data.json").read_text())
    assert sum(split["n"] for split in data["splits"].values()) == 48
    assert measured["speed"]["latency_p99_ms"] >= measured["speed"]["latency_p50_ms"] > 0
