"""The best run of a search: kept, or trained anew on all that it may learn from; then, once, measured on test."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from filelock import FileLock

from hfcls.arguments import TRAIN_ARGUMENTS, DataArguments, only
from hfcls.data.batches import BatchCollator
from hfcls.data.judged import split_for
from hfcls.data.labelled import LabelledData, load_data
from hfcls.data.labels import labels_of
from hfcls.data.pictures import Pictures
from hfcls.data.reading import texts_of
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.evaluation.measure import measure_split
from hfcls.evaluation.report import save_report
from hfcls.evaluation.trusting import learn_and_measure_trust
from hfcls.files import write_json, write_text
from hfcls.models import load_classifier
from hfcls.parsing import dump_yaml, flags_of, training_flags
from hfcls.search.plan import Plan
from hfcls.search.study import SearchStudy
from hfcls.training.checkpoints import remove_checkpoints
from hfcls.training.own_data import load_own_data
from hfcls.training.run_directory import DATA, SETTINGS, is_run, read_settings
from hfcls.training.whole_run import train_whole

BEST, KEPT = "best", "search.json"
# What decides nothing where train and validation are one.
_NO_VALIDATION = (
    *("metric_for_best_model", "greater_is_better", "load_best_model_at_end", "eval_strategy", "eval_steps"),
    *("early_stopping_patience", "early_stopping_threshold", "validation_fraction", "test_fraction"),
    *("max_train_samples", "max_eval_samples", "max_test_samples", "max_steps", "output_dir"),
)
# What the list of a refit holds already: applied again, it would name classes and images that are gone.
_LISTED = ("class_mapping", "exclude", "relabel", "group_column_name", "group_pattern")


def check_data(plan: Plan) -> dict[str, Any]:
    """Reads the data once, before anything trains.

    Returns:
        What ``data.json`` holds.

    Raises:
        UserError: it cannot be read, or has nothing to compare trials on.
    """
    loaded = load_data(only(DataArguments, plan.fixed))
    if "validation" not in loaded.splits:
        raise UserError(f"{loaded.source} has no validation split, on which a search compares its trials.")
    return loaded.summary()


def keep_best(study: SearchStudy, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Brings ``best/`` up to date; leaves it alone where it is. One process does, and others wait for it.

    Returns:
        What was kept: ``trial``, ``refit`` (in words what was trained anew, or None), ``test`` (its figures, or None).
        None where no trial came to its end.
    """
    plan, best = study.plan, study.best()
    if best is None:
        return None
    with study.alone():
        study.tidy()
    with FileLock(plan.folder / "best.lock"):
        return _bring_up_to_date(plan, best, say)


def _bring_up_to_date(plan: Plan, best: Any, say: Callable[[str], None]) -> dict[str, Any]:
    place = plan.folder / BEST
    aside = plan.folder / f".{BEST}-{'refit-' if plan.refit else ''}{best.number + 1:04d}"
    for run_dir in (place, aside):
        kept = _read_kept(run_dir)
        if kept.get("trial") == best.number + 1 and bool(kept.get("refit")) == plan.refit:
            if run_dir == aside:  # killed just before the end
                _put(aside, place)
            return kept
    refit = _refit(plan, best, aside, say) if plan.refit else None
    if refit is None:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(plan.run_dir(best.number), aside)
    settings = read_settings(aside) | {"output_dir": str(place)}
    write_text(aside / SETTINGS, f"# Trial {best.number + 1} of a search, resolved.\n" + dump_yaml(settings))
    kept = {"trial": best.number + 1, "refit": refit, "test": _measure_test(aside)}
    # In the run itself, so that the two cannot part.
    write_json(aside / KEPT, kept)
    _put(aside, place)
    return kept


def _read_kept(run_dir: Path) -> dict[str, Any]:
    """What a run is to its search; empty where there is none, or it is not finished."""
    file = run_dir / KEPT
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _put(aside: Path, place: Path) -> None:
    """Renames, so that a kill in between leaves no half of a run under its name."""
    gone = place.with_name(f".{BEST}-replaced")
    shutil.rmtree(gone, ignore_errors=True)
    if place.exists():
        place.rename(gone)
    aside.rename(place)
    shutil.rmtree(gone, ignore_errors=True)


