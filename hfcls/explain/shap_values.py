"""SHAP."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from hfcls.explain.base import BATCH, OneByOne, seeded
from hfcls.explain.smoothing import blurred
from hfcls.extras import require

EVALUATIONS = 500
FEWEST = 20
# Cells in each direction, the finest that a part of the image can be: 7 pixels of 224.
CELLS = 32


class Shap(OneByOne):
    """What each part of the image adds to the class's probability, from the blurred image to the image itself.

    Owen values, the Shapley values of a hierarchy: the image is halved again and again where it matters most, and each
    half is judged with the other half there and blurred. 500 passes (5 to 15 s of MobileNetV2 on two cores), or as many
    as the budget has. What the parts add sums up to the difference between the probability of the image and of the
    blurred image, however coarse they are: the facts ``base_value`` + ``sum`` = ``output``. The package compiles itself
    on first use, 5 to 15 s in each process.

    Lundberg, Lee 2017, A unified approach to interpreting model predictions, arXiv:1705.07874; by the authors' package
    (PartitionExplainer with an Image masker, on a grid of 32 x 32 cells).
    """

    title = "SHAP"
    paper = "Lundberg, Lee 2017, arXiv:1705.07874"
    asks_only = True
    package = "shap"

    def explain(self, pixel_values: Tensor, target: int) -> tuple[Tensor, dict[str, float]]:
        """See `OneByOne.explain`."""
        shap = require("shap", extra="explain")
        hidden = blurred(pixel_values)
        size = pixel_values.shape[2:]
        rows, columns = min(CELLS, size[0]), min(CELLS, size[1])

        def probability(shown: np.ndarray) -> np.ndarray:
            """Of images whose cells (n, rows, columns, 1) are shown, where 1, or blurred, where 0."""
            answers = []
            for cells in torch.from_numpy(shown).to(pixel_values).split(BATCH):
                mask = interpolate(cells[..., 0][:, None], size=size)
                answers.append(self.probability(torch.lerp(hidden, pixel_values, mask), target))
            return torch.cat(answers).cpu().numpy()

        masker = shap.maskers.Image(np.zeros((rows, columns, 1)))
        explainer = shap.PartitionExplainer(probability, masker)
        pace = self.pace(pixel_values)
        # Two more than it is told to make, and one here.
        evaluations = self.effort.affordable(EVALUATIONS + 3, pace=pace, least=FEWEST) - 3
        if evaluations < EVALUATIONS:
            self.effort.cut_short()
        self.effort.expect(evaluations + 3)
        # It draws lots between parts that matter alike.
        with seeded(self.seed):
            found = explainer(np.ones((1, rows, columns, 1)), max_evals=evaluations, batch_size=BATCH, silent=True)
        values = found.values[0, ..., 0]
        base, total = float(np.ravel(found.base_values)[0]), float(values.sum())
        output = float(self.probability(pixel_values, target))
        return torch.from_numpy(values), {"base_value": base, "sum": total, "output": output}
