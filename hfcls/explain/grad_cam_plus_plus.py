"""Grad-CAM++."""

from typing import Any

from hfcls.explain.cam import CamExplainer


class GradCAMPlusPlus(CamExplainer):
    """Grad-CAM whose places have weights of their own, so that several objects of a class all show.

    Chattopadhay et al. 2018, Grad-CAM++: improved visual explanations for deep convolutional networks,
    arXiv:1710.11063.
    """

    title = "Grad-CAM++"
    paper = "Chattopadhay et al. 2018, arXiv:1710.11063"

    def cam(self) -> type[Any]:
        """See `CamExplainer.cam`."""
        from pytorch_grad_cam import GradCAMPlusPlus as Cam

        return Cam
