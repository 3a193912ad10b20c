"""The two halves of an image processor, augmentation, and sampling."""

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers.models.timm_wrapper.image_processing_timm_wrapper import TimmWrapperImageProcessor

from hfcls.data.augmentation import AUGMENTATIONS, AugmentationPlan
from hfcls.data.batches import EpochSampler, class_weights
from hfcls.data.draws import text_keys
from hfcls.data.transforms import Preprocessing

PROCESSORS = {
    "ViT": lambda: transformers.ViTImageProcessor(size={"height": 32, "width": 32}),
    "ViT in 8 bits": lambda: transformers.ViTImageProcessor(do_rescale=False, do_normalize=False),
    **{
        name: lambda name=name: getattr(transformers, f"{name}ImageProcessor")()
        for name in ("ConvNext", "MobileNetV2", "EfficientNet", "MobileViT", "Levit", "CLIP", "DeiT")
    },
    "timm": lambda: TimmWrapperImageProcessor(
        {"input_size": (3, 64, 64), "crop_pct": 0.875, "interpolation": "bicubic", "mean": [0.4] * 3, "std": [0.2] * 3}
    ),
}


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("size", [(300, 200), (32, 32), (20, 45)])
def test_the_two_halves_make_the_whole(name: str, size: tuple[int, int]):
    processor = PROCESSORS[name]()
    preprocessing = Preprocessing(processor)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    pixels = preprocessing.pixels(image)
    assert pixels.dtype == torch.uint8
    assert tuple(pixels.shape[1:]) == preprocessing.spec.size
    expected = processor(image, return_tensors="pt").pixel_values.float()
    # float32 arithmetic in another order
    torch.testing.assert_close(preprocessing.normalize(pixels[None]), expected, atol=2e-6, rtol=0)
    # whatever the layout in memory
    two = torch.stack([pixels, pixels.flip(-1)])
    otherwise = preprocessing.normalize(two.contiguous(memory_format=torch.channels_last))
    assert torch.equal(otherwise, preprocessing.normalize(two))


class Sized:
    def __init__(self, labels: list[int]):
        self.labels = np.array(labels)
        self.ids = tuple(map(str, range(len(labels))))
        self.keys = text_keys(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


def test_sampler_orders_by_seed_and_epoch():
    sampler = EpochSampler(Sized([0] * 50), seed=1)
    first = list(sampler)
    assert sorted(first) == list(range(50)) != first
    sampler.set_epoch(2)
    second = list(sampler)
    assert sorted(index - 100 for index in second) == list(range(50))  # the epoch travels in the index
    assert [index - 100 for index in second] != first
    assert list(EpochSampler(Sized([0] * 50), seed=1)) == first


def test_balanced_sampling_sees_classes_equally_often():
    dataset = Sized([0] * 900 + [1] * 90 + [2] * 10)
    drawn = dataset.labels[[index % 1000 for epoch in range(3) for index in list_epoch(dataset, epoch)]]
    # 3,000 draws: a standard error of 0.009
    np.testing.assert_allclose(np.bincount(drawn) / 3000, 1 / 3, atol=0.035)


def test_copies_of_an_image_are_augmented_each_for_itself():
    dataset = Sized([0] * 900 + [1] * 90 + [2] * 10)
    indices = [index for epoch in range(3) for index in list_epoch(dataset, epoch)]
    epochs, positions = np.divmod(indices, 1000)
    rare = dataset.labels[positions] == 2
    assert rare.sum() > 900
    plan = AugmentationPlan({"rotation": AUGMENTATIONS["rotation"](30)}, seed=0)
    degrees = plan.draw(dataset.keys[positions], epochs, (8, 8))["rotation"]
    assert len(np.unique(degrees)) == len(degrees) == 3000
    # over the whole range: a standard error of 0.6 degrees at most
    assert abs(degrees[rare].mean()) < 2
    # what comes once in an epoch, or first, draws as without balancing; the others are numbered without a gap
    for number in np.unique(positions):
        drawn = epochs[positions == number]
        expected = [e + 65536 * n for e in range(3) for n in range(np.count_nonzero(drawn % 65536 == e))]
        assert drawn.tolist() == expected
    # a stored image that stands elsewhere draws the same
    turned = Sized([*dataset.labels[::-1]])
    turned.keys = dataset.keys[::-1].copy()
    assert [divmod(i, 1000)[0] for i in list_epoch(turned, 1)] == [divmod(i, 1000)[0] for i in list_epoch(dataset, 1)]


def list_epoch(dataset: Sized, epoch: int) -> list[int]:
    sampler = EpochSampler(dataset, seed=0, balanced=True)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_class_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 7 + [1] * 2 + [2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(class_weights(labels, 3), expected, rtol=1e-6)
