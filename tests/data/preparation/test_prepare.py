"""Prepared zips hold what training would make of the originals, and are the same however often they were interrupted."""

import errno
import io
import json
import os
import signal
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from defects import good, spoiled
from transgan.data import Folder, Zip, files
from transgan.data.dataset import ImageDataset
from transgan.data.file import UnreadableFile, UnreadableImages
from transgan.data.preparation import growing
from transgan.data.preparation.crops import best_start, fit
from transgan.data.preparation.growing import Growing
from transgan.data.preparation.prepare import ANEW, Settings, prepare, stored_names


@pytest.fixture(scope="module")
def spoiled_folder(tmp_path_factory):
    return spoiled(tmp_path_factory.mktemp("spoiled") / "photos")[0]


def tree(root, names):
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        good(seed, 20 + seed % 3).save(root / name)
    return root


NAMES = [
    f"{part}/{name}/{i}.{end}"
    for part in ("train", "test")
    for name in ("cats", "dogs")
    for i, end in enumerate(["png", "jpg", "bmp"])
]


def same(a: ImageDataset, b: ImageDataset) -> bool:
    ours, others = (each.__getitems__(range(len(each))) for each in (a, b))
    return all(map(torch.equal, ours, others)) and a.class_names == b.class_names and a.fingerprint == b.fingerprint


@pytest.mark.parametrize("form", ["png", "webp"])
def test_training_sees_the_pixels_of_the_originals(spoiled_folder, tmp_path, form):
    done = prepare(spoiled_folder, tmp_path / "out.zip", Settings(16, format=form), on_error="skip")
    a = Folder(spoiled_folder, 16, 3, on_error="skip")
    b = Zip(tmp_path / "out.zip", 16, 3)
    assert same(a, b) and b.ignored == 0 and b.skipped == [] and b.preparation == "as they are"
    assert done.count == len(a) and sorted(done.skipped) == sorted(a.skipped)
    prepare(spoiled_folder, tmp_path / "grey.zip", Settings(16, channels=1, format=form), on_error="skip")
    assert same(Folder(spoiled_folder, 16, 1, on_error="skip"), Zip(tmp_path / "grey.zip", 16, 1))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_grey_images_are_the_same_in_grey_however_they_were_saved(tmp_path, mode):
    (tmp_path / "photos").mkdir()
    for seed in range(3):
        good(seed, 20).convert("L").convert(mode).save(tmp_path / "photos" / f"{seed}.png")
    prepare(tmp_path / "photos", tmp_path / "out.zip", Settings(16))
    assert same(Folder(tmp_path / "photos", 16, 1), Zip(tmp_path / "out.zip", 16, 1))


def test_the_record_says_what_was_done(spoiled_folder, tmp_path):
    prepare(spoiled_folder, tmp_path / "out.zip", Settings(16, "pad"), on_error="skip", program="transgan 9")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.testzip() is None
        record, labels = (json.loads(archive.read(name)) for name in ("transgan.json", "dataset.json"))
        images = [name for name in archive.namelist() if name.endswith(".png")]
        assert {Image.open(io.BytesIO(archive.read(name))).size for name in images} == {(16, 16)}
        assert Image.open(io.BytesIO(archive.read("cats/grey.png"))).mode == "L"
    assert record["settings"] == {
        "resolution": 16,
        "crop": "pad",
        "channels": None,
        "format": "png",
        "labels": None,
        "white": None,
    }
    assert record["program"] == "transgan 9" and record["count"] == len(images)
    assert record["class_names"] == ["Dataset", "cats", "dogs"]
    assert {name for name, _ in record["skipped"]} == {
        "cats/cut.jpg",
        "cats/cut.png",
        "cats/empty.png",
        "cats/letter.png",
    }
    assert sorted(name for name, _ in labels["labels"]) == sorted(images)
    assert all(record["class_names"][label] == name.split("/")[0] for name, label in labels["labels"])


def test_unreadable_files_are_all_named_and_nothing_is_left_half_done(spoiled_folder, tmp_path):
    with pytest.raises(UnreadableImages, match="4 of 7. images") as raised:
        prepare(spoiled_folder, tmp_path / "out.zip", Settings(16))
    assert all(name in str(raised.value) for name in ("cut.jpg", "cut.png", "empty.png", "letter.png"))
    assert not (tmp_path / "out.zip").exists()
    assert prepare(spoiled_folder, tmp_path / "out.zip", Settings(16), on_error="skip").again > 60


