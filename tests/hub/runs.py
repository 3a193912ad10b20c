"""Run directories for cards: measured by the real metrics, with the files that a training leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from tests.evaluation.runs import make_run

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b",
    "🌷",
    "x" * 200,
    "../x",
    "- a: b",
    "no",
    "null",
    "{{x}}",
    "[x](javascript:alert(1))",
    "`code`",
    "# h",
    "$$x^2$$",
    "http://evil.example/x",
    "www.evil.example",
    "a\nb",
    "@someone",
    "---",
    "<img src=x onerror=alert(1)>",
    "\u202egnp",
    ":smile:",
    "*bold* _it_",
    "1. first",
    "&lt;b&gt;",
]


def finish_run(run: Path, names: list[str], **settings: Any) -> Path:
    """Adds to what `make_run` wrote the rest of a finished training of a network of ours."""
    config = {
        "architecture": "simple_cnn",
        "architectures": ["SimpleCNN"],
        "auto_map": {"AutoModelForImageClassification": "simple_cnn.SimpleCNN"},
        "id2label": {str(index): name for index, name in enumerate(names)},
        "image_size": 16,
        "model_type": "hfcls_simple_cnn",
    }
    (run / "config.json").write_text(json.dumps(config))
    (run / "simple_cnn.py").write_text("")
    save_file(
        {"a.weight": np.zeros((3, 4), np.float32), "a.running_mean": np.zeros(4, np.float32)},
        run / "model.safetensors",
    )
    kept = yaml.safe_load((run / "run.yaml").read_text())
    kept |= {"architecture": "simple_cnn", "train_dir": "/home/somebody/photos of mine", "load_best_model_at_end": True}
    kept |= {
        "per_device_train_batch_size": 32,
        "optim": "adamw_torch_fused",
        "weight_decay": 0.05,
        "num_train_epochs": 3,
    }
    (run / "run.yaml").write_text(yaml.safe_dump(kept | settings))
    data = json.loads((run / "data.json").read_text())
    data["source"] = "/home/somebody/photos of mine"
    data["splits"]["test"] = {"n": 400, "from": "20% of train, stratified, split seed 0"}
    (run / "data.json").write_text(json.dumps(data))
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["training"] = {
        "finished": "2026-11-25",
        "precision": "fp32",
        "processes": 1,
        "hardware": "2 CPU threads, x86_64, AVX2",
        "versions": {"python": "3.11.7", "hfcls": "0.1.0", "torch": "2.15.0"},
    }
    (run / "metrics.json").write_text(json.dumps(metrics))
    return run


def card_run(run: Path, names: list[str], **settings: Any) -> Path:
    """A whole run with invented predictions."""
    make_run(run, names)
    return finish_run(run, names, **settings)
