"""From the network's frame back to the image."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import BitImageProcessor, MobileViTImageProcessor, ViTImageProcessor

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.explain.geometry import find_frame
from hfcls.models import build_classifier
from hfcls.networks import HardImageProcessor


def processors() -> dict:
    return {
        # 512 x 384 to 298.67 x 224, whose middle 224 are the middle 384 of the image
        "short side and middle": (
            BitImageProcessor(size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}),
            (64, 0, 448, 384),
        ),
        # the short side to 256, of which 224: 7/8 of 384 are 336 pixels
        "a crop": (
            BitImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}),
            (88, 24, 424, 360),
        ),
        # RGB becomes BGR; the short side to 288, of which 256: 8/9 of 384 are 341 pixels
        "channels change places": (
            MobileViTImageProcessor(size={"shortest_edge": 288}, crop_size={"height": 256, "width": 256}),
            (85.3, 21.3, 426.7, 362.7),
        ),
        "stretched": (ViTImageProcessor(size={"height": 224, "width": 224}), (0, 0, 512, 384)),
        # 512 wide is 224; above and below, 28 rows of bars are 64 pixels of the image
        "letterbox": (
            HardImageProcessor(size={"height": 224, "width": 224}, letterbox=True),
            (0, -64, 512, 448),
        ),
        # timm's resnet18: 0.875, as above
        "timm": (build_classifier("resnet18", class_names=("a", "b")).image_processor, None),
    }


@pytest.mark.parametrize(
    "name", ["short side and middle", "a crop", "channels change places", "stretched", "letterbox", "timm"]
)
def test_a_square_comes_back_to_its_place(name: str):
    processor, box = processors()[name]
    preprocessing = Preprocessing(processor)
    frame = find_frame(preprocessing, (384, 512))
    if box is not None:
        # Sizes are rounded to whole pixels of the small image, each of 2.3 of the large one.
        np.testing.assert_allclose(frame.box, box, atol=1.2)
    pixels = np.zeros((384, 512, 3), np.uint8)
    pixels[120:180, 300:360] = 255
    seen = preprocessing.pixels(Image.fromarray(pixels)).numpy()[0] / 255.0
    if name == "letterbox":
        seen[:28], seen[-28:] = 0, 0  # the bars are grey
    back = frame.to_image(seen.astype(np.float32))
    rows, columns = np.nonzero(back > 0.5)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    np.testing.assert_allclose(found, (300, 120, 360, 180), atol=2.5)


def test_nothing_is_shown_where_the_network_does_not_look():
    processor, _ = processors()["a crop"]
    frame = find_frame(Preprocessing(processor), (384, 512))
    shown = frame.to_image(np.ones((7, 7), np.float32))
    assert shown[24:360, 89:423].min() == 1 and shown[:23].max() == 0 and shown[:, 426:].max() == 0


def test_what_cannot_be_told_is_said():
    """Not taken for the whole image: here the processor makes all images black."""
    preprocessing = Preprocessing(ViTImageProcessor(size={"height": 8, "width": 8}))
    preprocessing.pixels = lambda _image: torch.zeros(3, 8, 8, dtype=torch.uint8)  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"of 20 x 10 pixels .* ViTImageProcessor"):
        find_frame(preprocessing, (10, 20))
