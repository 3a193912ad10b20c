"""What the answers of a run depend on, in a form that can be compared with that of another run."""

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image
from torch import Tensor

from hfcls.data.cells import named_files
from hfcls.data.images import Images
from hfcls.data.reading import texts_of
from hfcls.data.transforms import Preprocessing
from hfcls.models.digest import add_tensors
from hfcls.uncertainty.trust import DIGITS

_IDS_AT_A_TIME = 10_000


def classifier_digest(classifier: Any) -> str:
    """Of all that answers depend on: weights, configuration, class names, and what preprocessing does to a test image.

    Where the classifier lies plays no part.
    """
    digest = blake2b(digest_size=16)
    config = classifier.model.config.to_diff_dict()
    settings = {key: value for key, value in config.items() if key not in {"_name_or_path", "transformers_version"}}
    digest.update(json.dumps([settings, classifier.class_names], sort_keys=True, default=str).encode())
    add_tensors(digest, {"": noise_pixels(classifier)} | classifier.model.state_dict())
    return digest.hexdigest()


def noise_pixels(classifier: Any) -> Tensor:
    """An image of noise as a classifier's preprocessing makes it, float32 (1, 3, H, W)."""
    preprocessing = Preprocessing(classifier.image_processor)
    noise = np.random.default_rng(0).integers(0, 256, (61, 97, 3), dtype=np.uint8)
    return preprocessing.normalize(preprocessing.pixels(Image.fromarray(noise))[None])


def pixels_digest(pixels: Tensor) -> str:
    """Of pixels that are ready for a network."""
    digest = blake2b(digest_size=16)
    add_tensors(digest, {"": pixels})
    return digest.hexdigest()


def image_digests(data: Dataset) -> list[str]:
    """Of each image of a split, as `hfcls.uncertainty.trust.Trust.images` has them."""
    return [digest.hex()[:DIGITS] for digest in texts_of(data, "digest")]


def dataset_digest(dataset: Any) -> str:
    """Of the ids, the labels and the contents of a split that is ready for a network, in their order."""
    digest = blake2b("\0".join(dataset.ids).encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(np.ascontiguousarray(dataset.labels).tobytes())
    digest.update(np.ascontiguousarray(dataset.keys).tobytes())
    return digest.hexdigest()


def file_digest(file: Path) -> str:
    """Of the bytes of a file."""
    return blake2b(file.read_bytes(), digest_size=16).hexdigest()


def ids_digest(data: Dataset) -> str:
    """Of the ids in their order."""
    digest = blake2b(digest_size=16)
    ids = data.select_columns("id")
    for start in range(0, len(ids), _IDS_AT_A_TIME):
        for sample_id in ids[start : start + _IDS_AT_A_TIME]["id"]:
            digest.update(sample_id.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def sources_digest(images: Images) -> str:
    """Of what the images are read from: size and time of every file, or what a data set itself goes by.

    Where it lies plays no part.
    """
    digest = blake2b(digest_size=16)
    for path in [*map(str, images.files), *named_files(images.data)]:
        try:
            status = os.stat(path)
            digest.update(f"{status.st_size} {status.st_mtime_ns}\0".encode())
        except (OSError, ValueError):
            digest.update(b"not there\0")
    digest.update("\0".join(images.fingerprints).encode())
    return digest.hexdigest()
