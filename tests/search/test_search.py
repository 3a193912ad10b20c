"""Whole searches through the command: they survive kills, share work, and end with a run that works."""

import csv
import errno
import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from hfcls.commands.search import build_parser, main, search_hyperparameters
from hfcls.errors import UserError
from hfcls.search.best import check_data, keep_best
from hfcls.search.folder import open_folder
from hfcls.search.plan import make_plan
from hfcls.search.space import read_space
from hfcls.search.study import JOURNAL, Outcome, SearchStudy
from tests.processes import kill, start_search, wait_for

SPACE = "learning_rate: {low: 1e-4, high: 1e-1, log: true}\nlabel_smoothing_factor: [0, 0.1]\n"


def flags(image_folder: Path, tmp_path: Path, folder: str, **more) -> dict:
    """Flags of a search whose trials take a second or two."""
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    return {
        **{"space": str(space), "output_dir": str(tmp_path / folder), "train_dir": str(image_folder)},
        **{"architecture": "lenet5", "num_train_epochs": 2, "use_cpu": True, "trials": 3, "startup_trials": 2},
        **more,
    }


def table(folder: Path) -> list[dict]:
    """The trials without what the clock says."""
    with (folder / "trials.csv").open() as file:
        return [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def study_of(values: dict, **more) -> SearchStudy:
    """The search as another worker sees it, without a command."""
    from hfcls.arguments import only
    from hfcls.command_arguments import SearchArguments

    arguments = only(SearchArguments, {**values, **more})
    parser = build_parser()
    fixed = {"train_dir": values["train_dir"], "architecture": "lenet5"}
    space = read_space(arguments.space, parser, fixed, grid=arguments.strategy == "grid")
    plan = make_plan(arguments, space, fixed)
    open_folder(plan, {**values, **more}, check_data(plan), overwrite=False)
    return SearchStudy(plan)


def test_a_killed_search_ends_with_the_same_table(image_folder, tmp_path, capsys):
    whole, killed = (flags(image_folder, tmp_path, name) for name in ("whole", "killed"))
    search_hyperparameters(whole)
    # Once within a training, once between two.
    for place in ("trials/0002/checkpoint-2", "trials/0002/metrics.json"):
        log = tmp_path / "log"
        child = start_search(killed, log)
        wait_for(tmp_path / "killed" / place, child, log)
        kill(child)
    capsys.readouterr()
    main(["--config", str(tmp_path / "killed" / "search.yaml")])
    assert "goes on: 1 trials are finished" in capsys.readouterr().out
    assert table(tmp_path / "killed") == table(tmp_path / "whole")
    assert [row["state"] for row in table(tmp_path / "whole")] == ["complete"] * 3

    best, record = tmp_path / "whole" / "best", json.loads((tmp_path / "whole" / "search.json").read_text())
    assert {"validation", "test"} == json.loads((best / "metrics.json").read_text())["splits"].keys()
    kept = [path.parent.name for path in (tmp_path / "whole").glob("trials/*/model.safetensors")]
    assert kept == [f"{record['best']:04d}"]
    assert not list((tmp_path / "whole").glob("trials/*/checkpoint-*"))
    assert not list((tmp_path / "whole").glob("trials/*/predictions/test.parquet"))


def test_two_workers_share_the_trials_and_the_winner_is_refitted(image_folder, tmp_path, capfd):
    values = flags(image_folder, tmp_path, "shared", trials=3, workers=2, refit=True)
    record = search_hyperparameters(values)
    said = capfd.readouterr().out
    assert [said.count(f"\ntrial {number} of 3 ") for number in range(1, 4)] == [1, 1, 1]
    assert [row["state"] for row in record["trials"]] == ["complete"] * 3
    assert "train and validation together (38 images)" in record["kept"]["refit"]
    data = json.loads((tmp_path / "shared" / "best" / "data.json").read_text())["splits"]
    before = json.loads((tmp_path / "shared" / "trials" / "0001" / "data.json").read_text())["splits"]
    assert data["train"]["n"] == before["train"]["n"] + before["validation"]["n"]
    assert data["test"]["fingerprint"] == before["test"]["fingerprint"]
    settings = yaml.safe_load((tmp_path / "shared" / "best" / "run.yaml").read_text())
    best = record["trials"][record["best"] - 1]
    assert settings["learning_rate"] == best["params"]["learning_rate"]
    assert settings["num_train_epochs"] == best["best_epoch"]
    assert not list((tmp_path / "shared" / "best").glob("checkpoint-*"))


def test_a_refit_has_the_labels_of_the_users_lists(image_folder, tmp_path):
    ids = [f"{name}/{path.name}" for name in ("red", "green", "blue") for path in (image_folder / name).iterdir()]
    swapped = {"red": "green", "green": "red", "blue": ""}
    wanted = {i: {"red": "green", "green": "=red", "blue": "blue"}[i.split("/")[0]] for i in ids}
    wanted["green/2.png"] = "blue"
    del wanted["red/1.png"]
    lists = {
        "samples": "\n".join(["id,label", *(f"{i},{swapped[i.split('/')[0]]}" for i in ids)]),
        "class_mapping": "red: =red",  # a name that a spreadsheet would be given otherwise
        "exclude": "id\nred/1.png",
        "relabel": "id,new_label\ngreen/2.png,blue",
    }
    files = {name: tmp_path / f"{name}.{'yaml' if name == 'class_mapping' else 'csv'}" for name in lists}
    for name, file in files.items():
        file.write_text(lists[name] + "\n")
    values = flags(image_folder, tmp_path, "lists", trials=1, num_train_epochs=1, refit=True)
    values |= {name: str(file) for name, file in files.items()} | {"group_pattern": r"(\d+)\.png"}
    search_hyperparameters(values)
    best, trial = tmp_path / "lists" / "best", tmp_path / "lists" / "trials" / "0001"
    data, before = (json.loads((place / "data.json").read_text()) for place in (best, trial))
    names = json.loads((best / "config.json").read_text())["id2label"]
    rows = pq.read_table(best / "predictions" / "test.parquet").to_pylist()
    labels = {row["id"]: names[str(row["label"])] for row in rows}
    assert labels and labels == {sample_id: wanted[sample_id] for sample_id in labels}
    assert data["splits"]["test"]["fingerprint"] == before["splits"]["test"]["fingerprint"]
    counts = Counter(wanted.values()) - Counter(labels.values())
    assert data["splits"]["train"]["label_counts"] == counts
    assert data["corrections"] == before["corrections"] and set(before["notices"]) <= set(data["notices"])
    assert data["splits"]["test"]["groups"] == before["splits"]["test"]["groups"]


def test_a_claim_is_exclusive_and_an_orphan_is_gone_on_with(image_folder, tmp_path):
    values = flags(image_folder, tmp_path, "claims", trials=3)
    one, other = study_of(values), study_of(values)
    first, second = one.claim(), other.claim()
    assert (first.number, second.number) == (0, 1)
    first.lock.release()  # as the system does when a process dies
    again = other.claim()
    assert (again.number, again.params) == (0, first.params)
    third = one.claim()
    assert third.number == 2 and one.claim() is None and not other.is_over()
    for study, claim in ((other, again), (other, second), (one, third)):
        study.finish(claim, Outcome("complete", 0.5))
    assert one.is_over() and other.claim() is None and one.best().number == 0


def test_a_trial_that_kills_its_process_again_and_again_has_failed(image_folder, tmp_path):
    study = study_of(flags(image_folder, tmp_path, "deadly", trials=2))
    for _ in range(4):  # stopped by Ctrl-C, which is no fault of the trial
        claim = study.claim()
        study.give_up(claim)
    for step in (1, 2, 3):  # killed, but further each time
        claim = study.claim()
        claim.trial.report(0.5, step)
        claim.lock.release()
    for _ in range(2):  # and then twice more where it was killed last
        claim = study.claim()
        assert claim.number == 0
        claim.lock.release()
    assert study.claim().number == 1
    assert [one.state.name for one in study.trials()] == ["FAIL", "RUNNING"]
    assert "was killed 3 times" in study.trials()[0].user_attrs["reason"]


def test_a_grid_that_is_lengthened_tries_each_combination_once(image_folder, tmp_path):
    values = flags(image_folder, tmp_path, "grid", strategy="grid", startup_trials=None, trials=None)
    Path(values["space"]).write_text("weight_decay: [0.1, 0.2, 0.3]\nlabel_smoothing_factor: [0, 0.1]\n")
    for more, up_to in (({"trials": 2}, 2), ({"hours": 1.0}, 4), ({}, 6)):
        study = study_of(values, **more)
        while len(study.trials()) < up_to:
            study.finish(study.claim(), Outcome("complete", 0.5))
    tried = [tuple(one.params.values()) for one in study.trials()]
    assert len(tried) == len(set(tried)) == 6


def test_a_line_that_was_half_written_is_mended(image_folder, tmp_path):
    values = flags(image_folder, tmp_path, "torn")
    study = study_of(values)
    study.finish(study.claim(), Outcome("complete", 0.5))
    journal = tmp_path / "torn" / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"worker_id"')
    again = study_of(values)
    again.finish(again.claim(), Outcome("complete", 0.7))
    assert [one.value for one in study_of(values).trials()] == [0.5, 0.7]
    assert journal.read_bytes().startswith(whole)


def test_pruned_trials_are_told_apart(image_folder, tmp_path):
    values = flags(image_folder, tmp_path, "pruned", trials=6, pruner="hyperband", startup_trials=6, seed=3)
    record = search_hyperparameters(values | {"num_train_epochs": 3})
    states = [row["state"] for row in record["trials"]]
    assert states.count("pruned") >= 1 and states.count("complete") >= 2
    for row in record["trials"]:
        assert (row["value"] is None) == (row["state"] == "pruned") and row["reached"] is not None
    page = (tmp_path / "pruned" / "index.html").read_text()
    assert page.count('class="state pruned"') == states.count("pruned")


def test_a_search_whose_trials_all_fail_says_why(image_folder, tmp_path):
    values = flags(image_folder, tmp_path, "failed", trials=9)
    Path(values["space"]).write_text("dropout: [1.5, 2.5]\n")
    with pytest.raises(UserError, match=r"The first 3 trials have all failed \(--dropout is"):
        search_hyperparameters(values)
    assert [row["state"] for row in table(tmp_path / "failed")] == ["failed"] * 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_train_epochs": 3}, "--num_train_epochs was 2"),
        ({"strategy": "random", "startup_trials": None}, "--startup_trials was 2"),
        ({"validation_fraction": 0}, "needs a validation split"),
        ({"trials": None}, "No end"),
        ({"pruner": "hyperband", "num_train_epochs": None}, "how long a training can get"),
        ({"pruner": "hyperband", "num_train_epochs": 1}, "needs trainings of 2 evaluations or more, and these have 1"),
        ({"pruner": "median", "num_train_epochs": 2}, "needs trainings of 3 evaluations or more"),
        ({"strategy": "grid", "startup_trials": None}, "points: 5"),
        ({"architecture": None}, "No model"),
        ({"architecture": "lenet6"}, "Unknown architecture 'lenet6'. Did you mean 'lenet5'?"),
        ({"refit": True, "lr_scheduler_type": "reduce_lr_on_plateau"}, "reduce_lr_on_plateau goes by"),
        ({"resume_from_checkpoint": "auto"}, "Unknown flag"),
    ],
)
def test_what_is_wrong_is_one_sentence(image_folder, tmp_path, change, said):
    values = flags(image_folder, tmp_path, "begun")
    study_of(values)
    (tmp_path / "begun" / "search.yaml").write_text(
        yaml.safe_dump({k: v for k, v in values.items() if k not in ("overwrite_output_dir",)})
    )
    began = time.monotonic()
    with pytest.raises(UserError) as error:
        search_hyperparameters({**values, **change})
    assert said in str(error.value) and time.monotonic() - began < 20


