"""The flags of single commands, as frozen dataclasses; those of a training are in `hfcls.arguments`."""

from dataclasses import dataclass

from hfcls.arguments import flag


@dataclass(frozen=True)
class CrossvalArguments:
    """How often the data is dealt into how many folds, and what is kept."""

    folds: int = flag(5, help="how many folds; each is held out once")
    repeats: int = flag(1, help="deal the images out anew so many times")
    processes: int = flag(1, help="train so many folds side by side, each on its share of the cores")
    keep_ensemble: bool = flag(
        False, help="also save the networks of all folds (of the first repeat) as one classifier, in ensemble/"
    )
    overwrite_output_dir: bool = flag(False, help="begin anew where --output_dir holds another cross-validation")
    cache_gb: float | None = flag(
        help="keep decoded images for later epochs and folds, so many gigabytes in all (10 if left out; 0: none)"
    )


# The rows of `hfcls.models.test_time`, which is heavy to import.
TTA = ("none", "flip", "flip_shift", "five_crop", "ten_crop")
_TTA_HELP = "average over several views of each image: its mirror image, moved by 1/32 of the side, or crops"


@dataclass(frozen=True)
class EvaluateArguments:
    """What is evaluated, and where the results go."""

    split: str = flag("test", help="split to evaluate on", choices=("train", "validation", "test"))
    by: str | None = flag(
        help="also give the accuracy of parts of the images: by the column of this name, such as hospital or camera"
    )
    calibrate: str | None = flag(
        help="learn from this split how far answers can be trusted, and keep it in the model's calibration.json, which "
        "predict and demo go by: scale the logits by one temperature, or by a vector of two numbers a class, which is "
        "fitted on one half of the images while the rest is learned from the other",
        choices=("temperature", "vector"),
    )
    folded_dir: str | None = flag(
        help="write a copy of the model whose own logits are calibrated, for readers that know no calibration.json"
    )
    suite: str | None = flag(
        help="also measure how far the model can be trusted, on a page of its own: quick (calibration, sets of "
        "classes, abstaining, strange images) needs one pass an image; full adds scores of features, dropout, several "
        "views and a Laplace approximation beside the single network",
        choices=("quick", "full"),
    )
    strangers: list[str] | None = flag(  # noqa: RUF009
        help="for --suite: images that show none of the classes, as `hfcls predict` takes them; near=PATH or far=PATH "
        "says how strange they are, of several sets as well, of which the mean is given; in a --config file a list"
    )
    output_dir: str | None = flag(help="where the results go; evaluation/DATA inside the model directory if left out")
    figures: list[str] | None = flag(  # noqa: RUF009
        help="also write the report's figures as files to report/figures, as svg, png or both",
        choices=("svg", "png"),
    )
    tta: str = flag("none", help=_TTA_HELP, choices=TTA)
    per_device_eval_batch_size: int = flag(64, help="images in one forward pass")
    dataloader_num_workers: int = flag(0, help="processes that decode images")
    use_cpu: bool = flag(False, help="use no accelerator")
    trust_remote_code: bool = flag(False, help="run the Python files that come with the model")
    allow_pickle: bool = flag(False, help="also read weights that are not safetensors")


# The rows of `hfcls.ensembling.COMBINATIONS`, which is heavy to import.
COMBINATION_NAMES = ("average", "weighted", "greedy", "uniform_soup", "greedy_soup")


@dataclass(frozen=True)
class EnsembleArguments:
    """How members become one classifier, and where it goes."""

    method: str = flag(
        "average",
        help="average: mean of the members' probabilities; weighted: weights that fit the validation images best; "
        "greedy: members added while validation gains; uniform_soup, greedy_soup: one network with the mean of their "
        "weights, which costs no more than one",
        choices=COMBINATION_NAMES,
    )
    snapshots: bool = flag(False, help="MEMBER is one run: take the checkpoints that it keeps (see train --snapshots)")
    metric: str | None = flag(
        help="what greedy and greedy_soup choose by (log_loss and accuracy if left out)",
        choices=("accuracy", "log_loss"),
    )
    bags: int | None = flag(help="greedy: select from so many random halves of the members, and take the mean (0)")
    output_dir: str | None = flag(help="where the ensemble goes; required")
    overwrite_output_dir: bool = flag(False, help="replace the run that --output_dir holds")
    seed: int = flag(0, help="of the random halves")
    per_device_eval_batch_size: int = flag(64, help="images in one forward pass")
    dataloader_num_workers: int = flag(0, help="processes that decode images")
    use_cpu: bool = flag(False, help="use no accelerator")
    trust_remote_code: bool = flag(False, help="run the Python files that come with a member")
    allow_pickle: bool = flag(False, help="also read weights that are not safetensors")


