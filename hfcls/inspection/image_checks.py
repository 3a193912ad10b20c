"""Images that can't be read, show nothing, or are unlike the others.

Where "unlike" is judged by the data set itself, a value counts as an outlier when it lies 3.5 robust standard
deviations (1.4826 times the median absolute deviation) from the median (Iglewicz and Hoaglin 1993), and only beyond a
fixed limit as well: a data set of night shots, of digits on black or of documents is as it is.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from hfcls.inspection.finding import Finding, count
from hfcls.inspection.images import Images
from hfcls.inspection.measure import BLANK_DEVIATION, SHARPNESS_SIDE
from hfcls.inspection.scan import Facts

OUTLIER = 3.5
# Among fewer images nothing can be called unusual.
ENOUGH = 20
# 99 % of a dark image lie below a quarter of the range, 99 % of a bright one above three quarters.
DARK_LEVEL, BRIGHT_LEVEL = 64, 191
# A blurry image has less than this share of the median sharpness, contrast set aside.
BLURRY_SHARE = 1 / 8
SMALLEST_SIDE = 8
# Longer over shorter side, and area against the median, beyond which an outlier is worth a look.
LONG_RATIO, AREA_FACTOR = 3.0, 16.0

# How the stranger of Pillow's modes are turned into 8-bit RGB.
ODD_MODES = {
    "I;16": "16-bit grey, scaled to 8 bits",
    "I;16B": "16-bit grey, scaled to 8 bits",
    "I;16L": "16-bit grey, scaled to 8 bits",
    "I": "32-bit grey, scaled to 8 bits",
    "F": "floating-point grey, scaled to 8 bits",
    "CMYK": "printing colours, converted to RGB",
    "YCbCr": "video colours, converted to RGB",
    "LAB": "Lab colours, converted to RGB",
    "HSV": "HSV colours, converted to RGB",
    "RGBA": "colour with transparency, laid on white",
    "RGBa": "colour with transparency, laid on white",
    "LA": "grey with transparency, laid on white",
    "La": "grey with transparency, laid on white",
    "PA": "palette with transparency, laid on white",
}


def check_readable(images: Images, facts: Facts) -> Iterator[Finding]:
    """Images that can't be decoded."""
    if facts.errors:
        rows = sorted(facts.errors)
        reasons = Counter(facts.errors[row] for row in rows).most_common()
        yield Finding(
            "broken",
            "error",
            f"{count(len(rows), 'image')} cannot be read",
            "Mend them or leave them out (--fix does, and so does --on_bad_image skip).",
            groups=tuple((row,) for row in rows),
            captions=tuple(facts.errors[row] for row in rows),
            items=tuple(f"{n:,} × {reason}" for reason, n in reasons),
            fixable=True,
        )


def check_looks(images: Images, facts: Facts) -> Iterator[Finding]:
    """Blank, dark, bright and blurry images."""
    table = facts.table
    blank = facts.readable & (table["channel_deviation"].max(axis=1) < BLANK_DEVIATION)
    seen = facts.readable & ~blank
    if blank.any():
        yield _looks(
            "blank",
            f"{count(int(blank.sum()), 'image is', 'images are')} of one colour all over",
            "Remove what shows nothing: it can only be learned by heart.",
            f"No colour channel deviates by {BLANK_DEVIATION:g} of 255 levels.",
            blank,
        )
    dark = seen & (table["high"] < DARK_LEVEL) & is_outlier(table["high"], seen, below=True)
    if dark.any():
        yield _looks(
            "dark",
            f"{count(int(dark.sum()), 'image is', 'images are')} very dark beside the others",
            "Look whether anything can be told from them.",
            f"99 % of the pixels are darker than {DARK_LEVEL} of 255, which is unusual for this data set.",
            dark,
        )
    bright = seen & (table["low"] > BRIGHT_LEVEL) & is_outlier(table["low"], seen, below=False)
    if bright.any():
        yield _looks(
            "bright",
            f"{count(int(bright.sum()), 'image is', 'images are')} very bright beside the others",
            "Look whether anything can be told from them.",
            f"99 % of the pixels are brighter than {BRIGHT_LEVEL} of 255, which is unusual for this data set.",
            bright,
        )
    sharpness = relative_sharpness(table)
    sharp = seen & np.isfinite(sharpness)
    blurry = sharp & (sharpness < BLURRY_SHARE * np.median(sharpness[sharp])) if sharp.any() else sharp
    blurry &= is_outlier(np.log(np.maximum(sharpness, 1e-9)), sharp, below=True)
    if blurry.any():
        yield _looks(
            "blurry",
            f"{count(int(blurry.sum()), 'image is', 'images are')} blurry beside the others",
            "Look whether the object can still be told; new images may come sharper.",
            f"Variance of the Laplacian over that of the grey levels, at {SHARPNESS_SIDE} pixels at most: below "
            f"{BLURRY_SHARE:.3g} of the median and unusual for this data set.",
            blurry,
        )


