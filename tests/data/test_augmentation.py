"""Random changes of the training images: what they do, and that each image draws for itself."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from timm.data import Mixup as TimmMixup
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from hfcls import arguments
from hfcls.arguments import AugmentationArguments
from hfcls.commands.train import train
from hfcls.data.augmentation import (
    AUGMENTATIONS,
    POLICIES,
    PRESETS,
    AugmentationPlan,
    Change,
    Mix,
    Move,
    Warp,
    build_augmentations,
    colour,
    expand_preset,
    textures,
    tones,
)
from hfcls.data.augmentation.erasing import Cutout
from hfcls.data.augmentation.mixing import CutMix, Mixup, OneOf, mixed_targets
from hfcls.data.augmentation.moves import Shift, translate
from hfcls.data.augmentation.operations import OPERATIONS
from hfcls.data.augmentation.warps import RandomResizedCrop, Rotation, Shear, Zoom, warp
from hfcls.data.draws import pixel_uniforms, text_keys
from hfcls.errors import UserError

SIZE = (24, 20)
DIALS = {
    **dict.fromkeys(AUGMENTATIONS, 0.4),
    **{"pad_and_crop": 3, "rotation": 30, "shear": 20, "jpeg": 30, "mixup": 0.5, "cutmix": 1.0},
}
CASES = [(name, DIALS[name]) for name in AUGMENTATIONS if name != "policy"] + [("policy", name) for name in POLICIES]


def pictures(count: int, size: tuple[int, int] = SIZE) -> Tensor:
    """Coloured noise over a slope, uint8 (N, 3, H, W): no two pixels alike, no channel flat."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 120, size[1])[None, None, None]
    return torch.from_numpy((rng.integers(0, 136, (count, 3, *size)) + slope).astype(np.uint8))


@pytest.mark.parametrize(("name", "value"), CASES, ids=str)
def test_augmentation_contract(name: str, value):
    plan = AugmentationPlan({name: AUGMENTATIONS[name](value)}, seed=3)
    assert sum(isinstance(plan.augmentations[name], kind) for kind in (Move, Warp, Change, Mix)) == 1
    images, keys, epochs = pictures(60), text_keys([f"a/{i}" for i in range(60)]), np.full(60, 2)
    drawn = plan.draw(keys, epochs, SIZE)
    changed = plan.apply(images, drawn, then=Tensor.float)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert -1e-3 <= changed.min() <= changed.max() <= 255.001  # float32
    assert not torch.equal(changed, images.float())
    # the parameters differ between the images of a batch, and come again in another batch, but not in another epoch
    assert len(np.unique(drawn[name], axis=0)) > 1
    again = plan.draw(keys[[9, 4]], epochs[[9, 4]], SIZE)
    np.testing.assert_array_equal(again[name], drawn[name][[9, 4]])
    assert not np.array_equal(plan.draw(keys, epochs + 1, SIZE)[name], drawn[name])
    if not plan.mixes:
        # sums of float32 in another order
        torch.testing.assert_close(
            plan.apply(images[[9, 4]], again, then=Tensor.float), changed[[9, 4]], atol=0.01, rtol=0
        )


def test_every_augmentation_has_a_flag_and_every_name_a_table():
    fields = {name for name in vars(AugmentationArguments()) if name != "augmentation"}
    assert fields == set(AUGMENTATIONS)
    assert set(arguments.POLICY_NAMES) == set(POLICIES)
    assert set(arguments.PRESET_NAMES) == set(PRESETS)
    for name in PRESETS:
        build_augmentations(AugmentationArguments(augmentation=name))


def test_dials_go_before_the_preset():
    built = build_augmentations(AugmentationArguments(augmentation="strong", horizontal_flip=0.0, rotation=5))
    assert "horizontal_flip" not in built
    assert built["rotation"].degrees == 5
    assert list(built) == [name for name in AUGMENTATIONS if name in built]
    with pytest.raises(UserError, match=re.escape("--hue is 0.6: expected 0 to 0.5.")):
        build_augmentations(AugmentationArguments(hue=0.6))


# -- places ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edges", [True, False])
def test_translate_by_hand(edges: bool):
    images, offsets = pictures(30, (7, 5)), np.random.default_rng(1).integers(-3, 4, (30, 2))
    moved = translate(images, offsets, edges=edges)
    assert moved.dtype == torch.uint8
    for image, result, (down, right) in zip(images.numpy(), moved.numpy(), offsets, strict=True):
        padded = np.pad(image, ((0, 0), (3, 3), (3, 3)), mode="edge" if edges else "constant")
        np.testing.assert_array_equal(result, padded[:, 3 - down : 10 - down, 3 - right : 8 - right])


