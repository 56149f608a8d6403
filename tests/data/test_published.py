"""CelebA, ImageNet and LSUN from tiny folders laid out as the real ones, never from the network."""

import hashlib
import io
import pickle
import socket
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets

from transgan.data import CelebA, ImageNet, Lsun
from transgan.data.datamodule import as_is


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def fail(*_, **__):
        raise OSError("no network in this test")

    connect = socket.socket.connect  # between processes of one machine, as workers do, it may
    local = lambda self, *place: connect(self, *place) if self.family == socket.AF_UNIX else fail()  # noqa: E731
    monkeypatch.setattr(socket.socket, "connect", local)
    monkeypatch.setattr(socket, "create_connection", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)


def picture(seed, size, form="JPEG"):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


@pytest.fixture
def celeba(tmp_path, monkeypatch):
    """celeba/ with img_align_celeba.zip of six faces, three to train on, and the list of the splits."""
    base = tmp_path / "celeba"
    base.mkdir()
    with zipfile.ZipFile(base / "img_align_celeba.zip", "w") as file:
        for i in range(6):
            file.writestr(f"img_align_celeba/{i:06}.jpg", picture(i, (178, 218)))
    numbers = [0, 2, 0, 1, 0, 2]
    (base / "list_eval_partition.txt").write_text("".join(f"{i:06}.jpg {k}\n" for i, k in enumerate(numbers)))
    known = [
        (drive, hashlib.md5((base / name).read_bytes()).hexdigest() if (base / name).exists() else md5, name)
        for drive, md5, name in datasets.CelebA.file_list
    ]
    monkeypatch.setattr(datasets.CelebA, "file_list", known)
    return tmp_path


def test_celeba_splits_and_crop(celeba):
    found = {}
    for split, count in (("train", 3), ("valid", 1), ("test", 2), ("all", 6)):
        found[split] = CelebA(celeba, 89, split=split, download=False)
        assert len(found[split]) == count and found[split].num_classes == 0
    assert (
        found["train"]
        .describe()
        .startswith("celeba train: 3 images, no labels; 89x89 from 178x218, centre crop, Lanczos")
    )
    image = Image.open(io.BytesIO(picture(2, (178, 218)))).crop((0, 20, 178, 198)).resize((89, 89), Image.LANCZOS)
    assert np.array_equal(found["train"].images[1].permute(1, 2, 0).numpy(), np.asarray(image))
    assert torch.equal(found["all"].images[[0, 2, 4]], found["train"].images)
    assert torch.equal(found["train"].heldout().images, found["test"].images) and found["all"].heldout() is None
    assert (celeba / "celeba" / "img_align_celeba" / "000005.jpg").exists()  # unpacked once
    (celeba / "celeba" / "img_align_celeba.zip").unlink()
    assert len(CelebA(celeba / "celeba", 8, download=False, limit=2)) == 2  # the folder itself will do


def test_celeba_agrees_with_torchvision(celeba, monkeypatch):
    ours = CelebA(celeba, 178, split="test", download=False)
    monkeypatch.setattr(datasets.CelebA, "_check_integrity", lambda self: True)
    monkeypatch.setattr(
        datasets.CelebA, "_load_csv", lambda self, name, header=None, load=datasets.CelebA._load_csv:
        load(self, "list_eval_partition.txt"),
    )  # fmt: skip
    assert datasets.CelebA(celeba, "test").filename == [name for name, _, _ in ours.files]


def test_celeba_as_kaggle_has_it(celeba):
    base = celeba / "celeba"
    (base / "list_eval_partition.txt").unlink()
    (base / "list_eval_partition.csv").write_text("image_id,partition\n000001.jpg,0\n000004.jpg,1\n")
    (base / "img_align_celeba" / "img_align_celeba").mkdir(parents=True)
    for i in (1, 4):
        (base / "img_align_celeba" / "img_align_celeba" / f"{i:06}.jpg").write_bytes(picture(i, (178, 218)))
    data = CelebA(celeba, 16, download=False)
    assert len(data) == 1 and data.files[0][0] == "img_align_celeba/000001.jpg"
    (base / "img_align_celeba" / "img_align_celeba" / "000001.jpg").unlink()
    with pytest.raises(ValueError, match="has 0 of the 1 images of CelebA's train split"):
        CelebA(celeba, 16, download=False)


@pytest.mark.parametrize("download", [True, False])
@pytest.mark.parametrize("split", ["train", "all"])
def test_no_celeba_says_which_files_to_put_where(tmp_path, split, download):
    with pytest.raises(OSError) as error:
        CelebA(tmp_path / "faces", 64, split=split, download=download)
    message = str(error.value)
    for word in (
        str(tmp_path / "faces"),
        "img_align_celeba.zip",
        "list_eval_partition.txt",
        "md5",
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        "data=zip",
    ):
        assert word in message
    assert "\n" not in message and not list((tmp_path / "faces").iterdir())
    with pytest.raises(ValueError, match="split=val is not possible"):
        CelebA(tmp_path, 64, split="val")
    (tmp_path / "faces" / "img_align_celeba").mkdir()
    with pytest.raises(OSError, match="put list_eval_partition.txt"):
        CelebA(tmp_path / "faces", 64, download=download)


