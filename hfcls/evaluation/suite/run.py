"""The steps one after the other, each kept as soon as it is done; then the page."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from hfcls.errors import UserError
from hfcls.evaluation.suite import STEPS, SUITES
from hfcls.evaluation.suite.page import save_page
from hfcls.evaluation.suite.step import CannotDoError
from hfcls.evaluation.suite.subject import FEWEST, Subject
from hfcls.evaluation.suite.summary import sum_up
from hfcls.files import write_json

# In the directory of the suite, while it is not finished.
SEEN = "seen"
# Of what a step finds, so that what an older version has kept is done again.
_FORM = 4


def run_suite(
    name: str, subject: Subject, directory: Path, *, source: str, say: Callable[[str], None] = print
) -> tuple[Path, str]:
    """Does what is not yet done, and writes the page.

    Args:
        name: of ``SUITES``.
        directory: where ``STEP.json`` and ``index.html`` go; a step whose file was made of the same is not done again.
        source: of the images, in words.
        say: told of each step.

    Returns:
        The page, and in sentences what it says.

    Raises:
        UserError: the images are too few, or the network's outputs are not numbers.
    """
    if not np.isfinite(subject.predictions.logits).all():
        raise UserError("--suite: some of the model's outputs are not numbers.")
    if min(len(subject.fitting), len(subject.fresh)) < FEWEST:
        raise UserError(
            f"--suite: {len(subject.fitting)} images to fit on and {len(subject.fresh)} to measure on are too few: "
            f"expected {FEWEST} or more of each. Name more images with --test_dir, or train with a larger "
            "--validation_fraction (a run's validation split is fitted on where it is of these very weights)."
        )
    found: dict[str, dict[str, Any]] = {}
    bar = tqdm(SUITES[name], desc="Suite", unit="step", disable=subject.quiet or None, leave=False)
    for step_name in bar:
        step, file = STEPS[step_name], directory / f"{step_name}.json"
        if step.suits is not None and not step.suits(subject):
            continue
        record = _record(subject, step.reads)
        content = _kept(file, record)
        if content is None:
            content = {"record": record, "result": None, "reason": ""}
            try:
                content["result"] = step.run(subject)
            except CannotDoError as error:
                content["reason"] = str(error)
            write_json(file, content)
        elif content["result"] is not None:
            say(f"suite       {step.title}: done before")
        if content["reason"]:
            say(f"suite       {step.title}: left out, {content['reason']}")
        found[step_name] = content
    told = sum_up({key: one["result"] for key, one in found.items() if one["result"] is not None})
    page = save_page(directory / "index.html", found, suite=name, subject=subject, source=source, told=told)
    shutil.rmtree(directory / SEEN, ignore_errors=True)
    return page, told


def _record(subject: Subject, reads: tuple[str, ...]) -> dict[str, Any]:
    """What a result hangs on, ready for JSON."""
    beside = {
        "train": None if subject.train is None else subject.train.record,
        "strangers": [[one.name, one.kind, one.record] for one in subject.strangers],
    }
    return {
        "form": _FORM,
        **subject.record,
        "split": subject.split,
        "--per_device_eval_batch_size": subject.batch_size,
        "the device": subject.device.type,
        "torch": torch.__version__,
        **{key: beside[key] for key in reads},
    }


def _kept(file: Path, record: dict[str, Any]) -> dict[str, Any] | None:
    """What a file holds, if it was made of the same."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        same = content["record"] == record and content.keys() == {"record", "result", "reason"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or cut short: it is made anew
    return content if same else None
