"""Score-CAM."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from hfcls.explain.base import BATCH
from hfcls.explain.cam import CamExplainer

# Passes of an image where nobody says otherwise: 5 to 15 s of MobileNetV2 on two cores.
CHANNELS = 512


class ScoreCAM(CamExplainer):
    """The last feature map, its channels weighted by what the class's logit is when only they are let through.

    A forward pass for each channel, without gradients. Of more than 512 channels, or than the budget has passes for,
    those of the largest activation are scored and the others left out; the facts ``channels`` and ``scored`` tell.

    Wang et al. 2020, Score-CAM: score-weighted visual explanations for convolutional neural networks, arXiv:1910.01279.
    """

    title = "Score-CAM"
    paper = "Wang et al. 2020, arXiv:1910.01279"
    cost = "slow"
    uses_gradients = False

    def cam(self) -> type[Any]:
        """See `CamExplainer.cam`."""
        from pytorch_grad_cam import ScoreCAM as Cam

        explainer = self

        class Frugal(Cam):
            def get_cam_weights(self, input_tensor, target_layer, targets, activations, grads):
                self.activations_and_grads.release()  # it would keep the activations of every pass
                return np.stack(
                    [
                        explainer.weights(image, torch.from_numpy(maps).to(image), target.category)
                        for image, maps, target in zip(input_tensor, activations, targets, strict=True)
                    ]
                )

        return Frugal

    def weights(self, image: Tensor, activations: Tensor, target: int) -> np.ndarray:
        """Weights of the channels.

        Args:
            image: (3, h, w).
            activations: (D, h', w').

        Returns:
            float32 (D,), with sum 1; 0 for channels that were not scored.
        """
        self.effort.next_image()
        count = len(activations)
        order = activations.clamp(min=0).sum(dim=(1, 2)).argsort(descending=True, stable=True)
        wanted = min(count, CHANNELS)
        self.effort.expect(wanted)
        scores: list[Tensor] = []
        done = 0
        while done < wanted and not (done and self.effort.is_used_up()):
            some = order[done : done + self.effort.affordable(min(BATCH, wanted - done))]
            scores.append(self.logits(image * _masks(activations[some], image.shape[1:]))[:, target])
            done += len(some)
        if done < wanted:
            self.effort.cut_short()
        self.facts.append({"channels": float(count), "scored": float(done)})
        weights = activations.new_zeros(count)
        weights[order[:done]] = torch.cat(scores).softmax(dim=0).to(weights)
        return weights.cpu().numpy()


def _masks(activations: Tensor, size: tuple[int, ...]) -> Tensor:
    """(n, h', w') to (n, 1, h, w), each from 0 to 1."""
    large = interpolate(activations[:, None], size=tuple(size), mode="bilinear", align_corners=True)
    low = large.amin(dim=(2, 3), keepdim=True)
    return (large - low) / (large.amax(dim=(2, 3), keepdim=True) - low + 1e-8)
