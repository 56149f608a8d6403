"""Folders and zip archives: what is found, which classes, what is broken, and that all roads give the same bits."""

import io
import os
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from transgan.data import Folder, Zip, checking, free_memory
from transgan.data.datamodule import as_is
from warm_process import start_server


def picture(seed, size=(12, 10)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def tree(root, names):
    for seed, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path)
    return root


def packed(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
    return path


def broken(root):
    """Three unreadable files before and after two good ones."""
    tree(root, ["a.png", "b.jpg"])
    file = io.BytesIO()
    picture(9, (64, 64)).save(file, "JPEG")
    (root / "cut.jpg").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])
    (root / "text.png").write_text("not a picture")
    (root / "0.png").write_bytes(b"")
    return root


NAMES = ["cats/1.png", "cats/2.JPG", "dogs/deep/3.webp", "dogs/4.gif", "dogs/5.bmp"]


def test_what_counts_as_an_image(tmp_path):
    tree(tmp_path, ["b.JPG", "a.png", ".hidden.png", "._a.png", "__MACOSX/c.png", ".thumbs/d.png"])
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "model.h5").write_text("x")
    (tmp_path / ".DS_Store").write_text("x")
    data = Folder(tmp_path, 8, 3)
    assert [file[0] for file in data.files] == ["a.png", "b.JPG"]
    assert data.ignored == 2
    assert len(data) == 2 and len(list(data)) == 2


def test_labels_of_sub_folders(tmp_path):
    data = Folder(tree(tmp_path, NAMES), 8, 3)
    assert data.class_names == ["cats", "dogs"] and data.num_classes == 2
    assert data.labels.tolist() == [0, 0, 1, 1, 1] and data.labels.dtype == torch.int64
    assert data[2][1] == 1 and isinstance(data[2][1], int)


def test_the_folder_all_images_share_is_no_class(tmp_path):
    data = Folder(tree(tmp_path, [f"set/train/{name}" for name in NAMES]), 8, 3)
    assert data.class_names == ["cats", "dogs"] and data.notes == []
    one = Folder(tree(tmp_path / "other", ["only/1.png", "only/2.png"]), 8, 3)
    assert one.num_classes == 0 and one.class_names == [] and one.notes == []


def test_no_sub_folder_no_labels(tmp_path):
    data = Folder(tree(tmp_path, ["1.png", "2.png"]), 8, 3)
    assert data.num_classes == 0 and data.labels.tolist() == [0, 0] and data.notes == []


def test_some_in_sub_folders_no_labels_and_a_note(tmp_path):
    data = Folder(tree(tmp_path, ["1.png", "cats/2.png", "cats/3.png"]), 8, 3)
    assert data.num_classes == 0 and data.labels.tolist() == [0, 0, 0]
    assert len(data.notes) == 1 and "2 of 3" in data.notes[0]
    assert "2 of 3" in data.describe()


def test_all_broken_files_are_named_at_once(tmp_path):
    with pytest.raises(ValueError) as error:
        Folder(broken(tmp_path), 8, 3)
    message = str(error.value)
    assert "3 of 5" in message and "data.on_error=skip" in message
    assert "cut.jpg: " in message and "truncated" in message
    assert "text.png: not an image" in message
    assert "0.png: empty file" in message
    assert "a.png" not in message


@pytest.mark.parametrize("in_memory", [True, False])
def test_skip_goes_on_and_counts(tmp_path, in_memory):
    data = Folder(broken(tmp_path), 8, 3, on_error="skip", in_memory=in_memory)
    assert len(data) == 2 and [name for name, _ in data.skipped] == ["0.png", "cut.jpg", "text.png"]
    assert "skipped 3 unreadable" in data.describe()
    good = Folder(tree(tmp_path / "good", ["a.png", "b.jpg"]), 8, 3)
    assert torch.equal(data.__getitems__([0, 1])[0], good.images)


def test_at_most_twenty_are_named(tmp_path):
    tree(tmp_path, ["good.png"])
    for i in range(23):
        (tmp_path / f"bad{i:02}.png").write_text("x")
    with pytest.raises(ValueError) as error:
        Folder(tmp_path, 8, 3)
    assert str(error.value).count("bad") == 20 and "and 3 more" in str(error.value)


