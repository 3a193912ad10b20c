"""Steps for hard images: each against its reference or by hand, and the same for whoever loads the run."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter
from transformers import ViTImageProcessor

from hfcls.commands.train import train
from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.models import load_classifier
from hfcls.models.preparation import SHARPEN_RANGE
from hfcls.networks import HardImageProcessor
from hfcls.networks.clahe import clahe
from hfcls.networks.hard_images import equalize_lightness, normalize_colours
from hfcls.structures import Predictions
from tests.families import family_arguments

STEPS = {"letterbox": True, "colour_normalization": "shades_of_grey", "clahe": 2.0, "sharpen_input": 0.5}
KINDS = ("simple_cnn", "resnet18", "vit")  # ours, timm's, transformers'

STRANGER = """
import importlib.util, json, sys
sys.path.append(sys.argv[1])
assert importlib.util.find_spec("hfcls") is None
from PIL import Image
from transformers import pipeline
asked = json.load(open("asked.json"))
answers = {"refused": []}
for model in asked["models"]:
    classifier = pipeline("image-classification", model=model, trust_remote_code=True)
    for image in asked["images"]:
        rows = classifier(Image.open(image), top_k=2, function_to_apply="none")
        answers[f"{model} {image}"] = {row["label"]: row["score"] for row in rows}
    try:
        pipeline("image-classification", model=model)
    except ValueError as error:
        if "trust_remote_code=True" in str(error):
            answers["refused"].append(model)