@pytest.mark.parametrize(("name", "value", "side"), [("shift", 0.05, 16), ("shift", 0.03, 32), ("cutout", 0.02, 16)])
def test_a_small_fraction_is_one_pixel(name: str, value: float, side: int):
    size, step = (side, side), AUGMENTATIONS[name](value)
    drawn = step.parameters(np.random.default_rng(0).random((200, 2)), size)
    if name == "shift":
        assert np.unique(drawn).tolist() == [-1, 0, 1]
    else:
        assert (drawn[:, 2:] - drawn[:, :2] == 1).all()
        assert 0 <= drawn.min() < drawn.max() == side
    plan = AugmentationPlan({name: step}, seed=0)
    images = pictures(20, size)
    changed = plan.apply(images, plan.draw(text_keys([*map(str, range(20))]), np.zeros(20), size), then=Tensor.float)
    assert not torch.equal(changed, images.float())


def test_larger_fractions_draw_as_before():
    uniforms = np.random.default_rng(0).random((200, 2))
    # 2 of 24 and of 20 pixels; a square of 4
    np.testing.assert_array_equal(Shift(0.1).parameters(uniforms, SIZE), np.floor(uniforms * 5) - 2)
    start = np.floor(uniforms * SIZE) - 2
    np.testing.assert_array_equal(Cutout(0.2).parameters(uniforms, SIZE), np.hstack([start, start + 4]))


def test_padding_is_bounded_by_the_images():
    dials = AugmentationArguments(pad_and_crop=33)
    with pytest.raises(UserError, match=re.escape("--pad_and_crop is 33: expected 0 to 32, the shorter side")):
        expand_preset(dials, size=(32, 40))
    assert expand_preset(dials, size=(33, 40)) == expand_preset(dials) == {"pad_and_crop": 33}
    # further than the side is as far as the side, in memory as well
    images, far = pictures(3), np.array([[4000, 0], [-3, 9999], [0, -2]])
    asked = []
    unfold = Tensor.unfold
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "unfold", lambda self, *args: asked.append(self.numel()) or unfold(self, *args))
        moved = translate(images, far, edges=False)
    assert asked[0] <= 9 * 24 / 20 * images.numel()
    assert not moved[:2].any()
    assert torch.equal(moved[2, ..., :-2], images[2, ..., 2:])


def test_a_training_bounds_the_padding(image_folder: Path, tmp_path: Path):
    values = {"train_dir": str(image_folder), "architecture": "simple_cnn", "image_size": 16, "use_cpu": True}
    with pytest.raises(UserError, match=re.escape("--pad_and_crop is 4096: expected 0 to 16")):
        train(values | {"output_dir": str(tmp_path / "run"), "pad_and_crop": 4096})


def padded_reference(images: Tensor, change) -> Tensor:
    """torchvision on images that were mirrored at their borders, cut back to their size."""
    far = min(SIZE)
    wide = torch.from_numpy(np.pad(images.numpy(), ((0, 0), (0, 0), (far, far), (far, far)), mode="symmetric")).float()
    return F.center_crop(torch.stack([change(image, i) for i, image in enumerate(wide)]), list(images.shape[-2:]))


WARPS = {
    "rotation": (Rotation(30), lambda x, p: F.affine(x, p, [0, 0], 1, [0, 0], InterpolationMode.BILINEAR)),
    "zoom": (Zoom(0.3), lambda x, p: F.affine(x, 0, [0, 0], p, [0, 0], InterpolationMode.BILINEAR)),
    "shear": (Shear(25), lambda x, p: F.affine(x, 0, [0, 0], 1, [p, 0], InterpolationMode.BILINEAR)),
}


@pytest.mark.parametrize("name", WARPS)
def test_warps_are_torchvisions(name: str):
    step, reference = WARPS[name]
    images = pictures(12)
    drawn = step.parameters(np.random.default_rng(0).random((12, 1)), SIZE)
    ours = warp(images.float(), step.matrix(drawn, SIZE))
    theirs = padded_reference(images, lambda image, i: reference(image, float(drawn[i])))
    # grid_sample's float32 coordinates: 1e-5 of a pixel, times a step of up to 255 from one pixel to the next
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0)


