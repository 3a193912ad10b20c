"""Overlays for the pictures of a run's report: what the command hands to a report that knows no model."""

from collections.abc import Callable, Sequence

from PIL.Image import Image

from hfcls.errors import UserError
from hfcls.explain import EmptyMap, Heatmap, explain_images
from hfcls.explain.overlay import overlay
from hfcls.models.architectures import Classifier

# Forward and backward passes at once: activations of so many images are held.
_BATCH = 8


def report_overlays(classifier: Classifier) -> Callable[[Sequence[Image], Sequence[int]], list[Image | str]]:
    """A function from images and class indices to Grad-CAM overlays, or to reasons why there is none.

    Each picture costs a forward and a backward pass. Whatever goes wrong becomes a reason: the training that the report
    is about is finished, and must not fail for a picture.
    """

    def explain(images: Sequence[Image], targets: Sequence[int]) -> list[Image | str]:
        found: list[Image | str] = []
        for start in range(0, len(images), _BATCH):
            part = slice(start, start + _BATCH)
            maps = _maps(classifier, images[part], targets[part])
            found += [
                one if isinstance(one, str) else overlay(image, one)
                for image, one in zip(images[part], maps, strict=True)
            ]
        return found

    return explain


def _maps(classifier: Classifier, images: Sequence[Image], targets: Sequence[int]) -> Sequence[Heatmap | str]:
    """Of all images at once; one by one where one of them has no map."""
    try:
        return explain_images(classifier, images, targets=targets)
    except EmptyMap as error:
        if len(images) == 1:
            return [str(error)]
        pairs = zip(images, targets, strict=True)
        return [one for image, target in pairs for one in _maps(classifier, [image], [target])]
    except UserError as error:
        return [str(error)] * len(images)
    except Exception as error:  # whatever a network makes of a backward pass, or a device of its memory
        return [f"{type(error).__name__}: {' '.join(str(error).split())}"] * len(images)
