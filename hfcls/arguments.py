"""The flags, as frozen dataclasses: light to import, so that `--help` and a typo are answered at once.

The fields of `TrainingArguments` are flags as well; `hfcls.parsing` reads them from the installed transformers.
"""

from dataclasses import dataclass, field, fields
from typing import Any


def flag(default: Any = None, *, help: str, choices: tuple[str, ...] | None = None) -> Any:
    """A dataclass field that becomes a flag."""
    return field(default=default, metadata={"help": help, "choices": choices})


# Flags that say the same in two ways: one of them on the command line takes the place of a config's others.
ALTERNATIVES = (("dataset_name", "train_dir"), ("model_name_or_path", "architecture"))


@dataclass(frozen=True)
class DataArguments:
    """Where the images come from and how they are split."""

    dataset_name: str | None = flag(
        help="`digits` (built in), a path as for --train_dir, or a Hub id (user/name[@revision])"
    )
    dataset_config_name: str | None = flag(help="configuration of a Hub data set")
    dataset_revision: str | None = flag(help="branch, tag or commit of a Hub data set")
    train_dir: str | None = flag(
        help="folder with one folder per class (or train/, validation/, test/ above those); zip or tar of that; CSV, "
        "TSV, JSONL or Parquet with paths and labels; Parquet or Arrow with images; WebDataset shards; save_to_disk"
    )
    validation_dir: str | None = flag(help="the same, for the validation split")
    test_dir: str | None = flag(help="the same, for the test split")
    image_dir: str | None = flag(help="folder that the paths in a table or data set start from; its own if left out")
    image_column_name: str | None = flag(help="image or path column of a table; found by its type if left out")
    label_column_name: str | None = flag(help="label column of a table; found by its type if left out")
    group_column_name: str | None = flag(
        help="column of a table whose values (patient, tile, drawer) never fall on both sides of a carved split"
    )
    group_pattern: str | None = flag(help="the same, as a regular expression over the path; its first bracket counts")
    class_mapping: str | None = flag(
        help="YAML, JSON or CSV of old class: new class, which renames, merges and (new name left empty) leaves out"
    )
    samples: str | None = flag(help="CSV of id[, label, split, group]: use these alone (see `hfcls inspect --fix`)")
    exclude: str | None = flag(
        help="leave these images out: CSV with the column id (such as the suspects.csv of `hfcls inspect`), or a text "
        "file with an id on each line"
    )
    relabel: str | None = flag(
        help="other labels for some images: CSV of id, new_label (or label); an empty cell changes nothing"
    )
    on_bad_image: str = flag("error", help="what to do with images that cannot be read", choices=("error", "skip"))
    max_image_pixels: int = flag(89_478_485, help="images with more pixels count as images that cannot be read")
    max_train_samples: int | None = flag(help="use at most so many training images, stratified")
    max_eval_samples: int | None = flag(help="use at most so many validation images, stratified")
    max_test_samples: int | None = flag(help="use at most so many test images, stratified")
    streaming: bool = flag(
        False,
        help="read train piece by piece, for what does not fit the disk: WebDataset, Parquet, Hub",
    )
    shuffle_buffer_size: int | None = flag(help="how many images --streaming mixes at a time (1000 if left out)")
    validation_fraction: float | None = flag(
        help="share of train set apart where there is no validation split (0.1 if left out; 0: no validation)"
    )
    test_fraction: float | None = flag(
        help="share of train set apart where there is no test split (0.2 if left out; 0: no test)"
    )
    split_seed: int = flag(
        0, help="fixes the splits, apart from --seed, so that runs with other seeds see the same test images"
    )


# Those that name data, in the order in which a command takes its name from them.
DATA_FLAGS = ("test_dir", "dataset_name", "validation_dir", "train_dir")