def check_sizes(images: Images, facts: Facts) -> Iterator[Finding]:
    """Tiny images, unusual shapes and sizes, a mixture of sizes."""
    width, height = (facts.table[name].astype(np.float64) for name in ("width", "height"))
    seen = facts.readable
    short, long = np.minimum(width, height), np.maximum(width, height)
    tiny = seen & (short < SMALLEST_SIDE)
    if tiny.any():
        yield _looks(
            "tiny-image",
            f"{count(int(tiny.sum()), 'image is', 'images are')} less than {SMALLEST_SIDE} pixels high or wide",
            "Look whether these are thumbnails or damaged: so few pixels show hardly anything.",
            "",
            tiny,
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        shape, area = np.log(width / height), np.log(width * height)
    odd = seen & ~tiny & (long > LONG_RATIO * np.maximum(short, 1))
    odd &= is_outlier(shape, seen, below=True) | is_outlier(shape, seen, below=False)
    if odd.any():
        yield _looks(
            "odd-shape",
            f"{count(int(odd.sum()), 'image is', 'images are')} very long beside the others",
            "Look at them: squeezed or cropped to the model's square, they may lose what they show.",
            f"One side is more than {LONG_RATIO:g} times the other, which is unusual for this data set.",
            odd,
        )
    middle = np.median(area[seen]) if seen.any() else 0.0
    far = seen & ~tiny & (np.abs(area - middle) > np.log(AREA_FACTOR))
    far &= is_outlier(area, seen, below=True) | is_outlier(area, seen, below=False)
    if far.any():
        yield _looks(
            "odd-size",
            f"{count(int(far.sum()), 'image is', 'images are')} far smaller or larger than the others",
            "Look whether they come from another source: a model may learn the source instead of the class.",
            f"More than {AREA_FACTOR:g} times fewer or more pixels than the median image, which is unusual here.",
            far,
            severity="note",
        )
    sizes = np.unique(np.stack([width[seen], height[seen]], axis=1), axis=0)
    if len(sizes) > 1:
        yield Finding(
            "mixed-sizes",
            "note",
            f"Images come in {count(len(sizes), 'size')}: {_extent(width[seen])} pixels wide, {_extent(height[seen])} "
            "high",
            "Nothing to do: all are scaled to what the model takes.",
        )


def check_modes(images: Images, facts: Facts) -> Iterator[Finding]:
    """Stored pixels that are neither 8-bit RGB nor 8-bit grey."""
    odd = [number for number, mode in enumerate(facts.modes) if mode in ODD_MODES]
    rows = np.flatnonzero(np.isin(facts.mode_of, odd)).tolist()
    if rows:
        counts = Counter(facts.modes[facts.mode_of[row]] for row in rows)
        yield Finding(
            "odd-mode",
            "note",
            f"{count(len(rows), 'image is', 'images are')} not stored as 8-bit colour or grey: "
            f"{', '.join(f'{n:,} {mode}' for mode, n in counts.most_common())}",
            "Look whether the conversion loses anything; other programs may read such files differently.",
            groups=tuple((row,) for row in rows),
            captions=tuple(facts.modes[facts.mode_of[row]] for row in rows),
            items=tuple(f"{mode}: {ODD_MODES[mode]}" for mode, _ in counts.most_common()),
        )


def is_outlier(values: np.ndarray, among: np.ndarray, *, below: bool) -> np.ndarray:
    """bool (N,): far below (or above) the median of those `among`; nothing is where these are few."""
    chosen = values[among].astype(np.float64)
    if len(chosen) < ENOUGH:
        return np.zeros(len(values), dtype=bool)
    median = np.median(chosen)
    deviation = 1.4826 * np.median(np.abs(chosen - median))
    distance = (median - values) if below else (values - median)
    return among & (distance > OUTLIER * deviation)


def relative_sharpness(table: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian over the variance of the grey levels, so that low contrast is no blur; (N,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return table["sharpness"].astype(np.float64) / np.square(table["contrast"].astype(np.float64))


def _looks(kind: str, title: str, advice: str, how: str, which: np.ndarray, *, severity: str = "warning") -> Finding:
    rows = np.flatnonzero(which).tolist()
    return Finding(kind, severity, title, advice, how=how, groups=tuple((row,) for row in rows))


def _extent(values: np.ndarray) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
