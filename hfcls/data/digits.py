"""The handwritten digits that ship inside scikit-learn: 1,797 real images of 8x8 pixels, no network.

Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository
(its test part).
"""

from io import BytesIO

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as PILImage


def read_digits() -> dict[str, Dataset]:
    """All digits as one split, the 17 grey levels stretched to 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    cells = []
    for pixels in digits.images:
        buffer = BytesIO()
        PILImage.fromarray(np.round(pixels * (255 / 16)).astype(np.uint8)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    columns = {
        "id": [f"train/{row}" for row in range(len(cells))],
        "image": cells,
        "label": digits.target.tolist(),
    }
    features = Features(
        {"id": Value("string"), "image": Image(), "label": ClassLabel(names=[str(i) for i in range(10)])}
    )
    return {"train": Dataset.from_dict(columns, features=features)}