def test_nothing_left_is_an_error_even_with_skip(tmp_path):
    (tmp_path / "bad.png").write_text("x")
    with pytest.raises(ValueError, match="nothing to train on"):
        Folder(tmp_path, 8, 3, on_error="skip")


def test_values_out_of_range_and_bombs_are_findings(tmp_path, monkeypatch):
    tree(tmp_path, ["good.png"])
    Image.fromarray(np.full((4, 4), 1e6, np.float32)).save(tmp_path / "float.tif")
    picture(0, (50, 50)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    data = Folder(tmp_path, 8, 3, on_error="skip")
    reasons = dict(data.skipped)
    assert sorted(reasons) == ["float.tif", "huge.png"]
    assert "float values" in reasons["float.tif"] and "decompression bomb" in reasons["huge.png"]


def test_good_files_print_no_warning(tmp_path, monkeypatch, capfd):
    image = picture(0).quantize(4)
    image.save(tmp_path / "palette.png", transparency=bytes([0, 255]))
    picture(0, (40, 40)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 1,600 pixels: a warning, not yet an error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = Folder(tmp_path, 8, 3, in_memory=False)
        data.__getitems__([0, 1])
    assert [w for w in caught if "PIL" in w.filename or "ecompression" in str(w.message)] == []
    assert len(data) == 2 and capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "source, make, error, says",
    [
        (Folder, "missing", FileNotFoundError, "data.path="),
        (Zip, "missing", FileNotFoundError, "data.path="),
        (Folder, "archive", NotADirectoryError, "data=zip"),
        (Folder, "text", NotADirectoryError, "not a folder"),
        (Zip, "text", ValueError, "not a zip archive"),
        (Zip, "folder", ValueError, "data=folder"),
        (Folder, "folder", ValueError, "2 other files .*heic 2"),
        (Folder, "empty", ValueError, "it is empty"),
        (Zip, "archive", ValueError, "No image in .*1 other files"),
    ],
)
def test_wrong_places(tmp_path, source, make, error, says):
    path = tmp_path / make
    if make in ("folder", "empty"):
        path.mkdir()
    if make == "folder":
        (path / "a.heic").write_text("x")
        (path / "b.heic").write_text("x")
    if make == "text":
        path.write_text("x")
    if make == "archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "x")
    with pytest.raises(error, match=says) as caught:
        source(path, 8, 3)
    assert make in str(caught.value)


def test_zip_with_a_password(tmp_path):
    path = packed(tree(tmp_path / "tree", ["a.png"]), tmp_path / "a.zip")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x03\x04") + 6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="password.*a.png"):
        Zip(path, 8, 3)


@pytest.mark.parametrize("source", [Folder, Zip])
def test_damaged_member_of_a_zip_is_a_finding(tmp_path, source):
    folder = tree(tmp_path / "tree", ["a.png", "b.bmp"])
    path = packed(folder, tmp_path / "a.zip")
    raw = path.read_bytes()
    at = raw.index((folder / "b.bmp").read_bytes()) + 60  # inside the pixels: only the checksum tells
    path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    if source is Folder:
        assert len(Folder(folder, 8, 3)) == 2
    else:
        with pytest.raises(ValueError, match="b.bmp: .*CRC"):
            Zip(path, 8, 3)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"on_error": "ignore"}, "on_error"),
        ({"in_memory": "maybe"}, "in_memory"),
        ({"resolution": 0}, "resolution"),
        ({"resolution": 8.5}, "resolution"),
        ({"channels": 4}, "channels"),
    ],
)
def test_impossible_arguments(tmp_path, options, says):
    tree(tmp_path, ["a.png"])
    with pytest.raises(ValueError, match=says):
        Folder(**{"path": tmp_path, "resolution": 8, "channels": 3, **options})


def test_home_is_expanded(tmp_path, monkeypatch):
    tree(tmp_path / "pictures", ["a.png"])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(Folder("~/pictures", 8, 3)) == 1


def test_linked_folders_are_followed_once(tmp_path):
    tree(tmp_path / "elsewhere", ["1.png", "2.png"])
    tree(tmp_path / "data", ["cats/3.png"])
    (tmp_path / "data/dogs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/cats/round").symlink_to(tmp_path / "data")
    data = Folder(tmp_path / "data", 8, 3)
    assert [file[0] for file in data.files] == ["cats/3.png", "dogs/1.png", "dogs/2.png"]