def _refit(plan: Plan, best: Any, run_dir: Path, say: Callable[[str], None]) -> str:
    """Trains on train and validation together, as long as the best trial had trained when its weights were kept.

    Returns:
        What was done, in words.
    """
    # As they were resolved: what is chosen by the number of images is to stay what it was.
    flags = {flag.name: flag for cls in TRAIN_ARGUMENTS for flag in flags_of(cls)}
    flags |= {flag.name: flag for flag in training_flags()}
    settings = {
        k: v for k, v in read_settings(plan.run_dir(best.number)).items() if k not in (*_NO_VALIDATION, *_LISTED)
    }
    values = {name: flags[name].convert(value) for name, value in settings.items() if name in flags}
    loaded = load_data(only(DataArguments, plan.fixed))
    list_file = plan.folder / "refit_samples.csv"
    write_text(list_file, _sample_list(loaded))
    values |= {"samples": str(list_file), "validation_fraction": 0.0, "disable_tqdm": True, "output_dir": str(run_dir)}
    if "test" not in loaded.splits:
        values["test_fraction"] = 0.0
    epochs, trained = best.user_attrs.get("best_epoch"), best.user_attrs.get("epochs")
    if epochs:
        values["num_train_epochs"] = epochs
    count = sum(len(loaded.splits[name]) for name in ("train", "validation"))
    long = f"{epochs:g} epochs" + (f", where the best of {trained:g} was" if epochs != trained else "")
    told = f"on train and validation together ({count:,} images), {long}"
    say(f"\nThe best settings are trained anew {told} ...")
    if is_run(run_dir):
        values["resume_from_checkpoint"] = "auto"
    if not (run_dir / "metrics.json").is_file():
        train_whole(values, splits=())
    _keep_notices(run_dir, loaded)
    remove_checkpoints(run_dir)
    return told


def _sample_list(loaded: LabelledData) -> str:
    """A list for ``--samples`` of all images as the trials had them, in which those of validation belong to train.

    Names are not made harmless for spreadsheets, which would change some of them; the file is read by the refit alone.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "label", "split", "group"])
    for split, data in loaded.splits.items():
        names = data.features["label"].names
        labels = [names[label] for label in labels_of(data).tolist()]
        groups = texts_of(data, "group") if "group" in data.column_names else [""] * len(data)
        to = "train" if split == "validation" else split
        writer.writerows(
            [i, label, to, g or ""] for i, label, g in zip(texts_of(data, "id"), labels, groups, strict=True)
        )
    return text.getvalue()


def _keep_notices(run_dir: Path, loaded: LabelledData) -> None:
    """Brings into ``data.json`` what the list of the refit no longer shows, such as a changed test split."""
    summary, before = json.loads((run_dir / DATA).read_text(encoding="utf-8")), loaded.summary()
    summary["notices"] = list(dict.fromkeys([*before["notices"], *summary["notices"]]))
    if "corrections" in before:
        summary["corrections"] = before["corrections"]
    write_json(run_dir / DATA, summary)


def _measure_test(run_dir: Path) -> dict[str, Any] | None:
    """Measures a run on its own test split and writes that, and the report, into it.

    Returns:
        The number of images and the first figures; None where it has no test split.
    """
    settings = read_settings(run_dir)
    loaded, _ = load_own_data(str(run_dir), run_dir, {}, split="test")
    if "test" not in loaded.splits:
        return None
    classifier = load_classifier(
        str(run_dir),
        directory=run_dir,
        trust_remote_code=bool(settings.get("trust_remote_code")),
        allow_pickle=bool(settings.get("allow_pickle")),
    )
    preprocessing = Preprocessing(classifier.image_processor)
    data = loaded.splits["test"]
    dataset = split_for(str(run_dir), classifier.class_names, data, loaded, preprocessing)
    measured, flat = measure_split(
        classifier.model,
        dataset,
        BatchCollator(preprocessing),
        split="test",
        output=run_dir / "predictions",
        accelerator=Accelerator(cpu=bool(settings.get("use_cpu"))),
        batch_size=settings.get("per_device_eval_batch_size", 64),
        quiet=True,
        origin=classifier,
    )
    content = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    content["splits"]["test"] = measured
    learn_and_measure_trust(run_dir, classifier, content["splits"], validation_data=loaded.splits.get("validation"))
    everything = json.loads((run_dir / "all_results.json").read_text(encoding="utf-8"))
    write_json(run_dir / "test_results.json", flat)
    write_json(run_dir / "all_results.json", {**everything, **flat})
    write_json(run_dir / "metrics.json", content)
    save_report(run_dir, pictures=Pictures(data, max_pixels=loaded.max_image_pixels))
    return {"n": measured["n"], "headline": measured["headline"]}
