"""``hfcls evaluate``: a model and labelled data in; predictions, figures and a report out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfcls.arguments import DataArguments, EvaluateArguments, only
from hfcls.errors import UserError
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


_DATA_FLAGS = ("test_dir", "dataset_name", "validation_dir", "train_dir")


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


def _evaluate(name: str, values: dict[str, Any]) -> "tuple[_Case, dict[str, Any]]":
    """One model: what was evaluated, and what ``metrics.json`` holds.

    Raises:
        UserError: bad input; see the message.
    """
    from hfcls.evaluation.reuse import earlier_evaluation, keep_making

    case = _prepare(name, values)
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


def _making(case: "_Case") -> dict[str, Any] | None:
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


def _measure(case: "_Case") -> tuple[dict[str, Any], dict[str, Any], Any]:
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


@dataclass(frozen=True)
class _Case:
    """What is evaluated: a model, a split in its order of classes, and where the results go.

    Attributes:
        parts: of each sample the value in the column that ``--by`` names.
    """

    name: str
    directory: Path
    output: Path
    arguments: EvaluateArguments
    accelerator: Any
    loaded: Any
    summary: dict[str, Any]
    classifier: Any
    preprocessing: Any
    collator: Any
    data: Any
    dataset: Any
    parts: Any

    @property
    def prefix(self) -> str:
        """Of flat figures, as Trainer has it."""
        return "eval" if self.arguments.split == "validation" else self.arguments.split


def _prepare(name: str, values: dict[str, Any]) -> _Case:
    """Checks the flags, loads data and model.

    Raises:
        UserError: bad input; see the message.
    """
    from accelerate import Accelerator

    from hfcls.data.batches import BatchCollator
    from hfcls.data.parts import read_parts
    from hfcls.data.transforms import Preprocessing
    from hfcls.evaluation.suite.start import check_suite
    from hfcls.evaluation.trusting import check_calibrating, check_known_trust, fingerprint_of
    from hfcls.models import load_classifier
    from hfcls.pages.standalone import check_formats
    from hfcls.pull import local_model

    values = build_parser().check({key: value for key, value in values.items() if key != "model"})
    arguments = only(EvaluateArguments, values)
    check_formats(arguments.figures)
    output = _output(name, values, arguments)
    directory = local_model(name, allow_pickle=arguments.allow_pickle)
    check_calibrating(name, arguments)
    accelerator = Accelerator(cpu=arguments.use_cpu)
    check_suite(arguments, processes=accelerator.num_processes)
    loaded, summary, named = _data(name, directory, values, arguments.split)
    classifier = load_classifier(
        name,
        directory=directory,
        trust_remote_code=arguments.trust_remote_code,
        allow_pickle=arguments.allow_pickle,
    )
    check_known_trust(directory, classifier, arguments, data=fingerprint_of(summary, arguments.split))
    preprocessing = Preprocessing(classifier.image_processor)
    data = _in_order_of_model(loaded.splits[arguments.split], classifier, name)
    dataset = _dataset(data, loaded, preprocessing, classifier.class_names)
    return _Case(
        name,
        directory,
        output,
        arguments,
        accelerator,
        loaded,
        summary,
        classifier,
        preprocessing,
        BatchCollator(preprocessing),
        data,
        dataset,
        read_parts(named, arguments.by, dataset.ids) if arguments.by else None,
    )


def _write(case: _Case, content: dict[str, Any], flat: dict[str, Any], *, features: Any, anew: bool) -> None:
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


def _suite(case: _Case, predictions: Any, features: Any) -> tuple[Path, str]:
    """The suite's page, and in a sentence what it says; what needs images that it learned from gets the train split."""
    from hfcls.evaluation.suite.start import evaluate_suite

    train = None if case.arguments.split == "train" else case.loaded.splits.get("train")
    if train is not None:
        ordered = _in_order_of_model(train, case.classifier, case.name)
        train = _dataset(ordered, case.loaded, case.preprocessing, case.classifier.class_names)
    return evaluate_suite(
        case.arguments,
        model=case.name,
        directory=case.directory,
        classifier=case.classifier,
        device=case.accelerator.device,
        dataset=case.dataset,
        train=train,
        collator=case.collator,
        predictions=predictions,
        features=features,
        output=case.output,
        source=case.loaded.source,
    )