def test_random_resized_crop_is_torchvisions():
    images, step = pictures(40), RandomResizedCrop(0.3)
    drawn = step.parameters(np.random.default_rng(0).random((40, 4)), SIZE)
    assert (drawn[:, 2] * drawn[:, 3]).min() >= 0.3 * 0.999
    ratio = drawn[:, 2] * SIZE[1] / (drawn[:, 3] * SIZE[0])
    assert 3 / 4 - 1e-9 <= ratio.min() < 0.8 < 1.25 < ratio.max() <= 4 / 3 + 1e-9
    # whole pixels, as torchvision has them
    boxes = np.array([[2, 3, 12, 10], [0, 0, 24, 20], [10, 5, 6, 15]])  # top, left, height, width
    shares = boxes[:, [3, 2]] / np.array([20, 24])
    centres = boxes[:, [1, 0]] + boxes[:, [3, 2]] / 2 - np.array([10, 12])
    ours = warp(images[:3].float(), step.matrix(np.concatenate([centres, shares], axis=1), SIZE))
    for image, result, (top, left, height, width) in zip(images, ours, boxes.tolist(), strict=False):
        theirs = F.resized_crop(image.float(), top, left, height, width, list(SIZE), antialias=False)
        # at its border torchvision repeats the box's edge, where we see the pixel beyond it
        margin = 3
        inside = (slice(None), slice(margin, -margin), slice(margin, -margin))
        torch.testing.assert_close(result[inside], theirs[inside], atol=0.02, rtol=0)


