"""Lines of a figure: as few points as look the same."""

import numpy as np


def simplify(points: np.ndarray, *, tolerance: float = 0.25) -> np.ndarray:
    """Leaves out the points of a line that no eye would miss (Douglas and Peucker, Cartographica 10, 1973).

    Args:
        points: (N, 2), in pixels.
        tolerance: pixels by which the line may move.

    Returns:
        (M, 2), the first and the last point among them.
    """
    points = np.asarray(points, dtype=np.float64)
    grid = np.round(points, 1)
    # Whole runs of points fall on one spot of a large test set's curve.
    apart = np.concatenate([[True], (np.diff(grid, axis=0) != 0).any(axis=1)]) if len(grid) else np.zeros(0, bool)
    points = grid[apart]
    keep = np.zeros(len(points), dtype=bool)
    keep[[0, -1] if len(points) else []] = True
    pieces = [(0, len(points) - 1)]
    while pieces:
        start, end = pieces.pop()
        if end - start < 2:
            continue
        distances = _distances(points[start + 1 : end], points[start], points[end])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = start + 1 + farthest
            keep[middle] = True
            pieces += [(start, middle), (middle, end)]
    return points[keep]


def draw_path(points: np.ndarray, style: str, *, tip: str = "") -> str:
    """A line through (N, 2) pixels; `tip` must be escaped."""
    path = "".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(simplify(points).tolist()))
    title = f"<title>{tip}</title>" if tip else ""
    return f'<path d="{path}" style="fill:none;stroke-linejoin:round;{style}">{title}</path>'


def _distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distances (N,) of points from the line through two others."""
    (dx, dy), (x, y) = end - start, (points - start).T
    length = float(np.hypot(dx, dy))
    return np.abs(x * dy - y * dx) / length if length else np.hypot(x, y)
