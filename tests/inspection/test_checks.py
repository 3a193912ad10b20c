"""What is found in data sets whose faults are known, and what is not found in sound ones."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import laplace

from hfcls.data.decode import MAX_PIXELS
from hfcls.data.digits import read_digits
from hfcls.inspection.checks import find_all
from hfcls.inspection.finding import Finding
from hfcls.inspection.images import Images
from hfcls.inspection.measure import measure_grey
from hfcls.inspection.scan import scan_images
from hfcls.inspection.summary import build_summary
from tests.inspection.pictures import dataset, picture, png


def findings(splits: dict, notices: tuple[str, ...] = ()) -> dict[str, Finding]:
    images = Images(splits)
    found = find_all(images, scan_images(images, max_pixels=MAX_PIXELS, quiet=True), notices)
    assert len({f.kind for f in found}) == len(found)
    return {f.kind: f for f in found}


def ids(images: Images, finding: Finding) -> list[list[str]]:
    return [images.ids(rows) for rows in finding.groups]


def test_too_little_to_set_anything_apart():
    rows = [(picture(i), f"class {i}") for i in range(3)]
    alone = findings({"train": dataset("train", rows)})
    assert alone["nothing-to-set-apart"].severity == "error"
    split = findings({"train": dataset("train", rows), "test": dataset("test", [(picture(9), "class 0")])})
    assert "nothing-to-set-apart" not in split


def test_classes_that_do_not_fit():
    train = [(picture(i), ("cat", "dog")[i % 2]) for i in range(60)]
    train += [(picture(100 + i), "Cat ") for i in range(12)] + [(picture(200), "rare")]
    test = [(picture(300 + i), ("cat", "zebra")[i % 2]) for i in range(4)]
    splits = {"train": dataset("train", train), "test": dataset("test", test)}
    found = findings(splits, ("One image lies beside the class folders.",))
    assert {kind: f.severity for kind, f in found.items()} == {
        "class-not-in-train": "error",
        "class-not-in-test": "warning",
        "class-names-alike": "warning",
        "tiny-class": "warning",
        "imbalance": "warning",
        "notices": "note",
    }
    assert next(iter(found)) == "class-not-in-train"
    assert found["class-not-in-train"].items == ("zebra: 2 in test",)
    assert ids(Images(splits), found["class-not-in-train"]) == [["test/1"], ["test/3"]]
    assert found["class-not-in-test"].items == ("dog", "Cat ", "rare")
    assert found["class-names-alike"].items == ("'cat', 'Cat '",)
    assert found["tiny-class"].items == ("rare: 1",)
    assert "one alone" in found["tiny-class"].title
    assert "30 times" in found["imbalance"].title


def test_copies_within_and_across_splits_and_under_two_labels():
    train = [(picture(i), "ab"[i % 2]) for i in range(20)]
    train += [(picture(0), "a"), (picture(1), "a")]  # a copy in the same class, and one in another
    test = [(picture(100 + i), "ab"[i % 2]) for i in range(10)] + [(picture(4), "a")]
    test += [(picture(7).resize((60, 60), Image.Resampling.BICUBIC), "b")]
    splits = {"train": dataset("train", train), "test": dataset("test", test)}
    found, images = findings(splits), Images(splits)
    wanted = {
        "exact-duplicates-across-splits": ("error", [["train/4", "test/10"]]),
        "two-labels": ("error", [["train/1", "train/21"]]),
        "near-duplicates-across-splits": ("error", [["train/7", "test/11"]]),
        "exact-duplicates": ("warning", [["train/0", "train/20"]]),
    }
    assert {kind: (f.severity, ids(images, f)) for kind, f in found.items() if kind != "mixed-sizes"} == wanted


def test_near_duplicates_matter_where_a_split_is_to_be_carved():
    entries = [(picture(i), "ab"[i % 2]) for i in range(20)] + [(picture(3).crop((1, 1, 48, 47)), "b")]
    carved = findings({"train": dataset("train", entries)})["near-duplicates"]
    assert (carved.severity, carved.groups) == ("warning", ((3, 20),))
    others = {split: dataset(split, [(picture(50 + len(split)), "a")]) for split in ("validation", "test")}
    assert findings({"train": dataset("train", entries), **others})["near-duplicates"].severity == "note"
    # what lies in one group is kept together anyway
    groups = [f"g{i % 3}" for i in range(20)] + ["g0"]
    assert "near-duplicates" not in findings({"train": dataset("train", entries, groups)})


def test_groups_on_both_sides_of_a_split():
    train = dataset("train", [(picture(i), "ab"[i % 2]) for i in range(6)], ["p1", "p1", "p2", "p2", "", "p3"])
    test = dataset("test", [(picture(9 + i), "ab"[i % 2]) for i in range(3)], ["p2", "", "p4"])
    found = findings({"train": train, "test": test})["group-across-splits"]
    assert (found.severity, found.groups, found.captions) == ("error", ((2, 3, 6),), ("p2",))


def test_images_that_show_little_are_told_by_their_neighbours():
    def scaled(image: Image.Image, low: int, high: int) -> Image.Image:
        return image.point([low + level * (high - low) // 255 for level in range(256)] * 3)

    entries = [(picture(i), "ab"[i % 2]) for i in range(40)]
    odd = {
        "blank": Image.new("RGB", (48, 48), (40, 90, 41)),
        "dark": scaled(picture(50), 0, 50),
        "bright": scaled(picture(51), 205, 255),
        "blurry": picture(52).filter(ImageFilter.GaussianBlur(3)),
    }
    found = findings({"train": dataset("train", entries + [(image, "a") for image in odd.values()])})
    looks = {kind: found[kind].groups for kind in odd}
    assert looks == {kind: ((40 + number,),) for number, kind in enumerate(odd)}
    assert all(found[kind].severity == "warning" and found[kind].how for kind in odd)
    # a whole data set that is dark is as it is
    dark = [(scaled(image, 0, 50), name) for image, name in entries]
    assert "dark" not in findings({"train": dataset("train", dark)})


def test_digits_on_black_are_as_they_are():
    found = findings(read_digits())
    assert not {"blank", "dark", "bright", "blurry", "tiny-image", "odd-shape", "odd-size", "odd-mode"} & set(found)


def test_sizes_and_modes():
    entries: list[tuple[Image.Image, str]] = [(picture(i), "ab"[i % 2]) for i in range(24)]
    deep = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (48, 48), dtype=np.uint16))
    clear = picture(31)
    clear.putalpha(200)
    long, tiny, huge = picture(32).resize((200, 30)), picture(33).resize((6, 40)), picture(34, 400)
    found = findings({"train": dataset("train", [*entries, *((i, "a") for i in (deep, clear, long, tiny, huge))])})
    assert found["tiny-image"].groups == ((27,),)
    assert found["odd-shape"].groups == ((26,),)
    assert found["odd-size"].groups == ((28,),)
    assert "4 sizes: 6 to 400 pixels wide" in found["mixed-sizes"].title
    modes = dict(
        zip((row for rows in found["odd-mode"].groups for row in rows), found["odd-mode"].captions, strict=True)
    )
    assert modes == {24: "I;16", 25: "RGBA"}


def test_broken_images_are_named_with_reasons_and_nothing_else_trips_over_them():
    bad = [b"", b"<html>", png(picture(5))[:200]]
    entries = [(picture(i), "ab"[i % 2]) for i in range(6)]
    images = Images({"train": dataset("train", entries + [(content, "a") for content in bad])})
    facts = scan_images(images, max_pixels=MAX_PIXELS, quiet=True)
    (broken,) = [f for f in find_all(images, facts, ()) if f.severity == "error"]
    assert (broken.kind, broken.groups) == ("broken", ((6,), (7,), (8,)))
    assert all(broken.captions)
    summary = build_summary(images, facts, [broken], source="here")
    assert summary["splits"]["train"]["readable"] == 6
    assert summary["findings"][0]["images"] == [["train/6"], ["train/7"], ["train/8"]]
    nothing = Images({"train": dataset("train", [(b"", "a"), (b"", "b")])})
    everything = find_all(nothing, scan_images(nothing, max_pixels=MAX_PIXELS, quiet=True), ())
    assert everything[0].groups == ((0,), (1,))


def test_figures_are_those_of_the_pixels():
    arrays = [np.asarray(picture(i), dtype=float) for i in range(5)]
    images = Images({"train": dataset("train", [(picture(i), "ab"[i % 2]) for i in range(5)])})
    facts = scan_images(images, max_pixels=MAX_PIXELS, quiet=True)
    channels = build_summary(images, facts, [], source="")["splits"]["train"]["channels"]
    pixels = np.stack(arrays) / 255
    assert channels["mean"] == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=1e-4)
    assert channels["std"] == pytest.approx(pixels.std(axis=(0, 1, 2)), abs=1e-4)
    grey = picture(0).convert("L")
    levels = np.asarray(grey, dtype=float)
    mean, deviation, low, high, sharpness = measure_grey(grey)
    assert (mean, deviation) == (pytest.approx(levels.mean()), pytest.approx(levels.std()))
    assert abs(low - np.percentile(levels, 1)) <= 1
    assert abs(high - np.percentile(levels, 99)) <= 1
    assert sharpness == pytest.approx(laplace(levels)[1:-1, 1:-1].var(), rel=1e-4)
