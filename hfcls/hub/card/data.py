"""What a card says of the data, and what follows from their counts and splits."""

from collections import Counter
from typing import Any

from hfcls.evaluation.measured_run import MeasuredRun
from hfcls.evaluation.sections.data import describe_balance
from hfcls.hub.card.markdown import distinct_names, fold, inline, join_words, table
from hfcls.hub.card.measured import images
from hfcls.hub.paths import hide_places

# Training images of a class below which it counts as rare, also as a share of the largest class.
RARE_IMAGES, RARE_SHARE = 50, 0.1
MAX_NAMED = 10
DIGITS_CITATION = (
    "Digits: Alpaydin, Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository "
    "(its test part, as scikit-learn ships it)."
)


def source_of(settings: dict[str, Any], data: dict[str, Any]) -> str:
    """Where the data came from, in words, without paths of this machine."""
    return hide_places(str(data.get("source") or ""), settings)


def hub_dataset(data: dict[str, Any]) -> tuple[str | None, str | None]:
    """The data set that was read from the Hub, if it was, and its commit, if that is known."""
    found = data.get("hub") or {}
    return found.get("repo_id"), found.get("commit")


def describe_splits(run: MeasuredRun) -> str:
    """The splits with their sizes and origins."""
    splits: dict[str, Any] = run.data.get("splits") or {}
    names = run.data.get("class_names") or []
    rows = []
    for split, entry in splits.items():
        n = entry.get("n")
        balance = describe_balance(names, entry.get("label_counts"))
        origin = inline(hide_places(str(entry.get("from") or ""), run.settings))
        rows.append([split, "" if n is None else f"{n:,}", balance, origin])
    return table(["split", "images", "balance", "where from"], rows, right=(1,)) if rows else ""


def describe_counts(run: MeasuredRun) -> str:
    """Images of each class in each split."""
    splits: dict[str, Any] = run.data.get("splits") or {}
    counted = {name: split["label_counts"] for name, split in splits.items() if split.get("label_counts")}
    classes = list(run.data.get("class_names") or [])
    if not counted or not classes:
        return ""
    rows = [
        [shown, *(f"{counts.get(label, 0):,}" for counts in counted.values())]
        for label, shown in zip(classes, distinct_names(classes), strict=True)
    ]
    return fold("Images of each class", table(["class", *counted], rows, right=range(1, len(counted) + 1)))


def describe_dropped(run: MeasuredRun) -> str:
    """What was left out, by reason."""
    dropped = run.data.get("dropped") or []
    if not dropped:
        return "No image was left out." if run.data else ""
    reasons = Counter(hide_places(str(row.get("reason", "")), run.settings) for row in dropped)
    listed = "; ".join(f"{count:,} × {inline(reason)}" for reason, count in reasons.most_common(20))
    return f"{images(len(dropped))} left out: {listed}."


def describe_notices(run: MeasuredRun) -> list[str]:
    """What looked odd about the data when they were read."""
    return [inline(hide_places(str(notice), run.settings)) for notice in run.data.get("notices") or []]


def overlap_limits(run: MeasuredRun) -> list[str]:
    """What it means that images were measured that it has learned from."""
    shared = run.data.get("overlap") or {}
    splits = sorted(run.splits, key=lambda split: split != run.split)
    told = [
        f"{count:,} of {images(run.splits[split]['n'], split)}"
        for split in splits
        if (count := shared.get(f"train/{split}"))
    ]
    if not told:
        return []
    return [
        f"**Seen before.** It learned from {join_words(told)} as well, the same files byte for byte: on new images it "
        "will do worse than the figures say."
    ]


def data_limits(run: MeasuredRun) -> list[str]:
    """What the counts and the splits say against taking the results further than they go."""
    found = [*_rare(run), *_kinship(run)]
    if run.split:
        found.append(
            "**Not tested.** How it does on images from elsewhere (other cameras, places, times), on images that show "
            "none of its classes, and on images that were damaged or changed to fool it. It has no answer "
            "“none of these”: whatever it is shown gets one of its classes."
        )
    else:
        found.append("**Not measured.** No image was set apart, so how good it is on new images is not known.")
    return found


def _rare(run: MeasuredRun) -> list[str]:
    counts = (((run.data.get("splits") or {}).get("train") or {}).get("label_counts")) or {}
    if not counts:
        return []
    most = max(counts.values())
    rare = [(count, label) for label, count in counts.items() if count < max(RARE_IMAGES, RARE_SHARE * most)]
    if not rare:
        return []
    rare.sort(key=lambda entry: entry[0])
    if len(rare) == len(counts):
        low, high = rare[0][0], rare[-1][0]
        few = f"{low:,} to {high:,}" if low < high else f"{low:,}"
        return [f"**Few images to learn from.** Each class had {few} training images."]
    names = dict(zip(counts, distinct_names(counts), strict=True))
    told = [f"{names[label]} ({count:,})" for count, label in rare[:MAX_NAMED]]
    listed = join_words(told) if len(rare) <= MAX_NAMED else f"{', '.join(told)} and {len(rare) - MAX_NAMED:,} more"
    return [f"**Rare classes.** Few training images showed {listed}; the largest class had {most:,}."]


def _kinship(run: MeasuredRun) -> list[str]:
    """Splits that were carved from one set are more alike than the world is."""
    if not run.split:
        return []
    origin = str(((run.data.get("splits") or {}).get(run.split) or {}).get("from") or "")
    if " of train" not in origin:
        return []
    grouped = run.settings.get("group_column_name") or run.settings.get("group_pattern")
    text = f"**Same source.** The {run.split} images were set apart from the very set that it learned from"
    if grouped:
        return [f"{text}, whole groups at a time; images from elsewhere will be harder."]
    return [
        f"{text}, image by image: if several images show one object, person or place, some may be on both sides. "
        "Images from elsewhere will be harder."
    ]
