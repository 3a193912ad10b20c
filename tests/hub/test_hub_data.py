"""The card of a run on a data set of the Hub, which it read from there: the names and the commit are the Hub's."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from datasets import ClassLabel, Dataset, Features
from datasets import Image as ImageFeature
from huggingface_hub import ModelCard
from PIL import Image

from tests.hubs import environment, hfcls, put, running_hub

TRAIN = ["--architecture", "lenet5", "--max_steps", "2", "--save_strategy", "steps", "--save_steps", "1"]
TRAIN += ["--disable_tqdm", "--use_cpu", "--eval_strategy", "no", "--load_best_model_at_end", "false"]


def _parquet(level: int) -> bytes:
    rows = []
    for number in range(40):
        stream = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), level + number, np.uint8)).save(stream, "PNG")
        rows.append({"bytes": stream.getvalue(), "path": None})
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["a", "b"])})
    out = io.BytesIO()
    Dataset.from_dict({"image": rows, "label": [0, 1] * 20}, features=features).to_parquet(out)
    return out.getvalue()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.mark.parametrize("at", ["", "@v1"])
def test_the_card_names_the_data_set_and_its_commit(hub, tmp_path: Path, at: str):
    repo_id = f"alice/d{len(at)}"
    commit = put(hub, repo_id, {"data/train.parquet": _parquet(0)}, repo_type="dataset")
    if at:
        put(hub, repo_id, {"data/train.parquet": _parquet(0)}, repo_type="dataset", ref="v1")
        commit = hub.app.store.load("dataset", repo_id)["refs"]["refs/heads/v1"]
    run, env = tmp_path / "run", environment(hub, tmp_path / "home")
    train = ["train", "--dataset_name", repo_id + at, *TRAIN, "--output_dir", str(run)]
    codes, out, said = hfcls(train, env=env)
    assert codes == [0], out + said
    data = json.loads((run / "data.json").read_text())
    assert data["hub"] == {"repo_id": repo_id, "commit": commit}
    assert yaml.safe_load((run / "run.yaml").read_text())["dataset_revision"] == commit
    text = (run / "README.md").read_text()
    card = ModelCard(text).data.to_dict()
    assert card["datasets"] == [repo_id]
    dataset = card["model-index"][0]["results"][0]["dataset"]
    assert (dataset["type"], dataset["revision"]) == (repo_id, commit)
    command = re.search(r"^```sh\n(hfcls train.*?)\n```$", text, re.M | re.S)
    assert command is not None and f"--dataset_revision {commit}" in command[1]
    assert "bit for bit" in text

    # The Hub goes on; the run, and what its command makes, stay with their commit.
    put(hub, repo_id, {"data/train.parquet": _parquet(100)}, repo_type="dataset", ref=at[1:] or "main")
    longer = [*train, "--max_steps", "3", "--resume_from_checkpoint", "auto"]
    config = ["train", "--config", str(run / "run.yaml"), "--max_steps", "4", "--resume_from_checkpoint", "auto"]
    again = [*train[:-1], str(tmp_path / "again"), "--dataset_revision", commit]
    new = [*train[:-1], str(tmp_path / "new")]
    codes, out, said = hfcls(longer, config, again, new, env=env)
    assert codes == [0] * 4, out + said
    prints = {name: json.loads((tmp_path / name / "data.json").read_text()) for name in ("run", "again", "new")}
    assert prints["run"]["fingerprint"] == prints["again"]["fingerprint"] == data["fingerprint"]
    assert prints["new"]["fingerprint"] != data["fingerprint"] and prints["new"]["hub"]["commit"] != commit


def test_a_run_from_before_the_commit_was_kept_goes_on(hub, tmp_path: Path):
    put(hub, "alice/old", {"data/train.parquet": _parquet(0)}, repo_type="dataset")
    run, env = tmp_path / "run", environment(hub, tmp_path / "home")
    train = ["train", "--dataset_name", "alice/old", *TRAIN, "--output_dir", str(run)]
    codes, out, said = hfcls(train, env=env)
    assert codes == [0], out + said
    settings = yaml.safe_load((run / "run.yaml").read_text())
    del settings["dataset_revision"]
    (run / "run.yaml").write_text(yaml.safe_dump(settings))
    codes, out, said = hfcls([*train, "--max_steps", "3", "--resume_from_checkpoint", "auto"], env=env)
    assert codes == [0], out + said
    text = (run / "README.md").read_text()
    assert "bit for bit" not in text and ModelCard(text).data.to_dict()["datasets"] == ["alice/old"]
