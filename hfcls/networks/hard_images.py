"""How medical images, documents, night shots and odd aspect ratios are prepared; travels with the weights."""

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.image_transforms import to_pil_image
from transformers.image_utils import ChannelDimension

from .clahe import clahe

# Of the blur that is subtracted in sharpening, in pixels of the network's size.
SHARPEN_RADIUS = 1
# The share of the pixels of a channel that may lie below its black and above its white.
STRETCH_CUTOFF = 0.01
# The exponents of the Minkowski norms by which the colour of the light is estimated.
_NORMS = {"grey_world": 1, "shades_of_grey": 6}


class HardImageProcessor(BaseImageProcessor):
    """Resizes whole images, evens out colour, contrast and sharpness, and normalizes.

    In this order:

    1. the whole image is resized to ``size``; with `letterbox`, to the largest size of its own aspect ratio that fits
       in there. Nothing is cut off: where another processor would crop the middle, this one does not;
    2. `colour_normalization`, see `normalize_colours`;
    3. `clahe`, see `equalize_lightness`;
    4. `sharpen_input`, an unsharp mask: the pixels plus so many times their difference from a Gaussian blur of
       1 pixel; Pillow knows the amount in steps of 0.01;
    5. with `letterbox`, the bars that are left around the centred image are filled with ``image_mean`` in 8 bits,
       which the last step makes 0 to within half an 8-bit step. They are added after the other steps, which thus see
       the image alone;
    6. scaling to [0, 1] and normalization by ``image_mean`` and ``image_std``.

    Args:
        size: ``height`` and ``width`` in pixels.
        image_mean, image_std: three each, for pixels in [0, 1].
        resample: Pillow's number of the interpolation.
        letterbox: keep the aspect ratio.
        colour_normalization: none, grey_world, shades_of_grey or stretch.
        clahe: clip limit; 0 for none.
        sharpen_input: amount; 0 for none.
    """

    model_input_names = ["pixel_values"]

    def __init__(
        self,
        size: dict[str, int] | None = None,
        *,
        image_mean: list[float] | None = None,
        image_std: list[float] | None = None,
        resample: int = Image.Resampling.BILINEAR,
        letterbox: bool = False,
        colour_normalization: str = "none",
        clahe: float = 0.0,
        sharpen_input: float = 0.0,
        do_rescale: bool = True,
        do_normalize: bool = True,
        **kwargs: Any,  # what transformers keeps in the same file
    ):
        super().__init__(**kwargs)
        self.size = {"height": 224, "width": 224} if size is None else dict(size)
        self.image_mean = [0.5] * 3 if image_mean is None else list(image_mean)
        self.image_std = [0.5] * 3 if image_std is None else list(image_std)
        self.resample = int(resample)
        self.letterbox = letterbox
        self.colour_normalization = colour_normalization
        self.clahe = clahe
        self.sharpen_input = sharpen_input
        self.do_rescale = do_rescale
        self.do_normalize = do_normalize

    def preprocess(
        self,
        images: Any,
        *,
        do_rescale: bool | None = None,
        do_normalize: bool | None = None,
        return_tensors: str | None = "pt",
    ) -> BatchFeature:
        """Prepares an image or a list of images.

        As in transformers' processors that convert to RGB, grey is repeated and transparency laid on white.

        Args:
            images: of Pillow, numpy or torch, the latter two (H, W), (H, W, C) or (C, H, W) of 1, 3 or 4 channels, or
                a batch of these; uint8, or other numbers that are all whole from 0 to 255 or all in [0, 1].
            do_rescale: to [0, 1]; as the processor was made where None.
            do_normalize: by mean and standard deviation; as the processor was made where None.
            return_tensors: ``"pt"`` or ``"np"``.

        Returns:
            ``pixel_values`` (N, 3, H, W): float32, or uint8 where neither is done.

        Raises:
            ValueError: an array of another shape or range.
        """
        prepared = [np.asarray(self._prepare(_to_rgb(image))) for image in _flatten(images)]
        pixels = torch.from_numpy(np.stack(prepared)).permute(0, 3, 1, 2).contiguous()
        values = self.normalize(pixels, do_rescale=do_rescale, do_normalize=do_normalize)
        return BatchFeature({"pixel_values": values}, tensor_type=return_tensors)

    def normalize(self, pixels: Tensor, *, do_rescale: bool | None = None, do_normalize: bool | None = None) -> Tensor:
        """The last step alone, for pixels that went through the others.

        Args:
            pixels: uint8 (N, 3, H, W).
            do_rescale, do_normalize: as for `preprocess`.

        Returns:
            (N, 3, H, W): float32, or the pixels themselves where neither is done.
        """
        rescale = self.do_rescale if do_rescale is None else do_rescale
        if not (self.do_normalize if do_normalize is None else do_normalize):
            return pixels.float() / 255 if rescale else pixels
        scale = 255 if rescale else 1
        mean, std = (torch.tensor(values).view(-1, 1, 1) * scale for values in (self.image_mean, self.image_std))
        return (pixels.float() - mean) / std

    def _prepare(self, image: Image.Image) -> Image.Image:
        """An RGB image in the size of the network."""
        size = (self.size["width"], self.size["height"])
        fitted = _fit(image.size, size) if self.letterbox else size
        if image.size != fitted:
            image = image.resize(fitted, self.resample)
        image = normalize_colours(image, self.colour_normalization)
        if self.clahe:
            image = equalize_lightness(image, self.clahe)
        if self.sharpen_input:
            percent = round(100 * self.sharpen_input)
            image = image.filter(ImageFilter.UnsharpMask(SHARPEN_RADIUS, percent=percent, threshold=0))
        if fitted == size:
            return image
        canvas = Image.new("RGB", size, tuple(round(255 * mean) for mean in self.image_mean))
        canvas.paste(image, ((size[0] - fitted[0]) // 2, (size[1] - fitted[1]) // 2))
        return canvas


def normalize_colours(image: Image.Image, method: str) -> Image.Image:
    """Takes the colour of the light out of an RGB image, each channel by one table from old to new values.

    - ``grey_world`` (Buchsbaum 1980): each channel is multiplied so that all have the same mean, the average of
      their means.
    - ``shades_of_grey`` (Finlayson and Trezzi 2004): the same with the Minkowski norm of p = 6 in place of the mean,
      which lies between that and the brightest pixel.
    - ``stretch``: the 1st percentile of each channel becomes 0 and the 99th 255.

    A channel that is black, or of one value between the percentiles, stays as it is; a black one does not count in
    the average.
    """
    if method == "none":
        return image
    counts = np.array(image.histogram(), dtype=np.float64).reshape(3, 256)
    shares, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256.0)
    if method == "stretch":
        below = shares.cumsum(axis=1)
        black = (below >= STRETCH_CUTOFF).argmax(axis=1)
        white = (below >= 1 - STRETCH_CUTOFF).argmax(axis=1)
        flat = black == white
        tables = (values - np.where(flat, 0, black)[:, None]) * (255 / np.where(flat, 255, white - black))[:, None]
    else:
        p = _NORMS[method]
        norms = (shares * values**p).sum(axis=1) ** (1 / p)
        lit = norms > 0
        gains = np.where(lit, norms.sum() / max(lit.sum(), 1) / np.where(lit, norms, 1), 1)
        tables = values * gains[:, None]
    return image.point(np.rint(tables.clip(0, 255)).astype(int).ravel().tolist())


def equalize_lightness(image: Image.Image, clip_limit: float) -> Image.Image:
    """`clahe` on the lightness of an RGB image, its luma (the Y of YCbCr); what that gains, all three channels gain.

    A grey image stays grey, and becomes what `clahe` makes of its values.
    """
    lightness = np.asarray(image.convert("L"))
    gain = clahe(lightness, clip_limit).astype(np.int16) - lightness
    return Image.fromarray((np.asarray(image) + gain[:, :, None]).clip(0, 255).astype(np.uint8))


def _fit(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """The largest (width, height) of the aspect ratio of `size` within `room`; a pixel at least."""
    scale = min(room[0] / size[0], room[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _flatten(images: Any) -> list[Any]:
    """Single images, of one image, a batch in one array, or a list of either."""
    if isinstance(images, list | tuple):
        return [image for part in images for image in _flatten(part)]
    return list(images) if getattr(images, "ndim", 0) == 4 else [images]


def _to_rgb(image: Any) -> Image.Image:
    image = image if isinstance(image, Image.Image) else _to_pillow(image)
    if "A" in image.getbands() or "transparency" in image.info:
        above, image = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        image.paste(above, mask=above)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_pillow(array: Any) -> Image.Image:
    shape = tuple(getattr(array, "shape", ()))
    if len(shape) == 2:
        return to_pil_image(array[None], input_data_format=ChannelDimension.FIRST)
    if len(shape) != 3 or not {shape[0], shape[2]} & {1, 3, 4}:
        raise ValueError(
            f"An image is a Pillow image, or an array (H, W), (H, W, C) or (C, H, W) of 1, 3 or 4 channels: found "
            f"{type(array).__name__} {shape or ''}."
        )
    # As transformers decides where both could be channels.
    first = shape[0] in {1, 3, 4}
    return to_pil_image(array, input_data_format=ChannelDimension.FIRST if first else ChannelDimension.LAST)


HardImageProcessor.register_for_auto_class("AutoImageProcessor")