json.dump(answers, open("answers.json", "w"))
"""


def noise(height: int, width: int, *, low: int = 0, high: int = 256) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(low, high, (height, width, 3), dtype=np.uint8))


def pixels_of(image: Image.Image, side: int = 32, **steps) -> np.ndarray:
    """uint8 (H, W, 3)."""
    processor = HardImageProcessor({"height": side, "width": side}, **steps)
    values = processor(image, do_rescale=False, do_normalize=False, return_tensors="pt").pixel_values[0]
    assert values.dtype == torch.uint8
    return values.permute(1, 2, 0).numpy()


@pytest.mark.parametrize("shape", [(224, 224), (32, 32), (224, 149), (61, 97), (3, 224), (7, 7), (1, 5), (16, 12)])
@pytest.mark.parametrize("limit", [0.5, 2.0, 40.0])
def test_clahe_is_opencv_s(shape: tuple[int, int], limit: float):
    rng = np.random.default_rng(0)
    for grey in (
        rng.integers(0, 256, shape, dtype=np.uint8),
        rng.normal(60, 12, shape).clip(0, 255).astype(np.uint8),
        np.full(shape, 77, dtype=np.uint8),
    ):
        off = np.abs(cv2.createCLAHE(limit, (8, 8)).apply(grey).astype(int) - clahe(grey, limit))
        # equal where this was written; fused multiplications of another processor may round one pixel in a thousand
        assert off.max() <= 1 and (off > 0).mean() <= 1e-3


def test_clahe_works_on_lightness():
    grey = np.random.default_rng(1).normal(90, 20, (48, 64)).clip(0, 255).astype(np.uint8)
    found = np.asarray(equalize_lightness(Image.fromarray(np.stack([grey] * 3, axis=2)), 2.0))
    assert all(np.array_equal(found[:, :, channel], clahe(grey, 2.0)) for channel in range(3))
    colours = np.random.default_rng(2).integers(60, 190, (48, 64, 3), dtype=np.uint8)
    luma, *chroma = cv2.split(cv2.cvtColor(colours, cv2.COLOR_RGB2YCrCb))
    theirs = cv2.cvtColor(cv2.merge([cv2.createCLAHE(2.0, (8, 8)).apply(luma), *chroma]), cv2.COLOR_YCrCb2RGB)
    off = np.abs(theirs.astype(int) - np.asarray(equalize_lightness(Image.fromarray(colours), 2.0)))
    assert off.max() <= 12 and off.mean() < 1  # theirs rounds chroma to 8 bits on the way, and luma may differ by 1


def test_a_clip_limit_without_end_clips_nothing():
    grey = np.random.default_rng(0).normal(60, 12, (64, 64)).clip(0, 255).astype(np.uint8)
    expected = cv2.createCLAHE(256, (8, 8)).apply(grey)
    assert np.array_equal(clahe(grey, 1e300), expected) and not np.array_equal(clahe(grey, 2.0), expected)


def test_colours_by_hand():
    image = Image.fromarray(np.array([[[20, 60, 0], [40, 180, 0]], [[20, 60, 0], [40, 180, 0]]], dtype=np.uint8))
    # means 30 and 120, their average 75: times 2.5 and 0.625; black blue stays black and does not count
    grey_world = np.asarray(normalize_colours(image, "grey_world"))
    assert grey_world[0].tolist() == [[50, 38, 0], [100, 112, 0]]  # 37.5 and 112.5 go to the even number
    # norms of p = 6: ((20**6 + 40**6) / 2) ** (1 / 6) = 35.7279, ((60**6 + 180**6) / 2) ** (1 / 6) = 160.4009;
    # their mean 98.0644: times 2.744754 and 0.611371
    shades = np.asarray(normalize_colours(image, "shades_of_grey"))
    assert shades[0].tolist() == [[55, 37, 0], [110, 110, 0]]
    assert normalize_colours(image, "none") is image


def test_stretch_by_hand():
    ramp = np.zeros((10, 20, 3), dtype=np.uint8)
    ramp[:, :, 0] = np.arange(200).reshape(10, 20) // 2 + 50  # 50 to 149, each 1 % of the pixels
    ramp[:, :, 1] = 9
    found = np.asarray(normalize_colours(Image.fromarray(ramp), "stretch"))
    # the 1st percentile is 50, the 99th 148: (v - 50) * 255 / 98
    assert found[0, 0].tolist() == [0, 9, 0]
    assert found[5, 0, 0] == 130  # 100
    assert found[9, 19, 0] == 255
    photo = noise(64, 64, low=30, high=200)
    theirs = np.asarray(ImageOps.autocontrast(photo, cutoff=1)).astype(int)
    assert np.abs(theirs - np.asarray(normalize_colours(photo, "stretch"))).max() <= 3  # cut by one value more or less


def test_sharpening_by_hand():
    photo = noise(32, 32, low=80, high=170)
    values = np.asarray(photo).astype(float)
    blurred = np.stack([gaussian_filter(values[:, :, c], 1.0, mode="nearest") for c in range(3)], axis=2)
    expected = (values + 0.5 * (values - blurred)).clip(0, 255)
    # Pillow's Gaussian is three box blurs
    assert np.abs(pixels_of(photo, sharpen_input=0.5) - expected).max() <= 4
    assert np.all(pixels_of(Image.new("RGB", (32, 32), (90, 20, 200)), sharpen_input=2.0) == [90, 20, 200])
    harsh = Image.fromarray(np.where(values > 125, 235, 20).astype(np.uint8))
    for amount in SHARPEN_RANGE:  # the least and the most that the flag takes have an effect
        assert not np.array_equal(pixels_of(harsh, sharpen_input=amount), np.asarray(harsh))


@pytest.mark.parametrize(("size", "box"), [((80, 20), (0, 12, 32, 20)), ((20, 80), (12, 0, 20, 32)),
                                           ((5, 4), (0, 3, 32, 29)), ((900, 3), (0, 15, 32, 16))])  # fmt: skip
def test_letterbox_keeps_the_aspect_ratio(size: tuple[int, int], box: tuple[int, int, int, int]):
    photo = noise(size[1], size[0])
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    left, top, right, bottom = box
    for steps in ({}, {**STEPS, "letterbox": True}):
        found = pixels_of(photo, image_mean=mean, **{**steps, "letterbox": True})
        inside = np.zeros((32, 32), dtype=bool)
        inside[top:bottom, left:right] = True
        # the bars are the mean colour in 8 bits, whatever the other steps do
        assert np.all(found[~inside] == [124, 116, 104])
        if not steps:
            expected = np.asarray(photo.resize((right - left, bottom - top), Image.Resampling.BILINEAR))
            assert np.array_equal(found[top:bottom, left:right], expected)
    processor = HardImageProcessor({"height": 32, "width": 32}, letterbox=True, image_mean=mean, image_std=std)
    bars = processor(photo).pixel_values[0][:, ~torch.from_numpy(inside)].abs()
    # 0 for the network, to within half an 8-bit step
    assert torch.all(bars <= 0.5001 / 255 / torch.tensor(std)[:, None]) and bars.max() < 0.01


@pytest.mark.parametrize(
    "steps",
    [{}, {"letterbox": True}, {"colour_normalization": "grey_world"}, STEPS, {"do_rescale": False, "clahe": 2.0}],
    ids=str,
)
def test_both_halves_make_what_the_processor_makes(steps: dict):
    processor = HardImageProcessor({"height": 640, "width": 600}, image_mean=[0.1, 0.2, 0.3], **steps)
    preprocessing = Preprocessing(processor)
    assert preprocessing.spec.size == (640, 600) and preprocessing.spec.mean == (0.1, 0.2, 0.3)
    # the first has the very size, where a neutral probe would not show what a step does
    for photo in (noise(640, 600, high=90), noise(64, 300)):
        found = preprocessing.normalize(preprocessing.pixels(photo)[None])
        assert torch.equal(found, processor(photo, return_tensors="pt").pixel_values)
        array = np.array(photo)
        assert torch.equal(found, processor(array, return_tensors="pt").pixel_values)
        assert torch.equal(found, processor(torch.from_numpy(array).permute(2, 0, 1)).pixel_values)


@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)], ids=str)
def test_arrays_of_any_channels_are_what_transformers_makes_of_them(channels: tuple[int, ...]):
    array = np.random.default_rng(0).integers(0, 256, (32, 32, *channels), dtype=np.uint8)
    size = {"height": 32, "width": 32}
    ours = HardImageProcessor(size)
    # theirs refuses two dimensions, and takes the same with one channel
    theirs = ViTImageProcessor(size=size, do_convert_rgb=True)(
        array if channels else array[:, :, None], return_tensors="pt"
    ).pixel_values
    first = np.moveaxis(array, -1, 0) if channels else array
    forms = [array, torch.from_numpy(array), first, Image.fromarray(array.squeeze()), [array], [[array], [array]]]
    if channels:
        forms.append(array[None])
    for images in forms:
        found = ours(images).pixel_values
        assert len(found) == (2 if images is forms[5] else 1)
        # a blend with white may round the other way: half of 255 steps to either side
        assert (found - theirs).abs().max() <= (2.1 / 255 if channels == (4,) else 1e-6)


@pytest.mark.parametrize("shape", [(32, 32, 2), (7,), (2, 32, 32, 5)], ids=str)
def test_arrays_that_are_no_images(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="of 1, 3 or 4 channels: found ndarray"):
        HardImageProcessor()(np.zeros(shape, dtype=np.uint8))


@pytest.fixture(scope="module")
def hard_folder(tmp_path_factory) -> Path:
    """Two classes of wide, tall, grey and tinted images, some of the network's own size."""
    root = tmp_path_factory.mktemp("hard")
    rng = np.random.default_rng(5)
    for name, low in (("dark", 0), ("light", 100)):
        (root / name).mkdir()
        for index in range(20):
            shape = [(20, 70, 3), (70, 20, 3), (40, 44), (32, 32, 3)][index % 4]
            values = rng.integers(low, low + 136, shape, dtype=np.uint8)
            Image.fromarray(values if len(shape) == 2 else values // np.array([1, 2, 3], dtype=np.uint8)).save(
                root / name / f"{index}.png"
            )
    return root


