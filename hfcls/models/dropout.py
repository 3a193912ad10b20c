"""Dropout at work outside training, as a way to ask a network several times."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from hfcls.errors import UserError


@contextmanager
def dropout_on(model: nn.Module) -> Iterator[None]:
    """While open, the dropout layers of a network in eval mode drop; all else, normalization above all, stays as it is.

    Gal, Ghahramani 2016, Dropout as a Bayesian approximation, arXiv:1506.02142. Torch's global generator draws.

    Raises:
        UserError: the network has no dropout layer, or none that drops anything.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0]
    if not layers:
        raise UserError(
            "This network has no dropout to draw from: train one with --dropout, or average views (--tta) instead."
        )
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
