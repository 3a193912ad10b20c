"""One training by other means than hfcls, in a process of its own: what `training_speed.py` measures against.

python scripts/benchmarks/training_peers.py '{"name": "example", "data": "train.parquet", "size": 32, ...}'
"""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from peers import TensorSamples, collate, endless, read_rows, timm_loader, with_pil
from torch import Tensor, nn
from transformers import PreTrainedModel, Trainer, TrainingArguments, set_seed

from hfcls.data.transforms import Preprocessing
from hfcls.models import Classifier, build_classifier, has_layer_norm
from hfcls.training.memory import keep_freed_memory


def main(settings: dict[str, Any]) -> None:
    name, size, batch_size = settings["name"], settings["size"], settings["batch_size"]
    rows = read_rows(settings["data"], settings["images"])
    classifier = build(rows, settings)
    spec = Preprocessing(classifier.image_processor).spec
    look = (size, settings["changes"], spec.mean, spec.std)
    if name.startswith("example"):
        train_by_trainer(classifier, with_pil(rows, *look), settings)
    elif name == "torchvision-v2":
        train_by_trainer(classifier, TensorSamples(rows, *look), settings)
    elif name == "timm-loader":
        batches = endless(timm_loader(rows, batch_size, *look))
        train_by_loop(classifier.model, batches, settings)
    else:
        keep_freed_memory()  # as `hfcls train` does: the limit is that of the hardware
        train_by_loop(classifier.model, same_batch(len(classifier.class_names), size, batch_size), settings)


def build(rows: Any, settings: dict[str, Any]) -> Classifier:
    """The network that `hfcls train` builds."""
    set_seed(settings["seed"])
    names = tuple(rows.features["label"].names)
    return build_classifier(settings["architecture"], class_names=names, image_size=settings["size"])


def same_batch(class_count: int, size: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """No data at all."""
    images = torch.randn(batch_size, 3, size, size).contiguous(memory_format=torch.channels_last)
    batch = images, torch.randint(class_count, (batch_size,))
    while True:
        yield batch


def train_by_trainer(classifier: Classifier, data: Any, settings: dict[str, Any]) -> None:
    """Trainer as it is, with its own optimizer, an AdamW, and the usual layout of weights in memory."""
    arguments = TrainingArguments(
        settings["output"],
        per_device_train_batch_size=settings["batch_size"],
        max_steps=settings["steps"],
        learning_rate=settings["learning_rate"],
        seed=settings["seed"],
        bf16=settings["bf16"],
        remove_unused_columns=False,
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    if "adamw" not in str(arguments.optim.value):
        raise SystemExit(f"Trainer's optimizer is {arguments.optim.value}: expected an AdamW.")
    # hfcls lays networks out anew when it builds them; who uses Trainer alone has them as torch makes them.
    model = classifier.model.to(memory_format=torch.contiguous_format)
    Trainer(model, arguments, train_dataset=data, data_collator=collate).train()


def train_by_loop(model: PreTrainedModel, batches: Iterator[tuple[Tensor, Tensor]], settings: dict[str, Any]) -> None:
    """As lean as torch allows, in the layout that hfcls gives the network."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings["learning_rate"], fused=True)
    layout = torch.contiguous_format if has_layer_norm(model) else torch.channels_last
    model.train()
    for pixel_values, labels in islice(batches, settings["steps"]):
        with torch.autocast("cpu", torch.bfloat16, enabled=settings["bf16"]):
            logits = model(pixel_values=pixel_values.contiguous(memory_format=layout)).logits
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
