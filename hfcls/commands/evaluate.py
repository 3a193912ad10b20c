"""``hfcls evaluate``: a model and labelled data in; predictions, figures and a report out."""

from pathlib import Path
from typing import Any

from hfcls.arguments import DataArguments
from hfcls.command_arguments import EvaluateArguments
from hfcls.errors import UserError
from hfcls.launcher import is_first_process
from hfcls.parsing import Parser, flags_of

DESCRIPTION = """Evaluates a model: every metric with its interval, predictions, a report. Of several, compares them.

A run directory needs no data flags: its own splits are found again from run.yaml and data.json.

examples:
  hfcls evaluate runs/digits
  hfcls evaluate runs/photos --test_dir new_photos
  hfcls evaluate runs/photos --tta flip
  hfcls evaluate runs/photos --test_dir visits.csv --by hospital
  hfcls evaluate runs/photos --split validation --calibrate temperature
  hfcls evaluate runs/photos --suite full --strangers near=other_flowers far=street_signs
  hfcls evaluate runs/first runs/second --test_dir new_photos
  hfcls evaluate google/vit-base-patch16-224 --dataset_name photos --split validation
  hfcls evaluate user/name@revision"""


def build_parser() -> Parser:
    """All flags of the command."""
    parser = Parser("evaluate", DESCRIPTION, positionals="MODEL [MODEL ...] ")
    what = "run directory, checkpoint, or Hub id (user/name[@revision]); of several, each is compared with the first"
    parser.add_argument("model", metavar="MODEL", nargs="+", help=what)
    parser.add_config()
    parser.add_flags("data", flags_of(DataArguments))
    parser.add_flags("evaluation", flags_of(EvaluateArguments))
    return parser


def main(argv: list[str]) -> None:
    """Parses the flags and evaluates."""
    evaluate(build_parser().values(argv))


def evaluate(values: dict[str, Any]) -> dict[str, Any]:
    """One evaluation, from flags to files.

    Args:
        values: flags by name, and ``model``: a name, or a list of them.

    Returns:
        What ``metrics.json`` holds; of several models what ``comparison.json`` holds.

    Raises:
        UserError: bad input; see the message.
    """
    models = [values["model"]] if isinstance(values["model"], str | Path) else list(values["model"])
    if len(models) > 1:
        return _compare([str(model) for model in models], values)
    return _evaluate(str(models[0]), values)[1]


