"""An explainer for ensembles: what speaks for the class in the eyes of each member, on the average."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from hfcls.errors import UserError
from hfcls.explain.base import Effort, Explainer
from hfcls.networks import Ensemble


class OfMembers(Explainer):
    """The weighted mean of the members' maps, each made of the member's own logit, and its largest value 1.

    The ensemble's own logit, the logarithm of a mean probability, has hardly a gradient where the members are sure.

    Args:
        kind: the explainer that looks into each member.
        model: the ensemble.
    """

    def __init__(self, kind: type[Explainer], model: Ensemble, *, effort: Effort, seed: int, layer: str | None):
        super().__init__(model, effort=effort, seed=seed)
        if layer is not None:
            raise UserError(
                f"An ensemble has no one layer {layer!r} to look at: leave it out, and each member's own is found."
            )
        self.title = kind.title  # type: ignore[misc]
        self._ensemble = model
        self._explainers = [kind(member, effort=effort, seed=seed) for member in model.members]

    def maps(self, pixel_values: Tensor, targets: Tensor) -> Tensor:
        """See `Explainer.maps`."""
        begun = len(self.effort.complete)
        config = self._ensemble.config
        total = pixel_values.new_zeros((len(pixel_values), *pixel_values.shape[2:]))
        for index, explainer in enumerate(self._explainers):
            order = config.member_orders[index] if config.member_orders else None
            wanted = targets if order is None else targets.new_tensor(order)[targets]
            found = explainer.maps(self._ensemble.inputs_of(index, pixel_values), wanted).detach().float().clamp(min=0)
            found = interpolate(found[:, None].to(total), size=total.shape[1:], mode="bilinear", align_corners=False)
            largest = found.amax(dim=(1, 2, 3)).clamp(min=1e-30).view(-1, 1, 1)
            total += config.member_weights[index] * found[:, 0] / largest
        self._join_members(begun, len(pixel_values))
        return total

    def _join_members(self, begun: int, count: int) -> None:
        """An image is complete where it is for every member; the members' account was member by member."""
        each = self.effort.complete[begun:]
        if each:
            rows = torch.tensor(each).view(-1, count).all(dim=0).tolist()
            self.effort.complete[begun:] = rows

    @property
    def layer(self) -> str | None:
        """The layers that the members' maps were taken of."""
        layers = [(index, explainer.layer) for index, explainer in enumerate(self._explainers)]
        return ", ".join(f"members.{index}.{layer}" for index, layer in layers if layer) or None