@pytest.mark.parametrize("part", ["test", "val"])
def test_parts_that_are_not_to_train_on_are_said_to_be_in_the_zip(tmp_path, part):
    root = tree(tmp_path / "set", [name.replace("test", part) for name in NAMES])
    (root / part / "cats" / "cut.png").write_bytes(b"")
    done = prepare(root, tmp_path / "out.zip", Settings(8), on_error="skip")
    assert [note for note in done.notes if f"In the zip, but not to train on: {part} 6." in note]
    assert not [note for note in done.notes if "Left out" in note]
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        record, labels = (json.loads(archive.read(name)) for name in ("transgan.json", "dataset.json"))
    assert record["notes"] == done.notes and record["count"] == len(labels["labels"]) == 12  # all of them, as they are


def test_train_and_test_parts_stay_apart(tmp_path):
    prepare(tree(tmp_path / "set", NAMES), tmp_path / "out.zip", Settings(8))
    a, b = Folder(tmp_path / "set", 8, 3), Zip(tmp_path / "out.zip", 8, 3)
    assert same(a, b) and len(b) == 6 and same(a.heldout(), b.heldout()) and len(b.heldout()) == 6


def test_labels_of_a_dataset_json_keep_their_order(tmp_path):
    root = tree(tmp_path / "set", [f"{i}.png" for i in range(6)])
    numbers = [2, 10, 2, 9, 10, 9]
    (root / "dataset.json").write_text(json.dumps({"labels": [[f"{i}.png", k] for i, k in enumerate(numbers)]}))
    prepare(root, tmp_path / "out.zip", Settings(8))
    a, b = Folder(root, 8, 3), Zip(tmp_path / "out.zip", 8, 3)
    assert a.class_names == ["2", "9", "10"] and same(a, b) and b.labelled == "by dataset.json"


@pytest.mark.parametrize("labels", ["none", "folders"])
def test_what_was_said_of_labels_holds(tmp_path, labels):
    prepare(tree(tmp_path / "set", NAMES), tmp_path / "out.zip", Settings(8), labels=labels)
    assert same(Folder(tmp_path / "set", 8, 3, labels=labels), Zip(tmp_path / "out.zip", 8, 3))


def test_deep_files_share_their_white(tmp_path):
    (tmp_path / "set").mkdir()
    for i, white in enumerate((4095, 900, 2000)):
        values = np.linspace(0, white, 400).reshape(20, 20).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / "set" / f"{i}.png")
    prepare(tmp_path / "set", tmp_path / "out.zip", Settings(8))
    assert same(Folder(tmp_path / "set", 8, 3), Zip(tmp_path / "out.zip", 8, 3))


def deep(path, most, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, most + 1, (16, 16)).astype(np.uint16)
    values[0, 0] = most
    Image.fromarray(values).save(path)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_stopped_amid_deep_files_it_keeps_their_white(tmp_path, after):
    """The first ones, which are done, have the highest values."""
    for i, most in enumerate((60_000, 4_000, 900, 200)):
        deep(tmp_path / "set" / f"{i}.png", most, i)

    def watch(results, total, what):
        for i, result in enumerate(results):
            if what == "deep images" and i == after:
                raise KeyboardInterrupt
            yield result

    whole = prepare(tmp_path / "set", tmp_path / "whole.zip", Settings(16))
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "set", tmp_path / "out.zip", Settings(16), watch=watch)
    done = prepare(tmp_path / "set", tmp_path / "out.zip", Settings(16))
    assert done.again == after and done.notes == whole.notes
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
    assert same(Folder(tmp_path / "set", 16, 1), Zip(tmp_path / "out.zip", 16, 1))


@pytest.mark.parametrize(("train", "test"), [((4_000, 900), (200, 900)), ((900, 900), (900, 4_000)), ((), (900, 200))])
def test_files_to_train_on_decide_what_is_white_in_all(tmp_path, train, test):
    good(0).save(tmp_path / "a.png")
    for part, every in {"train": train, "test": test}.items():
        (tmp_path / "set" / part).mkdir(parents=True)
        good(1).save(tmp_path / "set" / part / "plain.png")
        for i, most in enumerate(every):
            deep(tmp_path / "set" / part / f"{i}.png", most, i)
    done = prepare(tmp_path / "set", tmp_path / "out.zip", Settings(16), on_error="skip")
    ours, others = (ImageDataset(path, 16, 3, on_error="skip") for path in (tmp_path / "set", tmp_path / "out.zip"))
    assert same(ours, others) and same(ours.heldout(), others.heldout())
    assert done.skipped == ours.heldout().skipped == ([] if max(train, default=9e9) >= max(test) else [WHITER])


