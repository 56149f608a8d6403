"""Digits, and CIFAR-10 from a tiny archive laid out as the real one, never from the network."""

import hashlib
import pickle
import tarfile
import urllib.error

import numpy as np
import pytest
import torch
import torchvision.datasets.utils
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10

from transgan.data import Cifar10, Digits


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