@dataclass(frozen=True)
class PredictArguments:
    """What is said about each image, and where it goes."""

    output: str | None = flag(help="file to write: .csv, .jsonl or .parquet; a table on the screen if left out")
    top_k: int = flag(5, help="how many of the likeliest classes to give")
    probabilities: bool = flag(False, help="give the probabilities of all classes as well")
    calibrated: bool = flag(
        True, help="scale probabilities and judge answers by the model's calibration.json, where it has one"
    )
    abstain_at_risk: float | None = flag(
        help="say 'not sure' so often that about this share of the other answers is wrong, such as 0.01; it is held to "
        "on the images of calibration.json, and of new ones as often as not a little more are wrong"
    )
    resume: bool = flag(False, help="go on with the --output of a run that was stopped or killed")
    overwrite: bool = flag(False, help="replace the --output that is there")
    tta: str = flag("none", help=_TTA_HELP, choices=TTA)
    batch_size: int = flag(32, help="images in one forward pass")
    dataloader_num_workers: int | None = flag(
        help="threads that read and decode images; one per processor core, 16 at most, if left out"
    )
    use_cpu: bool = flag(False, help="use no accelerator")
    trust_remote_code: bool = flag(False, help="run the Python files that come with the model")
    allow_pickle: bool = flag(False, help="also read weights that are not safetensors")


# The rows of `hfcls.explain.EXPLAINERS`, which is heavy to import.
EXPLAINER_NAMES = (
    *("grad-cam", "grad-cam++", "layer-cam", "eigen-cam", "score-cam", "attention-rollout", "shap", "gradient-shap"),
    *("integrated-gradients", "lime", "occlusion"),
)


@dataclass(frozen=True)
class ExplainArguments:
    """How images are explained, and where the explanations go."""

    method: list[str] | None = flag(  # noqa: RUF009
        help=f"explainers: some of {', '.join(EXPLAINER_NAMES)}; fast: all that take a few passes and suit the "
        "network; all: the slow ones as well (grad-cam if left out)"
    )
    target: str | None = flag(help="name of the class to explain; the predicted one if left out")
    top_k: int = flag(1, help="explain so many of the likeliest classes")
    faithfulness: bool = flag(
        False,
        help="measure what each map of the likeliest class is worth, beside a random map and a blob in the middle",
    )
    seconds: float | None = flag(help="what one map may take, for methods that can be cut short")
    passes: int | None = flag(help="the same in forward passes of one image")
    seed: int = flag(0, help="of what the methods and measures draw")
    max_images: int = flag(24, help="explain at most so many images")
    output_dir: str | None = flag(
        help="where page, pictures and figures go; explanations/IMAGES inside the model directory if left out"
    )
    resume: bool = flag(False, help="go on with the --output_dir of a run that was stopped")
    overwrite: bool = flag(False, help="replace the explanations that --output_dir holds")
    use_cpu: bool = flag(False, help="use no accelerator")
    trust_remote_code: bool = flag(False, help="run the Python files that come with the model")
    allow_pickle: bool = flag(False, help="also read weights that are not safetensors")


# The rows of `hfcls.search.STRATEGIES` and `hfcls.search.PRUNERS`, which are heavy to import.
STRATEGY_NAMES = ("tpe", "gp", "random", "grid")
PRUNER_NAMES = ("none", "median", "hyperband")


@dataclass(frozen=True)
class SearchArguments:
    """What is searched, how, for how long, and where the results go."""

    space: str | None = flag(
        help="YAML file of what may vary; each line a flag of `hfcls train` with a list of choices or a range, such as "
        "learning_rate: {low: 1e-4, high: 1e-1, log: true}"
    )
    strategy: str = flag(
        "tpe",
        help="how settings are proposed: tpe and gp (Bayesian: by a tree of Parzen estimators, by a Gaussian process) "
        "learn from the trials before, random does not, grid tries all combinations",
        choices=STRATEGY_NAMES,
    )
    pruner: str = flag(
        "none",
        help="end trials early that do worse than the others did after as many evaluations: median (than half of "
        "them), or hyperband (than all but a third, asked after 1, 3, 9 ... epochs)",
        choices=PRUNER_NAMES,
    )
    trials: int | None = flag(help="how many trainings to make in all; a grid's all if left out")
    hours: float | None = flag(help="begin no new trial after so many hours, those of earlier sessions counted")
    workers: int = flag(1, help="trainings at a time on this machine, each with its share of the cores")
    startup_trials: int | None = flag(help="how many trials tpe and gp draw at random before they propose (10)")
    refit: bool = flag(
        False,
        help="at the end train the best settings anew on train and validation together",
    )
    output_dir: str | None = flag(
        help="where trials, table, page and the best run go; the same command again goes on there, or joins in"
    )
    overwrite_output_dir: bool = flag(False, help="replace the search that --output_dir holds")
    cache_gb: float | None = flag(
        help="keep decoded images for later epochs and trials, so many gigabytes in all (10 if left out; 0: none)"
    )


