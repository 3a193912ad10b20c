"""Attention rollout."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import timm
import torch
from torch import Tensor, nn

from hfcls.errors import UserError
from hfcls.explain.base import Explainer
from hfcls.models.cam_layer import name_of
from hfcls.networks import Ensemble

# Of transformers: every block attends from every place to every other, and the sequence keeps its length.
FAMILIES = {"vit", "deit", "dinov2", "dinov2_with_registers", "beit", "vit_msn", "ijepa"}
# Whose head reads the class token and, beside it, the mean of the patches.
BOTH = {"dinov2", "dinov2_with_registers"}
TIMM = (timm.models.vision_transformer.VisionTransformer, timm.models.beit.Beit, timm.models.eva.Eva)


class AttentionRollout(Explainer):
    """How the attention of all blocks together leads from the image's patches to what the head reads.

    In each block the mean attention of the heads A becomes (A + I) / 2, for what passes by on the residual path; the
    product of all blocks has in its row of the class token what that token has gathered from each patch. Where the
    head reads the mean of the patches, it is the mean of their rows; of DeiT's two tokens, of both; of
    DINOv2, whose head reads the class token beside the mean of the patches, half of each.

    It knows nothing of classes: the map is the same for all of them. One forward pass.

    Abnar, Zuidema 2020, Quantifying attention flow in transformers, arXiv:2005.00928.
    """

    title = "Attention rollout"
    paper = "Abnar, Zuidema 2020, arXiv:2005.00928"
    needs = "attention"
    class_agnostic = True

    @classmethod
    def suits(cls, model: nn.Module) -> bool:
        """Not convolutional networks, nor those that attend in windows (Swin) or on shrinking grids."""
        if isinstance(model, Ensemble):
            return all(cls.suits(member) for member in model.members)
        config = getattr(model, "config", None)
        if getattr(config, "model_type", None) == "timm_wrapper":
            return isinstance(model.timm_model, TIMM)
        return getattr(config, "model_type", None) in FAMILIES

    def maps(self, pixel_values: Tensor, targets: Tensor) -> Tensor:
        """See `Explainer.maps`."""
        attentions = self._attentions(pixel_values)
        if not attentions:
            raise UserError(f"{self.title} found no attention in {name_of(self.model)}. Choose grad-cam or shap.")
        rolled = rollout(attentions)
        height, width = _grid(self.model, pixel_values)
        count = rolled.shape[1]
        prefix = count - height * width
        if prefix < 0 or rolled.shape[0] != len(pixel_values):
            raise UserError(
                f"{self.title} found {count} tokens where the image has {height} x {width} patches: this network does "
                "not attend to the whole image at once. Choose grad-cam or shap."
            )
        parts = [rolled[:, rows, prefix:].mean(dim=1) for rows in _read(self.model, prefix)]
        return torch.stack(parts).mean(dim=0).reshape(-1, height, width)

    def _attentions(self, pixel_values: Tensor) -> list[Tensor]:
        """Of each block, the mean of its heads, (N, T, T)."""
        seen: list[Tensor] = []
        with torch.no_grad():
            model: Any = self.model
            listening = _listening if model.config.model_type == "timm_wrapper" else _listening_to_transformers
            with listening(model, seen):
                model(pixel_values=pixel_values)
        self.effort.spend(len(pixel_values))
        return seen


def rollout(attentions: list[Tensor]) -> Tensor:
    """The product of what each block passes on.

    Args:
        attentions: of each block from the first to the last, (N, T, T), each row with sum 1.

    Returns:
        (N, T, T); row t holds what token t has of each token of the first block.
    """
    count = attentions[0].shape[-1]
    identity = torch.eye(count, dtype=attentions[0].dtype, device=attentions[0].device)
    rolled = identity.expand_as(attentions[0])
    for attention in attentions:
        rolled = (0.5 * attention + 0.5 * identity) @ rolled
    return rolled


@contextmanager
def _listening(model: Any, seen: list[Tensor]) -> Iterator[None]:
    """timm's blocks compute their attention openly and tell; afterwards all is as before."""
    blocks: list[Any] = [m for m in model.modules() if hasattr(m, "fused_attn") and hasattr(m, "attn_drop")]
    before = [block.fused_attn for block in blocks]
    hooks = [
        block.attn_drop.register_forward_hook(lambda _module, _inputs, attention: seen.append(attention.mean(dim=1)))
        for block in blocks
    ]
    for block in blocks:
        block.fused_attn = False
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for block, fused in zip(blocks, before, strict=True):
            block.fused_attn = fused


@contextmanager
def _listening_to_transformers(model: Any, seen: list[Tensor]) -> Iterator[None]:
    """The same for transformers, whose other implementations of attention do not tell what they attend to.

    Not by ``output_attentions``, which leaves hooks in the network for good.
    """
    before = model.config._attn_implementation
    last: Tensor | None = None

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal last
        attention = output[1] if isinstance(output, tuple) and len(output) > 1 else None
        # A module may hand on what one inside it has told already.
        if isinstance(attention, Tensor) and attention.ndim == 4 and attention is not last:
            last = attention
            seen.append(attention.mean(dim=1))

    hooks = [m.register_forward_hook(keep) for m in model.modules() if type(m).__name__.endswith("Attention")]
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        for hook in hooks:
            hook.remove()


def _grid(model: Any, pixel_values: Tensor) -> tuple[int, int]:
    """How many patches lie below and beside each other."""
    if model.config.model_type == "timm_wrapper":
        patch = model.timm_model.patch_embed.patch_size
    else:
        patch = model.config.patch_size
    tall, wide = (patch, patch) if isinstance(patch, int) else patch
    return pixel_values.shape[2] // tall, pixel_values.shape[3] // wide


def _read(model: Any, prefix: int) -> list[slice]:
    """Which tokens the classifier head reads: parts that count alike, each the mean of its tokens."""
    token, patches = slice(0, 1), slice(prefix, None)
    if model.config.model_type == "timm_wrapper":
        network = model.timm_model
        if network.global_pool != "token" or prefix == 0:
            return [patches]
        return [slice(0, 2 if hasattr(network, "head_dist") else 1)]
    if model.config.model_type in BOTH:
        return [token, patches]
    if getattr(model.config, "use_mean_pooling", False) or prefix == 0:
        return [patches]
    return [slice(0, 2 if hasattr(model, "distillation_classifier") else 1)]
