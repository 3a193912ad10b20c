"""From a decoded image to ``pixel_values``, by the classifier's own image processor, in two halves.

First to 8-bit pixels of the classifier's size (one image after the other; what augmentation and caches work on), then
to normalized floats (a batch at a time). Together they give what ``pipeline()`` computes.
"""

import json
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, resize
from transformers.image_utils import pil_torch_interpolation_mapping

from hfcls.data.decode import MAX_PIXELS
from hfcls.errors import BadImage, UserError
from hfcls.networks import HardImageProcessor
from hfcls.structures import ImageSpec


class Preprocessing:
    """The two halves of an image processor of transformers or timm.

    Attributes:
        image_processor: of transformers, timm or ours.
        spec: size, mean and standard deviation of what comes out.
        exact_size: an RGB image of ``spec.size`` passes the first half unchanged.
        first_half: all that decides the first half, as text: the processor's class and settings, and a digest of what
            it makes of fixed images, which tells of code and hardware that resize otherwise.

    Raises:
        UserError: the processor makes images of differing sizes, which cannot form a batch.
    """

    def __init__(self, image_processor: Any):
        self.image_processor = image_processor
        self._resize: Callable[[Image.Image], Tensor]
        own = isinstance(image_processor, HardImageProcessor)
        if hasattr(image_processor, "val_transforms"):
            settings = image_processor.data_config
            self._mean, self._std = settings["mean"], settings["std"]
            self._resize = self._resize_by_timm
        else:
            self._mean = image_processor.image_mean if image_processor.do_normalize else (0.0,) * 3
            self._std = image_processor.image_std if image_processor.do_normalize else (1.0,) * 3
            self._resize = self._resize_by_transformers
            if not own and self._resizes_alone():
                self._resize = self._resize_alone
        wide, tall = self._resize(_probe(97, 61)), self._resize(_probe(53, 89))
        if wide.shape != tall.shape:
            raise UserError(
                f"The image processor {type(image_processor).__name__} makes images of differing sizes, such as "
                f"{tuple(wide.shape[1:])} and {tuple(tall.shape[1:])}: set size or crop_size in its "
                "preprocessor_config.json."
            )
        self.spec = ImageSpec(
            size=(wide.shape[1], wide.shape[2]), mean=tuple(map(float, self._mean)), std=tuple(map(float, self._std))
        )
        probe = _probe(self.spec.size[1], self.spec.size[0])
        # Whether steps that hang on the image's content change it cannot be told from a probe.
        self.exact_size = not own and torch.equal(self._resize(probe), pil_to_tensor(probe))
        self.first_half = _describe(image_processor, [wide, tall])
        self._standard = torch.allclose(self._normalize(wide[None]), self._reference(_probe(97, 61)), atol=1e-5)

    def pixels(self, image: Image.Image) -> Tensor:
        """An RGB image to uint8 (3, H, W) of ``spec.size``."""
        if self.exact_size and image.size == self.spec.size[::-1]:
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return self._resize(image)

    def checked_pixels(self, image: Image.Image, sample_id: str) -> Tensor:
        """The same for an image that anybody may have sent.

        Raises:
            BadImage: the image cannot be resized, or would take gigabytes on the way.
        """
        width, height = image.size
        if max(width, height) / min(width, height) * self.spec.size[0] * self.spec.size[1] > MAX_PIXELS:
            # Resized by its shorter side it would take gigabytes.
            raise _refused(sample_id, f"is too elongated: {width} x {height} pixels")
        try:
            return self.pixels(image)
        except Exception as error:  # whatever an image processor makes of odd sizes
            raise _refused(sample_id, f"cannot be resized ({type(error).__name__}: {error})") from None

    def normalize(self, pixels: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) to ``pixel_values``, float32 (N, 3, H, W).

        Of a processor that neither scales nor normalizes these are the pixels, from 0 to 255.
        """
        if self._standard:
            return self._normalize(pixels)
        # A processor with a way of its own (other channel order, two scalings): let it do that half itself.
        if isinstance(self.image_processor, HardImageProcessor):
            return self.image_processor.normalize(pixels).float()
        output = self.image_processor(
            list(pixels), do_resize=False, do_center_crop=False, do_pad=False, return_tensors="pt"
        )
        return output.pixel_values.float()

    def _normalize(self, pixels: Tensor) -> Tensor:
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=pixels.device) for values in (self._mean, self._std)
        )
        by_timm = self._resize == self._resize_by_timm
        count, channels, height, width = pixels.shape
        values = pixels
        shape: tuple[int, ...] = (-1, 1, 1)
        channels_last = pixels.is_contiguous(memory_format=torch.channels_last) and not pixels.is_contiguous()
        if channels_last:
            # Row by row: three numbers at a time are too few for a vector instruction.
            values = pixels.permute(0, 2, 3, 1).reshape(count, height, width * channels)
            mean, std, shape = mean.repeat(width), std.repeat(width), (-1,)
        values = values.to(torch.float32, copy=True)
        if by_timm:
            values.div_(255).sub_(mean.view(shape)).div_(std.view(shape))
        else:
            # Scaling and normalization in one step, in the order of transformers: equal to the last bit.
            values.sub_((mean * 255).view(shape)).div_((std * 255).view(shape))
        return values.view(count, height, width, channels).permute(0, 3, 1, 2) if channels_last else values

    def _resizes_alone(self) -> bool:
        """Whether the first half is a resize to (height, width) and nothing else, up and down."""
        size = getattr(self.image_processor, "size", None) or {}
        if not {"height", "width"} <= {key for key, value in dict(size).items() if value}:
            return False
        probes = [
            _probe(size["width"] * 2 + 3, size["height"] + 5),
            _probe(5, 7),
            _probe(size["width"], size["height"]),
        ]
        return all(torch.equal(self._resize_alone(p), self._resize_by_transformers(p)) for p in probes)

    def _resize_alone(self, image: Image.Image) -> Tensor:
        """What the processor does, without the 0.2 ms that it takes around it."""
        size = self.image_processor.size
        return resize(
            pil_to_tensor(image),
            [size["height"], size["width"]],
            interpolation=pil_torch_interpolation_mapping[self.image_processor.resample],
            antialias=True,
        )

    def _resize_by_timm(self, image: Image.Image) -> Tensor:
        for step in self.image_processor.val_transforms.transforms:
            if type(step).__name__ in {"ToTensor", "MaybeToTensor", "PILToTensor"}:
                break
            image = step(image)
        return pil_to_tensor(image)

    def _resize_by_transformers(self, image: Image.Image) -> Tensor:
        # EfficientNet's processor scales a second time under this name
        extra = {"include_top": False} if hasattr(self.image_processor, "include_top") else {}
        output = self.image_processor(image, do_rescale=False, do_normalize=False, return_tensors="pt", **extra)
        return output.pixel_values[0].to(torch.uint8)

    def _reference(self, image: Image.Image) -> Tensor:
        return self.image_processor(image, return_tensors="pt").pixel_values.float()


def _describe(image_processor: Any, resized: list[Tensor]) -> str:
    """See `Preprocessing.first_half`."""
    settings = json.dumps(image_processor.to_dict(), sort_keys=True, default=repr)
    made = blake2b(b"".join(pixels.contiguous().numpy().tobytes() for pixels in resized), digest_size=16).hexdigest()
    return f"{type(image_processor).__name__} {settings} {made}"


def _refused(sample_id: str, reason: str) -> BadImage:
    return BadImage(f"{sample_id!r} {reason}.", sample_id=sample_id, reason=reason)


def _probe(width: int, height: int) -> Image.Image:
    """A fixed noise image."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
