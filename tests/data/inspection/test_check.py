"""`transgan data check` against folders whose every defect was made on purpose."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from defects import SIDE, good, in_parts, spoiled
from transgan.data import Folder, hold_out
from transgan.data.inspection import duplicates
from transgan.data.inspection.check import check, summary
from transgan.data.inspection.sheet import seen
from transgan.data.inspection.short import short
from transgan.data.inspection.survey import in_processes
from transgan.data.inspection.traits import Broken, Traits, inspect
from transgan.data.listed import listed


def kinds(report) -> dict[str, set[str]]:
    return {each.kind: set(each.files) for each in report.findings}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """(folder, {kind: names}) of every defect."""
    return spoiled(tmp_path_factory.mktemp("spoiled") / "photos")


def test_every_defect_is_named_and_none_invented(folder):
    root, expected = folder
    assert kinds(check(root, resolution=32)) == expected


def test_a_zip_gives_the_same(folder, tmp_path):
    root, expected = folder
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    of_a_mac = {"system_folders": {"@eaDir"}}  # every zip made there has the other
    assert kinds(check(tmp_path / "photos.zip", resolution=32)) == expected | of_a_mac


def test_good_images_have_no_finding(tmp_path):
    for i in range(60):
        good(i).save(tmp_path / f"{i}.png")
    report = check(tmp_path, resolution=32)
    assert report.findings == [] and report.count == report.readable == 60
    assert report.sizes["median"] == (SIDE, SIDE) and summary(report)[0].startswith("60 images")


def test_processes_give_what_one_gives(tmp_path):
    for i in range(210):
        Image.fromarray(np.random.default_rng(i % 200).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(
            tmp_path / f"{i}.bmp"
        )
    one, two = (check(tmp_path, resolution=8, workers=workers) for workers in (1, 2))
    assert kinds(one) == kinds(two) and len(kinds(two)["exact_duplicates"]) == 20
    assert list(in_processes(str, range(1000), 2)) == [str(i) for i in range(1000)]


def test_images_both_trained_on_and_held_out(tmp_path):
    for part, seeds in {"train/a": range(6), "train/b": range(6, 12), "test/a": [2, 20], "test/b": [21, 22]}.items():
        (tmp_path / part).mkdir(parents=True)
        for seed in seeds:
            good(seed).save(tmp_path / part / f"{seed}.png")
    report = check(tmp_path, resolution=32)
    assert kinds(report)["across_holdout"] == {"train/a/2.png", "test/a/2.png"} and report.held == 4
    assert "across_classes" not in kinds(report)


def test_images_on_both_sides_of_a_held_out_share(tmp_path):
    for i in range(40):
        good(i).save(tmp_path / f"{i:02d}.png")
    dataset = Folder(tmp_path, 32, 3)
    train, heldout = hold_out(dataset, 0.1)
    inside, outside = (f"{int(part.indices[0]):02d}" for part in (train, heldout))
    good(int(inside)).save(tmp_path / f"{outside}.png")  # in the place of the image that is held out
    report = check(tmp_path, resolution=32, holdout=0.1)
    assert kinds(report)["across_holdout"] == {f"{inside}.png", f"{outside}.png"} and report.held == 4
    assert "across_holdout" not in kinds(check(tmp_path, resolution=32))


def test_limits_follow_the_set(tmp_path):
    """Where all images are dark, or all are blurred, one of them is no exception."""
    for i in range(30):
        Image.fromarray(np.asarray(good(i)) // 8).save(tmp_path / f"{i}.png")
    Image.fromarray(np.where(np.asarray(good(30).convert("L")) > 128, 7, 0).astype(np.uint8)).save(
        tmp_path / "darker.png"
    )
    assert kinds(check(tmp_path, resolution=32)).get("dark") == {"darker.png"}


def test_blur_is_that_of_the_resolution(tmp_path):
    """What is blurred in a large photograph may be sharp at the size of the networks."""
    for i in range(20):
        good(i, 256).save(tmp_path / f"{i}.png")
    good(20, 256).filter(ImageFilter.GaussianBlur(5)).save(tmp_path / "soft.png")
    assert kinds(check(tmp_path, resolution=128))["blurred"] == {"soft.png"}
    assert "blurred" not in kinds(check(tmp_path, resolution=16))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF", "TIFF tiff_lzw"])
def test_a_file_that_is_cut_is_truncated(form):
    file, (form, *compression) = io.BytesIO(), form.split()
    Image.init()
    if form not in Image.SAVE:
        pytest.skip("this Pillow does not write it")
    good(0).save(file, form, **({"compression": compression[0]} if compression else {}))
    data = file.getvalue()
    assert isinstance(inspect(data, 32), Traits)
    found = inspect(data[: len(data) // 2], 32)
    assert isinstance(found, Broken) and found.kind == "truncated", found
    assert inspect(b"", 32) == Broken("empty", "0 bytes")
    assert inspect(b"Dear Sir or Madam", 32).kind == "unreadable"


def test_a_large_jpeg_is_measured_like_its_full_decoding():
    file = io.BytesIO()
    good(3, 1024).convert("RGB").save(file, "JPEG", quality=95)
    reduced, full = inspect(file.getvalue(), 64), inspect(file.getvalue(), 1024)
    assert reduced.size == full.size == (1024, 1024)
    assert abs(reduced.light - full.light) < 6
    thumbs = np.stack([np.frombuffer(each.thumb, np.uint8) for each in (reduced, full)])
    assert len(duplicates.near(thumbs)[0]) == 1


def thumbs_of(images):
    return np.stack([np.frombuffer(inspect(encoded(image), 32).thumb, np.uint8) for image in images])


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_near_duplicates_are_all_found_and_others_are_not():
    """Compared with every pair's true distance: the search in few dimensions leaves none out."""
    random = np.random.default_rng(0)
    thumbs = thumbs_of([good(i) for i in range(40)]).repeat(5, 0).astype(int)
    thumbs = (thumbs + random.integers(-3, 4, thumbs.shape)).clip(0, 255).astype(np.uint8)
    pairs, limit = duplicates.near(thumbs)
    places = duplicates.vectors(thumbs)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert set(pairs) == {(i, j) for i, j in np.argwhere(apart <= limit).tolist() if i < j}
    assert 0 < len(pairs) and all(i // 5 == j // 5 for i, j in pairs)


def test_groups_are_connected():
    assert duplicates.groups([(1, 2), (5, 4), (2, 3)], 7) == [[1, 2, 3], [4, 5]]
    assert duplicates.exact([b"a", b"b", b"a", b"c", b"b"]) == [[0, 2], [1, 4]]


def test_black_frames_are_no_near_duplicates():
    black = [Image.new("RGB", (32, 32), (i, 0, 0)) for i in range(4)]
    assert duplicates.near(thumbs_of(black))[0] == []


def test_the_short_check_of_what_is_in_memory(folder, tmp_path):
    root, expected = folder
    dataset = Folder(root, 32, 3, on_error="skip", in_memory=True)
    said = " | ".join(short(dataset))
    assert all(f"{each}: 1 image" in said for each in ("dark", "blurred", "one colour"))
    assert "duplicates at 32 px: 2 images in 1 group" in said
    assert "extreme shape: 1 image" in said and "suspicious classes: Dataset" in said
    twice = Folder(root, 32, 3, on_error="skip", in_memory=True)
    assert f"{len(twice)} of {len(twice)} held-out images" in short(dataset, twice)[0]


def test_short_says_nothing_of_good_images(tmp_path):
    for i in range(20):
        good(i).save(tmp_path / f"{i}.png")
    assert short(Folder(tmp_path, 32, 3, in_memory=True)) == []
    assert short(Folder(tmp_path, 32, 3, in_memory=False)) == []


def test_labels_that_training_refuses_are_a_finding(tmp_path):
    for i in range(3):
        good(i).save(tmp_path / f"{i}.png")
    Path(tmp_path / "dataset.json").write_text('{"labels": [["0.png", 1]]}')
    found = next(each for each in check(tmp_path, resolution=32).findings if each.kind == "labels")
    assert "names no label for 2 of 3 images" in found.way
    with pytest.raises(ValueError, match="names no label"):
        Folder(tmp_path, 32, 3)


def floats(root):
    for i in range(4):
        values = np.random.default_rng(i).random((16, 16), dtype=np.float32) * 20
        Image.fromarray(values).save(root / f"{i}.tif")


def partly_labelled(root):
    for i in range(4):
        good(i).save(root / f"{i}.png")
    (root / "dataset.json").write_text('{"labels": [["0.png", 1], ["1.png", 0]]}')


def half_read(root):
    partly_labelled(root)
    (root / "3.png").write_text("no image")


@pytest.mark.parametrize(("fill", "options", "keys"), [
    (floats, {}, {"data.white": "NUMBER"}), (floats, {"white": 20.0}, {"data.white": "20"}),
    (partly_labelled, {}, {"data.labels": "none"}), (partly_labelled, {"labels": "none", "white": 1.0}, {"data.labels": "none"}),
    (half_read, {"labels": "none"}, {"data.labels": "none", "data.on_error": "skip"}),
    (floats, {"white": 20.0, "limit": 4}, {"data.white": "20", "data.limit": "4"}),
])  # fmt: skip
def test_what_is_advised_has_the_keys_that_training_needs(tmp_path, fill, options, keys):
    fill(tmp_path)
    command = check(tmp_path, resolution=16, **options).advice[-1]
    found = dict(word.split("=") for word in command.split() if word.startswith("data."))
    assert command.startswith("Then: transgan train") and found == keys
    found = {key.removeprefix("data."): value for key, value in found.items() if value != "NUMBER"}
    if len(found) == len(keys):
        white = float(found.pop("white")) if "white" in found else None
        limit = int(found.pop("limit")) if "limit" in found else None
        assert len(Folder(tmp_path, 16, 3, white=white, limit=limit, **found)) == 4 - (fill is half_read)


@pytest.mark.parametrize(("options", "words"), [
    ({"holdout": 0.25}, ["holdout=0.25"]), ({"limit": 8, "holdout": 0.5}, ["holdout=0.5", "data.limit=8"]),
    ({"channels": 1, "labels": "folders"}, ["channels=1", "data.labels=folders"]),
])  # fmt: skip
def test_what_is_advised_is_of_the_images_that_were_checked(tmp_path, options, words):
    in_parts(tmp_path, a={"": range(6)}, b={"": range(6, 12)})
    report = check(tmp_path, resolution=16, **options)
    assert report.advice[-1] == f"Then: transgan train {tmp_path} resolution=16 {' '.join(words)}"
    assert report.count == options.get("limit", 12) == sum(report.classes.values())


def test_preparing_is_advised_with_the_same_keys(tmp_path):
    for i in range(501):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(
            tmp_path / f"{i}.bmp"
        )
    (tmp_path / "0.bmp").write_bytes(b"")
    said = " ".join(check(tmp_path, resolution=4, labels="none", workers=1).advice)
    assert "images.zip resolution=4 data.labels=none data.on_error=skip; training" in said
    said = " ".join(check(tmp_path, resolution=4, channels=1, workers=1).advice)
    assert "images.zip resolution=4 channels=1 data.on_error=skip; training" in said


@pytest.mark.parametrize(("names", "alike"), [
    (["caf\u00e9", "cafe\u0301", "cafe"], {"caf\u00e9", "cafe\u0301"}),  # one by Linux, one by an old Mac
    (["hot dog", "Hot_Dog", "hot-dogs"], {"hot dog", "Hot_Dog"}),
    (["\u0915\u093f", "\u0915\u093e", "c++", "c#", "c"], set()),  # vowels are marks there
    (["1.0", "10", "1", "1_1", "11", "1-x", "1 x"], {"1-x", "1 x"}),
])  # fmt: skip
def test_class_names_that_are_alike(tmp_path, names, alike):
    for i, name in enumerate(names):
        (tmp_path / name).mkdir()
        good(i).save(tmp_path / name / "1.png")
    assert kinds(check(tmp_path, resolution=16)).get("similar_classes", set()) == alike


@pytest.mark.parametrize(("name", "said"), [("a\nb.png", "a\\nb.png"), ("\x1b[31m.png", "\\x1b[31m.png"),
                                            ("\u202egnp.png", "\\u202egnp.png")])  # fmt: skip
def test_names_are_shown_on_one_line_without_what_a_terminal_obeys(tmp_path, name, said):
    good(0).save(tmp_path / "a.png")
    (tmp_path / name).write_text("no image")
    (found,) = check(tmp_path, resolution=16).findings
    assert found.files == [name] and found.named() == [f"{said} (not an image that Pillow can read)"]
    with pytest.raises(ValueError, match="cannot be read") as raised:
        Folder(tmp_path, 16, 3)
    assert f"  {said}: not an image" in str(raised.value)


@pytest.mark.parametrize(("most", "last"), [(60_000, 6_000), (3_000, 400), (3_000, 3_000)])
def test_deep_images_are_measured_by_the_white_of_all(tmp_path, most, last):
    for i in range(8):
        values = np.asarray(good(i).convert("L")).astype(np.float64) / 255
        Image.fromarray((values * (last if i == 7 else most)).astype(np.uint16)).save(tmp_path / f"{i}.png")
    report = check(tmp_path, resolution=16)
    assert kinds(report).get("dark", set()) == ({"7.png"} if last < most else set())
    images = seen(listed(tmp_path, 16, 1, white=report.levels), report.good)
    expected = Folder(tmp_path, 16, 1).images.permute(0, 2, 3, 1).numpy()
    assert np.array_equal(np.stack(images), expected)


def test_images_to_measure_against_that_are_beyond_the_white_are_named(tmp_path):
    for part, most in {"train": 900, "test": 4_000}.items():
        (tmp_path / part).mkdir()
        for i in range(2):
            values = np.random.default_rng(i).integers(0, most, (16, 16)).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / part / f"{i}.png")
    assert kinds(check(tmp_path, resolution=16))["unreadable"] == {"test/0.png", "test/1.png"}


@pytest.mark.parametrize(("side", "resolution", "small", "then"), [
    (28, 32, 0, 32), (24, 32, 0, 32), (99, 100, 0, 100), (28, 28, 0, 28), (48, 32, 0, 32), (20, 32, 5, 16),
    (40, 128, 5, 32),
])  # fmt: skip
def test_images_just_below_the_resolution_are_made_at_it(tmp_path, side, resolution, small, then):
    """As training chooses; it is not for the next page to say otherwise."""
    for i in range(5):
        good(i, side).save(tmp_path / f"{i}.png")
    report = check(tmp_path, resolution=resolution)
    found = [each for each in report.findings if each.kind in ("small", "tiny")]
    assert sum(each.count for each in found) == small and f" resolution={then}" in report.advice[-1]
    assert all(f"resolution={then} fits most" in each.way for each in found if each.kind == "small")