def test_a_search_does_not_go_on_with_other_data(image_folder, tmp_path):
    images = shutil.copytree(image_folder, tmp_path / "images")
    values = flags(images, tmp_path, "begun")
    study_of(values)
    before = (tmp_path / "begun" / "search.yaml").read_bytes()
    (images / "red" / "0.png").unlink()
    with pytest.raises(UserError, match="The data has changed since the search"):
        search_hyperparameters(values | {"trials": 4})
    assert (tmp_path / "begun" / "search.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["model_name_or_path", "space", "choice"])
def test_what_is_overwritten_is_not_what_the_search_starts_from(image_folder, tmp_path, name):
    values = flags(image_folder, tmp_path, "begun")
    study_of(values)
    inside = tmp_path / "begun" / "best"
    change = {name: str(inside)}
    if name == "space":
        inside.write_text(SPACE)
    elif name == "choice":
        Path(values["space"]).write_text(f"model_name_or_path: [{inside}, {tmp_path}]\n")
        change = {}
    if name != "space":
        del values["architecture"]
    with pytest.raises(UserError, match="lies in --output_dir, which --overwrite_output_dir would remove"):
        search_hyperparameters(values | change | {"overwrite_output_dir": True})
    assert (tmp_path / "begun" / JOURNAL).is_file()


def test_a_disk_without_locks_is_refused(image_folder, tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(UserError, match="a disk without file locks"):
        search_hyperparameters(flags(image_folder, tmp_path, "lockless"))


def test_a_search_is_found_from_another_folder(image_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = flags(image_folder, tmp_path, "begun", trials=2) | {"output_dir": "begun", "space": "space.yaml"}
    study = study_of(values)
    for _ in range(2):
        study.finish(study.claim(), Outcome("failed", reason="It was to."))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="No trial came to its end, so there is no best run"):
        main(["--config", str(tmp_path / "begun" / "search.yaml")])
    assert (tmp_path / "begun" / "index.html").is_file() and not list((tmp_path / "elsewhere").iterdir())


def test_the_best_run_is_measured_once_also_after_a_kill(image_folder, tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr("hfcls.search.best._measure_test", lambda run_dir: measured.append(run_dir))
    study = study_of(flags(image_folder, tmp_path, "kept", trials=1))
    study.finish(study.claim(), Outcome("complete", 0.5))
    run_dir = study.plan.run_dir(0)
    run_dir.mkdir(parents=True)
    (run_dir / "run.yaml").write_text("seed: 1\n")
    kept = keep_best(study, print)
    assert kept["trial"] == 1 and keep_best(study, print) == kept  # a process that waited for the lock
    (tmp_path / "kept" / "best").rename(measured[0])  # killed between the two renames
    assert keep_best(study, print) == kept and (tmp_path / "kept" / "best" / "run.yaml").is_file()
    assert len(measured) == 1
