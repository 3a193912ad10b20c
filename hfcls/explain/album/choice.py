"""Which explainers are meant by the names that a user gives."""

from collections.abc import Sequence

from torch import nn

from hfcls.errors import UserError
from hfcls.explain import EXPLAINERS
from hfcls.extras import require

GROUPS = {"all": ("fast", "slow"), "fast": ("fast",)}


def choose_methods(wanted: Sequence[str] | None, model: nn.Module) -> tuple[list[str], list[str]]:
    """Names of ``EXPLAINERS``.

    Args:
        wanted: names, "fast" or "all"; Grad-CAM where None. What is named goes in whether it suits or not.
        model: that the methods of a group have to suit.

    Returns:
        The names, and notices on what a group leaves out.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    if wanted is not None and not wanted:
        raise UserError(f"--method is empty: expected all, fast, or some of {', '.join(EXPLAINERS)}.")
    found: dict[str, None] = {}
    notices: list[str] = []
    for name in wanted or ["grad-cam"]:
        if name not in GROUPS:
            _ = EXPLAINERS[name]  # an unknown one is an error that lists them
            found[name] = None
            continue
        for other, explainer in EXPLAINERS.items():
            if explainer.cost not in GROUPS[name] or other in found:
                continue
            reason = _why_not(other, model)
            if reason:
                notices.append(f"{explainer.title} is left out: {reason}")
            else:
                found[other] = None
    return list(found), notices


def _why_not(name: str, model: nn.Module) -> str:
    explainer = EXPLAINERS[name]
    if not explainer.suits(model):
        return "it does not suit this network."
    try:
        if explainer.package:
            require(explainer.package, extra="explain")
    except UserError as error:
        return str(error)
    return ""