def _evaluate(name: str, values: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """One model.

    Returns:
        What was evaluated (a `hfcls.training.evaluation_case.Case`), and what ``metrics.json`` holds.

    Raises:
        UserError: bad input; see the message.
    """
    from hfcls.evaluation.reuse import earlier_evaluation, keep_making
    from hfcls.training.evaluation_case import prepare_case

    case = prepare_case(name, build_parser().check({key: value for key, value in values.items() if key != "model"}))
    if case.accelerator.is_main_process:
        for notice in (*case.loaded.notices, *case.classifier.notices):
            print(f"note: {notice}", flush=True)
    making = _making(case)
    earlier = making and earlier_evaluation(case.output, making, prefix=case.prefix)
    if earlier:
        content, flat, features = *earlier, None
        print(f"predictions evaluated before with the same model and images: {case.output / 'predictions'}", flush=True)
    else:
        content, flat, features = _measure(case)
    if case.accelerator.is_main_process:
        if making and not earlier:
            keep_making(case.output, case.arguments.split, making)
        _write(case, content, flat, features=features, anew=not earlier)
    return case, content


def _making(case: Any) -> dict[str, Any] | None:
    """What the predictions hang on, where a suite is to go on that may have been killed; see `earlier_evaluation`."""
    from hfcls.evaluation.reuse import describe_making

    if not case.arguments.suite:
        return None
    return describe_making(
        case.classifier,
        case.dataset,
        split=case.arguments.split,
        batch_size=case.arguments.per_device_eval_batch_size,
        device=case.accelerator.device,
    )


def _measure(case: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """One pass over the split: what ``metrics.json`` will hold, flat figures, and features if a suite wants them."""
    from hfcls.evaluation.measure import measure_split
    from hfcls.evaluation.speed import measure_speed
    from hfcls.evaluation.suite.subject import keeping_features
    from hfcls.models import average_views
    from hfcls.pull import commit_of

    arguments = case.arguments
    model = average_views(case.classifier.model, arguments.tta)
    with keeping_features(case.classifier, wanted=arguments.suite is not None) as kept:
        measured, flat = measure_split(
            model,
            case.dataset,
            case.collator,
            split=arguments.split,
            output=case.output / "predictions" if case.accelerator.is_main_process else None,
            accelerator=case.accelerator,
            batch_size=arguments.per_device_eval_batch_size,
            num_workers=arguments.dataloader_num_workers,
        )
    if arguments.tta != "none":
        measured["tta"] = flat[f"{case.prefix}_tta"] = arguments.tta
    speed = {f"{case.prefix}_samples_per_second": flat[f"{case.prefix}_samples_per_second"]}
    speed |= measure_speed(model, case.dataset, case.collator, device=case.accelerator.device)
    content: dict[str, Any] = {"splits": {arguments.split: measured}, "speed": speed}
    if commit := commit_of(case.directory):
        content |= {"model": case.name, "model_revision": commit}
    return content, flat, kept.features


def _write(case: Any, content: dict[str, Any], flat: dict[str, Any], *, features: Any, anew: bool) -> None:
    """Figures, report and, if it is asked for, the suite; says where they are.

    Args:
        content: what ``metrics.json`` will hold; gets what there is to say of trust.
        flat: figures of the split.
        features: of the split's images, for the suite.
        anew: the figures are new, and there is no report of them.
    """
    from functools import partial

    from hfcls.data.pictures import Pictures
    from hfcls.evaluation.fingerprints import image_digests
    from hfcls.evaluation.measure import headline_text
    from hfcls.evaluation.report import save_report
    from hfcls.evaluation.trusting import fingerprint_of, trust_text, trusted_figures
    from hfcls.explain.report_pictures import report_overlays
    from hfcls.files import write_json
    from hfcls.pages.standalone import check_formats
    from hfcls.structures import Predictions

    arguments, output = case.arguments, case.output
    measured = content["splits"][arguments.split]
    for name in ("trust", "by"):
        measured.pop(name, None)  # of an earlier evaluation, which may have known another calibration
    predictions = Predictions.load(output / "predictions" / f"{arguments.split}.parquet")
    data = fingerprint_of(case.summary, arguments.split)
    images = image_digests(case.data)
    measured |= trusted_figures(
        case.directory, case.classifier, predictions, arguments, case.parts, data=data, images=images
    )
    write_json(output / f"{case.prefix}_results.json", flat)
    write_json(output / "metrics.json", content)
    write_json(output / "data.json", case.summary)
    write_report = partial(
        save_report,
        output,
        pictures=Pictures(case.data, max_pixels=case.loaded.max_image_pixels),
        explain=report_overlays(case.classifier),
        figures=check_formats(arguments.figures),
    )
    report = write_report() if anew or not arguments.suite else output / "report" / "index.html"
    print(f"\n{arguments.split:<10}  {headline_text(measured)}{trust_text(measured)}")
    if arguments.calibrate:
        print(f"learned     {case.directory / 'calibration.json'}, from these images; predict and demo go by it")
    if arguments.folded_dir:
        print(f"folded      {arguments.folded_dir}: a copy whose own probabilities are calibrated")
    print(f"\nresults     {output}\nreport      {report}", flush=True)
    if arguments.suite:
        page, told = _suite(case, predictions, features)
        write_report(suite=page)
        print(f"\n{told}\n\nsuite       {page}")


def _suite(case: Any, predictions: Any, features: Any) -> tuple[Path, str]:
    """The suite's page, and in sentences what it says; what needs images that it learned from gets the train split."""
    from hfcls.evaluation.suite.start import evaluate_suite

    return evaluate_suite(
        case.arguments,
        model=case.name,
        directory=case.directory,
        classifier=case.classifier,
        device=case.accelerator.device,
        dataset=case.dataset,
        train=case.train,
        collator=case.collator,
        predictions=predictions,
        features=features,
        output=case.output,
        source=case.loaded.source,
        learned=case.summary["overlap"].get(f"train/{case.arguments.split}", 0),
    )


def _compare(models: list[str], values: dict[str, Any]) -> dict[str, Any]:
    """Evaluates each model on the same images, and compares each with the first; the first of several processes does.

    Raises:
        UserError: a flag is for one model, or the models know other images or classes.
    """
    from hfcls.data.pictures import Pictures
    from hfcls.evaluation.comparing import compare_predictions
    from hfcls.evaluation.comparison_page import Contender, save_comparison
    from hfcls.evaluation.trusting import fingerprint_of
    from hfcls.files import write_json
    from hfcls.structures import Predictions
    from hfcls.training.evaluation_case import default_comparison

    for flag in ("calibrate", "folded_dir"):
        if values.get(flag):
            raise UserError(f"--{flag} is for one model: evaluate that one alone.")
    if len(set(models)) < len(models):
        raise UserError("A model is named twice: name each once.")
    flags = {name: value for name, value in values.items() if name != "model"}
    output = Path(values.get("output_dir") or default_comparison(models, values))
    split = flags.get("split", "test")
    predictions, data, contenders, pictures = [], [], [], None
    for number, model in enumerate(models, start=1):
        if is_first_process():
            print(f"\n{model}", flush=True)
        place = output / f"{number}-{Path(model).name.replace('@', '-')}"
        case, measured = _evaluate(model, {**flags, "output_dir": str(place)})
        if not is_first_process():
            continue
        report = place / "report" / "index.html"
        contenders.append(Contender(model, measured["splits"][split], measured["speed"], report))
        predictions.append(Predictions.load(place / "predictions" / f"{split}.parquet"))
        data.append(fingerprint_of(case.summary, split))
        pictures = pictures or Pictures(case.data, max_pixels=case.loaded.max_image_pixels)
    if not is_first_process():
        return {}
    found = [
        compare_predictions(predictions[0], other, names=(models[0], name), data=(data[0], its_data))
        for name, other, its_data in zip(models[1:], predictions[1:], data[1:], strict=True)
    ]
    content = {"split": split, "comparisons": found}
    write_json(output / "comparison.json", content)
    page = save_comparison(output, found, contenders, split=split, pictures=pictures)
    print("\n" + "\n".join(one["sentence"] for one in found))
    print(f"\nresults     {output}\ncomparison  {page}")
    return content
