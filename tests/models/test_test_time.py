"""Classifiers that average over views: each row against the same views cut and averaged by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional
from transformers.modeling_outputs import ImageClassifierOutput

from hfcls.command_arguments import TTA
from hfcls.errors import UserError
from hfcls.models import TEST_TIME_AUGMENTATIONS, average_views, build_classifier

HEIGHT, WIDTH = 40, 64
# 7/8 of it, and where the centre crop begins
CROP_HEIGHT, CROP_WIDTH, TOP, LEFT = 35, 56, 2, 4
SHIFT_DOWN, SHIFT_RIGHT = 1, 2


class Linear(nn.Module):
    """Sees every pixel, and is very sure."""

    def __init__(self, height: int = HEIGHT, width: int = WIDTH, *, classes: int = 5):
        super().__init__()
        self.weights = torch.randn(3 * height * width, classes, generator=torch.Generator().manual_seed(0)) * 0.1

    def forward(self, pixel_values: Tensor) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=pixel_values.flatten(1) @ self.weights)


class MeanColour(nn.Module):
    """Sees neither left nor right."""

    def forward(self, pixel_values: Tensor) -> ImageClassifierOutput:
        return ImageClassifierOutput(logits=pixel_values.mean(dim=(2, 3)))


def noise(count: int, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def views_by_hand(name: str, images: Tensor) -> list[tuple[float, Tensor]]:
    """Weights and views, written out with torchvision's crop, pad, resize and flip."""
    mirror = functional.horizontal_flip
    if name == "none":
        return [(1, images)]
    if name == "flip":
        return [(1 / 2, images), (1 / 2, mirror(images))]
    if name == "flip_shift":
        padded = functional.pad(images, [SHIFT_RIGHT, SHIFT_DOWN], padding_mode="reflect")
        moved = [
            functional.crop(padded, top, left, HEIGHT, WIDTH)
            for top, left in ((0, 0), (2 * SHIFT_DOWN, 2 * SHIFT_RIGHT))
        ]
        views = [(1 / 4, images), *((1 / 8, view) for view in moved)]
        return [*views, *((weight, mirror(view)) for weight, view in views)]
    bottom, right = HEIGHT - CROP_HEIGHT, WIDTH - CROP_WIDTH
    crops = [
        functional.resize(functional.crop(images, top, left, CROP_HEIGHT, CROP_WIDTH), [HEIGHT, WIDTH])
        for top, left in ((0, 0), (0, right), (bottom, 0), (bottom, right), (TOP, LEFT))
    ]
    if name == "five_crop":
        return [(1 / 5, crop) for crop in crops]
    return [(1 / 10, view) for crop in crops for view in (crop, mirror(crop))]


@pytest.mark.parametrize("name", TEST_TIME_AUGMENTATIONS)
def test_every_row_averages_probabilities_over_its_views(name: str):
    model, images = Linear(), noise(6)
    logits = average_views(model, name)(pixel_values=images).logits
    by_hand = sum(w * model(v).logits.double().softmax(-1) for w, v in views_by_hand(name, images))
    np.testing.assert_allclose(logits.double().softmax(-1), by_hand, atol=1e-5)
    # a row alone; another order of the same sums may cost the last bits
    for row, image in enumerate(images):
        alone = average_views(model, name)(pixel_values=image[None]).logits[0]
        torch.testing.assert_close(alone, logits[row], atol=1e-4, rtol=0)
    # what sees no places answers as it did where there is one colour, up to a constant that softmax takes away
    flat = noise(6)[:, :, :1, :1].expand(-1, -1, HEIGHT, WIDTH)
    plain, averaged = MeanColour()(flat).logits, average_views(MeanColour(), name)(flat).logits
    torch.testing.assert_close(averaged.softmax(-1), plain.softmax(-1), atol=1e-6, rtol=0)
    weights = [weight for weight, _ in TEST_TIME_AUGMENTATIONS[name](images)]
    assert sum(weights) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["flip", "ten_crop"])  # the shifts are along one diagonal, not along its mirror image
def test_a_mirror_image_gets_the_same_answer(name: str):
    images, averaged = noise(4), average_views(Linear(), name)
    first, second = averaged(images).logits, averaged(images.flip(-1)).logits
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_a_single_view_is_the_classifier_itself_bit_for_bit():
    model, images = build_classifier("cifar_resnet20", class_names=("a", "b", "c")).model.eval(), noise(3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(average_views(model, "none")(images).logits, model(pixel_values=images).logits)


def test_a_shift_is_one_pixel_at_least():
    small = noise(2, 8, 8)
    _, _, (_, up_left), _, (_, down_right), _ = TEST_TIME_AUGMENTATIONS["flip_shift"](small)
    assert torch.equal(up_left[..., :-1, :-1], small[..., 1:, 1:])
    assert torch.equal(down_right[..., 1:, 1:], small[..., :-1, :-1])
    # reflected: the edge itself is not repeated
    assert torch.equal(down_right[..., 0, 1:], small[..., 1, :-1])


@pytest.mark.parametrize("name", TEST_TIME_AUGMENTATIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 1)], ids=str)
def test_a_side_of_one_pixel_can_be_viewed(name: str, size: tuple[int, int]):
    images = noise(2, *size)
    views = [view for _, view in TEST_TIME_AUGMENTATIONS[name](images)]
    assert {view.shape for view in views} == {images.shape}
    if name == "flip_shift":
        # along the other side it moves all the same
        assert torch.equal(views[2][..., :-1, :], images[..., 1:, :]) or size[0] == 1
        assert torch.equal(views[2][..., :-1], images[..., 1:]) or size[1] == 1
    assert average_views(Linear(*size), name)(images).logits.isfinite().all()


def test_what_is_not_a_number_stays_so():
    images = noise(2)
    images[1] = float("nan")
    logits = average_views(Linear(), "flip")(images).logits
    assert logits[0].isfinite().all()
    assert logits[1].isnan().all()


def test_the_flag_offers_the_rows():
    assert tuple(TEST_TIME_AUGMENTATIONS) == TTA
    with pytest.raises(UserError, match="Unknown test-time augmentation 'flipp'"):
        average_views(Linear(), "flipp")