def test_folder_zip_memory_and_stream_are_the_same_bits(tmp_path):
    folder = tree(tmp_path / "tree", NAMES)
    path = packed(folder, tmp_path / "tree.zip")
    sources = [c(p, 8, 3, in_memory=m) for c, p in ((Folder, folder), (Zip, path)) for m in (True, False)]
    order = [4, 0, 2, 2]
    first = sources[0].__getitems__(order)
    assert first[0].shape == (4, 3, 8, 8) and first[0].dtype == torch.uint8 and first[1].tolist() == [1, 0, 1, 1]
    for data in sources[1:]:
        images, labels = data.__getitems__(order)
        assert torch.equal(images, first[0]) and torch.equal(labels, first[1])
        assert torch.equal(data[4][0], first[0][0]) and data.class_names == sources[0].class_names
    assert [data.in_memory for data in sources] == [True, False, True, False]
    assert sources[1].images is None and sources[0].images.shape == (5, 3, 8, 8)
    assert sources[0].fingerprint == sources[2].fingerprint


@pytest.mark.parametrize("start_method", ["fork", "forkserver"])
def test_two_workers_read_one_zip(tmp_path, start_method):
    """They inherit the archive, or get it pickled, as processes that are spawned do."""
    start_server({"OMP_NUM_THREADS": "1"})
    path = packed(tree(tmp_path / "tree", [f"{i:02}.png" for i in range(24)]), tmp_path / "tree.zip")
    expected = Zip(path, 8, 3, in_memory=True).images
    data = Zip(path, 8, 3, in_memory=False)
    batches = [[i, (i + 7) % 24, 3] for i in range(24)] * (4 if start_method == "fork" else 1)
    loader = DataLoader(
        data, batch_sampler=batches, num_workers=2, collate_fn=as_is, multiprocessing_context=start_method
    )
    for indices, (images, _) in zip(batches, loader, strict=True):
        assert torch.equal(images, expected[indices])


def test_auto_asks_for_a_quarter_of_the_memory(tmp_path, monkeypatch):
    tree(tmp_path, ["a.png", "b.png"])
    asked = []
    monkeypatch.setattr("transgan.data.files.fits", lambda size: asked.append(size) or False)
    assert not Folder(tmp_path, 8, 3).in_memory
    assert asked == [2 * 3 * 8 * 8]
    assert free_memory.fits(1000) and not free_memory.fits(10**15)


def test_a_checked_list_is_not_decoded_again_until_a_file_changes(tmp_path, monkeypatch, cache):
    folder = broken(tmp_path / "tree")
    seen = []
    real = checking.look

    def counting(data, *rest):
        seen.append(len(data))
        return real(data, *rest)

    monkeypatch.setattr(checking, "look", counting)
    first = Folder(folder, 8, 3, on_error="skip", in_memory=False)
    assert len(seen) == 5 and list((cache / "checked").glob("*.json"))
    again = Folder(folder, 8, 3, on_error="skip", in_memory=False)
    assert len(seen) == 5 + 3  # the broken ones get another chance
    assert again.skipped == first.skipped and torch.equal(again.sizes, first.sizes)
    os.utime(folder / "a.png", ns=(1, 1))
    Folder(folder, 8, 3, on_error="skip", in_memory=False)
    assert len(seen) == 5 + 3 + 5


def test_a_file_that_disappears_later_is_named(tmp_path):
    data = Folder(tree(tmp_path, ["a.png", "b.png"]), 8, 3, in_memory=False)
    (tmp_path / "b.png").unlink()
    with pytest.raises(OSError, match="b.png"):
        data.__getitems__([0, 1])


def test_fingerprint_follows_the_content_and_nothing_else(tmp_path):
    for name in ("a", "b"):
        tree(tmp_path / name, NAMES)
    base = Folder(tmp_path / "a", 8, 3).fingerprint
    assert len(base) == 64 and int(base, 16)
    os.utime(tmp_path / "b/cats/1.png", ns=(1, 1))
    (tmp_path / "b/readme.txt").write_text("x")
    assert Folder(tmp_path / "b", 8, 3).fingerprint == base
    assert Folder(tmp_path / "a", 9, 3).fingerprint != base
    assert Folder(tmp_path / "a", 8, 1).fingerprint != base
    (tmp_path / "b/dogs/4.gif").rename(tmp_path / "b/cats/4.gif")  # the order stays, the label changes
    moved = Folder(tmp_path / "b", 8, 3)
    assert torch.equal(moved.images[0], Folder(tmp_path / "a", 8, 3).images[0]) and moved.fingerprint != base
    one = Folder(tmp_path / "a", 8, 3)
    one.images[3, 1, 5, 5] ^= 1
    assert one.fingerprint != base
    label = Folder(tmp_path / "a", 8, 3)
    label.labels[0] = 1
    assert label.fingerprint != base


