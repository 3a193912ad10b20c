from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from scipy.fft import dctn

from hfcls.inspection import candidates
from hfcls.inspection.alignment import compare
from hfcls.inspection.duplicates import (
    MOST_PARTNERS,
    NearDuplicates,
    describe,
    find_near_duplicates,
    group_pairs,
    perceptual_hashes,
)
from hfcls.inspection.hashes import brightness
from tests.inspection.pictures import picture

BICUBIC = Image.Resampling.BICUBIC


def find(images: list[Image.Image], exclude: list[int] | None = None) -> NearDuplicates:
    descriptors = np.stack([describe(image) for image in images])
    groups = None if exclude is None else np.array(exclude)
    return find_near_duplicates(descriptors, perceptual_hashes(descriptors), exclude=groups)


def pairs_of(found: NearDuplicates) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in found.pairs.tolist()]


def stored(image: Image.Image, kind: str, **options: int) -> Image.Image:
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(file).convert("RGB")


def all_at_once(image: Image.Image) -> Image.Image:
    width, height = image.size
    image = image.crop((round(0.04 * width), 0, width, height - round(0.03 * height)))
    image = ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(0.9)).enhance(1.1)
    return stored(image.resize((width * 2 // 3, height * 2 // 3), BICUBIC), "JPEG", quality=60)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half": lambda image: image.resize((image.width // 2, image.height // 2), BICUBIC),
    "double": lambda image: image.resize((image.width * 2, image.height * 2), BICUBIC),
    "crop": lambda image: image.crop((4, 3, image.width - 2, image.height - 4)),
    "JPEG": lambda image: stored(image, "JPEG", quality=20),
    "GIF": lambda image: stored(image, "GIF"),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.8),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "all": all_at_once,
}


@pytest.fixture(scope="module")
def textures() -> list[Image.Image]:
    return [picture(seed, 100) for seed in range(40)]


def noisy_textures(count: int, copies: int, *, noise: float = 4) -> np.ndarray:
    """Descriptors of distinct soft pictures and, at the end, of so many of them with noise on them."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (count, 36))
    spread = np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize((36, count)), dtype=float).reshape(-1, 6, 6)
    place = np.linspace(0, 5, 24)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(6)))
    soft = weights @ spread @ weights.T
    again = soft[:copies] + rng.normal(0, noise, (copies, 24, 24))
    grey = np.full((count + copies, 288), 128)
    light = np.concatenate([soft, again]).reshape(-1, 576)
    return np.concatenate([light, grey], axis=1).clip(0, 255).round().astype(np.uint8)


def test_the_hash_is_the_sign_of_the_lowest_frequencies(textures: list[Image.Image]):
    descriptors = np.stack([describe(image) for image in textures])
    fade = np.minimum(1, (np.minimum(np.arange(24), np.arange(24)[::-1]) + 0.5) / 4.5)
    places = sorted((u * u + v * v, u, v) for u in range(10) for v in range(10))[1:65]
    for descriptor, value in zip(descriptors, perceptual_hashes(descriptors).tolist(), strict=True):
        light = descriptor[:576].reshape(24, 24).astype(float)
        waves = dctn((light - light.mean()) * np.outer(fade, fade), norm="ortho")
        strength = np.array([waves[u, v] * square**0.5 for square, u, v in places])
        clear = strength > 0.2 * np.sqrt(np.mean(strength**2))
        assert value == int.from_bytes(np.packbits(clear).tobytes(), "little")


@pytest.mark.parametrize("name", COPIES)
def test_altered_copies_are_found_and_nothing_else(textures: list[Image.Image], name: str):
    found = find([*textures, *(COPIES[name](image) for image in textures)])
    assert pairs_of(found) == [(row, row + len(textures)) for row in range(len(textures))]
    assert found.similarity.min() >= 0.96
    assert found.similarity.max() <= 1


def test_symmetric_drawings_keep_their_hash_under_compression():
    """Half of the waves of a symmetric picture are absent: what compression makes of them must not count."""
    rng = np.random.default_rng(0)
    drawings = []
    for _ in range(30):
        image = Image.new("RGB", (96, 96), tuple(rng.integers(0, 100, 3).tolist()))
        for radius in sorted(rng.uniform(6, 44, (2, 2)).tolist(), reverse=True):
            box = (48 - radius[0], 48 - radius[1], 48 + radius[0], 48 + radius[1])
            ImageDraw.Draw(image).ellipse(box, fill=tuple(rng.integers(120, 256, 3).tolist()))
        drawings.append(image)
    found = find([*drawings, *(stored(image, "JPEG", quality=30) for image in drawings)])
    assert {(row, row + 30) for row in range(30)} <= set(pairs_of(found))


def test_like_is_not_the_same(textures: list[Image.Image]):
    def drawing(*, fill: str = "red", stroke: bool = False) -> Image.Image:
        image = Image.new("RGB", (64, 64), "white")
        pen = ImageDraw.Draw(image)
        pen.ellipse((8, 14, 40, 50), fill=fill)
        pen.line((30, 8, 58, 30), fill="black", width=4)
        if stroke:
            pen.line((44, 40, 58, 56), fill="black", width=4)
        return image

    patched = textures[2].copy()
    patched.paste("black", (40, 40, 48, 48))
    negative = Image.eval(textures[0], lambda level: 255 - level)
    mirrored = textures[1].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    same_light = drawing(fill="#0070ff")  # as light as red
    likes = [drawing(), same_light, drawing(stroke=True), textures[0], negative, textures[1], mirrored]
    likes += [textures[2], patched]
    assert pairs_of(find(likes)) == []
    assert pairs_of(find([drawing(), stored(drawing(), "JPEG", quality=50)])) == [(0, 1)]


def test_among_look_alikes_more_agreement_is_asked():
    """Without that, some 270 pairs of these drawings count as the same."""
    rng = np.random.default_rng(0)
    drawings = []
    for corners in np.array([[30, 12], [52, 30], [34, 50], [50, 84]]) + rng.normal(0, 3, (300, 4, 2)):
        image = Image.new("L", (96, 96))
        ImageDraw.Draw(image).line([tuple(corner) for corner in corners.tolist()], fill=255, width=10, joint="curve")
        drawings.append(image.convert("RGB"))
    pairs = pairs_of(find([*drawings, *(stored(image, "JPEG", quality=50) for image in drawings[:50])]))
    assert len([pair for pair in pairs if pair[1] < 300]) < 50
    assert {(row, row + 300) for row in range(50)} <= set(pairs)


def test_blank_images_are_listed_and_in_no_pair(textures: list[Image.Image]):
    noise = np.random.default_rng(0).normal(128, 6, (200, 200, 3)).clip(0, 255).astype(np.uint8)
    blank = [Image.new("RGB", (50, 50), colour) for colour in ("black", "white", "white", "red")]
    found = find([textures[0], *blank, Image.fromarray(noise), textures[1]])
    assert found.blank.tolist() == [1, 2, 3, 4, 5]
    assert pairs_of(found) == []


def test_exact_copies_are_left_out_and_share_their_pairs(textures: list[Image.Image]):
    small = COPIES["half"](textures[0])
    images = [textures[1], textures[0], small, textures[0], textures[2], small]
    assert pairs_of(find(images, exclude=[7, 5, 6, 5, 9, 6])) == [(1, 2), (1, 5), (2, 3), (3, 5)]
    assert pairs_of(find(images)) == [(1, 2), (1, 3), (1, 5), (2, 3), (2, 5), (3, 5)]


@pytest.mark.parametrize(("most", "noise"), [(1024, 3), (30, 3), (30, 1)])
def test_many_copies_of_one_picture(monkeypatch: pytest.MonkeyPatch, most: int, noise: int):
    monkeypatch.setattr(candidates, "_MOST_CANDIDATES", most)
    descriptors = np.repeat(noisy_textures(1, 0), 100, axis=0).astype(int)
    descriptors += np.random.default_rng(0).integers(1 - noise, noise, descriptors.shape)
    descriptors = descriptors.clip(0, 255).astype(np.uint8)
    found = find_near_duplicates(descriptors, perceptual_hashes(descriptors))
    assert group_pairs(100, found.pairs) == [list(range(100))]
    assert len(found.pairs) <= 100 * MOST_PARTNERS
    assert len(found.pairs) == len(np.unique(found.pairs, axis=0))
    assert np.bincount(found.pairs.ravel()).min() >= MOST_PARTNERS
    assert len(found.crowded) > 20


@pytest.mark.parametrize("most", [1024, 30])
def test_a_burst_within_a_split_hides_no_copy_in_another(monkeypatch: pytest.MonkeyPatch, most: int):
    monkeypatch.setattr(candidates, "_MOST_CANDIDATES", most)
    rng = np.random.default_rng(0)
    frames = [picture(0, 96), picture(0, 96).crop((2, 2, 96, 96))]
    scenes = np.repeat(np.stack([describe(frame) for frame in frames]), 60, axis=0).astype(int)
    descriptors = (scenes + rng.integers(-1, 2, scenes.shape)).clip(0, 255).astype(np.uint8)
    split_of = np.repeat([0, 1], 60)
    found = find_near_duplicates(descriptors, perceptual_hashes(descriptors), split_of=split_of)
    apart = split_of[found.pairs[:, 0]] != split_of[found.pairs[:, 1]]
    assert set(range(60)) <= set(found.pairs[apart].ravel().tolist())
    assert max(apart.sum(), (~apart).sum()) <= 120 * MOST_PARTNERS
    assert set(range(60)) <= set(found.crowded.tolist())


def test_exact_copies_share_their_pairs_in_each_split(textures: list[Image.Image]):
    images = [*[textures[0]] * 25, COPIES["half"](textures[0]), textures[0]]
    descriptors = np.stack([describe(image) for image in images])
    known, split_of = np.array([0] * 25 + [1, 0]), np.array([0] * 26 + [1])
    found = find_near_duplicates(descriptors, perceptual_hashes(descriptors), exclude=known, split_of=split_of)
    assert pairs_of(found) == [*((row, 25) for row in range(20)), (25, 26)]


def test_every_alike_pair_within_the_radius_comes_up_once():
    descriptors = noisy_textures(300, 60, noise=25)
    hashes = perceptual_hashes(descriptors)
    came_up = [
        tuple(sorted((row, other)))
        for row, others, _, due in candidates.search(descriptors, hashes, np.arange(360))
        for other in others[due].tolist()
    ]
    tangent = candidates.tangents(brightness(descriptors))
    directions = candidates._directions(descriptors, np.arange(360))
    expected = [
        (one, other)
        for one in range(360)
        for other in range(one + 1, 360)
        if (int(hashes[one]) ^ int(hashes[other])).bit_count() <= candidates.RADIUS
        and candidates.unexplained(tangent[one], directions[[other]])[0] <= candidates.ALIKE
    ]
    assert sorted(came_up) == expected
    assert 50 < len(expected) < 200


def test_cells_find_what_comparing_all_finds():
    descriptors = noisy_textures(8000, 500)
    hashes = perceptual_hashes(descriptors)
    rows = np.delete(np.arange(8500), 17)
    for limit in (10_000, 5000):
        pairs = [
            tuple(sorted((row, other)))
            for row, others, _, due in candidates.search(descriptors, hashes, rows, all_against_all=limit)
            for other in others[due].tolist()
        ]
        assert len(pairs) == len(set(pairs))
        assert not any(17 in pair for pair in pairs)
        assert sum((row, row + 8000) in set(pairs) for row in range(500)) == 499


def test_images_in_cells_meet_from_one_side_or_both(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(candidates, "_CELL", 20)
    monkeypatch.setattr(candidates, "_PROBES", 3)
    descriptors = noisy_textures(400, 0)
    rows = np.arange(400)
    cells = candidates._Cells(candidates._directions(descriptors, rows), perceptual_hashes(descriptors), rows)
    met = [np.setdiff1d(cells.meet(row)[0], row) for row in rows]
    due = np.zeros((400, 400), dtype=int)
    for row in rows:
        due[row, met[row]] = cells.is_due(row, met[row])
    either = np.zeros((400, 400), dtype=bool)
    for row in rows:
        either[row, met[row]] = either[met[row], row] = True
    assert 0 < either.mean() < 0.5
    assert np.array_equal(due + due.T, either)


def test_laying_over_each_other_undoes_crop_blur_and_light(textures: list[Image.Image]):
    descriptors = np.stack([describe(image) for image in textures])
    changed = [
        ImageEnhance.Contrast(image.crop((4, 4, 96, 96)).resize((30, 30), BICUBIC)).enhance(0.8) for image in textures
    ]
    copies = np.stack([describe(image) for image in changed])
    there, back = compare(descriptors, copies), compare(copies, descriptors)
    assert np.allclose(there.disagreement, back.disagreement)
    assert np.allclose(there.colour, back.colour)
    assert there.disagreement.max() < 0.001
    assert there.colour.max() < 40
    assert there.correlation.min() > 0.99
    assert np.allclose(np.minimum(there.gain, 1 / there.gain), 0.8, atol=0.1)
    strangers = compare(descriptors, np.roll(copies, 1, axis=0))
    assert strangers.disagreement.min() > 0.1


def test_descriptors_may_lie_in_a_file(tmp_path: Path):
    descriptors = noisy_textures(50, 20)
    hashes = perceptual_hashes(descriptors)
    np.save(tmp_path / "descriptors.npy", descriptors)
    mapped = np.load(tmp_path / "descriptors.npy", mmap_mode="r")
    found = find_near_duplicates(mapped, perceptual_hashes(mapped))
    assert pairs_of(found) == pairs_of(find_near_duplicates(descriptors, hashes))
    assert pairs_of(found) == [(row, row + 50) for row in range(20)]


def test_one_image_and_none():
    for count in (0, 1):
        descriptors = noisy_textures(1, 0)[:count]
        found = find_near_duplicates(descriptors, perceptual_hashes(descriptors))
        assert found.pairs.shape == (0, 2)
        assert group_pairs(count, found.pairs) == []


def test_shapes_that_do_not_fit():
    descriptors = noisy_textures(3, 0)
    with pytest.raises(ValueError, match=r"hashes \(2,\)"):
        find_near_duplicates(descriptors, perceptual_hashes(descriptors)[:2])


def test_groups_are_chains_of_pairs():
    assert group_pairs(8, np.array([[1, 5], [5, 7], [2, 3]])) == [[1, 5, 7], [2, 3]]
