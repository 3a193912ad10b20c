"""The parts of a network in the order of their depth: what is frozen, unfrozen and slowed down as one."""

from collections.abc import Iterator

from timm.models import group_parameters
from torch import nn
from transformers import PreTrainedModel

from hfcls.models.features import find_heads


def find_stages(model: PreTrainedModel, *, fine: bool = False) -> list[list[str]]:
    """Parameter names by depth, from the image to the logits; the classifier head is the last group.

    Where timm knows the network, the groups are timm's; elsewhere they follow the lists of like blocks that a network
    is made of. What stands before the first block is a group of its own; norms after the last one belong to it.

    Args:
        fine: single blocks instead of whole stages, for networks that have both.

    Returns:
        Two groups or more; every parameter is in exactly one.
    """
    heads = tuple(f"{name}." for name in find_heads(model))
    names = [name for name, _ in model.named_parameters()]
    if model.config.model_type == "timm_wrapper":
        groups = _timm_groups(model.timm_model, fine=fine)
    else:
        groups = _module_groups(model, names, fine=fine)
    shapes = {name: parameter.ndim for name, parameter in model.named_parameters()}
    body = [[name for name in group if not name.startswith(heads)] for group in groups]
    stages: list[list[str]] = []
    for group in filter(None, body):
        # A norm on its own is the end of what it normalizes.
        if stages and all(shapes[name] <= 1 for name in group):
            stages[-1] += group
        else:
            stages.append(group)
    return [*stages, [name for name in names if name.startswith(heads)]]


def _timm_groups(network: nn.Module, *, fine: bool) -> list[list[str]]:
    groups = group_parameters(network, network.group_matcher(coarse=not fine))  # type: ignore[operator]
    return [[f"timm_model.{name}" for name in groups[depth]] for depth in sorted(groups)]


def _module_groups(model: nn.Module, names: list[str], *, fine: bool) -> list[list[str]]:
    """Cuts the parameters at the borders of blocks; what lies between two blocks is a group of its own."""
    borders = tuple(_borders(model, fine=fine))
    groups: list[tuple[str | None, list[str]]] = []
    for name in names:
        owner = next((border for border in borders if name.startswith(border)), None)
        if not groups or groups[-1][0] != owner:
            groups.append((owner, []))
        groups[-1][1].append(name)
    return [group for _, group in groups]


def _borders(model: nn.Module, *, fine: bool) -> list[str]:
    """Prefixes of the blocks that make the groups."""
    prefix, trunk = _trunk(model)
    parts = {name: child for name, child in trunk.named_children() if _has_parameters(child)}
    blocks = [type(child) for child in parts.values() if _has_children(child) and not _is_container(child)]
    stacks = list(_stacks(model))
    if not stacks or len(set(blocks)) < len(blocks):  # no lists, or the blocks stand side by side without one
        return [f"{prefix}{name}." for name in parts]
    prefix, stack = stacks[0]
    if len(stacks) > 1:  # several lists side by side: each is a stage, its members are the blocks
        return (
            [f"{p}.{child}." for p, s in stacks for child, _ in s.named_children()]
            if fine
            else [f"{p}." for p, _ in stacks]
        )
    members = [(f"{prefix}.{child}.", block) for child, block in stack.named_children()]
    if not fine:
        return [border for border, _ in members]
    return [border + inner for border, block in members for inner in (_inner(block) or [""])]


def _inner(block: nn.Module) -> list[str]:
    """The blocks inside a stage that is itself made of a list."""
    return [f"{prefix}.{child}." for prefix, stack in _stacks(block) for child, _ in stack.named_children()]


def _stacks(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The outermost lists of two or more blocks of one kind."""
    for name, child in module.named_children():
        path = f"{prefix}.{name}".lstrip(".")
        if _is_stack(child):
            yield path, child
        else:
            yield from _stacks(child, path)


def _is_stack(module: nn.Module) -> bool:
    kinds = [type(child) for child in module.children() if _has_children(child)] if _is_container(module) else []
    return len(kinds) > 1 and len(set(kinds)) == 1


def _is_container(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential | nn.ModuleList)


def _has_children(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def _has_parameters(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())


def _trunk(model: nn.Module) -> tuple[str, nn.Module]:
    """The module whose children are the parts of the network, below what only wraps it, and the prefix of its names."""
    prefix, module = "", model
    while True:
        parts = [(name, child) for name, child in module.named_children() if _has_parameters(child)]
        inside = [part for part in parts if _has_children(part[1])]
        if len(parts) > 2 or len(inside) != 1:
            return prefix, module
        prefix, module = f"{prefix}{inside[0][0]}.", inside[0][1]
