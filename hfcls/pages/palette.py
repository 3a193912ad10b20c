"""The colours of pages and figures, for light and dark paper."""

# One blue hue (OKLCH 256), lightness in even-looking steps, from "nothing" to "all of it".
_RAMP_LIGHT = ("#f4f7fb", "#e3eefc", "#cbe0fc", "#afcffa", "#8dbaf7", "#6ca4ee", "#2d71c7", "#1656a4", "#063e7d")
_RAMP_DARK = ("#1a1e24", "#1d2b3e", "#213755", "#26466f", "#2b548a", "#3364a3", "#659ae1", "#8ab7f4", "#b3d4ff")
# Hues that stay apart from each other; each has a contrast of 3 or more with its paper.
_HUES_LIGHT = (
    *("#1f5fbf", "#c2410c", "#15803d", "#991b1b", "#7c3aed"),
    *("#0e7490", "#96650a", "#475569", "#4d7c0f", "#db2777"),
)
_HUES_DARK = (
    *("#7db3ff", "#fb923c", "#4ade80", "#f87171", "#c4b5fd"),
    *("#22d3ee", "#facc15", "#cbd5e1", "#a3e635", "#f472b6"),
)
HUES = len(_HUES_LIGHT)
RAMP = len(_RAMP_LIGHT)


def _with_scales(colors: dict[str, str], ramp: tuple[str, ...], hues: tuple[str, ...]) -> dict[str, str]:
    return colors | {f"q{i}": color for i, color in enumerate(ramp)} | {f"c{i}": color for i, color in enumerate(hues)}


# By the name of the CSS variable: q0 to q8 is the ramp, c0 to c9 are the hues.
LIGHT = _with_scales(
    {
        "paper": "#ffffff", "ink": "#1a1d21", "muted": "#5b6470", "line": "#e3e6ea", "soft": "#f6f7f9",
        "accent": "#1f5fbf", "warm": "#b4541a", "tint": "#d5e4f9", "on-low": "#14171a", "on-high": "#ffffff",
    },
    _RAMP_LIGHT,
    _HUES_LIGHT,
)  # fmt: skip
DARK = _with_scales(
    {
        "paper": "#111418", "ink": "#e8eaed", "muted": "#9aa4b0", "line": "#2a3038", "soft": "#191d22",
        "accent": "#7db3ff", "warm": "#f0a06a", "tint": "#23395a", "on-low": "#ffffff", "on-high": "#14171a",
    },
    _RAMP_DARK,
    _HUES_DARK,
)  # fmt: skip

# What figures need beside the variables: the cells of a matrix by step of the ramp.
FIGURE_CSS = (
    ".cell rect { stroke: var(--line); stroke-width: 0.5; } "
    ".cell text { text-anchor: middle; fill: var(--on-low); font-size: 11.5px; } "
    ".small text { font-size: 10px; } "
    + " ".join(f".q{step} rect {{ fill: var(--q{step}); }}" for step in range(RAMP))
    + " .q6 text, .q7 text, .q8 text { fill: var(--on-high); }"
)
