"""Which parts of an image speak for a class: one file an explainer, one row each.

To add one, write a class derived from `Explainer` (for a class activation map from `CamExplainer`), and a row here.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor, nn

from hfcls.data.transforms import Preprocessing
from hfcls.errors import UserError
from hfcls.explain.attention_rollout import AttentionRollout
from hfcls.explain.base import BATCH, Effort, EmptyMap, Explainer, Heatmap, Progress, device_of, undisturbed
from hfcls.explain.eigen_cam import EigenCAM
from hfcls.explain.geometry import Frame, find_frame
from hfcls.explain.grad_cam import GradCAM
from hfcls.explain.grad_cam_plus_plus import GradCAMPlusPlus
from hfcls.explain.gradient_shap import GradientSHAP
from hfcls.explain.integrated_gradients import IntegratedGradients
from hfcls.explain.layer_cam import LayerCAM
from hfcls.explain.lime import Lime
from hfcls.explain.occlusion import Occlusion
from hfcls.explain.of_members import OfMembers
from hfcls.explain.score_cam import ScoreCAM
from hfcls.explain.shap_values import Shap
from hfcls.extras import require
from hfcls.models.architectures import Classifier
from hfcls.models.cam_layer import name_of
from hfcls.networks import Ensemble
from hfcls.registry import Registry

EXPLAINERS: Registry[type[Explainer]] = Registry(
    "explainer",
    {
        "grad-cam": GradCAM,
        "grad-cam++": GradCAMPlusPlus,
        "layer-cam": LayerCAM,
        "eigen-cam": EigenCAM,
        "score-cam": ScoreCAM,
        "attention-rollout": AttentionRollout,
        "shap": Shap,
        "gradient-shap": GradientSHAP,
        "integrated-gradients": IntegratedGradients,
        "lime": Lime,
        "occlusion": Occlusion,
    },
)

__all__ = ["EXPLAINERS", "Effort", "EmptyMap", "Explainer", "Heatmap", "explain_images", "explain_pixels"]


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
    layer: str | None = None,
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
        layer: dotted name of the layer that a class activation map is of; the last one that knows places where None.

    Returns:
        N maps.

    Raises:
        EmptyMap: a map is zero or the same everywhere; the message names the layer and the class.
        UserError: the method is unknown, does not suit the network, or needs a package that is not here; or there is
            no such layer, or no map of it.
    """
    _check(EXPLAINERS[method], classifier.model, layer)  # before the images are resized
    preprocessing = Preprocessing(classifier.image_processor)
    return explain_pixels(
        classifier,
        [preprocessing.pixels(image) for image in images],
        [find_frame(preprocessing, (image.height, image.width)) for image in images],
        preprocessing=preprocessing,
        method=method,
        targets=targets,
        seconds=seconds,
        passes=passes,
        seed=seed,
        progress=progress,
        layer=layer,
    )


def explain_pixels(
    classifier: Classifier,
    pixels: Sequence[Tensor],
    frames: Sequence[Frame],
    *,
    preprocessing: Preprocessing,
    method: str,
    targets: Sequence[int] | None = None,
    seconds: float | None = None,
    passes: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    layer: str | None = None,
) -> list[Heatmap]:
    """`explain_images` for images that are of the network's size already.

    Args:
        pixels: of each image uint8 (3, h, w), as `Preprocessing.pixels` makes them.
        frames: where each lies in the image whose coordinates the map is to have.
        preprocessing: of the classifier.
    """
    explainer_class = EXPLAINERS[method]
    _check(explainer_class, classifier.model, layer)
    if targets is not None and len(targets) != len(pixels):
        raise ValueError(f"{len(pixels)} images, {len(targets)} targets.")
    model: nn.Module = classifier.model
    explainer: Explainer
    if isinstance(model, Ensemble) and not explainer_class.asks_only:
        effort = Effort(seconds=seconds, passes=passes, progress=progress, images=len(pixels) * len(model.members))
        explainer = OfMembers(explainer_class, model, effort=effort, seed=seed, layer=layer)
    else:
        effort = Effort(seconds=seconds, passes=passes, progress=progress, images=len(pixels))
        explainer = explainer_class(model, effort=effort, seed=seed, layer=layer)
    found: list[Heatmap] = []
    with undisturbed(classifier.model):
        for start in range(0, len(pixels), BATCH):
            part = slice(start, start + BATCH)
            pixel_values = preprocessing.normalize(torch.stack(list(pixels[part])))
            wanted = None if targets is None else targets[part]
            found += _explain(explainer, classifier, pixel_values, frames[part], method, wanted)
    return found


