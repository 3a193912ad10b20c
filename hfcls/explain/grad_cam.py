"""Grad-CAM."""

from typing import Any

from hfcls.explain.cam import CamExplainer


class GradCAM(CamExplainer):
    """The last feature map, its channels weighted by the mean gradient of the class's logit.

    Two forward passes and a backward one.

    Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks via gradient-based localization,
    arXiv:1610.02391.
    """

    title = "Grad-CAM"
    paper = "Selvaraju et al. 2017, arXiv:1610.02391"

    def cam(self) -> type[Any]:
        """See `CamExplainer.cam`."""
        from pytorch_grad_cam import GradCAM as Cam

        return Cam