@dataclass(frozen=True)
class ModelArguments:
    """What is trained, and from which weights."""

    model_name_or_path: str | None = flag(
        help="checkpoint to fine-tune: directory or Hub id, user/name[@revision] (transformers, timm or ours)"
    )
    model_revision: str | None = flag(
        help="branch, tag or commit of a checkpoint on the Hub, as behind the @; run.yaml names the commit"
    )
    architecture: str | None = flag(help="network to train from scratch: a name of `hfcls models`, or any of timm's")
    pretrained: bool = flag(False, help="start --architecture from its default checkpoint on the Hub")
    weights: str | None = flag(help="safetensors file to start --architecture from")
    image_size: int | None = flag(help="height and width to work at, in pixels; the model's own if left out")
    dropout: float | None = flag(help="probability of dropping a unit, below 1; the model's own if left out")
    drop_path: float | None = flag(
        help="stochastic depth: probability of skipping the last residual block, below 1; the model's own if left out"
    )
    letterbox: bool | None = flag(
        help="resize with the aspect ratio kept and fill what is left with the mean colour that the network is "
        "normalized by; the checkpoint's own way if left out, as for the next three"
    )
    colour_normalization: str | None = flag(
        help="take the colour of the light out of each image",
        choices=("none", "grey_world", "shades_of_grey", "stretch"),
    )
    clahe: float | None = flag(
        help="even out the contrast of each image, place by place (CLAHE), with this clip limit, such as 2; 0: none"
    )
    sharpen_input: float | None = flag(
        help="sharpen each image by an unsharp mask of this amount, such as 0.5, from 0.01 to 10; 0: none"
    )
    trust_remote_code: bool = flag(False, help="run the Python files that come with --model_name_or_path")
    allow_pickle: bool = flag(False, help="also read weights that are not safetensors")


POLICY_NAMES = (
    *("trivialaugment", "randaugment", "autoaugment", "autoaugment_cifar10", "autoaugment_svhn"),
    *("three_augment", "augmix"),
)
PRESET_NAMES = ("none", "light", "standard", "strong", "medical", "document", "satellite", *POLICY_NAMES)


@dataclass(frozen=True)
class AugmentationArguments:
    """Random changes of the training images, drawn anew for each image in each epoch; 0 turns one off."""

    augmentation: str | None = flag(
        help="what the images are, or a policy: sets the dials below (chosen by the data and the weights if left out)",
        choices=PRESET_NAMES,
    )
    horizontal_flip: float | None = flag(help="mirror with this probability, 0 to 1")
    vertical_flip: float | None = flag(help="turn upside down with this probability, 0 to 1")
    pad_and_crop: int | None = flag(help="pad by so many pixels and crop at a random place")
    shift: float | None = flag(help="move by up to this fraction of height and width, 0 to 1")
    random_resized_crop: float | None = flag(help="enlarge a random part of this fraction of the area or more, 0 to 1")
    zoom: float | None = flag(help="enlarge or shrink by up to this fraction, 0 to 0.9")
    rotation: float | None = flag(help="turn by up to so many degrees, 0 to 180")
    shear: float | None = flag(help="slant by up to so many degrees, 0 to 60")
    policy: str | None = flag(help="draw other changes by this policy", choices=("none", *POLICY_NAMES))
    brightness: float | None = flag(help="make brighter or darker by up to this fraction")
    contrast: float | None = flag(help="raise or lower the contrast by up to this fraction")
    saturation: float | None = flag(help="more or less colour by up to this fraction")
    hue: float | None = flag(help="turn the colours by up to this fraction of the colour circle, 0 to 0.5")
    grey: float | None = flag(help="take all colour away with this probability, 0 to 1")
    equalize: float | None = flag(help="equalize the histograms with this probability, 0 to 1")
    sharpen: float | None = flag(help="sharpen or smooth by up to this fraction")
    blur: float | None = flag(help="blur with this probability, 0 to 1")
    gaussian_noise: float | None = flag(help="add noise of up to this fraction of full scale, 0 to 1")
    salt_and_pepper: float | None = flag(help="make up to this fraction of the pixels black or white, 0 to 1")
    jpeg: int | None = flag(help="compress by JPEG of this quality or more, 1 to 100; 0: none")
    cutout: float | None = flag(help="hide a square of this fraction of the side, 0 to 1")
    random_erasing: float | None = flag(help="hide a random box with this probability, 0 to 1")
    mixup: float | None = flag(help="mix pairs of images and labels, shares from Beta(a, a), such as 0.2")
    cutmix: float | None = flag(help="put a box of another image in, shares from Beta(a, a), such as 1")


