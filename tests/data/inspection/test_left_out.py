"""Files that are images but for their names, and folders and files that may not be read."""

import io
import os
import zipfile

import pytest
from PIL import Image

from defects import good
from transgan.data import Folder
from transgan.data.inspection import left_out
from transgan.data.inspection.check import check
from transgan.data.listing import image_suffixes

HEIC = b"\0\0\0\x18ftyp%s\0\0\0\0mif1heic\0\0\0\x0cmetaabcd"


def kinds(report):
    return {each.kind: set(each.files) for each in report.findings}


def encoded(form, seed=9):
    file = io.BytesIO()
    good(seed).save(file, form)
    return file.getvalue()


@pytest.fixture
def photos(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(4):
        good(i).save(root / f"{i}.png")
    return root


def packed(root, target):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))
    return target


FILES = {
    "photo": ("unnamed", "JPEG"), "photo.txt": ("unnamed", "PNG"), "5.jpg_large": ("unnamed", "WEBP"),
    "copied.jpg.bak": ("unnamed", "JPEG"), "phone.heic": ("unnamed", "JPEG"), "0.png~": ("other_files", "PNG"),
    "0.png.bak": ("other_files", "PNG"), "6.jpg.crdownload": ("unfinished", "JPEG"), "7.jpg.part": ("unfinished", "GIF"),
    "captions.txt": ("other_files", b"a cat"), "empty.txt": ("other_files", b""), "inner.zip": ("archives", b"PK\3\4"),
    "more": ("archives", b"\x1f\x8b\x08abc"), "raw.dng": ("other_formats", b"II*\0abcd"), "raw.cr2": ("empty_others", b""),
    ".own.jpg": ("hidden_files", "JPEG"), "._mac.jpg": (None, b"\0\5\x16\7"), ".DS_Store": (None, b"\0"),
}  # fmt: skip


@pytest.mark.parametrize("zipped", [False, True])
def test_other_files_are_sorted_by_what_is_in_them(photos, tmp_path, zipped):
    taken = {"phone.heic"} if ".heic" in image_suffixes() else set()
    expected = {}
    for name, (kind, content) in FILES.items():
        if name not in taken:
            (photos / name).write_bytes(content if isinstance(content, bytes) else encoded(content))
            expected.setdefault(kind, set()).add(name)
    expected.pop(None)
    report = check(packed(photos, tmp_path / "photos.zip") if zipped else photos, resolution=16)
    assert kinds(report) == expected and report.count == 4
    (unnamed,) = (each for each in report.findings if each.kind == "unnamed")
    assert unnamed.why["photo.txt"] == "PNG: .png" and unnamed.why["photo"] == "JPEG: .jpg"


def test_some_of_every_suffix_are_looked_at(photos, monkeypatch):
    monkeypatch.setattr(left_out, "MOST", 20)
    for i in range(200):
        (photos / f"{i:03}.txt").write_text("a cat")
    (photos / "photo").write_bytes(encoded("JPEG"))
    assert kinds(check(photos, resolution=16))["unnamed"] == {"photo"}


@pytest.mark.parametrize("name", ["a", "a.txt", "a.image"])
def test_a_folder_of_images_by_content_alone_says_so(tmp_path, name):
    (tmp_path / name).write_bytes(encoded("JPEG"))
    with pytest.raises(ValueError, match=r"1 file is an image by content: .* is JPEG, name it .*\.jpg"):
        Folder(tmp_path, 16, 3)


@pytest.mark.skipif(".heic" in image_suffixes(), reason="pillow-heif reads it")
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1"])
def test_heic_under_another_name_is_filed_as_heic(photos, brand):
    (photos / "whatsapp.jpg").write_bytes(HEIC % brand)
    (photos / "zero.heic").write_bytes(b"")
    report = check(photos, resolution=16)
    assert kinds(report) == {"heic_named": {"whatsapp.jpg"}, "empty_others": {"zero.heic"}}
    assert "pillow-heif" in report.findings[0].way and "data.on_error=skip" in report.advice[-1]


@pytest.fixture
def closed(monkeypatch):
    """Names that may not be read: as root, every file may."""
    names: set[str] = set()
    scandir, stat = os.scandir, os.stat

    def refused(place):
        if os.path.basename(os.fspath(place)) in names:
            raise PermissionError(13, "Permission denied", os.fspath(place))

    monkeypatch.setattr("os.scandir", lambda place=".": refused(place) or scandir(place))
    monkeypatch.setattr(
        "transgan.data.folder.os.stat", lambda place, **options: refused(place) or stat(place, **options)
    )
    return names


def test_a_folder_that_may_not_be_read_ends_no_check(photos, closed):
    for name in ("a", "b", "c"):
        (photos / name).mkdir()
        for i in range(3):
            good(ord(name) * 10 + i).save(photos / name / f"{i}.png")
    closed |= {"b", "2.png"}
    report = check(photos, resolution=16)
    found = {each.kind: each for each in report.findings}
    assert report.count == 4 + 6 and found["locked_folders"].files == ["b"]
    assert found["locked_folders"].way == f"chmod -R u+rX {photos}" and found["locked_folders"].level == "stops"
    assert set(found["locked"].files) == {"2.png", "a/2.png", "c/2.png"} and "chmod" in found["locked"].way
    assert not any("No image in" in note for note in report.notes)
    with pytest.raises(PermissionError, match=r"b \(Permission denied\) cannot be read: allow it \(chmod -R"):
        Folder(photos, 16, 3)


@pytest.mark.parametrize(("damaged", "way"), [
    (["0.png"], "allow reading them (chmod u+r), or go on"),
    (["0.png", "bad.png"], "allow reading them (chmod u+r) or repair or remove them, or go on"),
    (["bad.png"], "\nrepair or remove them, or go on"),
])  # fmt: skip
def test_training_says_how_to_allow_reading(photos, closed, damaged, way):
    closed |= {"0.png"} & set(damaged)
    if "bad.png" in damaged:
        (photos / "bad.png").write_text("no image")
    with pytest.raises(ValueError, match="cannot be read") as raised:
        Folder(photos, 16, 3)
    assert way in str(raised.value)


def test_nothing_but_what_may_not_be_read_is_no_empty_folder(tmp_path, closed):
    (tmp_path / "b").mkdir()
    closed.add("b")
    with pytest.raises(PermissionError, match="chmod"):
        check(tmp_path, resolution=16)


def test_names_that_are_not_utf8_are_a_finding(photos):
    place = os.path.join(os.fsencode(photos), b"caf\xe9.png")
    try:
        with open(place, "wb") as file:
            file.write(encoded("PNG"))
    except OSError:
        pytest.skip("this system has no such names")
    report = check(photos, resolution=16)
    assert kinds(report) == {"not_unicode": {"caf\udce9.png"}} and report.findings[0].named() == ["caf\\udce9.png"]


def test_images_of_mode_and_suffix_that_differ_are_fine(photos):
    (photos / "png.jpg").write_bytes(encoded("PNG", 30))
    assert kinds(check(photos, resolution=16)) == {} and Image.open(photos / "png.jpg").format == "PNG"
