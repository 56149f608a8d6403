"""A data set is its content: the same fingerprint however it is held and wherever it lies, and another for another."""

import hashlib
import os
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from transgan.data import Digits, Folder, UnreadableFile, Zip, checking, hold_out
from transgan.data.arrays import Arrays
from transgan.data.datamodule import as_is


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(0)
    for name, count in (("a", 7), ("b", 9)):
        (tmp_path / "p" / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 256, (9, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "p" / name / f"{i}.{'png' if i % 2 else 'bmp'}")
    return tmp_path / "p"


def packed(folder, form=zipfile.ZIP_STORED):
    path = folder.with_suffix(f".{form}.zip")
    with zipfile.ZipFile(path, "w", form) as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return path


def content(images, labels):
    """What a fingerprint in memory has always been."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    digest.update(labels.numpy())
    digest.update(images.contiguous().numpy())
    return digest.hexdigest()


def earlier(data):
    """What the fingerprint of a streamed folder was in version 0.1."""
    chosen = np.linspace(0, len(data) - 1, min(256, len(data))).round().astype(int).tolist()
    head = ([(name, stamp) for name, _, stamp in data.files], data.resolution, data.channels)
    digest = hashlib.sha256(repr(head).encode("utf-8", "surrogateescape"))
    digest.update(data.labels.numpy())
    digest.update(data.__getitems__(chosen)[0].contiguous().numpy())
    return digest.hexdigest()


def copied(folder, place):
    shutil.copytree(folder, place)
    for file in place.rglob("*.*"):
        os.utime(file, ns=(1, 1))
    return place


def test_wherever_it_lies_and_however_it_is_held(pictures, tmp_path):
    base = Folder(pictures, 8, 3, in_memory=True)
    assert base.fingerprint == content(base.images, base.labels)
    roads = [Folder(pictures, 8, 3, in_memory=False), Folder(copied(pictures, tmp_path / "q"), 8, 3, in_memory=False)]
    roads += [Zip(packed(pictures, form), 8, 3, in_memory=m) for form in (0, 8) for m in (True, False)]
    for other in roads:
        assert other.fingerprint == base.fingerprint and other.is_same(base.fingerprint)
        for mine, others in zip(hold_out(base, 0.2), hold_out(other, 0.2), strict=True):
            assert mine.fingerprint == others.fingerprint == content(mine.images, mine.labels)
            assert others.is_same(mine.fingerprint) and mine.is_same(others.fingerprint)


@pytest.mark.parametrize("limit", [2, 5, 16])
def test_a_limited_one(pictures, limit):
    one, other = (Folder(pictures, 8, 3, in_memory=m, limit=limit) for m in (True, False))
    assert one.fingerprint == other.fingerprint == content(one.images, one.labels)


def test_without_what_cannot_be_read(pictures):
    whole = Folder(pictures, 8, 3, in_memory=False).fingerprint
    (pictures / "a" / "broken.png").write_text("x")
    one, other = (Folder(pictures, 8, 3, on_error="skip", in_memory=m) for m in (True, False))
    assert one.fingerprint == other.fingerprint == whole


def test_another_content_is_another(pictures):
    base = Folder(pictures, 8, 3, in_memory=False).fingerprint
    file = pictures / "b" / "8.bmp"
    times, data = file.stat(), bytearray(file.read_bytes())
    data[100] ^= 255  # the size stays, and the time is put back
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Folder(pictures, 8, 3, in_memory=False).fingerprint != base
    (pictures / "b" / "8.bmp").rename(pictures / "a" / "8.bmp")
    assert Folder(pictures, 8, 3, in_memory=False).fingerprint != base


def test_what_earlier_versions_kept_of_a_stream_is_known(pictures, tmp_path):
    old = earlier(Folder(pictures, 8, 3, in_memory=False))
    for in_memory in (True, False):
        data = Folder(pictures, 8, 3, in_memory=in_memory)
        assert data.is_same(old) and data.fingerprint != old
        assert not data.is_same("0" * 64) and not data.is_same(None)
    whole = Folder(pictures, 8, 3, in_memory=False)
    train = hold_out(whole, 0.2)[0]
    head = (whole.identity(), hashlib.sha256(train.indices.numpy().tobytes()).hexdigest()), 8, 3
    digest = hashlib.sha256(repr(head).encode("utf-8", "surrogateescape"))
    digest.update(train.labels.numpy())
    digest.update(train.__getitems__(range(len(train)))[0].contiguous().numpy())
    for in_memory in (True, False):
        part = hold_out(Folder(pictures, 8, 3, in_memory=in_memory), 0.2)[0]
        assert part.is_same(digest.hexdigest())
    assert Digits().is_same(Digits().fingerprint) and not Digits().is_same(old)


def test_not_every_start_reads_all_of_a_stream(pictures, monkeypatch):
    monkeypatch.setattr("transgan.data.dataset.in_order", lambda *_: pytest.fail("read again"))
    first = Folder(pictures, 8, 3, in_memory=False)  # found while the files were checked
    again = Folder(pictures, 8, 3, in_memory=False)  # remembered
    assert again.fingerprint == first.fingerprint


def test_of_a_part_neither(pictures, monkeypatch):
    first = hold_out(Folder(pictures, 8, 3, in_memory=False), 0.2)
    known = [part.fingerprint for part in first]
    monkeypatch.setattr("transgan.data.dataset.in_order", lambda *_: pytest.fail("read again"))
    assert [part.fingerprint for part in hold_out(Folder(pictures, 8, 3, in_memory=False), 0.2)] == known


def test_a_source_that_cannot_tell_whether_it_changed_is_read_every_time():
    class Source(Arrays):
        def __init__(self, last):
            super().__init__("source", 8, 1)
            pixels = np.zeros((600, 8, 8), np.uint8)
            pixels[598] = last  # not among the 256 that are looked at
            self.take(pixels, [0] * 600, [], in_memory=False)

    assert Source(1).earlier_fingerprint == Source(2).earlier_fingerprint
    assert Source(1).fingerprint != Source(2).fingerprint
    assert Source(1).fingerprint == Source(1).fingerprint


def test_a_cache_of_nonsense_or_nowhere_does_no_harm(pictures, cache, monkeypatch, tmp_path):
    base = Folder(pictures, 8, 3, in_memory=False).fingerprint
    for file in (cache / "checked").glob("*.json"):
        file.write_text('[[1, "x"]]' if file.stat().st_size > 100 else "{")
    assert Folder(pictures, 8, 3, in_memory=False).fingerprint == base
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "file" / "cache"))
    assert Folder(pictures, 8, 3, in_memory=False).fingerprint == base


def test_files_are_looked_at_once(pictures, monkeypatch):
    seen, real = [], checking.look
    monkeypatch.setattr(checking, "look", lambda *words: seen.append(1) or real(*words))
    for in_memory in (True, False):
        seen.clear()
        Folder(pictures, 8, 3, in_memory=in_memory)
        assert len(seen) == 16


@pytest.mark.parametrize("gone, workers", [("a file", 0), ("the archive", 0), ("its pixels", 0), ("its pixels", 1)])
def test_what_goes_while_training_is_one_sentence(pictures, gone, workers):
    data = Folder(pictures, 8, 3, in_memory=False)
    if gone == "a file":
        (pictures / "a" / "3.png").unlink()
    elif gone == "its pixels":
        (pictures / "a" / "3.png").write_bytes(b"x")
    else:
        path = packed(pictures)
        data = Zip(path, 8, 3, in_memory=False)
        data._archive = None
        path.write_bytes(b"")
    loader = DataLoader(data, batch_sampler=[[0, 1, 2, 3, 4, 5, 6]], num_workers=workers, collate_fn=as_is)
    with pytest.raises(UnreadableFile) as caught:
        list(loader)
    assert isinstance(caught.value, OSError) and "\n" not in str(caught.value)
    assert " can no longer be read: " in str(caught.value) and "Traceback" not in str(caught.value)
    assert gone == "the archive" or str(caught.value).startswith("a/3.png in ")


def test_an_image_of_a_stream_is_the_one_that_was_checked(pictures):
    data, kept = Folder(pictures, 8, 3, in_memory=False), Folder(pictures, 8, 3, in_memory=True)
    assert torch.equal(data.__getitems__(range(16))[0], kept.images)