def _explain(
    explainer: Explainer,
    classifier: Classifier,
    pixel_values: Tensor,
    frames: Sequence[Frame],
    method: str,
    targets: Sequence[int] | None,
) -> list[Heatmap]:
    """The maps of a batch."""
    effort, names = explainer.effort, classifier.class_names
    spent, seconds, begun = effort.spent, effort.seconds, len(effort.complete)
    explainer.facts = []
    pixel_values = pixel_values.to(device_of(classifier.model))
    wanted = _targets(explainer, pixel_values, targets)
    maps = explainer.maps(pixel_values, wanted).detach().float().cpu().numpy()
    facts = explainer.facts or [{} for _ in frames]
    complete = effort.complete[begun:] or [True] * len(frames)
    passes, seconds = (effort.spent - spent) // len(frames), (effort.seconds - seconds) / len(frames)
    return [
        Heatmap(
            _finish(values, frame, explainer, names[target]),
            method=method,
            target=target,
            class_name=names[target],
            layer=explainer.layer,
            passes=passes,
            seconds=seconds,
            complete=whole,
            facts=fact,
        )
        for frame, values, target, fact, whole in zip(frames, maps, wanted.tolist(), facts, complete, strict=True)
    ]


def _check(explainer_class: type[Explainer], model: nn.Module, layer: str | None) -> None:
    """Raises UserError where the method cannot be used."""
    title = explainer_class.title
    if explainer_class.package is not None:
        require(explainer_class.package, extra="explain")
    if layer is not None and not explainer_class.takes_layer:
        raise UserError(f"{title} does not look at a layer: leave out {layer!r}, or choose grad-cam.")
    if not explainer_class.asks_only and not isinstance(model, nn.Module):
        raise UserError(
            f"{title} looks into the network, and {type(model).__name__} is not one of PyTorch: choose shap, lime or "
            "occlusion, which only ask it."
        )
    if not explainer_class.suits(model):
        asked = (
            "needs a transformer that attends to the whole image at once, such as ViT, DeiT, BEiT or DINOv2"
            if explainer_class.needs == "attention"
            else "cannot be used on it"
        )
        raise UserError(f"{title} {asked}; this is {name_of(model)}. Choose another explainer, such as grad-cam.")


def _targets(explainer: Explainer, pixel_values: Tensor, targets: Sequence[int] | None) -> Tensor:
    if targets is None:
        with torch.no_grad():
            return explainer.logits(pixel_values).argmax(dim=1)
    return torch.tensor(list(targets), dtype=torch.int64, device=pixel_values.device)


def _finish(values: np.ndarray, frame: Frame, explainer: Explainer, class_name: str) -> np.ndarray:
    """A raw map in [0, 1], in the coordinates of the image.

    Raises:
        EmptyMap: there is nothing in it.
    """
    where = f" at the layer {explainer.layer}" if explainer.layer else ""
    if not np.isfinite(values).all():
        raise EmptyMap(f"{explainer.title} gave a map that is not finite for the class {class_name!r}{where}.")
    values = values.clip(0)
    found = frame.to_image(values / max(float(values.max()), 1e-30))
    # In the network's frame, where nothing is outside of its crop; and in the image, where padding has no place.
    if any(np.ptp(seen) <= 1e-6 * max(float(seen.max()), 1e-30) for seen in (values, found)):
        raise EmptyMap(
            f"{explainer.title} found nothing in the image that speaks for the class {class_name!r}{where}: the map "
            "is the same everywhere. Choose another class or another explainer."
        )
    return (found / found.max()).clip(0, 1)