WHITER = ("test/1.png", "values 23 to 4000, expected 0 to 1023, which is white")


@pytest.mark.parametrize("name", [b"\xff.png", b"caf\xe9/a.png", b"b\x80\x81.png"])
def test_names_that_no_zip_can_hold_are_refused_before_anything_is_written(tmp_path, name):
    path = os.fsencode(tmp_path / "set") + b"/" + name
    try:
        os.makedirs(os.path.dirname(path))
    except OSError:
        pytest.skip("this file system has no such names")
    good(0).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", path)
    with pytest.raises(ValueError, match=r"1 image in .* with a name that is not in UTF-8 \(the first is .*\\udc"):
        prepare(tmp_path / "set", tmp_path / "out.zip", Settings(16))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_error_of_the_disk_names_the_place(tmp_path, monkeypatch):
    good(0).save(tmp_path / "a.png")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Growing, "finish", full)
    with pytest.raises(OSError, match="No space left") as raised:
        prepare(tmp_path, tmp_path / "out.zip", Settings(16))
    assert raised.value.filename == str(tmp_path / "out.zip.partial")


def test_names_keep_their_order_and_are_never_alike():
    assert stored_names(["a.jpg", "b.png"], "webp") == ["a.webp", "b.webp"]
    assert stored_names(["a.bmp", "a.jpg"], "png") == ["a.bmp.png", "a.jpg.png"]
    assert stored_names(["x.jpg", "x.k.jpg"], "png") == ["x.jpg.png", "x.k.jpg.png"]


def killed(root, out, after):
    """prepare in a process that is killed at its image number `after`."""

    def watch(results, total, what):
        for i, result in enumerate(results):
            if i == after:
                os.kill(os.getpid(), signal.SIGKILL)
            yield result

    if (pid := os.fork()) == 0:
        try:
            prepare(root, out, Settings(16), workers=1, watch=watch)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    random = np.random.default_rng(0)
    for i in range(300):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(root / f"{i:03d}.png")
    return root


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is killed")
def test_killed_and_continued_it_is_the_same_file(many, tmp_path, monkeypatch):
    monkeypatch.setattr(growing, "BUFFER", 1 << 12)
    prepare(many, tmp_path / "whole.zip", Settings(16), workers=1)
    for after in (150, 100):
        killed(many, tmp_path / "out.zip", after)
        assert (tmp_path / "out.zip.partial").exists() and not (tmp_path / "out.zip").exists()
    done = prepare(many, tmp_path / "out.zip", Settings(16), workers=2)
    assert 200 < done.again < 250 and done.count == 300
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.zip", "whole.zip"]


def test_other_settings_begin_anew(many, tmp_path):
    with pytest.raises(RuntimeError):
        prepare(
            many, tmp_path / "out.zip", Settings(16), workers=1, watch=lambda *_: (_ for _ in ()).throw(RuntimeError())
        )
    with pytest.raises(KeyboardInterrupt):
        prepare(many, tmp_path / "out.zip", Settings(16), workers=1, watch=interrupted)
    done = prepare(many, tmp_path / "out.zip", Settings(8))
    assert done.again == 0 and done.notes == [ANEW.format("out.zip.partial")]


def add(root):
    good(99).save(root / "99.png")


def remove(root):
    (root / "00.png").unlink()


def alter(root):
    good(99).save(root / "00.png")


def rename(root):
    (root / "00.png").rename(root / "99.png")


@pytest.mark.parametrize("change", [add, remove, alter, rename, None])
def test_images_that_changed_after_it_was_stopped_are_as_they_are_now(tmp_path, change):
    tree(tmp_path / "photos", [f"{i:02d}.png" for i in range(60)])
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "photos", tmp_path / "out.zip", Settings(16), workers=1, watch=interrupted)
    if change is not None:
        change(tmp_path / "photos")
    done = prepare(tmp_path / "photos", tmp_path / "out.zip", Settings(16))
    assert same(Folder(tmp_path / "photos", 16, 3), Zip(tmp_path / "out.zip", 16, 3))
    anew = [] if change is None else [ANEW.format("out.zip.partial")]
    assert done.notes == anew and (done.again == 0) == bool(anew)