@pytest.fixture
def imagenet(tmp_path):
    for split, count in (("train", 4), ("val", 1)):
        for k, name in enumerate(("n01440764", "n02084071", "n13133613")):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                (tmp_path / split / name / f"{name}_{i}.JPEG").write_bytes(picture(10 * k + i, (50, 40)))
    return tmp_path


def test_imagenet(imagenet):
    data = ImageNet(imagenet, 32)
    assert data.class_names == ["n01440764", "n02084071", "n13133613"] and data.labels.tolist() == sorted([0, 1, 2] * 4)
    assert data.describe().startswith("imagenet: 12 images, 3 classes (n01440764 4, ") and data.images.shape[2] == 32
    theirs = datasets.ImageFolder(imagenet / "train")
    assert [name.split("/")[-1] for name, _, _ in data.files] == [path.split("/")[-1] for path, _ in theirs.samples]
    heldout = data.heldout()
    assert heldout.name == "imagenet val" and len(heldout) == 3 and heldout.class_names == data.class_names
    part = ImageNet(imagenet, 32, limit=6, in_memory=False)
    assert part.labels.bincount().tolist() == [2, 2, 2] and part.class_names == data.class_names
    assert len(part.heldout()) == 3  # what is held out is not cut


@pytest.mark.parametrize("train, split", [(True, "train"), (False, "val")])
def test_no_imagenet_says_what_to_get(tmp_path, train, split):
    (tmp_path / split / "cats").mkdir(parents=True)
    with pytest.raises(FileNotFoundError) as error:
        ImageNet(tmp_path, 64, train=train)
    for word in (str(tmp_path / split), f"ILSVRC2012_img_{split}.tar", "https://image-net.org", "n01440764"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def lsun(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    for split, count in (("train", 5), ("val", 2)):
        base = lmdb.open(str(tmp_path / f"church_outdoor_{split}_lmdb"), map_size=1 << 24)
        with base.begin(write=True) as writer:
            for i in range(count):
                key = hashlib.sha1(f"{split} {i}".encode()).hexdigest().encode()
                writer.put(key, picture(i, (64, 48), "WEBP"))
        base.close()
    return tmp_path


def test_lsun(lsun):
    data = Lsun(lsun, 32)
    assert data.describe().startswith(
        "lsun church_outdoor: 5 images, no labels; 32x32 from 64x48, centre crop, Lanczos"
    )
    names = sorted(hashlib.sha1(f"train {i}".encode()).hexdigest() for i in range(5))
    assert [name for name, _, _ in data.files] == names
    first = next(i for i in range(5) if hashlib.sha1(f"train {i}".encode()).hexdigest() == names[0])
    image = (
        Image.open(io.BytesIO(picture(first, (64, 48), "WEBP"))).crop((8, 0, 56, 48)).resize((32, 32), Image.LANCZOS)
    )
    assert np.array_equal(data.images[0].permute(1, 2, 0).numpy(), np.asarray(image))
    assert data.heldout().describe().startswith("lsun church_outdoor val: 2 images")
    part = Lsun(lsun, 32, limit=3, in_memory=False)
    assert len(part) == 3 and part.fingerprint != Lsun(lsun, 32, limit=4, in_memory=False).fingerprint


def test_workers_read_one_database(lsun):
    expected, data = Lsun(lsun, 16).images, Lsun(lsun, 16, in_memory=False)
    batches = [[i, (i + 2) % 5] for i in range(5)]
    loader = DataLoader(data, batch_sampler=batches, num_workers=2, collate_fn=as_is, multiprocessing_context="fork")
    for indices, (images, _) in zip(batches, loader, strict=True):
        assert torch.equal(images, expected[indices])
    copy = pickle.loads(pickle.dumps(data))  # as a spawned worker gets it
    assert torch.equal(copy.__getitems__([0, 4])[0], expected[[0, 4]])
    assert torch.equal(data.__getitems__([0, 4])[0], expected[[0, 4]])


def test_a_damaged_image_of_lsun_is_named(lsun):
    import lmdb

    base = lmdb.open(str(lsun / "church_outdoor_val_lmdb"), map_size=1 << 24)
    with base.begin(write=True) as writer:
        writer.put(b"0bad", b"not a picture")
    base.close()
    with pytest.raises(ValueError, match="(?s)1 of 3 images.*0bad: not an image"):
        Lsun(lsun, 16, train=False)
    assert len(Lsun(lsun, 16, train=False, on_error="skip")) == 2


def test_a_damaged_database(lsun):
    (lsun / "church_outdoor_val_lmdb" / "data.mdb").write_bytes(b"nothing" * 2000)
    with pytest.raises(ValueError, match="church_outdoor_val_lmdb is not a database that lmdb can read"):
        Lsun(lsun, 16, train=False)


def test_no_lsun_says_what_to_get(tmp_path, lsun, monkeypatch):
    with pytest.raises(FileNotFoundError) as error:
        Lsun(tmp_path, 64, category="bedroom")
    for word in ("bedroom_train_lmdb", "http://dl.yf.io/lsun/scenes/bedroom_train_lmdb.zip", "data.mdb", "data.path"):
        assert word in str(error.value)
    monkeypatch.setitem(__import__("sys").modules, "lmdb", None)
    with pytest.raises(ValueError, match="pip install lmdb"):
        Lsun(lsun, 64)
