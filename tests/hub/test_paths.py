"""What is a place of someone's machine, and what stands for it."""

import pytest

from hfcls.hub.paths import Places, find_home, hide_places, is_place

SETTINGS = {"train_dir": "/home/a b/photos", "test_dir": "/data", "output_dir": "runs/a"}
TEXTS = [
    ("/home/a b/photos, /x/y/z/test.parquet", "photos, z/test.parquet"),
    ("/home/a b/photos/cats/1.png is dark", "photos/cats/1.png is dark"),
    ("see C:\\Users\\me\\x.png now", "see x.png now"),
    ("/home/somebody/train", "train"),
    ("../up/weights", "weights"),
    ("see /home/al/data/photos.", "see photos."),
    ("'C:\\\\Users\\\\al\\\\x y\\\\photos' is odd", "'photos' is odd"),
    ('"/home/An Other/a (1)/1.png" is odd', '"1.png" is odd'),
    ("file:///home/al/photos/1.png", "1.png"),
    ("~/work/photos", "photos"),
    ("~another/train", "train"),
    ("train: /data, twice", "train: data, twice"),
    ("/data/set/1.png", "data/set/1.png"),
    # From end to end a path.
    (r"C:\Users\Some Body\photos\x", "x"),
    ("/home/An Other/photos", "photos"),
    ("/home/another/photos [old] (2)", "photos [old] (2)"),
    (r"\\nas\somebody\photos", "photos"),
    (r"\\nas\somebody\train", "train"),
    ("//nas/somebody/photos", "photos"),
    ("file://nas/somebody/photos", "photos"),
    ("file://nas/somebody/train", "train"),
    ("sqlite:////home/another/x.db", "x.db"),
    (r"from \\nas\somebody\photos and sqlite:////home/another/x.db", "from photos and x.db"),
]
KEPT = [
    "https://a.b/c/d, the Hub data set a/b, roses/1.jpg",
    "https://archive.ics.uci.edu/data/set and s3://bucket/home/data",
    "cats/data/1.png",
    "my_runs/a/b and runs/a/b",
    "at /database and mydata/x, x-/data",
    "https://example.org/a/b and image/svg+xml, 1/2, </text>, </a/b>",
    "#!/usr/bin/env python",
    "models/x ./a/b a|b / or /x",
    "~5 images",
]


@pytest.mark.parametrize(("text", "shown"), [*TEXTS, *zip(KEPT, KEPT, strict=True)])
def test_places(text: str, shown: str):
    assert hide_places(text, SETTINGS) == shown


def test_paths_from_end_to_end():
    places = Places(["/data", "/home/al/runs/first", "runs/a"])
    assert places.shorten("/home/al/runs/first/checkpoint-7") == "first/checkpoint-7"
    assert places.shorten("/home/al/runs/first-2/checkpoint-7") == "checkpoint-7"
    for text in ("cats/data/1.png", "runs/a/b", "https://x.org/data/1", "s3://data/1", "cats", ""):
        assert places.shorten(text) == text and not is_place(text) and not places.starts(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see /home/somebody/x.", "/home/somebody/x."),
        ("`C:\\Users\\somebody`", "C:\\Users\\somebody"),
        ("file:///Users/al/x", "/Users/al/x"),
        (
            "/tmp/x /workspace/app /data/x /root/.cache ~/.cache https://x.org/home/me2 x/home/me2 /home/user/app",
            None,
        ),
    ],
)
def test_homes(text: str, found: str | None):
    assert find_home(text) == found