@pytest.mark.parametrize("smallest", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("size", [(24, 24), (20, 24), (30, 20), (16, 64), (64, 16)], ids=str)
def test_random_resized_crop_keeps_its_area(smallest: float, size: tuple[int, int]):
    uniforms = np.random.default_rng(0).random((20_000, 4))
    x, y, wide, tall = RandomResizedCrop(smallest).parameters(uniforms, size).T
    area, ratio = wide * tall, wide * size[1] / (tall * size[0])  # in pixels
    np.testing.assert_allclose(area, smallest + (1 - smallest) * uniforms[:, 0])  # all as drawn: none is cut off
    assert (np.abs(x) + wide * size[1] / 2).max() <= size[1] / 2 * (1 + 1e-12)
    assert (np.abs(y) + tall * size[0] / 2).max() <= size[0] / 2 * (1 + 1e-12)
    # log-uniform between these two, in which the box fits, or next to them where it fits in none
    shape = size[1] / size[0]
    low, high = (np.clip(end, area * shape, shape / area) for end in (3 / 4, 4 / 3))
    np.testing.assert_allclose(ratio, low * (high / low) ** uniforms[:, 1])
    if smallest == 0.3 and size == (24, 24):
        np.testing.assert_allclose([ratio.min(), ratio.max()], [3 / 4, 4 / 3], rtol=1e-3)


def test_a_crop_of_everything_is_no_change():
    with pytest.raises(UserError, match="--random_resized_crop 1 would have no effect"):
        build_augmentations(AugmentationArguments(random_resized_crop=1.0))


def test_warps_are_sampled_once():
    """Two maps in one plan equal the product of their matrices, in the order of the table."""
    images, steps = pictures(8), {"zoom": Zoom(0.3), "rotation": Rotation(40)}
    plan = AugmentationPlan(steps, seed=0)
    drawn = plan.draw(text_keys(list("abcdefgh")), np.zeros(8), SIZE)
    product = steps["zoom"].matrix(drawn["zoom"], SIZE) @ steps["rotation"].matrix(drawn["rotation"], SIZE)
    torch.testing.assert_close(plan.apply(images, drawn), warp(images.float(), product))


# -- values ------------------------------------------------------------------------------------------------------

# Ours, torchvision's on float images in [0, 1], and the numbers to try.
VALUES = {
    "brightness": (colour.adjust_brightness, F.adjust_brightness, [0.3, 1.0, 1.7]),
    "contrast": (colour.adjust_contrast, F.adjust_contrast, [0.3, 1.0, 1.7]),
    "saturation": (colour.adjust_saturation, F.adjust_saturation, [0.0, 0.6, 2.0]),
    "hue": (colour.adjust_hue, F.adjust_hue, [-0.5, 0.1, 0.33]),
    "sharpness": (textures.adjust_sharpness, F.adjust_sharpness, [0.0, 0.6, 2.0]),
    "solarize": (tones.solarize, lambda x, p: F.solarize(x, p / 255), [0.0, 100.0, 255.0]),
    "posterize": (tones.posterize, lambda x, p: F.posterize((x * 255).round().to(torch.uint8), p) / 255, [1, 4, 8]),
    "autocontrast": (lambda x, p: tones.autocontrast(x), lambda x, p: F.autocontrast(x), [0, 0, 0]),
    "equalize": (
        lambda x, p: tones.equalize(x),
        lambda x, p: F.equalize((x * 255).round().to(torch.uint8)) / 255,
        [0, 0, 0],
    ),
    "grey": (lambda x, p: colour.grey(x).expand_as(x), lambda x, p: F.rgb_to_grayscale(x, 3), [0, 0, 0]),
    "jpeg": (textures.jpeg, lambda x, p: F.jpeg((x * 255).round().to(torch.uint8), p) / 255, [10, 50, 95]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_torchvisions(name: str):
    ours, theirs, numbers = VALUES[name]
    images = pictures(3)
    changed = ours(images.float(), np.array(numbers))
    for image, result, number in zip(images, changed, numbers, strict=True):
        # float32 on a scale of 255; JPEG: two builds of the same decoder may round apart
        expected = theirs(image.float() / 255, number) * 255
        torch.testing.assert_close(result, expected, atol=2.0 if name == "jpeg" else 0.01, rtol=0)


def test_equalize_a_flat_channel():
    flat = torch.full((1, 3, 9, 9), 77.0)
    torch.testing.assert_close(tones.equalize(flat), F.equalize(flat.to(torch.uint8)).float())


def test_blur_is_torchvisions():
    images, sigmas = pictures(2, (120, 130)), np.array([0.7, 2.0])
    for image, result, sigma in zip(images, textures.gaussian_blur(images.float(), sigmas), sigmas, strict=True):
        expected = F.gaussian_blur(image.float(), [13, 13], [float(sigma)] * 2)
        torch.testing.assert_close(result, expected, atol=0.01, rtol=0)


def test_noise_has_its_deviation():
    grey = torch.full((2, 3, 100, 100), 128.0)
    noisy = AUGMENTATIONS["gaussian_noise"](0.1).change(grey, np.array([[0.1, 0.3], [0.02, 0.7]]))
    for image, deviation in zip(noisy, (0.1, 0.02), strict=True):
        # 30,000 numbers: the deviation's standard error is 0.4 %
        assert image.std() / 255 == pytest.approx(deviation, rel=0.02)
        assert image.mean() == pytest.approx(128, abs=1)
    salted = AUGMENTATIONS["salt_and_pepper"](0.5).change(grey.clone(), np.array([[0.1, 0.3], [0.0, 0.7]]))
    coloured = pictures(1, (100, 100)).float()
    for image, alike in ((grey[:1], True), (coloured, False)):
        change = AUGMENTATIONS["gaussian_noise"](0.1).change(image, np.array([[0.05, 0.3]])) - image
        assert torch.equal(change[:, 0], change[:, 1]) is alike  # grey stays grey
    assert (salted[0] != 128).float().mean() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(salted[0, 0] != 128, salted[0, 2] != 128)  # whole pixels
    assert torch.equal(salted[1], grey[1])


def test_pixel_uniforms_are_uniform_and_alike_nowhere():
    draws = pixel_uniforms(np.array([0.2, 0.2000001]), (2, 3, 64, 64), count=2, device=torch.device("cpu"))
    assert 0 <= draws.min() < draws.max() < 1
    flat = draws.permute(1, 0, 2, 3, 4).reshape(2, -1)
    # 24,576 numbers a row: a standard error of 0.002 for the mean, 0.0065 for a correlation
    np.testing.assert_allclose(flat.mean(1), 0.5, atol=0.01)
    correlations = np.corrcoef(np.stack([*flat.numpy(), np.roll(flat[0].numpy(), 1)]))
    assert np.abs(correlations - np.eye(3)).max() < 0.03


# -- policies ----------------------------------------------------------------------------------------------------

# Our operations and torchvision's names for them.
THEIRS = {
    **{"shear_x": "ShearX", "shear_y": "ShearY", "translate_x": "TranslateX", "translate_y": "TranslateY"},
    **{"rotate": "Rotate", "brightness": "Brightness", "saturation": "Color", "contrast": "Contrast"},
    **{"sharpness": "Sharpness", "posterize": "Posterize", "solarize": "Solarize", "autocontrast": "AutoContrast"},
    **{"equalize": "Equalize", "invert": "Invert", "identity": "Identity"},
}
AUTOAUGMENT = {"imagenet": "autoaugment", "cifar10": "autoaugment_cifar10", "svhn": "autoaugment_svhn"}
STRENGTHS = {"translate_x": 5.7, "translate_y": -3.2, "rotate": 25.0, "posterize": 3, "solarize": 120.0}


@pytest.mark.parametrize("name", THEIRS)
def test_operations_are_torchvisions(name: str):
    images, strength = pictures(2), STRENGTHS.get(name, 0.4)
    ours = OPERATIONS[name](images.float(), np.full(2, strength))
    policy = v2.RandAugment()
    number = strength / 255 if name == "solarize" else strength
    theirs = torch.stack(
        [
            policy._apply_image_or_video_transform(
                image.float() / 255 if name not in {"posterize", "equalize"} else image,
                THEIRS[name],
                number,
                interpolation=InterpolationMode.BILINEAR,
                fill={},
            )
            for image in images
        ]
    )
    theirs = theirs.float() * (255 if theirs.is_floating_point() else 1)
    torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0)


@pytest.mark.parametrize("name", ["trivialaugment", "randaugment"])
def test_policies_draw_from_torchvisions_spaces(name: str):
    """Every operation equally often, its strengths within torchvision's range."""
    policy = POLICIES[name]
    drawn = policy.parameters(np.random.default_rng(0).random((20_000, policy.draws)), (32, 40)).reshape(-1, 2)
    space = (v2.TrivialAugmentWide() if name == "trivialaugment" else v2.RandAugment())._AUGMENTATION_SPACE
    names = list(OPERATIONS)
    for number, share in zip(*np.unique(drawn[:, 0], return_counts=True), strict=True):
        operation = names[int(number)]
        assert share / len(drawn) == pytest.approx(1 / 14, rel=0.1)
        make, signed = space[THEIRS[operation]]
        bins = make(31, 32, 40)
        if bins is None:
            continue
        wanted = np.array([float(bins[9])] if name == "randaugment" else bins) * (255 if operation == "solarize" else 1)
        found = np.unique(drawn[drawn[:, 0] == number, 1])
        np.testing.assert_allclose(found, np.unique(np.concatenate([wanted, -wanted]) if signed else wanted), atol=1e-4)


@pytest.mark.parametrize("searched_on", ["imagenet", "cifar10", "svhn"])
def test_autoaugment_is_torchvisions(searched_on: str):
    """Each of its 25 pairs: operations, probabilities, strengths and signs."""
    reference, policy = v2.AutoAugment(v2.AutoAugmentPolicy(searched_on)), POLICIES[AUTOAUGMENT[searched_on]]
    names, tiny = list(OPERATIONS), 1e-6
    for index, pair in enumerate(reference._policies):
        choice = (index + 0.5) / len(reference._policies)
        for step, (operation, probability, level) in enumerate(pair):
            make, signed = reference._AUGMENTATION_SPACE[operation]
            bins = make(10, *SIZE)
            strength = 0.0 if bins is None else float(bins[level]) * (255 if operation == "Solarize" else 1)
            below = max(probability - tiny, 0)
            for applied, sign in ((below, 0.9), (below, 0.1), (probability + tiny, 0.9)):
                uniforms = np.full((1, 5), 0.5)
                uniforms[0, [0, 1 + 2 * step, 2 + 2 * step]] = choice, applied, sign
                number, drawn = policy.parameters(uniforms, SIZE)[0, step]
                if applied >= probability:
                    assert names[int(number)] == "identity"
                    continue
                assert THEIRS[names[int(number)]] == operation
                assert drawn == pytest.approx(-strength if signed and sign < 0.5 else strength, abs=1e-4)


def test_augmix_is_torchvisions():
    """Without the operations that its test corruptions hold, as the paper has it."""
    reference, policy = v2.AugMix(all_ops=False), POLICIES["augmix"]
    drawn = policy.parameters(np.random.default_rng(0).random((20_000, policy.draws)), SIZE)
    kept, weights, chains = drawn[:, 0], drawn[:, 1:4], drawn[:, 4:].reshape(-1, 3, 3, 2)
    # Beta(1, 1) and Dirichlet(1, 1, 1): means, and variances of 1/12 and 1/18
    np.testing.assert_allclose([kept.mean(), *weights.mean(0)], [1 / 2, 1 / 3, 1 / 3, 1 / 3], atol=0.01)
    np.testing.assert_allclose([kept.var(), *weights.var(0)], [1 / 12, 1 / 18, 1 / 18, 1 / 18], rtol=0.05)
    np.testing.assert_allclose(weights.sum(1), 1)
    # one, two or three operations in a chain, as often
    names = np.array(list(OPERATIONS))[chains[..., 0].astype(int)]
    depth = (names != "identity").sum(2)
    np.testing.assert_allclose(
        np.bincount(depth.ravel(), minlength=4) / depth.size, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.01
    )
    used = names != "identity"
    space = reference._PARTIAL_AUGMENTATION_SPACE
    assert {THEIRS[name] for name in np.unique(names[used])} == set(space)
    for name in np.unique(names[used]):
        strengths = chains[..., 1][names == name]
        assert len(strengths) / used.sum() == pytest.approx(1 / len(space), rel=0.05)
        make, signed = space[THEIRS[name]]
        bins = make(reference._PARAMETER_MAX, *SIZE)
        wanted = np.zeros(1) if bins is None else bins[: reference.severity].double().numpy()
        wanted = wanted * 255 if name == "solarize" else wanted
        wanted = np.unique(np.concatenate([wanted, -wanted])) if signed else np.unique(wanted)
        np.testing.assert_allclose(np.unique(strengths.round(4) + 0.0), wanted, atol=1e-4)


@pytest.mark.parametrize(("side", "strongest"), [(224, 2.0), (112, 2.0), (56, 1.0)])
def test_three_augment_is_the_papers(side: int, strongest: float):
    """Section 3.3 of DeiT III: grey, solarized or blurred, as often, each for sure; mirrored, and colours by 0.3.

    In the authors' code ImageOps.solarize at its own threshold, and a Gaussian of 0.1 to 2 pixels (at 224 pixels).
    """
    policy, names = POLICIES["three_augment"], np.array(list(OPERATIONS))
    drawn = policy.parameters(np.random.default_rng(0).random((20_000, policy.draws)), (side, side))[:, 0]
    operations = names[drawn[:, 0].astype(int)]
    found, shares = np.unique(operations, return_counts=True)
    assert found.tolist() == ["blur", "grey", "solarize"]
    np.testing.assert_allclose(shares / 20_000, 1 / 3, atol=0.01)
    sigmas = drawn[operations == "blur", 1]
    ends = np.quantile(sigmas, [0, 0.5, 1])
    np.testing.assert_allclose(ends, [0.1, (0.1 + strongest) / 2, strongest], atol=0.03)
    solarized = policy.change(pictures(1).float(), drawn[operations == "solarize"][:1, None])
    image = Image.fromarray(pictures(1)[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(solarized[0].permute(1, 2, 0), np.asarray(ImageOps.solarize(image)))
    preset = PRESETS["three_augment"]
    assert [preset[name] for name in ("horizontal_flip", "brightness", "contrast", "saturation")] == [
        0.5,
        0.3,
        0.3,
        0.3,
    ]


def test_autoaugment_uses_its_pairs():
    policy = POLICIES["autoaugment_cifar10"]
    drawn = policy.parameters(np.full((1, 5), [0.0, 0.05, 0.9, 0.1, 0.9]), (32, 32))  # the first pair, both applied
    names = list(OPERATIONS)
    # Invert 0.1 7, Contrast 0.2 6 in the paper's table
    assert [names[int(number)] for number in drawn[0, :, 0]] == ["invert", "contrast"]
    assert drawn[0, 1, 1] == pytest.approx(0.9 * 6 / 9)


# -- mixing ------------------------------------------------------------------------------------------------------


def timm_mixed(images: Tensor, labels: Tensor, shares: np.ndarray, boxes: np.ndarray | None, monkeypatch):
    """timm's Mixup, element by element, on our draws."""
    mixer = TimmMixup(1.0, 1.0 if boxes is not None else 0.0, mode="elem", label_smoothing=0.0, num_classes=4)
    cut = np.full(len(images), boxes is not None)
    monkeypatch.setattr(mixer, "_params_per_elem", lambda count: (shares.astype(np.float32).copy(), cut))
    if boxes is not None:
        drawn = iter(zip(boxes[:, [0, 2, 1, 3]].tolist(), shares, strict=True))
        monkeypatch.setattr("timm.data.mixup.cutmix_bbox_and_lam", lambda *args, **settings: next(drawn))
    return mixer(images.clone(), labels)


@pytest.mark.parametrize("make", [Mixup(0.4), CutMix(1.0)], ids=["mixup", "cutmix"])
def test_mixing_is_timms(make, monkeypatch):
    images, labels = pictures(8).float(), torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    drawn = make.parameters(np.random.default_rng(2).random((8, make.draws)), SIZE)
    shares = make.shares(drawn, SIZE)
    targets = mixed_targets(labels, shares, 4)
    boxes = drawn if isinstance(make, CutMix) else None
    expected, expected_targets = timm_mixed(images, labels, shares, boxes, monkeypatch)
    torch.testing.assert_close(make.mix(images, drawn), expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(targets, expected_targets.float())
    torch.testing.assert_close(targets.sum(1), torch.ones(8))


def test_one_of_two_ways_to_mix():
    both, images = OneOf(Mixup(1.0), CutMix(1.0)), pictures(6).float()
    uniforms = np.random.default_rng(0).random((6, both.draws))
    drawn = both.parameters(uniforms, SIZE)
    mixed, shares = both.mix(images, drawn), both.shares(drawn, SIZE)
    for index in range(6):
        way = both.first if uniforms[index, 0] < 0.5 else both.second
        own = way.parameters(uniforms[:, 1:2] if way is both.first else uniforms[:, 2:], SIZE)
        torch.testing.assert_close(mixed[index], way.mix(images, own)[index])
        assert shares[index] == pytest.approx(way.shares(own, SIZE)[index])


# -- in a training -----------------------------------------------------------------------------------------------

EVERYTHING = {name: DIALS[name] for name in AUGMENTATIONS if name != "policy"} | {"policy": "augmix"}


def test_resume_within_an_epoch_with_everything_on(image_folder: Path, tmp_path: Path):
    values = {
        **{"train_dir": str(image_folder), "architecture": "simple_cnn", "image_size": 16, "num_train_epochs": 3},
        **{"use_cpu": True, "disable_tqdm": True, "save_strategy": "steps", "save_steps": 2, "eval_strategy": "no"},
        **{"per_device_train_batch_size": 8, "save_total_limit": 9, "weighted_sampling": True, **EVERYTHING},
    }
    train(values | {"output_dir": str(tmp_path / "whole")})
    expected = (tmp_path / "whole" / "model.safetensors").read_bytes()
    run = tmp_path / "cut"
    train(values | {"output_dir": str(run)})
    checkpoints = sorted(run.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    assert int(checkpoints[1].name.split("-")[1]) % 5  # within an epoch of five steps
    (run / "model.safetensors").unlink()  # so that whoever does nothing is found out
    train(values | {"output_dir": str(run), "resume_from_checkpoint": str(checkpoints[1]), "dataloader_num_workers": 2})
    assert (run / "model.safetensors").read_bytes() == expected


def test_a_batch_finished_later_is_the_same(image_folder: Path):
    """What an accelerator is left to do, done there, equals what is done beforehand."""
    from hfcls.arguments import DataArguments
    from hfcls.data.batches import BatchCollator, ImageDataset
    from hfcls.data.labelled import load_data
    from hfcls.data.transforms import Preprocessing
    from hfcls.models import build_classifier

    data = load_data(DataArguments(train_dir=str(image_folder))).splits["train"]
    preprocessing = Preprocessing(build_classifier("simple_cnn", class_names=("a", "b", "c")).image_processor)
    batch = ImageDataset(data, preprocessing).__getitems__(list(range(9)))
    plan = AugmentationPlan(build_augmentations(AugmentationArguments(**EVERYTHING)), seed=1)
    at_once = BatchCollator(preprocessing, plan, class_count=3)(dict(batch))
    later = BatchCollator(preprocessing, plan, class_count=3, on_device=True)
    waiting = later(dict(batch))
    assert waiting["pixels"].dtype == torch.uint8
    assert "pixel_values" not in waiting
    finished = later.finish(waiting)
    assert finished.keys() == at_once.keys() == {"pixel_values", "labels", "ids"}
    assert torch.equal(finished["pixel_values"], at_once["pixel_values"])
    assert torch.equal(finished["labels"], at_once["labels"])
    torch.testing.assert_close(at_once["labels"].sum(1), torch.ones(9))
