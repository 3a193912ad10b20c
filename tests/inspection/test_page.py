"""The page: whole, offline, safe against what the data is called, and small with a thousand classes."""

import base64
import re
import xml.etree.ElementTree as ET
from io import BytesIO
from pathlib import Path

from PIL import Image

from hfcls.data.decode import MAX_PIXELS
from hfcls.inspection.checks import find_all
from hfcls.inspection.images import Images
from hfcls.inspection.page import save_page
from hfcls.inspection.scan import scan_images
from tests.inspection.pictures import dataset, picture, png

HOSTILE = ["<script>alert(1)</script>", "a" * 200, "🦊‍🔥 \"quoted\" & 'more'", "]]>--></svg>", "nul\x00", "\u202etxt"]
XHTML = "{http://www.w3.org/1999/xhtml}"


def make_page(path: Path, splits: dict, name: str = "data") -> tuple[str, ET.Element]:
    images = Images(splits)
    facts = scan_images(images, max_pixels=MAX_PIXELS, quiet=True)
    findings = find_all(images, facts, ["The folder '<b>empty</b>' holds no images."])
    save_page(path, images, facts, findings, name=name, source="here", max_pixels=MAX_PIXELS, quiet=True)
    html = path.read_text(encoding="utf-8")
    return html, ET.fromstring(html.removeprefix("<!DOCTYPE html>"))


def test_nothing_is_unescaped_and_nothing_is_fetched(tmp_path: Path):
    entries = [(picture(i), HOSTILE[i % len(HOSTILE)]) for i in range(24)] + [(b"<script>", HOSTILE[0])]
    test = [(picture(i), HOSTILE[i]) for i in range(3)] + [(picture(50), "new <i>class</i>")]
    splits = {"train": dataset("train", entries), "test": dataset("test", test)}
    html, root = make_page(tmp_path / "index.html", splits, name="<b>data</b> & co")
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "b", "link", "iframe", "object"}
    assert "<script" not in html
    urls = [value for element in root.iter() for key, value in element.items() if key.endswith(("href", "src"))]
    assert urls
    assert all(url.startswith(("#", "data:image/webp;base64,")) for url in urls)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/)", html)
    named = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(named) == len(set(named))
    assert {url[1:] for url in urls if url.startswith("#")} <= set(named)
    policy = next(e.get("content") for e in root.iter(f"{XHTML}meta") if e.get("http-equiv"))
    assert "default-src 'none'" in policy


def test_pictures_stand_side_by_side_and_carry_nothing_but_pixels(tmp_path: Path):
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "secret camera"
    picture(0, 200).save(buffer, "JPEG", exif=exif, comment=b"secret comment", icc_profile=b"secret profile" * 20)
    train = [(buffer.getvalue(), "a"), *((picture(i), "ab"[i % 2]) for i in range(1, 9))]
    splits = {"train": dataset("train", train), "test": dataset("test", [(buffer.getvalue(), "a"), (picture(20), "b")])}
    html, root = make_page(tmp_path / "index.html", splits)
    group = next(e for e in root.iter(f"{XHTML}figure") if e.get("class") == "group")
    assert [e.get("alt") for e in group.iter(f"{XHTML}img")] == ["train/0", "test/0"]
    stored = [base64.b64decode(uri) for uri in set(re.findall(r"data:image/webp;base64,([\w+/=]+)", html))]
    assert len(stored) >= 10
    assert not any(b"secret" in content for content in stored)
    assert max(Image.open(BytesIO(content)).size[0] for content in stored) == 112
    assert "a: 2" not in html and ">a</bdi>" in html


def test_a_thousand_classes_fold(tmp_path: Path):
    names = [f"class {number}" for number in range(1000)]
    shared = [png(picture(i, 24)) for i in range(4)]
    entries = [(shared[number % 4], name) for number, name in enumerate(names)] + [(picture(9, 24), names[0])]
    html, root = make_page(tmp_path / "index.html", {"train": dataset("train", entries)})
    assert (tmp_path / "index.html").stat().st_size < 3_000_000
    assert all(f">{name}</bdi>" in html for name in names)
    folded = {e.text for details in root.iter(f"{XHTML}details") for e in details.iter(f"{XHTML}bdi")}
    assert set(names) <= folded
