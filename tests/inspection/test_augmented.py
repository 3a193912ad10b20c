"""What the page shows of augmentations is what a training draws, and nothing is shown that has no effect."""

import base64
import re
import xml.etree.ElementTree as ET
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import ViTImageProcessor

import hfcls.inspection.augmented as augmented
from hfcls.arguments import AugmentationArguments, DataArguments
from hfcls.cli import main
from hfcls.data.augmentation import AugmentationPlan, build_augmentations
from hfcls.data.batches import BatchCollator, ImageDataset
from hfcls.data.labelled import load_data
from hfcls.data.transforms import Preprocessing
from tests.inspection.pictures import picture

XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight pictures to train on, of which dog/3.png is a copy of dog/2.png, and two to test on."""
    places = {"train/<b>cat": (0, 1, 2, 3), "train/dog & co": (4, 5, 6, 6), "test/<b>cat": (7,), "test/dog & co": (8,)}
    for place, seeds in places.items():
        folder = tmp_path / "photos" / place
        folder.mkdir(parents=True)
        for number, seed in enumerate(seeds):
            picture(seed, 40).save(folder / f"{number}.png")
    return tmp_path / "photos"


def inspected(photos: Path, *flags: str) -> tuple[str, dict[str, list[np.ndarray]]]:
    """The page, and the pictures of its section by the id of the image."""
    output = photos.parent / "out"
    main(["inspect", str(photos), "--output_dir", str(output), *flags])
    html = (output / "index.html").read_text(encoding="utf-8")
    root = ET.fromstring(html.removeprefix("<!DOCTYPE html>"))
    pictures: dict[str, list[np.ndarray]] = {}
    for element in root.iter(f"{XHTML}img"):
        found = re.fullmatch(r"(.*), (?:original|epoch \d)", str(element.get("alt")))
        if found:
            content = base64.b64decode(str(element.get("src")).partition(",")[2])
            pictures.setdefault(found[1], []).append(np.array(Image.open(BytesIO(content)).convert("RGB")))
    return html, pictures


def drawn_by_a_training(photos: Path, size: int, flags: dict, epoch: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """All of train as one batch, by the parts that a training has: images of 8 bits by id, and their labels."""
    processor = ViTImageProcessor(size={"height": size, "width": size}, do_normalize=False)
    preprocessing = Preprocessing(processor)
    loaded = load_data(DataArguments(dataset_name=str(photos), validation_fraction=0))
    train = ImageDataset(loaded.splits["train"], preprocessing)
    plan = AugmentationPlan(build_augmentations(AugmentationArguments(**flags)), 42)
    collator = BatchCollator(preprocessing, plan, class_count=2)
    batch = collator([train[position + epoch * len(train)] for position in range(len(train))])
    pixels = (batch["pixel_values"] * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return dict(zip(batch["ids"], pixels, strict=True)), batch["labels"].numpy()


@pytest.mark.parametrize("size, tolerance", [(32, 0), (96, 8)])
def test_pictures_are_those_that_a_training_draws(photos: Path, size: int, tolerance: int):
    flags = {"augmentation": "strong", "rotation": 15.0}
    html, pictures = inspected(photos, "--augmentation", "strong", "--rotation", "15", "--image_size", str(size))
    assert len(pictures) == 8
    assert {len(row) for row in pictures.values()} == {8}
    assert "<code>horizontal_flip 0.5, shift 0.1, rotation 15, policy trivialaugment, random_erasing 0.25<" in html
    plain, _ = drawn_by_a_training(photos, size, {"augmentation": "none"}, 0)
    columns = [plain, *(drawn_by_a_training(photos, size, flags, epoch)[0] for epoch in range(7))]
    for column, wanted in enumerate(columns):
        for sample_id, row in pictures.items():
            error = np.abs(row[column].astype(int) - wanted[sample_id]).mean()
            assert error <= tolerance, f"{sample_id}, column {column}"
    # The copies of an image go ways of their own.
    first, second = (pictures[f"train/dog & co/{number}.png"] for number in (2, 3))
    assert np.array_equal(first[0], second[0])
    assert not any(np.array_equal(*pair) for pair in zip(first[1:], second[1:], strict=True))


def test_mixed_pictures_carry_the_shares_of_their_labels(photos: Path):
    flags = {"augmentation": "none", "mixup": 1.0, "cutmix": 1.0}
    html, pictures = inspected(photos, "--augmentation", "none", "--mixup", "1", "--cutmix", "1")
    assert {row[0].shape for row in pictures.values()} == {(40, 40, 3)}  # the median side
    shown = re.findall(r"<li><img[^>]*/><span>epoch \d</span>(.*?)</li>", html)
    shares = [[int(percent) for percent in re.findall(r"(\d+)&#160;% <bdi>", text)] for text in shown]
    assert len(shares) == 8 * 7
    assert all(99 <= sum(share) <= 101 for share in shares)
    assert "<bdi>&lt;b&gt;cat</bdi>" in "".join(shown)
    # Each keeps what it drew, whatever it is mixed with.
    _, labels = drawn_by_a_training(photos, 40, flags, 0)
    kept = np.sort(np.r_[labels[:4, 0], labels[4:, 1]] * 100).round()
    assert sorted(share[0] for share in shares[::7]) == kept.tolist()


@pytest.mark.parametrize(
    "flags, reason",
    [
        (["--augmentation", "none"], "--augmentation none would have no effect"),
        (["--rotation", "0"], "--rotation 0 would have no effect"),
        (["--image_size", "64"], "--image_size would have no effect"),
        (["--augmentation", "light", "--image_size", "0"], "--image_size is 0: expected 1 to 2048"),
        (["--rotation", "200"], "--rotation is 200: expected 0 to 180"),
    ],
)
def test_flags_without_effect_are_refused_before_anything_is_read(
    tmp_path: Path, flags: list[str], reason: str, capsys
):
    assert main(["inspect", str(tmp_path / "missing"), *flags]) == 2
    assert reason in capsys.readouterr().err


def test_the_section_comes_when_asked_for_and_says_what_found_no_room(photos: Path, monkeypatch, capsys):
    html, pictures = inspected(photos)
    assert not pictures and 'id="augmentation"' not in html
    assert "augmented" not in capsys.readouterr().out
    monkeypatch.setattr(augmented, "AUGMENTED_BUDGET", 200_000)
    html, pictures = inspected(photos, "--augmentation", "light")
    assert 1 < len(pictures) < 8
    assert f"{8 - len(pictures)} more images have no room on this page" in html
    said = capsys.readouterr().out
    assert (
        f"index.html#augmentation: {len(pictures)} images of 40 pixels a side, horizontal_flip 0.5, shift 0.1" in said
    )
    assert re.search(r"hfcls train .* --augmentation light --architecture", said)