def _compare(models: list[str], values: dict[str, Any]) -> dict[str, Any]:
    """Evaluates each model on the same images, and compares each with the first.

    Raises:
        UserError: a flag is for one model, or the models know other images or classes.
    """
    from hfcls.data.pictures import Pictures
    from hfcls.evaluation.comparing import compare_predictions
    from hfcls.evaluation.comparison_page import Contender, save_comparison
    from hfcls.evaluation.trusting import fingerprint_of
    from hfcls.files import write_json
    from hfcls.structures import Predictions

    for flag in ("calibrate", "folded_dir"):
        if values.get(flag):
            raise UserError(f"--{flag} is for one model: evaluate that one alone.")
    if len(set(models)) < len(models):
        raise UserError("A model is named twice: name each once.")
    flags = {name: value for name, value in values.items() if name != "model"}
    output = Path(values.get("output_dir") or _default_comparison(models, values))
    split = flags.get("split", "test")
    predictions, data, contenders, pictures = [], [], [], None
    for number, model in enumerate(models, start=1):
        print(f"\n{model}", flush=True)
        place = output / f"{number}-{Path(model).name.replace('@', '-')}"
        case, measured = _evaluate(model, {**flags, "output_dir": str(place)})
        report = place / "report" / "index.html"
        contenders.append(Contender(model, measured["splits"][split], measured["speed"], report))
        predictions.append(Predictions.load(place / "predictions" / f"{split}.parquet"))
        data.append(fingerprint_of(case.summary, split))
        pictures = pictures or Pictures(case.data, max_pixels=case.loaded.max_image_pixels)
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


def _output(model: str, values: dict[str, Any], arguments: EvaluateArguments) -> Path:
    """Where the results go.

    Raises:
        UserError: they would replace a run's own, or a flag is out of range.
    """
    if arguments.per_device_eval_batch_size < 1 or arguments.dataloader_num_workers < 0:
        raise UserError("--per_device_eval_batch_size is a whole number from 1 on, --dataloader_num_workers from 0 on.")
    output = Path(arguments.output_dir) if arguments.output_dir else _default_output(model, values)
    if (output / "run.yaml").is_file():
        raise UserError(f"--output_dir {output} is a run: its own figures would be lost. Choose another place.")
    return output


def _dataset(data: Any, loaded: Any, preprocessing: Any, class_names: tuple[str, ...]) -> Any:
    """The split in the classifier's size, from the cache where a training has built one."""
    from hfcls.data.batches import ImageDataset
    from hfcls.data.pixel_cache import contents_of

    cache = contents_of(loaded.splits, preprocessing).open()
    dataset = ImageDataset(data, preprocessing, max_pixels=loaded.max_image_pixels, cache=cache)
    dataset.class_names = class_names
    return dataset


def _data(model: str, directory: Path, values: dict[str, Any], split: str) -> tuple[Any, dict[str, Any], Any]:
    """The data that the flags name; for a run without any, the run's own, compared with what it was.

    Args:
        model: as the user named it.
        directory: where it lies here.

    Returns:
        The data, what ``data.json`` says of it, and the flags that name it.
    """
    from dataclasses import replace

    from datasets import DatasetDict

    from hfcls.data.labelled import load_data
    from hfcls.training.own_data import load_own_data, own_arguments
    from hfcls.training.run_directory import SETTINGS

    given = [name for name in _DATA_FLAGS if values.get(name)]
    own = not given and (directory / SETTINGS).is_file()
    if not given and not own:
        raise UserError(f"No data: {model} is no run with splits of its own; give --test_dir or --dataset_name.")
    if own:
        named = own_arguments(model, directory, values)
        loaded, summary = load_own_data(model, directory, values, split=split)
    else:
        # Of foreign data nothing is set apart: one split alone is what is to be evaluated, whatever its name.
        named = only(DataArguments, values)
        loaded = load_data(named, splits_needed=())
        if len(loaded.splits) == 1:
            (data,) = loaded.splits.values()
            loaded = replace(loaded, splits=DatasetDict({split: data}), origins={split: "given"})
        summary = loaded.summary()
    if split not in loaded.splits:
        raise UserError(f"The data has no {split} split, only {', '.join(loaded.splits)}: choose one with --split.")
    return loaded, summary, named


def _in_order_of_model(data: Any, classifier: Any, name: str) -> Any:
    """The split with labels as the model numbers them; see `hfcls.data.labels.in_order_of`."""
    from hfcls.data.labels import in_order_of

    return in_order_of(data, classifier.class_names, name)


def _default_comparison(models: list[str], values: dict[str, Any]) -> Path:
    """Beside the evaluations of the first model, named after all of them and the data."""
    from hashlib import blake2b

    own = _default_output(models[0], values)
    others = "\0".join(str(Path(model).resolve()) if Path(model).is_dir() else model for model in models[1:])
    return own.with_name(f"{own.name}-against-{blake2b(others.encode(), digest_size=3).hexdigest()}")


def _default_output(model: str, values: dict[str, Any]) -> Path:
    """Named after the data and how it is looked at, so that one evaluation does not take another's place."""
    from hashlib import blake2b

    path = Path(model)
    base = path if path.is_dir() else Path("runs") / model.replace("/", "--")
    data = next((values[name] for name in _DATA_FLAGS if values.get(name)), None)
    tta = values.get("tta", "none")
    how = "" if tta == "none" else f"-{tta}"
    how += "-corrected" if values.get("exclude") or values.get("relabel") else ""
    if data is None:
        return base / "evaluation" / f"{values.get('split', 'test')}{how}"
    # Many folders are called test: the whole place tells them apart.
    place = Path(data).resolve()
    return base / "evaluation" / f"{place.name}-{blake2b(str(place).encode(), digest_size=3).hexdigest()}{how}"
