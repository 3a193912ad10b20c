"""A second module over the same weights: what hooks and flags do to one of them leaves the other alone."""

from copy import deepcopy
from itertools import chain
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def build_twin(model: Module) -> Module:
    """A copy of a module whose parameters and buffers are those of the first: no memory but for the objects.

    Hooks and modes of submodules are its own; tensors, their values and `requires_grad` are shared.
    """
    tensors = chain(model.parameters(), model.buffers())
    return deepcopy(model, {id(tensor): tensor for tensor in tensors})
