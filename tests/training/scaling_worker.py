"""Trains every family for five steps and saves the weights; started alone or by `torch.distributed.run`."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import set_seed

from hfcls.arguments import AugmentationArguments, DataArguments, MethodArguments
from hfcls.data.batches import ImageDataset
from hfcls.data.labelled import load_data
from hfcls.data.transforms import Preprocessing
from hfcls.models import build_classifier, load_classifier
from hfcls.training.fit import fit
from hfcls.training.settings import build_training_arguments


def keep_normalization_frozen(model: torch.nn.Module) -> None:
    """Batch statistics are of one process's batch: out of the question that is asked here."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
            module.train = lambda mode=True, module=module: module
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def train_five_steps(arguments: dict, images: str, output: Path, batch: int, accumulation: int) -> None:
    loaded = load_data(DataArguments(train_dir=images, validation_fraction=0, test_fraction=0))
    set_seed(0)
    if "architecture" in arguments:
        names = loaded.class_names
        classifier = build_classifier(arguments["architecture"], class_names=names, image_size=arguments["image_size"])
    else:
        classifier = load_classifier(arguments["model_name_or_path"], class_names=loaded.class_names)
    keep_normalization_frozen(classifier.model)
    preprocessing = Preprocessing(classifier.image_processor)
    values = {
        **{
            "output_dir": f"{output}-run",
            "max_steps": 5,
            "optim": "sgd",
            "learning_rate": 0.05,
            "label_smoothing_factor": 0.1,
            "seed": 0,
        },
        **{"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulation, "use_cpu": True},
        **{"save_strategy": "no", "disable_tqdm": True, "warmup_steps": 0, "max_grad_norm": 0.5},
    }
    result = fit(
        classifier,
        {"train": ImageDataset(loaded.splits["train"], preprocessing)},
        preprocessing=preprocessing,
        training=build_training_arguments(values, has_validation=False),
        method=MethodArguments(class_weight="auto"),
        augmentation=AugmentationArguments(horizontal_flip=0.5, shift=0.1),
    )
    if result.accelerator.is_main_process:
        save_file({name: tensor.contiguous() for name, tensor in result.model.state_dict().items()}, output)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    for name, family in asked["families"].items():
        train_five_steps(family, asked["images"], Path(asked["output"], name), asked["batch"], asked["accumulation"])
