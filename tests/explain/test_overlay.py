"""Heatmaps as pictures."""

import numpy as np
import pytest
from PIL import Image

from hfcls.explain import Heatmap
from hfcls.explain.overlay import overlay, paint, side_by_side


def heatmap(class_name: str = "tulip", method: str = "grad-cam") -> Heatmap:
    values = np.zeros((30, 40), np.float32)
    values[5:10, 30:35] = 1
    return Heatmap(values, method=method, target=0, class_name=class_name)


def test_larger_values_are_brighter_in_even_steps():
    """Lightness L* of CIE 1976 rises in each of the 16 steps, by no step more than three times the mean."""
    steps = np.asarray(paint(np.linspace(0, 1, 17)[None])).astype(float)[0] / 255
    linear = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    lightness = np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)
    differences = np.diff(lightness)
    assert differences.min() > 0 and differences.max() < 2 * differences.mean()


def test_an_overlay_is_between_image_and_map():
    image = Image.new("RGB", (40, 30), (100, 120, 140))
    assert overlay(image, heatmap(), opacity=0).tobytes() == image.tobytes()
    assert overlay(image, heatmap(), opacity=1).tobytes() == paint(heatmap().values).tobytes()
    half = np.asarray(overlay(image, heatmap())).astype(int)
    assert half.shape == (30, 40, 3) and half[7, 32].sum() > half[20, 10].sum()
    with pytest.raises(ValueError, match=r"opacity is 1\.5"):
        overlay(image, heatmap(), opacity=1.5)


def test_rows_wrap_and_names_fit():
    image = Image.new("RGB", (40, 30))
    long = "great grey owl, great gray owl, Strix nebulosa, and more of what it is called 猫頭鷹"
    one = side_by_side(image, [heatmap()], width=100)
    five = side_by_side(image, [heatmap(long, "integrated-gradients, and then some")] * 5, width=100, columns=3)
    assert one.width < five.width and five.width == 12 + 3 * 112
    assert five.height > 1.8 * one.height
    # Between the columns and at the edge, nothing is written.
    pixels = np.asarray(five)
    assert all((pixels[:, x - 10 : x] == 255).all() for x in (12, 124, 236, 348))
    assert side_by_side(image, []).height > 30
