"""Whether explanations point at what decides: networks that can only go by a patch, and where each map is largest.

    python scripts/benchmarks/pointing_game.py --images 50

Grey noise of 32 pixels with one coloured patch of 8 at a random place, whose colour is the class. A CNN of ours and a
tiny vision transformer learn it in seconds; a hit is a maximum in the patch or at most 3 pixels beside it (Zhang et al.
2016, Top-down neural attention by excitation backprop, arXiv:1608.00507). By chance 19 % of the maxima would hit.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hfcls.explain import EXPLAINERS, EmptyMap, explain_images
from hfcls.models import Classifier, build_classifier

SIDE, PATCH, TOLERANCE = 32, 8, 3
COLOURS = {"red": (230, 50, 50), "green": (50, 190, 50), "blue": (60, 60, 230), "yellow": (220, 210, 40)}


def plant(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images uint8 (n, 32, 32, 3), classes (n,), and top and left of the patches (n, 2)."""
    rng = np.random.default_rng(seed)
    images = rng.normal(128, 30, (count, SIDE, SIDE, 1)).repeat(3, axis=3)
    labels = rng.integers(0, len(COLOURS), count)
    places = rng.integers(0, SIDE - PATCH + 1, (count, 2))
    colours = np.array(list(COLOURS.values()))
    for image, label, (top, left) in zip(images, labels, places, strict=True):
        image[top : top + PATCH, left : left + PATCH] = rng.normal(colours[label], 15, (PATCH, PATCH, 3))
    return images.clip(0, 255).astype(np.uint8), labels, places


def build_cnn() -> Classifier:
    """Two convolutions, and a dense layer that knows where things are."""
    return build_classifier("simple_cnn", class_names=tuple(COLOURS), image_size=SIDE)


def build_vit() -> Classifier:
    """Two blocks, 64 patches."""
    config = ViTConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        image_size=SIDE,
        patch_size=4,
        hidden_dropout_prob=0.0,
        id2label=dict(enumerate(COLOURS)),
        label2id={name: index for index, name in enumerate(COLOURS)},
    )
    processor = ViTImageProcessor(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return Classifier(ViTForImageClassification(config), processor)


NETWORKS = {"simple_cnn": build_cnn, "vit": build_vit}


def train(name: str, *, steps: int = 250) -> Classifier:
    """A network that has learned the colours."""
    torch.manual_seed(0)
    classifier = NETWORKS[name]()
    model = classifier.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    for step in range(steps):
        images, labels, _ = plant(32, seed=1000 + step)
        pixel_values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        loss = torch.nn.functional.cross_entropy(model(pixel_values=pixel_values).logits, torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    return classifier


def point(classifier: Classifier, method: str, *, images: int, passes: int | None = None) -> float:
    """The share of hits; an image without a map is a miss."""
    pixels, labels, places = plant(images, seed=0)
    hits = 0
    for image, label, place in zip(pixels, labels, places, strict=True):
        try:
            heatmap = explain_images(
                classifier, [Image.fromarray(image)], method=method, targets=[int(label)], passes=passes
            )[0]
        except EmptyMap:
            continue
        values = heatmap.values
        # Of a plateau, its middle.
        row, column = (axis.mean() for axis in np.nonzero(values >= values.max() - 1e-6))
        top, left = place
        hits += bool(
            top - TOLERANCE <= row < top + PATCH + TOLERANCE and left - TOLERANCE <= column < left + PATCH + TOLERANCE
        )
    return hits / images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50)
    arguments = parser.parse_args()
    print(f"{'network':12}{'method':24}{'hits':>6}{'s an image':>12}")
    for name in NETWORKS:
        classifier = train(name)
        images, labels, _ = plant(500, seed=1)
        with torch.no_grad():
            pixel_values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
            answers = classifier.model(pixel_values=pixel_values).logits.argmax(dim=1).numpy()
        print(f"{name:12}{'(accuracy, n = 500)':24}{(answers == labels).mean():6.2f}")
        for method, explainer in EXPLAINERS.items():
            if explainer.suits(classifier.model):
                begun = time.monotonic()
                share = point(classifier, method, images=arguments.images)
                seconds = (time.monotonic() - begun) / arguments.images
                print(f"{name:12}{method:24}{share:6.2f}{seconds:12.2f}", flush=True)


if __name__ == "__main__":
    main()
