"""What is gained where the least sure answers are not given."""

from html import escape

import numpy as np

from hfcls.pages.paths import draw_path
from hfcls.pages.svg import Frame, compute_ticks, draw_legend, format_percent, wrap_svg
from hfcls.uncertainty.rejection import RiskCoverage

_TICKS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def plot_risk_coverage(curve: RiskCoverage) -> str:
    """Draws the share of wrong answers against the share of images that are answered, beside the best possible order.

    Args:
        curve: of one classifier.
    """
    n, wrong = int(curve.answered[-1]), int(curve.wrong[-1])
    ideal = np.array([0.0, (n - wrong) / n, 1.0]), np.array([0.0, 0.0, wrong / n])
    answered = np.arange(n - wrong, n + 1)
    if wrong:
        ideal = np.append(0.0, answered / n), np.append(0.0, (answered - (n - wrong)) / answered.clip(1))
    ticks = [tick for tick in compute_ticks(0.0, max(float(curve.risk.max()), 0.01)) if tick >= 0]
    frame = Frame((0.0, 1.0), (0.0, ticks[-1]), _TICKS, ticks, "answered", "wrong", format_percent, format_percent)
    # All from the first answer on have the risk of the surest.
    x, y = np.append(0.0, curve.coverage), np.append(curve.risk[0], curve.risk)
    lines = (
        (ideal, "stroke:var(--muted);stroke-width:1.5;stroke-dasharray:5 4", "all wrong ones left out first"),
        ((x, y), "stroke:var(--accent);stroke-width:2", f"least sure left out first: AURC {curve.area:.4f}"),
    )
    body = [frame.axes()]
    for (across, up), style, tip in lines:
        points = np.array([(frame.px(a), frame.py(b)) for a, b in zip(across.tolist(), up.tolist(), strict=True)])
        body.append(draw_path(points, style, tip=escape(tip)))
    body.append(draw_legend([("by sureness", "accent", False), ("best possible", "muted", True)]))
    told = f"Area under the curve {curve.area:.4f}; {wrong:,} of {n:,} are wrong where all are answered."
    return wrap_svg("risk-coverage", "Risk-coverage curve", told, "".join(body))
