"""Which parts of an image speak for a class: one file an explainer, one row each.

To add one, write a class derived from `Explainer` (for a class activation map from `CamExplainer`), and a row here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL.Image import Image

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.explain.base import Effort, EmptyMap, Explainer, Heatmap, Progress
from hfcls.explain.geometry import find_frame
from hfcls.explain.grad_cam import GradCAM
from hfcls.models.architectures import Classifier
from hfcls.models.cam_layer import no_weight_gradients
from hfcls.registry import Registry

EXPLAINERS: Registry[type[Explainer]] = Registry(
    "explainer",
    {
        "grad-cam": GradCAM,
    },
)

__all__ = ["EXPLAINERS", "Effort", "EmptyMap", "Explainer", "Heatmap", "explain_images"]


def explain_images(
    classifier: Classifier,
    images: Sequence[Image],
    *,
    method: str = "grad-cam",
    targets: Sequence[int] | None = None,
    seconds: float | None = None,
    passes: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Heatmap]:
    """Explains what a classifier says of some images.

    Args:
        classifier: a model, on any device, and its image processor.
        images: N of them, upright and RGB, of any size.
        method: a name of ``EXPLAINERS``.
        targets: a class index for each image; the predicted classes where None.
        seconds, passes: what the whole call may take, for methods that can be cut short.
        seed: of what the method draws.
        progress: is called after each forward pass with how many there were and, if known, will be; may raise to stop.

    Returns:
        N maps.

    Raises:
        EmptyMap: a map is zero or the same everywhere; the message names the image, the layer and the class.
        UserError: the method is unknown, does not suit the network, or needs a package that is not here.
    """
    explainer_class = EXPLAINERS[method]
    if not explainer_class.suits(classifier.model):
        raise UserError(f"{explainer_class.title} cannot be used on this network. Choose another explainer.")
    if not images:
        return []
    preprocessing = Preprocessing(classifier.image_processor)
    effort = Effort(seconds=seconds, passes=passes, progress=progress)
    model = classifier.model.eval()
    device = next(model.parameters()).device
    pixels = torch.stack([preprocessing.pixels(image) for image in images])
    pixel_values = preprocessing.normalize(pixels).to(device)
    explainer = explainer_class(model, effort=effort, seed=seed)
    with no_weight_gradients(model):
        wanted = _targets(explainer, pixel_values, targets)
        maps = explainer.maps(pixel_values, wanted).detach().float().cpu().numpy()
    names = classifier.class_names
    facts = explainer.facts or [{} for _ in images]
    found = []
    for image, values, target, fact in zip(images, maps, wanted.tolist(), facts, strict=True):
        found.append(
            Heatmap(
                _finish(values, find_frame(preprocessing, (image.height, image.width)), explainer, names[target]),
                method=method,
                target=target,
                class_name=names[target],
                layer=explainer.layer,
                passes=effort.spent // len(images),
                seconds=effort.seconds / len(images),
                complete=effort.complete,
                facts=fact,
            )
        )
    return found


def _targets(explainer: Explainer, pixel_values: torch.Tensor, targets: Sequence[int] | None) -> torch.Tensor:
    if targets is None:
        with torch.no_grad():
            return explainer.logits(pixel_values).argmax(dim=1)
    if len(targets) != len(pixel_values):
        raise ValueError(f"{len(pixel_values)} images, {len(targets)} targets.")
    return torch.tensor(list(targets), dtype=torch.int64, device=pixel_values.device)


def _finish(values: np.ndarray, frame: Any, explainer: Explainer, class_name: str) -> np.ndarray:
    """A raw map in [0, 1], in the coordinates of the image.

    Raises:
        EmptyMap: there is nothing in it.
    """
    where = f" at the layer {explainer.layer}" if explainer.layer else ""
    if not np.isfinite(values).all():
        raise EmptyMap(f"{explainer.title} gave a map that is not finite for the class {class_name!r}{where}.")
    values = values.clip(0)
    if np.ptp(values) <= 1e-6 * max(float(values.max()), 1e-12):
        raise EmptyMap(
            f"{explainer.title} found nothing in the image that speaks for the class {class_name!r}{where}: the map "
            "is the same everywhere. Choose another class or another explainer."
        )
    return frame.to_image(values / values.max()).clip(0, 1)