@dataclass(frozen=True)
class MethodArguments:
    """How the loss weighs the samples, and when training ends early."""

    class_weight: str = flag("none", help="auto (inverse class frequency), none, or a YAML file of class: weight")
    weighted_sampling: bool = flag(
        False, help="draw samples with replacement so that all classes are seen equally often"
    )
    early_stopping_patience: int | None = flag(
        help="stop after so many evaluations without a better --metric_for_best_model"
    )
    early_stopping_threshold: float | None = flag(help="by how much a better one must be better (0 if left out)")


@dataclass(frozen=True)
class TransferArguments:
    """Which parts of a network learn, how fast, and which weights are kept."""

    freeze: str = flag(
        "none", help="what stays as it is: none, backbone (all but the head), or so many stages from the image on"
    )
    probe_epochs: int | None = flag(help="train the head alone for so many epochs, then the rest with it")
    unfreeze_every: int | None = flag(help="let one more stage learn every so many epochs, from the head down")
    head_learning_rate: float | None = flag(help="peak learning rate of the head; --learning_rate if left out")
    layer_decay: float | None = flag(
        help="each block learns so many times as fast as the one after it, such as 0.75 for transformers"
    )
    lora_rank: int | None = flag(help="train low-rank adapters of this rank and the head; merged into what is saved")
    lora_alpha: float | None = flag(help="the adapters count for alpha / rank (the rank if left out)")
    lora_dropout: float | None = flag(help="dropout before the adapters, below 1 (0 if left out)")
    lora_targets: str | None = flag(
        help="ends of layer names, such as qkv,proj (all linear layers and ungrouped convolutions if left out)"
    )
    ema_decay: float | None = flag(
        help="also average the weights over the steps, such as 0.999; kept where validation says that it is better"
    )
    average_checkpoints: int | None = flag(
        help="at the end average so many of the newest checkpoints; kept where validation says that it is better"
    )
    snapshots: int | None = flag(
        help="let the learning rate fall to 0 so many times and keep a checkpoint each time, for `hfcls ensemble RUN "
        "--snapshots`"
    )


# What decides what comes out of a training; all of it is kept in run.yaml.
TRAIN_ARGUMENTS = (DataArguments, ModelArguments, AugmentationArguments, MethodArguments, TransferArguments)


@dataclass(frozen=True)
class RunArguments:
    """The run directory."""

    overwrite_output_dir: bool = flag(False, help="replace the run that --output_dir holds")
    cache_gb: float | None = flag(
        help="keep decoded images for later epochs and runs, so many gigabytes in all (10 if left out; 0: none)"
    )
    figures: list[str] | None = flag(  # noqa: RUF009
        help="also write the report's figures as files to report/figures, as svg, png or both",
        choices=("svg", "png"),
    )
    push_to_hub: bool = flag(False, help="publish the finished run on the Hub in one commit, as `hfcls push` does")
    hub_model_id: str | None = flag(help="where it goes with --push_to_hub, user/name")
    hub_private_repo: bool = flag(False, help="make the repository private, with --push_to_hub")


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


def only(cls: type, values: dict[str, Any]) -> Any:
    """Builds the dataclass `cls` from those of `values` that are its fields."""
    names = {f.name for f in fields(cls)}
    return cls(**{name: value for name, value in values.items() if name in names})
