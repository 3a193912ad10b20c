"""Pictures that look like nothing else, and data sets of them."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from datasets import Dataset, Value
from PIL import Image

from hfcls.data.folder import labelled_dataset


def picture(seed: int, size: int = 48) -> Image.Image:
    """Soft patches of colour with finer ones on them, each seed its own."""
    rng = np.random.default_rng(seed)
    layers = np.zeros((size, size, 3))
    for cells, weight in ((5, 1.0), (13, 0.5), (size, 0.25)):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        layers += weight * np.asarray(noise.resize((size, size), Image.Resampling.BICUBIC), dtype=float)
    return Image.fromarray((layers / 1.75).clip(0, 255).astype(np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def dataset(
    split: str, entries: Sequence[tuple[Image.Image | bytes, str]], groups: Sequence[str] | None = None
) -> Dataset:
    """A split of (image, class), ids ``split/row``."""
    cells = [{"bytes": e if isinstance(e, bytes) else png(e), "path": None} for e, _ in entries]
    data = labelled_dataset([f"{split}/{row}" for row in range(len(entries))], cells, [name for _, name in entries])
    return data if groups is None else data.add_column("group", list(groups), feature=Value("string"))
