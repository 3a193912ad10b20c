"""Running a classifier over images of any number: answers come out batch by batch, decoding goes on meanwhile."""

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Image
from scipy.special import softmax
from torch import Tensor

from hfcls.data.decode import MAX_PIXELS, decode_image, read_bytes
from hfcls.data.room import available_cores
from hfcls.data.transforms import Preprocessing
from hfcls.errors import BadImage, UserError
from hfcls.evaluation.answers import Answers
from hfcls.models import average_views
from hfcls.uncertainty.rejection import Abstention
from hfcls.uncertainty.trust import Judged, Trust

# Larger files are read when they are decoded.
_READ_AHEAD_BYTES = 4 * 2**20
# Two images of the most usual size.
_PIXELS_PER_THREAD = 2 * 224 * 224


def predict_answers(
    classifier: Any,
    data: Dataset,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 32,
    num_workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
    tta: str = "none",
    start: int = 0,
    decode_ahead: bool | None = None,
    trust: Trust | None = None,
    abstention: Abstention | None = None,
) -> Generator[Answers, None, None]:
    """Answers for every image, batch by batch, in the order of the data; an image that is bad gets an error.

    Args:
        classifier: a model and its image processor.
        data: the columns id and image.
        batch_size: images in one forward pass.
        num_workers: threads that decode and resize; chosen by the machine where None, none besides this one at 0.
        max_pixels: of a stored image.
        tta: a row of `hfcls.models.TEST_TIME_AUGMENTATIONS`.
        start: leaves out so many images; a multiple of `batch_size`.
        decode_ahead: decode while the model works, not only read; where None, if the model has a device of its own. On
            a CPU both would want the same cores, and the model, which waits for its slowest thread, loses more by it
            than is gained: all cores decode one batch, then all cores work on it.
        trust: what was learned about the classifier's answers: probabilities are scaled by it, answers judged.
        abstention: from which sureness on to answer; needs `trust`.

    Raises:
        UserError: the batch does not fit the device.
    """
    preprocessing = Preprocessing(classifier.image_processor)
    network = average_views(classifier.model, tta).to(device).eval()
    class_count = len(classifier.class_names)
    ahead = torch.device(device).type != "cpu" if decode_ahead is None else decode_ahead
    batches = _decoded_batches(data, preprocessing, batch_size, num_workers, max_pixels, start, ahead)
    for ids, images in batches:
        errors = [None if isinstance(image, Tensor) else image for image in images]
        probabilities, judged = np.full((len(ids), class_count), np.nan), None
        pixels = [image for image in images if isinstance(image, Tensor)]
        if pixels:
            known = [row for row, error in enumerate(errors) if error is None]
            logits = np.full((len(ids), class_count), np.nan)
            logits[known] = _forward(network, preprocessing.normalize(torch.stack(pixels)), device)
            for row in known:
                if not np.isfinite(logits[row]).all():
                    errors[row] = "has no answer: the model's output for it is not a number"
            if trust is None:
                probabilities = softmax(logits, axis=1)
            else:
                judged = trust.judge(logits, abstention=abstention)
                probabilities = judged.probabilities
        yield _answers(ids, errors, probabilities, judged) if trust else Answers(ids, errors, probabilities)


def default_num_workers() -> int:
    """Decoding threads that keep most devices busy."""
    return min(available_cores(), 16)


def _answers(ids: list[str], errors: list[str | None], probabilities: np.ndarray, judged: Judged | None) -> Answers:
    """Answers with what is to be thought of them; of a batch without any image nothing was judged."""
    if judged is None:
        return Answers(ids, errors, probabilities, [""] * len(ids), np.zeros(probabilities.shape, bool))
    return Answers(ids, errors, probabilities, judged.verdicts, judged.sets)


def _forward(network: Any, pixel_values: Tensor, device: torch.device | str) -> np.ndarray:
    """Logits, float64 (N, K)."""
    try:
        with torch.inference_mode():
            passes = pixel_values.split(_images_in_a_pass(pixel_values.shape, torch.device(device)))
            logits = [network(pixel_values=part.to(device)).logits for part in passes]
            return torch.cat(logits).double().cpu().numpy()
    except torch.OutOfMemoryError:
        raise UserError(f"{len(pixel_values)} images do not fit the memory of {device}: lower --batch_size.") from None


def _images_in_a_pass(shape: torch.Size, device: torch.device) -> int:
    """On a CPU few large images at a time.

    Their activations then stay in caches and in memory that is used again, where those of a whole batch are asked from
    the system and given back in every layer, which can take longer than the arithmetic.
    """
    if device.type != "cpu":
        return shape[0]
    return max(1, _PIXELS_PER_THREAD * torch.get_num_threads() // (shape[2] * shape[3]))


def _decoded_batches(
    data: Dataset,
    preprocessing: Preprocessing,
    batch_size: int,
    num_workers: int | None,
    max_pixels: int,
    start: int,
    decode_ahead: bool,
) -> Iterator[tuple[list[str], list[Tensor | str]]]:
    """Ids, and for each a uint8 (3, H, W) or the reason why there is none."""
    stored = data.select_columns(["id", "image"]).cast_column("image", Image(decode=False))
    batches = (stored[first : first + batch_size] for first in range(start, len(stored), batch_size))
    decode = partial(_decode, preprocessing=preprocessing, max_pixels=max_pixels)
    workers = default_num_workers() if num_workers is None else num_workers
    if not workers:
        for batch in batches:
            yield batch["id"], decode(_read(batch["id"], batch["image"]))
        return
    share = -(-batch_size // workers)
    # Batches that are read (and decoded) while the model works on the one before; more where they are small.
    ahead = max(2 if decode_ahead else 1, -(-2 * workers // batch_size))
    waiting: deque[tuple[list[str], list[Future[Any]]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def collect() -> tuple[list[str], list[Tensor | str]]:
        ids, shares = waiting.popleft()
        if not decode_ahead:
            shares = [pool.submit(decode, read.result()) for read in shares]
        return ids, [image for done in shares for image in done.result()]

    try:
        for batch in batches:
            ids, cells = batch["id"], batch["image"]
            parts = [slice(first, first + share) for first in range(0, len(ids), share)]
            work = (lambda *part: decode(_read(*part))) if decode_ahead else _read
            waiting.append((ids, [pool.submit(work, ids[part], cells[part]) for part in parts]))
            if len(waiting) > ahead:
                yield collect()
        while waiting:
            yield collect()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(ids: list[str], cells: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(sample_id, _with_bytes(cell, sample_id)) for sample_id, cell in zip(ids, cells, strict=True)]


def _with_bytes(cell: dict[str, Any], sample_id: str) -> dict[str, Any]:
    """The cell with the bytes of the file that it names; as it is where they are many, since a whole batch waits."""
    try:
        if cell and cell["bytes"] is None and os.path.getsize(cell["path"]) <= _READ_AHEAD_BYTES:
            return {"bytes": read_bytes(cell, sample_id), "path": None}
    except (BadImage, OSError, ValueError, TypeError):
        return cell  # what is wrong with it is said when it is decoded
    return cell


def _decode(
    cells: list[tuple[str, dict[str, Any]]], *, preprocessing: Preprocessing, max_pixels: int
) -> list[Tensor | str]:
    return [_pixels(cell, sample_id, preprocessing, max_pixels) for sample_id, cell in cells]


def _pixels(cell: dict[str, Any], sample_id: str, preprocessing: Preprocessing, max_pixels: int) -> Tensor | str:
    try:
        return preprocessing.checked_pixels(decode_image(cell, sample_id, max_pixels=max_pixels), sample_id)
    except BadImage as error:
        return error.reason