@pytest.mark.parametrize("content", [b"a download", b"PK\3\4" + bytes(26) + b"photos/1.jpg"])
def test_a_file_of_others_in_the_place_of_the_unfinished_zip_is_left_alone(tmp_path, content):
    tree(tmp_path / "photos", ["1.png"])
    (tmp_path / "out.zip.partial").write_bytes(content)
    with pytest.raises(ValueError, match="out.zip.partial is there and is not an unfinished zip: remove it"):
        prepare(tmp_path / "photos", tmp_path / "out.zip", Settings(16))
    assert (tmp_path / "out.zip.partial").read_bytes() == content


@pytest.mark.parametrize("cut", [0, 3, 20, 34, 60])
@pytest.mark.parametrize("zeros", [0, 100])
def test_a_beginning_that_never_reached_the_disk_is_written_again(tmp_path, cut, zeros):
    with Growing(tmp_path / "x", "about", b"head" * 20):
        pass
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:cut] + bytes(zeros))
    with Growing(tmp_path / "x", "about", b"head" * 20) as archive:
        assert archive.entries == [] and archive.end > 100


def interrupted(results, total, what):
    for i, result in enumerate(results):
        if i == 50:
            raise KeyboardInterrupt
        yield result


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_what_a_power_failure_spoiled_is_written_again(tmp_path, damage):
    place = tmp_path / "x.partial"
    with Growing(place, "about", b"head") as archive:
        for i in range(5):
            archive.add(f"{i}", bytes([i]) * 100)
        fourth = archive.entries[3].offset
    data = bytearray(place.read_bytes())
    if damage == "cut":
        del data[fourth + 60 :]
    else:
        data[fourth + 60] ^= 1
    place.write_bytes(data)
    with Growing(place, "about", b"head") as archive:
        assert [entry.name for entry in archive.entries] == ["0", "1", "2"] and archive.end == fourth
        archive.add("new", b"content")
        archive.finish(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as whole:
        assert (
            whole.namelist() == ["0", "1", "2", "new"] and whole.read("new") == b"content" and whole.testzip() is None
        )


def test_two_writers_are_refused(tmp_path):
    pytest.importorskip("fcntl")
    with Growing(tmp_path / "x", "about", b"head"):
        pid = os.fork()
        if pid == 0:
            try:
                Growing(tmp_path / "x", "about", b"head")
            except ValueError as error:
                os._exit(3 if "another process is writing" in str(error) else 4)
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


def test_more_files_than_a_plain_zip_holds(tmp_path):
    with Growing(tmp_path / "x.partial", "about", b"") as archive:
        for i in range(70_000):
            archive.add(f"{i}", b"x")
        archive.finish(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as whole:
        assert len(whole.namelist()) == 70_000 and whole.read("69999") == b"x"


def test_an_offset_beyond_four_gigabytes_is_kept():
    entry = growing.Entry("x", 1, 2, 2**32 + 5)
    directory = growing.listing(entry)
    assert directory[42:46] == b"\xff" * 4 and int.from_bytes(directory[-8:], "little") == 2**32 + 5


def test_crops():
    left = Image.new("RGB", (90, 30), "white")
    left.paste(good(0, 30), (0, 0))  # everything to be seen is at the left
    assert best_start(left) <= 3 and best_start(left.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) >= 57
    turned = left.transpose(Image.Transpose.TRANSPOSE)
    start = best_start(turned)
    assert start <= 3 and np.array_equal(fit(turned, 30, "entropy"), turned.crop((0, start, 30, start + 30)))
    assert best_start(Image.new("RGB", (90, 30), "white")) == 30  # nothing anywhere: the centre
    padded = np.asarray(fit(good(0, 90).crop((0, 0, 90, 30)), 90, "pad"))
    assert (
        np.array_equal(padded[30:60], np.asarray(good(0, 90))[:30])
        and (padded[:30] == 255).all()
        and (padded[60:] == 255).all()
    )
    stretched = np.asarray(
        fit(Image.fromarray(np.arange(0, 240, 4, np.uint8)[None].repeat(20, 0)), 20, "stretch")
    ).astype(int)
    assert stretched.shape == (20, 20) and abs(stretched[0] - (np.arange(20) * 12 + 4)).max() <= 3


@pytest.mark.parametrize("size", [(90, 30), (91, 1), (50, 49), (7, 3)])
@pytest.mark.parametrize("resolution", [16, 91])
def test_padding_is_that_of_the_whole_square_without_making_one(monkeypatch, size, resolution):
    image, side = good(0, 91).crop((0, 0, *size)), max(size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    made, new = [], Image.new
    monkeypatch.setattr(Image, "new", lambda mode, size, *colour: made.append(size) or new(mode, size, *colour))
    found, tall = fit(image, resolution, "pad"), fit(image.transpose(Image.Transpose.TRANSPOSE), resolution, "pad")
    assert found == square.resize((resolution, resolution), Image.Resampling.LANCZOS)
    assert found == tall.transpose(Image.Transpose.TRANSPOSE)
    assert all(resolution in each for each in made)


@pytest.fixture
def lazily(monkeypatch):
    monkeypatch.setattr(files, "MANY", 10)


def test_training_begins_without_reading_a_prepared_zip(many, tmp_path, lazily, monkeypatch):
    prepare(many, tmp_path / "out.zip", Settings(16))
    reads = []
    read = Zip.read
    monkeypatch.setattr(Zip, "read", lambda self, place: reads.append(place) or read(self, place))
    a, b = Folder(many, 16, 3), Zip(tmp_path / "out.zip", 16, 3)
    assert b.fingerprint == a.fingerprint and b.images is None and len(reads) <= 3
    assert same(a, b) and len(reads) > 300
    del reads[:]
    assert same(a, b) and reads == []  # kept since they were read
    assert "kept in memory once read" in b.describe()


def test_a_changed_zip_is_not_taken_for_the_prepared_one(many, tmp_path, lazily):
    prepare(many, tmp_path / "out.zip", Settings(16))
    with zipfile.ZipFile(tmp_path / "out.zip") as old, zipfile.ZipFile(tmp_path / "new.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read("001.png" if name == "000.png" else name))
    assert Zip(tmp_path / "new.zip", 16, 3).fingerprint != Zip(tmp_path / "out.zip", 16, 3).fingerprint


def test_a_file_that_was_put_in_its_place_is_decoded_in_full(many, tmp_path, lazily):
    prepare(many, tmp_path / "out.zip", Settings(16))
    exif = Image.Exif()
    exif[0x112] = 3
    file = io.BytesIO()
    good(0, 16).save(file, "PNG", exif=exif)
    with zipfile.ZipFile(tmp_path / "out.zip") as old, zipfile.ZipFile(tmp_path / "new.zip", "w") as new:
        for name in old.namelist():
            new.writestr(name, file.getvalue() if name == "000.png" else old.read(name))
    turned = torch.from_numpy(np.array(good(0, 16).rotate(180))).permute(2, 0, 1)
    assert torch.equal(Zip(tmp_path / "new.zip", 16, 3)[0][0], turned)


def test_damage_is_a_sentence_when_the_image_is_used(many, tmp_path, lazily):
    prepare(many, tmp_path / "out.zip", Settings(16))
    data = bytearray((tmp_path / "out.zip").read_bytes())
    data[zipfile.ZipFile(tmp_path / "out.zip").getinfo("003.png").header_offset + 60] ^= 255
    (tmp_path / "out.zip").write_bytes(data)
    images = Zip(tmp_path / "out.zip", 16, 3)
    assert images[2][1] == 0
    with pytest.raises(UnreadableFile, match="003.png in .* can no longer be read"):
        images[3]


def test_another_resolution_or_a_limit_reads_the_images(many, tmp_path, lazily):
    prepare(many, tmp_path / "out.zip", Settings(16))
    a, b = (kind(place, 8, 3) for kind, place in ((Folder, many), (Zip, tmp_path / "out.zip")))
    assert same(a, b)
    assert same(Folder(many, 16, 3, limit=20), Zip(tmp_path / "out.zip", 16, 3, limit=20))


@pytest.mark.parametrize(("change", "names"), [
    ({"labels": None}, ["0", "1"]), ({"fingerprints": []}, ["0", "1"]), ({"class_names": ["cats"]}, ["cats", "1"]),
])  # fmt: skip
def test_a_record_that_was_changed_stops_nothing(tmp_path, change, names):
    root = tree(tmp_path / "set", [f"{i}.png" for i in range(4)])
    (root / "dataset.json").write_text(json.dumps({"labels": [[f"{i}.png", i % 2] for i in range(4)]}))
    prepare(root, tmp_path / "out.zip", Settings(8))
    with zipfile.ZipFile(tmp_path / "out.zip") as archive, zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            other.writestr(name, json.dumps(json.loads(data) | change) if name == "transgan.json" else data)
    assert Zip(tmp_path / "other.zip", 8, 3).class_names == names
