"""Digits, and CIFAR-10, STL-10 and MNIST from tiny archives laid out as the real ones, never from the network."""

import gzip
import hashlib
import pickle
import tarfile
import urllib.error

import numpy as np
import pytest
import torch
import torchvision.datasets.utils
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, MNIST, STL10, FashionMNIST

from transgan.data import Cifar10, Digits, FashionMnist, Mnist, Stl10


def test_digits_values():
    data, source = Digits(), load_digits()
    assert data.images.shape == (1797, 1, 8, 8) and data.num_classes == 10
    assert data.class_names == list("0123456789") and data.labels.tolist() == source.target.tolist()
    assert np.array_equal(data.images[:, 0].numpy(), np.round(source.images * 255 / 16).astype(np.uint8))
    assert data.images.max() == 255
    assert data.describe().startswith("digits: 1,797 images, 10 classes (0 178, 1 182, 2 177, 3 183, 4 181 and 5 more)")
    assert "8x8 as they are; kept in memory (115 kB)" in data.describe()


def test_digits_enlarged_in_colour():
    data = Digits(16, 3)
    assert data.images.shape == (1797, 3, 16, 16)
    assert torch.equal(data.images[:, 0], data.images[:, 2])
    assert "8x8, Lanczos; 1,797 smaller than 16 px enlarged" in data.describe()
    assert data.fingerprint != Digits(16, 1).fingerprint


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """cifar-10-python.tar.gz with four training and two test images; the checksums torchvision knows are changed."""
    base = tmp_path / "make" / CIFAR10.base_folder
    base.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def member(name, content):
        (base / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((base / name).read_bytes()).hexdigest()

    def batch(labels):
        return {"data": rng.integers(0, 256, (len(labels), 3072), dtype=np.uint8), "labels": labels}

    monkeypatch.setattr(
        CIFAR10, "train_list", [[f"data_batch_{i}", member(f"data_batch_{i}", batch([i, 0]))] for i in (1, 2)]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", member("test_batch", batch([9, 3]))]])
    names = {"label_names": [f"class{i}" for i in range(10)]}
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": member("batches.meta", names)})
    path = tmp_path / CIFAR10.filename
    with tarfile.open(path, "w:gz") as tar:
        tar.add(base, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    return path, pickle.loads((base / "data_batch_2").read_bytes())


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr("urllib.request.urlopen", fail)


def test_cifar10_from_the_archive_in_its_folder(archive, tmp_path, capfd):
    root = tmp_path / "root"
    root.mkdir()
    archive[0].rename(root / archive[0].name)
    data = Cifar10(root, download=False)
    assert data.images.shape == (4, 3, 32, 32) and data.labels.tolist() == [1, 0, 2, 0]
    assert np.array_equal(data.images[2].numpy().ravel(), archive[1]["data"][0])
    assert data.class_names[9] == "class9" and data.num_classes == 10
    assert sorted(path.name for path in root.iterdir()) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]
    (root / archive[0].name).unlink()  # unpacked once, the archive is not needed again
    test = Cifar10(root, resolution=16, channels=1, train=False)
    assert test.images.shape == (2, 1, 16, 16) and test.labels.tolist() == [9, 3]
    assert test.describe().startswith("cifar10 test: 2 images")
    assert capfd.readouterr() == ("", "")


def test_cifar10_is_downloaded_where_it_is_missing(archive, tmp_path, monkeypatch, capfd):
    def download(url, root, filename, md5):
        print("100%")
        archive[0].rename(f"{root}/{filename}")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", download)
    assert len(Cifar10(tmp_path / "root")) == 4
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["cifar-10-batches-py"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("download", [True, False])
def test_no_network_says_which_file_to_put_where(tmp_path, monkeypatch, download):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError) as error:
        Cifar10("data/cifar10", download=download)
    message = str(error.value)
    for word in (
        str(tmp_path / "data/cifar10"),
        "cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "data=zip",
        "data=folder",
    ):
        assert word in message
    assert ("no network in this test" in message) == download
    assert "\n" not in message


def test_a_download_cut_short_leaves_nothing(tmp_path, monkeypatch):
    def half(url, filename, **_):
        with open(filename, "wb") as file:
            file.write(b"half")
        raise urllib.error.URLError("connection lost")

    monkeypatch.setattr(torchvision.datasets.utils, "_get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr(torchvision.datasets.utils, "_urlretrieve", half)
    with pytest.raises(OSError, match="connection lost"):
        Cifar10(tmp_path / "root")
    assert list((tmp_path / "root").iterdir()) == []


def test_damaged_copies_are_not_replaced_silently(archive, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / archive[0].name).write_bytes(b"half")
    with pytest.raises(ValueError, match="damaged"):
        Cifar10(root)
    assert (root / archive[0].name).read_bytes() == b"half"
    (root / CIFAR10.base_folder).mkdir()
    with pytest.raises(ValueError, match="incomplete"):
        Cifar10(root)


@pytest.fixture
def stl10(tmp_path, monkeypatch):
    """stl10_binary.tar.gz with 3 labelled, 2 unlabelled and 2 test images; -> its folder, and its bytes by name."""
    base = tmp_path / "make" / STL10.base_folder
    base.mkdir(parents=True)
    rng, files = np.random.default_rng(0), {}
    for name, count in (("train", 3), ("unlabeled", 2), ("test", 2)):
        files[name] = rng.integers(0, 256, (count, 3, 96, 96), dtype=np.uint8)
        files[name].tofile(base / f"{name}_X.bin")
    np.array([1, 10, 2], np.uint8).tofile(base / "train_y.bin")
    np.array([4, 3], np.uint8).tofile(base / "test_y.bin")
    (base / "class_names.txt").write_text("".join(f"class{i}\n" for i in range(10)))
    path = tmp_path / "root" / STL10.filename
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        tar.add(base, STL10.base_folder)
    monkeypatch.setattr(STL10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    return path.parent, files


def test_stl10_equals_torchvision(stl10, monkeypatch):
    root, _ = stl10
    monkeypatch.setattr(STL10, "_check_integrity", lambda self: True)
    for split in STL10.splits:
        ours = Stl10(root, 96, 3, split, download=False)
        theirs = STL10(root, split)
        assert len(ours) == len(theirs) == {"train": 3, "train+unlabeled": 5, "unlabeled": 2, "test": 2}[split]
        for i in range(len(ours)):
            assert np.array_equal(ours.images[i].permute(1, 2, 0).numpy(), np.asarray(theirs[i][0]))
        if "unlabeled" in split:
            assert ours.num_classes == 0 and not ours.labels.any()
        else:
            assert ours.labels.tolist() == theirs.labels.tolist() and ours.class_names == theirs.classes
    assert sorted(path.name for path in root.iterdir()) == ["stl10_binary", "stl10_binary.tar.gz"]


def test_stl10_in_memory_and_from_its_file_are_the_same_bits(stl10):
    root, _ = stl10
    kept, read = (Stl10(root, 48, 3, in_memory=in_memory, limit=4) for in_memory in (True, False))
    assert kept.in_memory and not read.in_memory
    assert torch.equal(read.__getitems__(range(4))[0], kept.images) and torch.equal(read[3][0], kept.images[3])
    assert kept.describe().startswith("stl10 train+unlabeled: 4 images, no labels; 48x48 from 96x96, Lanczos")
    assert read.fingerprint != Stl10(root, 48, 3, in_memory=False, limit=3).fingerprint
    heldout = read.heldout()
    assert heldout.name == "stl10 test" and not heldout.in_memory and heldout.heldout() is None


def test_stl10_wrong_and_damaged(stl10):
    root, _ = stl10
    with pytest.raises(ValueError, match="split=valid is not possible: give one of train, train.unlabeled"):
        Stl10(root, split="valid")
    Stl10(root)
    (root / STL10.base_folder / "train_y.bin").write_bytes(b"1")
    with pytest.raises(ValueError, match="incomplete or damaged"):
        Stl10(root, split="train")
    with open(root / STL10.base_folder / "unlabeled_X.bin", "ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match="incomplete or damaged"):
        Stl10(root, split="unlabeled")


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture(params=[(Mnist, MNIST), (FashionMnist, FashionMNIST)], ids=["mnist", "fashion"])
def mnist(request, tmp_path, monkeypatch):
    """The four packed files with three training and two test images."""
    ours, theirs = request.param
    rng, resources = np.random.default_rng(0), []
    for part, labels in (("train", [0, 9, 4]), ("t10k", [7, 1])):
        arrays = {
            f"{part}-images-idx3-ubyte.gz": rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8),
            f"{part}-labels-idx1-ubyte.gz": np.array(labels, np.uint8),
        }
        for name, array in arrays.items():
            (tmp_path / name).write_bytes(gzip.compress(idx(array)))
            resources.append((name, hashlib.md5((tmp_path / name).read_bytes()).hexdigest()))
    monkeypatch.setattr(theirs, "resources", resources)
    return tmp_path, ours, theirs


@pytest.mark.parametrize("place", [".", "raw"])
@pytest.mark.parametrize("packed", [True, False])
def test_mnist_equals_torchvision(mnist, place, packed):
    root, kind, theirs = mnist
    folder = root / place if place == "." else root / theirs.__name__ / "raw"
    folder.mkdir(parents=True, exist_ok=True)
    raw = root / "torchvision" / theirs.__name__ / "raw"
    raw.mkdir(parents=True)
    for path in list(root.glob("*.gz")):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        (folder / (path.name if packed else path.stem)).write_bytes((path if packed else raw / path.stem).read_bytes())
        if not packed or place == "raw":
            path.unlink()
    for train in (True, False):
        data, source = kind(root, train=train, download=False), theirs(root / "torchvision", train=train)
        assert torch.equal(data.images[:, 0], source.data) and torch.equal(data.labels, source.targets)
    assert data.name.endswith(" test") and data.heldout() is None
    assert torch.equal(kind(root, download=False).heldout().images, data.images)
    names = kind(root, 8, 3, download=False).class_names
    assert names == (list("0123456789") if kind is Mnist else FashionMNIST.classes)


def test_mnist_damaged_and_missing(mnist, tmp_path):
    root, kind, _ = mnist
    (root / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03")
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is incomplete or damaged"):
        kind(root, download=False)
    (root / "train-images-idx3-ubyte").unlink()
    (root / "train-images-idx3-ubyte.gz").write_bytes(b"half")
    with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz is damaged"):
        kind(root)
    for download in (True, False):
        with pytest.raises(OSError, match=r"(?s)^[^\n]*put train-images-idx3-ubyte.gz \(md5 [^\n]*data=zip[^\n]*$"):
            kind(tmp_path / "elsewhere", download=download)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_mnist_is_downloaded_where_it_is_missing(mnist, tmp_path, monkeypatch):
    root, kind, theirs = mnist
    asked = []

    def download(url, place, filename, md5):
        asked.append(url)
        (root / filename).rename(f"{place}/{filename}")

    monkeypatch.setattr(torchvision.datasets.utils, "download_url", download)
    assert len(kind(tmp_path / "new")) == 3
    assert asked == [f"{theirs.mirrors[0]}train-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1")]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
    ]  # fmt: skip


@pytest.mark.parametrize("size", ["2.6 GB", "stl10_binary.tar.gz", "91f7769df0f17e558f3565bffb0c7dfb", "data=zip"])
def test_no_stl10_says_which_file_to_put_where(tmp_path, size, caplog):
    caplog.set_level("INFO")
    with pytest.raises(OSError) as error:
        Stl10(tmp_path / "stl10")
    assert size in str(error.value) + caplog.text and "\n" not in str(error.value)
