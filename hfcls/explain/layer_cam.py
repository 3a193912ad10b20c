"""LayerCAM."""

from typing import Any

from hfcls.explain.cam import CamExplainer


class LayerCAM(CamExplainer):
    """The feature map weighted, place by place, by the positive gradient of the class's logit.

    Sharper than Grad-CAM on earlier layers, which have finer grids; name one to see.

    Jiang, Zhang, Hou, Cheng, Wei 2021, LayerCAM: exploring hierarchical class activation maps for localization, IEEE
    Transactions on Image Processing 30.
    """

    title = "LayerCAM"
    paper = "Jiang et al. 2021, IEEE TIP 30"

    def cam(self) -> type[Any]:
        """See `CamExplainer.cam`."""
        from pytorch_grad_cam import LayerCAM as Cam

        return Cam
