"""Eigen-CAM."""

from typing import Any

from hfcls.explain.cam import CamExplainer


class EigenCAM(CamExplainer):
    """The first principal component of the last feature map: what stands out, whatever the class.

    The map is the same for all classes. A principal component has no sign of its own; the one is taken whose largest
    value is positive (Chung, Ying 2025, Seg-Eigen-CAM, Applied Sciences 15(13), 7562, equation 13).

    Muhammad, Yeasin 2020, Eigen-CAM: class activation map using principal components, arXiv:2008.00299.
    """

    title = "Eigen-CAM"
    paper = "Muhammad, Yeasin 2020, arXiv:2008.00299"
    class_agnostic = True
    uses_gradients = False

    def cam(self) -> type[Any]:
        """See `CamExplainer.cam`."""
        from pytorch_grad_cam import EigenCAM as Cam
        from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection_with_sign_correction

        class Signed(Cam):
            def get_cam_image(self, input_tensor, target_layer, targets, activations, grads, eigen_smooth):
                return get_2d_projection_with_sign_correction(activations)

        return Signed
