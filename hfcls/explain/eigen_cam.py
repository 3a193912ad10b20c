"""Eigen-CAM."""

from typing import Any

import numpy as np

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

        class Signed(Cam):
            def get_cam_image(self, input_tensor, target_layer, targets, activations, grads, eigen_smooth):
                return np.stack([first_component(maps) for maps in activations])

        return Signed


def first_component(activations: np.ndarray) -> np.ndarray:
    """What each place has of the first principal component of the channels.

    From the eigenvectors of whichever is smaller, the covariance of the channels or the products of the places: the
    library's singular value decomposition, which it equals, finds all vectors of both, and takes seconds where there
    are thousands of places.

    Args:
        activations: (D, h, w).

    Returns:
        float32 (h, w), with the sign that makes the largest absolute value positive.
    """
    places = activations.reshape(len(activations), -1).T.astype(np.float64)
    places[np.isnan(places)] = 0
    places -= places.mean(axis=0)
    if places.shape[0] > places.shape[1]:
        projection = places @ np.linalg.eigh(places.T @ places)[1][:, -1]
    else:
        values, vectors = np.linalg.eigh(places @ places.T)
        projection = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
    if abs(projection.min()) > abs(projection.max()):
        projection = -projection
    return projection.reshape(activations.shape[1:]).astype(np.float32)