def test_fingerprint_of_a_stream(tmp_path):
    tree(tmp_path, NAMES)

    def fingerprint(resolution=8):
        return Folder(tmp_path, resolution, 3, in_memory=False).fingerprint

    base = fingerprint()
    assert fingerprint() == base and fingerprint(9) != base
    before = (tmp_path / "cats/1.png").stat()
    os.utime(tmp_path / "cats/1.png", ns=(1, 1))  # a copy has other times
    assert fingerprint() == base == Folder(tmp_path, 8, 3, in_memory=True).fingerprint
    os.utime(tmp_path / "cats/1.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    with open(tmp_path / "dogs/5.bmp", "r+b") as file:  # one pixel, and the old time put back
        times = os.fstat(file.fileno())
        file.seek(80)
        byte = file.read(1)[0]
        file.seek(80)
        file.write(bytes([byte ^ 255]))
    os.utime(tmp_path / "dogs/5.bmp", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint() != base


def test_describe(tmp_path):
    root = tmp_path / "pets"
    tree(root, NAMES)
    picture(0, (6, 6)).save(root / "cats/small.png")
    (root / "x.txt").write_text("x")
    assert Folder(root, 8, 3).describe() == (
        "pets: 6 images, 2 classes (cats 3, dogs 3) by folder; 8x8 from 12x10 median, centre crop, Lanczos; "
        "1 smaller than 8 px enlarged; ignored 1 other file (.txt 1); kept in memory (1.2 kB) "
        "(data.labels=none for no classes.)"
    )


# Images as they are: for measuring what another program made.


def square(path, side, mode="RGB", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (side, side, 3) if mode == "RGB" else (side, side)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)


@pytest.mark.parametrize("source", [Folder, Zip])
@pytest.mark.parametrize("mode, channels", [("RGB", 3), ("L", 1)])
def test_as_they_are(tmp_path, source, mode, channels):
    for i in range(3):
        square(tmp_path / "made" / f"{i}.png", 12, mode, i)
    path = tmp_path / "made" if source is Folder else packed(tmp_path / "made", tmp_path / "made.zip")
    images = source(path, None, None)
    assert (images.resolution, images.channels, images.preparation) == (12, channels, "as they are")
    with Image.open(tmp_path / "made" / "2.png") as last:
        assert np.array_equal(images.images[2].permute(1, 2, 0).squeeze(), np.asarray(last))


def test_as_they_are_means_squares_of_one_size(tmp_path):
    square(tmp_path / "a.png", 12)
    square(tmp_path / "b.png", 14)
    with pytest.raises(ValueError, match=r"1 of 2 images .* are not 12x12 \(the first is b.png, 14x14\)"):
        Folder(tmp_path, None, None)
    assert Folder(tmp_path, 12, None).preparation == "Lanczos to 12 px"
    (tmp_path / "b.png").unlink()
    Image.new("RGB", (12, 7)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="not 12x12 .*a.png, 12x7"):
        Folder(tmp_path, None, None)


def test_as_they_are_with_a_broken_first_image(tmp_path):
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(ValueError, match="a.png in .* cannot be read"):
        Folder(tmp_path, None, None)


@pytest.mark.parametrize(("old", "new"), [
    ("é".encode(), b"\x82\x82"),                                        # said to be UTF-8, and is not
    (b"PK\x01\x02\x14\x03\x14\x00", b"PK\x01\x02\x14\x03\xff\x00"),     # of a later version
    (b"PK\x01\x02", b"PK\x01\x03"),
])  # fmt: skip
def test_list_of_a_zip_that_cannot_be_read(tmp_path, old, new):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("café/1.png", b"x")
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ValueError, match="a.zip is a damaged zip archive"):
        Zip(path, 8, 3)
