"""What `transfer_defaults.py` measures against: plain Trainer with its defaults, as its example script uses it.

python scripts/benchmarks/trainer_defaults.py FOLDER SAMPLES MODEL OUTPUT
"""

import csv
import json
import os
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1"}

import torch
from PIL import Image
from torchvision.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    Resize,
    ToTensor,
)
from transformers import AutoConfig, AutoModelForImageClassification, Trainer, TrainingArguments, set_seed


class Photos(torch.utils.data.Dataset):
    def __init__(self, paths: list[Path], names: list[str], transform):
        self._paths, self._names, self._transform = paths, names, transform

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> dict:
        path = self._paths[index]
        image = Image.open(path).convert("RGB")
        return {"pixel_values": self._transform(image), "labels": self._names.index(path.parent.name)}


def main(folder: str, samples: str, model: str, output: str) -> None:
    set_seed(42)
    with open(samples, newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["id"].split("/")[0] for row in rows})
    config = AutoConfig.from_pretrained(model)
    mean, std = config.pretrained_cfg["mean"], config.pretrained_cfg["std"]
    side = config.pretrained_cfg["input_size"][-1]
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    classifier = AutoModelForImageClassification.from_pretrained(
        model, num_labels=len(names), ignore_mismatched_sizes=True, **labels
    )
    ends = [ToTensor(), Normalize(mean, std)]
    transforms = {
        "train": Compose([RandomResizedCrop(side), RandomHorizontalFlip(), *ends]),
        "test": Compose([Resize(side), CenterCrop(side), *ends]),
    }
    data = {
        split: Photos([Path(folder, row["id"]) for row in rows if row["split"] == split], names, transform)
        for split, transform in transforms.items()
    }
    arguments = TrainingArguments(
        output, remove_unused_columns=False, save_strategy="no", disable_tqdm=True, use_cpu=True
    )
    trainer = Trainer(classifier, arguments, train_dataset=data["train"])
    trainer.train()
    answers = trainer.predict(data["test"])
    right = answers.predictions.argmax(1) == answers.label_ids
    ids = [row["id"] for row in rows if row["split"] == "test"]
    Path(output).mkdir(parents=True, exist_ok=True)
    Path(output, "correct.json").write_text(json.dumps(dict(zip(ids, map(bool, right), strict=True))))


if __name__ == "__main__":
    main(*sys.argv[1:])
