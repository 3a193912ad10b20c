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


def only(cls: type, values: dict[str, Any]) -> Any:
    """Builds the dataclass `cls` from those of `values` that are its fields."""
    names = {f.name for f in fields(cls)}
    return cls(**{name: value for name, value in values.items() if name in names})
