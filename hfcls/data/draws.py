"""Random numbers as a pure function of (seed, epoch, sample): no state to save, none to lose."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

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


def _mix(x: np.ndarray) -> np.ndarray:
    x = x + np.uint64(_GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _mix_int(value: int) -> int:
    with np.errstate(over="ignore"):
        return int(_mix(np.array([value & _MASK], dtype=np.uint64))[0])
