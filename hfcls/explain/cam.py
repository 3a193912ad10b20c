"""What class activation maps share."""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from hfcls.explain.base import Explainer
from hfcls.models.cam_layer import CamLayer, find_cam_layer


class CamExplainer(Explainer):
    """A class activation map by pytorch-grad-cam, of the layer that `find_cam_layer` finds or the caller names.

    Source: https://github.com/jacobgil/pytorch-grad-cam.

    Attributes:
        uses_gradients: whether the method asks for them.
    """

    takes_layer = True
    uses_gradients: ClassVar[bool] = True

    cam_layer: CamLayer | None = None

    @abstractmethod
    def cam(self) -> type[Any]:
        """The class of pytorch-grad-cam, imported when it is asked for."""

    def maps(self, pixel_values: Tensor, targets: Tensor) -> Tensor:
        """See `Explainer.maps`."""
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        if self.cam_layer is None:
            self.cam_layer = find_cam_layer(self.model, pixel_values, name=self.wanted_layer)
            self.effort.spend(1)
        cam = self.cam()(self.logits, [self.cam_layer.module], reshape_transform=self.cam_layer.to_maps)
        # Not as a context manager: it would keep an IndexError to itself, which may be the caller's.
        try:
            with torch.set_grad_enabled(self.uses_gradients):
                wanted = [ClassifierOutputTarget(int(target)) for target in targets]
                found = cam(pixel_values.detach().clone().requires_grad_(self.uses_gradients), wanted)
        finally:
            cam.activations_and_grads.release()
        return torch.from_numpy(found)

    @property
    def layer(self) -> str | None:
        """See `Explainer.layer`."""
        return self.cam_layer.name if self.cam_layer else None
