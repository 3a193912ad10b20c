"""Random numbers as a pure function of (seed, epoch, sample): no state to save, none to lose."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def text_keys(texts: Sequence[str]) -> np.ndarray:
    """One 64-bit key for each text, uint64 (N,)."""
    digests = b"".join(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def uniform_draws(keys: np.ndarray, *, seed: int, epoch: int | np.ndarray, stream: int, count: int) -> np.ndarray:
    """Uniform numbers for each sample.

    SplitMix64 (Steele, Lea, Flood 2014) in counter mode: a draw depends on its arguments alone, so that
    batches, workers, processes and a resumed run get the same numbers.

    Args:
        keys: uint64 (N,), one for each sample.
        epoch: one for all, or int (N,).
        stream: tells apart those who draw for the same sample.
        count: draws for each sample.

    Returns:
        float64 (N, count) in [0, 1).
    """
    start = np.uint64(_mix_int(_mix_int(seed) + stream))
    with np.errstate(over="ignore"):
        epochs = _mix(np.asarray(epoch).astype(np.uint64) + np.uint64(1))
        state = _mix(keys ^ _mix(start ^ epochs))
        counters = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        bits = _mix(state[:, None] + counters[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pixel_uniforms(seeds: np.ndarray, shape: Sequence[int], *, count: int, device: torch.device) -> Tensor:
    """Uniform numbers for each pixel of each image, the same on every device.

    The 32-bit hash "lowbias32" (Wellons 2018, Prospecting for Hash Functions) of the pixel's number, begun by the
    image's seed.

    Args:
        seeds: float (N,) in [0, 1), one for each image.
        shape: of the images, (N, ...).
        count: numbers for each pixel.

    Returns:
        float32 (count, N, ...) in [0, 1).
    """
    starts = torch.from_numpy((seeds * 2**53).astype(np.int64)).to(device)
    low, high = (starts & 0xFFFFFFFF).to(torch.int32), (starts >> 32).to(torch.int32)
    start = _mix32(_mix32(low) ^ high)
    per_image = int(np.prod(shape[1:])) * count
    numbers = _mix32(torch.arange(per_image, device=device, dtype=torch.int32))
    bits = _mix32(numbers[None] ^ start[:, None])
    uniforms = ((bits >> 8) & 0xFFFFFF).to(torch.float32) * 2.0**-24
    return uniforms.view(shape[0], count, *shape[1:]).transpose(0, 1)


def _mix32(x: Tensor) -> Tensor:
    """Of int32, whose shifts keep the sign: the mask takes it away."""
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * (0x846CA68B - (1 << 32))
    return x ^ ((x >> 16) & 0xFFFF)


def _mix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mix_int(value: int) -> int:
    with np.errstate(over="ignore"):
        return int(_mix(np.array([value & _MASK], dtype=np.uint64))[0])
