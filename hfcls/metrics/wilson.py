"""The interval of a share."""

import math

_Z2 = 1.959963984540054**2


def wilson_interval(count: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of `count` in `n` (Wilson, J. American Statistical Association 22, 1927).

    Unlike an interval from the normal distribution it stays within [0, 1] and has a width at shares of 0 and 1.
    """
    share = count / n
    center, half = share + _Z2 / (2 * n), math.sqrt(_Z2 * (share * (1 - share) / n + _Z2 / (4 * n * n)))
    low, high = (center - half) / (1 + _Z2 / n), (center + half) / (1 + _Z2 / n)
    return (0.0 if count == 0 else low), (1.0 if count == n else high)