@dataclass(frozen=True)
class InspectArguments:
    """Where the results of an inspection go, whether a cleaned list is written, what else judges the images."""

    output_dir: str | None = flag(help="where the page and the figures go; inspection/DATA if left out")
    fix: str | None = flag(help="CSV file to write with what is worth keeping; `hfcls train --samples` takes it")
    overwrite: bool = flag(False, help="replace the --fix file that is there, and the list of what was left out")
    image_size: int | None = flag(
        help="pixels a side at which augmentations are shown; the median side of the images, at most 224, if left out"
    )
    label_errors: str | None = flag(
        help="find wrong labels by out-of-fold predictions: what `hfcls crossval` wrote, or one Parquet file of "
        "predictions (pip install 'hfcls[labels]')"
    )
    features: str | None = flag(
        help="find outliers and near duplicates by what this classifier sees: run directory, checkpoint or Hub id"
    )
    use_cpu: bool = flag(False, help="use no accelerator for --features")
    trust_remote_code: bool = flag(False, help="run the Python files that come with --features")
    allow_pickle: bool = flag(False, help="also read weights of --features that are not safetensors")


@dataclass(frozen=True)
class CardArguments:
    """What only the one who publishes a model can say of it; kept in the run's card.yaml for later cards."""

    repo_id: str | None = flag(help="where the model will be on the Hub, user/name, for the examples of use")
    space: str | None = flag(help="Hub id of a Space that shows the model; `hfcls push --space` sets it")
    title: str | None = flag(help="name of the model; that of the run directory if left out")
    description: str | None = flag(help="one or two sentences on what it is")
    intended_use: str | None = flag(help="what it is for, in sentences")
    out_of_scope: str | None = flag(help="what it must not be used for, in sentences")
    license: str | None = flag(
        help="license of the weights, by the Hub's identifier, such as apache-2.0; `other` as well"
    )
    license_name: str | None = flag(help="name of a license that the Hub has no identifier for (--license other)")
    license_link: str | None = flag(help="address of its text, or a file of the repository (--license other)")
    base_model: str | None = flag(help="Hub id of the model that it started from; found by itself where it can be")
    base_model_relation: str | None = flag(
        help="what it is to the base model", choices=("finetune", "adapter", "quantized", "merge")
    )
    datasets: list[str] | None = flag(help="Hub ids of the data sets; found by themselves where they can be")  # noqa: RUF009
    data: str | None = flag(help="what the data are and where they come from, in sentences")
    data_license: str | None = flag(help="license of the data, in words")
    people: bool | None = flag(help="the images show people")
    medical: bool | None = flag(help="the images are medical")
    ethics: str | None = flag(help="what else must be known before it is used, in sentences")
    tags: list[str] | None = flag(help="further tags")  # noqa: RUF009
    authors: str | None = flag(help="who made the model")
    citation: str | None = flag(help="how to cite it: BibTeX, or a file that holds it")
    examples: int | None = flag(
        help="publish so many test images as examples (3 of the built-in digits, none of other data, if left out)"
    )


@dataclass(frozen=True)
class CardCheckArguments:
    """What is done with a card, beside writing it."""

    check: str | None = flag(help="look at a card instead: a README.md, a directory that holds one, or a Hub id")
    overwrite: bool = flag(False, help="replace a README.md that hfcls has not written, or that was edited since")


@dataclass(frozen=True)
class PushArguments:
    """What of a run is published, and where."""

    repo_id: str | None = flag(
        help="where the model goes on the Hub, user/name; made if it is missing; that of the card where left out"
    )
    space: bool = flag(False, help="also push a Space of the same name, where anyone can try the model")
    private: bool = flag(False, help="make what is made private; an error where it is there and public")
    create_pr: bool = flag(False, help="propose the commit as a pull request")
    collection: str | None = flag(help="list it in the collection of this title (made if it is missing) or slug")
    no: list[str] | None = flag(help="what to leave out: predictions, exports, or both")  # noqa: RUF009
    dry_run: bool = flag(False, help="list files, sizes and problems of the card; send nothing, ask nothing of the Hub")
    overwrite: bool = flag(False, help="replace a README.md or app.py there that someone else wrote or edited")


@dataclass(frozen=True)
class DemoArguments:
    """Where the page is served, what it is called, and what of it is kept."""

    host: str = flag("127.0.0.1", help="address to listen at; 0.0.0.0 lets other machines in, without a password")
    port: int | None = flag(help="port to listen at; the first free one from 7860 on if left out")
    title: str | None = flag(help="what the page is called")
    use_cpu: bool = flag(False, help="leave the accelerator alone")
    flag_dir: str | None = flag(
        help="keep pictures that visitors say were taken for the wrong thing in this folder, which `hfcls train "
        "--train_dir` reads; nothing is kept if left out"
    )
    flag_dataset: str | None = flag(
        help="push what is new in --flag_dir to this data set on the Hub every five minutes, user/name; made private"
    )


@dataclass(frozen=True)
class ModelsArguments:
    """Which architectures are listed, and how."""

    family: str | None = flag(help="only those of this family, such as resnet or vit")
    max_parameters: float | None = flag(help="only those with at most so many parameters, such as 25e6")
    pretrained: bool = flag(False, help="only those with weights on the Hub for `hfcls train --pretrained`")
    all: bool = flag(False, help="timm's other names as well, which have no measured figures")
    format: str = flag("table", help="how to print", choices=("table", "markdown", "json"))
