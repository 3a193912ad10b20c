"""Where class activation maps look: the last layer of a network that still knows where in the image things are."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from hfcls.errors import UserError, suggest
from hfcls.models.features import find_heads

Layout = Literal["maps", "maps last", "tokens"]


@dataclass(frozen=True)
class CamLayer:
    """A layer whose output has a place for each part of the image.

    Attributes:
        name: dotted, from the model.
        module: the layer.
        layout: of its output: "maps" (N, D, h, w), "maps last" (N, h, w, D) or "tokens" (N, T, D).
        grid: (h, w).
    """

    name: str
    module: nn.Module
    layout: Layout
    grid: tuple[int, int]

    def to_maps(self, output: Tensor) -> Tensor:
        """The layer's output, or the gradient by it, as (N, D, h, w); tokens that stand for no place are left out.

        A copy: a layer that works in place, such as a ReLU, would change what was seen before it.
        """
        output = output.clone()
        if self.layout == "maps":
            return output
        if self.layout == "maps last":
            return output.permute(0, 3, 1, 2)
        height, width = self.grid
        places = output[:, output.shape[1] - height * width :]
        return places.transpose(1, 2).reshape(len(output), -1, height, width)


def find_cam_layer(model: nn.Module, pixel_values: Tensor, *, name: str | None = None) -> CamLayer:
    """Finds the last layer before the classifier head whose every place has a say in the logits.

    One forward and one backward pass tell. In a convolutional network it is the last feature map before pooling; in
    a transformer whose head reads one token alone, the norm before the last attention, since behind it the other
    tokens lead nowhere and a map of them would be zero (Chefer, Gur, Wolf 2021, arXiv:2012.09838, on why; the layer as
    in pytorch-grad-cam's examples).

    Args:
        model: takes ``pixel_values``, returns an object with ``.logits (N, K)``.
        pixel_values: (N, 3, H, W), one image or more as the network will see them.
        name: of a layer, dotted, where it is chosen by hand.

    Raises:
        UserError: the network has no such layer, or is no network that can be looked into; or the one that is named
            has no place for each part of the image, or places that have no say in the logits.
    """
    if not isinstance(model, nn.Module) or next(model.parameters(), None) is None:
        raise UserError(f"{type(model).__name__} has no layers to look into: choose an explainer that needs none.")
    layers = {module: layer for layer, module in model.named_modules()}
    if name is not None and name not in layers.values():
        raise UserError(f"{name_of(model)} has no layer {name!r}.{suggest(name, layers.values())}")
    grid: tuple[int, int] | None = None
    found: CamLayer | None = None
    for module, output in _look(model, pixel_values[:1]):
        by_hand = layers[module] == name
        layout = _layout(module, output, by_hand=by_hand, aspect=pixel_values.shape[2] / pixel_values.shape[3])
        if layout in ("maps", "maps last"):
            shape = output.shape[2:] if layout == "maps" else output.shape[1:3]
            grid = (shape[0], shape[1])
        here = grid if layout != "tokens" else _token_grid(output.shape[1], grid)
        if name is not None and not by_hand:
            continue
        if layout is None or here is None or min(here) < 2 or output.grad is None:
            continue
        layer = CamLayer(layers[module], module, layout, here)
        share = _share(layer.to_maps(output.grad))
        if share > 0.5:
            found = layer
        elif by_hand:
            raise UserError(
                f"Of the places of the layer {name!r} only {share:.0%} have a say in the logits, so that a map of it "
                f"would be empty: name an earlier layer, such as {find_cam_layer(model, pixel_values).name}."
            )
    if found is None and name is not None:
        raise UserError(
            f"The layer {name!r} has no place for each part of the image, or is used more than once or not at all: "
            f"name another, such as {find_cam_layer(model, pixel_values).name}."
        )
    if found is None:
        raise UserError(
            f"{name_of(model)} has no layer with a place for each part of the image before its head, so there is no "
            "class activation map: choose occlusion, lime, shap or integrated-gradients."
        )
    return found


@contextmanager
def no_weight_gradients(model: nn.Module) -> Iterator[None]:
    """Gradients go through the network, none are kept for its weights; afterwards all is as before."""
    asked = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)


def _look(model: nn.Module, pixel_values: Tensor) -> list[tuple[nn.Module, Tensor]]:
    """What each layer before the head makes of the image, with the gradients of the largest logit, in order.

    Layers that are used more than once are left out: which of their outputs is meant cannot be said.
    """
    seen: list[tuple[nn.Module, Tensor]] = []
    heads = [model.get_submodule(name) for name in find_heads(model)]  # type: ignore[arg-type]
    reached = False
    used: Counter[nn.Module] = Counter()

    def keep(module: nn.Module, _inputs: object, output: object) -> None:
        used[module] += 1
        if not reached and isinstance(output, Tensor) and output.requires_grad:
            output.retain_grad()
            seen.append((module, output))

    def stop(*_: object) -> None:
        nonlocal reached
        reached = True

    hooks = [head.register_forward_pre_hook(stop) for head in heads]
    for module in model.modules():
        if module is not model and not isinstance(module, nn.Identity | nn.Dropout):
            hooks.append(module.register_forward_hook(keep))
    try:
        with torch.enable_grad(), no_weight_gradients(model):
            logits = model(pixel_values=pixel_values.detach().clone().requires_grad_()).logits
            logits.max().backward()
    finally:
        for hook in hooks:
            hook.remove()
    return [(module, output) for module, output in seen if used[module] == 1]


def _layout(module: nn.Module, output: Tensor, *, by_hand: bool, aspect: float) -> Layout | None:
    """How a layer's output is laid out; None where it is neither a map nor tokens that can be looked at.

    Args:
        aspect: height over width of the image, which a map's tells from its channels.
    """
    is_norm = "norm" in type(module).__name__.lower()
    if output.ndim == 3:
        # Between the norms, tokens are on their way: parts of an attention, of an MLP, sums of both.
        return "tokens" if is_norm or by_hand else None
    if output.ndim != 4:
        return None
    _, first, second, third = output.shape
    off = abs(math.log(second / third / aspect))
    return "maps last" if abs(math.log(first / second / aspect)) < off else "maps"


def _token_grid(count: int, grid: tuple[int, int] | None) -> tuple[int, int] | None:
    """How so many tokens lie in the image; those that are too many stand in front and for no place.

    Args:
        grid: of the last map before.
    """
    if grid is not None and grid[0] * grid[1] <= count <= grid[0] * grid[1] + 16:
        return grid
    side = math.isqrt(count)
    return (side, side) if side * side == count else None


def _share(gradient: Tensor) -> float:
    """Of the places, how many have a say."""
    return float((gradient.abs().amax(dim=1) > 0).float().mean())


def name_of(model: nn.Module) -> str:
    """What a network is called: its architecture, or its class."""
    config = getattr(model, "config", None)
    return str(getattr(config, "architecture", None) or type(model).__name__)