@pytest.fixture(scope="module")
def runs(hard_folder: Path, tmp_path_factory) -> dict[str, Path]:
    """A short run of each kind of network, with all steps."""
    root = tmp_path_factory.mktemp("runs")
    made = {}
    for kind in KINDS:
        made[kind] = root / f"run_{kind}"
        train(
            {
                **{"train_dir": str(hard_folder), "output_dir": str(made[kind]), **family_arguments(kind, root)},
                **{"use_cpu": True, "disable_tqdm": True, "num_train_epochs": 1, "learning_rate": 1e-2, **STEPS},
            }
        )
    return made


def test_a_stranger_s_pipeline_gives_our_logits(runs: dict[str, Path], hard_folder: Path, tmp_path: Path):
    predictions = {kind: Predictions.load(run / "predictions" / "test.parquet") for kind, run in runs.items()}
    ids = predictions["vit"].ids
    directories = [path for run in runs.values() for path in (run, *run.glob("checkpoint-*"))]
    assert len(directories) == 6
    asked = {"models": [*map(str, directories)], "images": [str(hard_folder / sample_id) for sample_id in ids]}
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    # -S: without the .pth files that put this package on the path
    command = [sys.executable, "-S", "-c", STRANGER, sysconfig.get_path("purelib")]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert answers["refused"] == asked["models"]  # never quietly without the steps
    for kind, run in runs.items():
        ours = predictions[kind]
        for directory in (run, *run.glob("checkpoint-*")):
            for sample_id in ids:
                theirs = answers[f"{directory} {hard_folder / sample_id}"]
                found = [theirs[name] for name in ours.class_names]
                np.testing.assert_allclose(found, ours.logits[ours.ids.index(sample_id)], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_keeps_its_steps_without_running_its_code(
    runs: dict[str, Path], kind: str, hard_folder, tmp_path, capsys
):
    code = runs[kind] / "hard_images.py"
    text = code.read_text()
    code.write_text("raise SystemExit('ran')")
    try:
        for trust in (False, True):
            processor = load_classifier(str(runs[kind]), trust_remote_code=trust).image_processor
            assert type(processor) is HardImageProcessor
            assert {name: getattr(processor, name) for name in STEPS} == STEPS
        if kind != "simple_cnn":  # its dense layer belongs to one size
            larger = load_classifier(str(runs[kind]), image_size=48).image_processor
            assert larger.clahe == 2 and larger.size == {"height": 48, "width": 48}
        short = {"use_cpu": True, "disable_tqdm": True, "max_steps": 1, "output_dir": str(tmp_path / "next")}
        start = {"train_dir": str(hard_folder), "model_name_or_path": str(runs[kind])}
        train({**short, **start, "clahe": 0.0, "colour_normalization": "none"})
    finally:
        code.write_text(text)
    assert "prepare   letterbox, sharpen 0.5\n" in capsys.readouterr().out
    kept = {**STEPS, "clahe": 0.0, "colour_normalization": "none"}
    written = json.loads((tmp_path / "next" / "preprocessor_config.json").read_text())
    assert {name: written[name] for name in STEPS} == kept
    settings = yaml.safe_load((tmp_path / "next" / "run.yaml").read_text())
    assert {name: settings[name] for name in STEPS} == kept
    assert load_classifier(str(tmp_path / "next")).image_processor.letterbox


@pytest.mark.parametrize(
    "wrong",
    [
        *({"clahe": -1.0}, {"clahe": float("inf")}, {"colour_normalization": "red"}),
        *({"sharpen_input": value} for value in (float("nan"), 1e9, 10.5, 0.004, -0.5)),
    ],
    ids=str,
)
def test_values_out_of_range(wrong: dict, hard_folder: Path, tmp_path: Path):
    start = {"train_dir": str(hard_folder), "architecture": "lenet5", "output_dir": str(tmp_path / "run")}
    with pytest.raises(UserError, match=f"--{next(iter(wrong))} is"):
        train({**start, **wrong})
