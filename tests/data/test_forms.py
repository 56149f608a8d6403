"""CIFAR-10 and MNIST in every form that one may have them in: the same content is the same data set."""

import gzip
import io
import pickle
import re
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.config.compose import compose
from transgan.data import Cifar10, FashionMnist, Mnist, hold_out
from transgan.runs.resuming import keep_order

NAMES = Cifar10.names
OTHERS = ["Plane", "car", "2", "03", "4_deer", "5 - Dog", "FROG", "horse", "8", "9_truck"]
COUNTS = {"train": 40, "test": 20}


@pytest.fixture(scope="module")
def cifar():
    """{split: (pixels, labels)}: 40 training images in no order, and 20 test images."""
    rng = np.random.default_rng(0)
    return {
        split: (rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), rng.permutation(np.arange(count) % 10))
        for split, count in COUNTS.items()
    }


def rows(pixels):
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), 3072)


def python_batches(cifar):
    """{name: bytes} of cifar-10-batches-py, as Python 2 has written it: with bytes as keys."""
    pixels, labels = cifar["train"]
    files = {f"data_batch_{i + 1}": (pixels[i::5], labels[i::5]) for i in range(5)} | {"test_batch": cifar["test"]}
    found = {
        name: pickle.dumps({b"data": rows(part), b"labels": numbers.tolist()}, protocol=2)
        for name, (part, numbers) in files.items()
    }
    return found | {"batches.meta": pickle.dumps({b"label_names": [name.encode() for name in NAMES]}, protocol=2)}


def binary_batches(cifar):
    pixels, labels = cifar["train"]
    files = {f"data_batch_{i + 1}": (pixels[i::5], labels[i::5]) for i in range(5)} | {"test_batch": cifar["test"]}
    found = {
        f"{name}.bin": np.concatenate([numbers[:, None].astype(np.uint8), rows(part)], 1).tobytes()
        for name, (part, numbers) in files.items()
    }
    return found | {"batches.meta.txt": "\n".join([*NAMES, ""]).encode()}


def images(cifar, split, names=NAMES, form="PNG", size=32):
    """{name: bytes} of single images in a folder per class."""
    found = {}
    for i, (pixels, label) in enumerate(zip(*cifar[split], strict=True)):
        file = io.BytesIO()
        image = Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST)
        image.save(file, form, **({"lossless": True, "exact": True} if form == "WEBP" else {}))
        found[f"{names[label]}/{(7 * i) % 41:02}.{form.lower()}"] = file.getvalue()
    return found


def below(folder, files):
    return {f"{folder}/{name}": data for name, data in files.items()}


def laid(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zipped(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def beside(root, cifar, **options):
    zipped(root / "cifar10-test.zip", images(cifar, "test", **options))
    return zipped(root / "cifar10-train.zip", images(cifar, "train", **options))


FORMS = {
    "archive": lambda root, x: tarred(root / "cifar-10-python.tar.gz", below("cifar-10-batches-py", python_batches(x))),
    "binary": lambda root, x: tarred(root / "cifar-10-binary.tar.gz", below("cifar-10-batches-bin", binary_batches(x))),
    "folder of the binary": lambda root, x: tarred(
        root / "cifar-10-binary.tar.gz", below("cifar-10-batches-bin", binary_batches(x))
    ).parent,
    "zipped archive": lambda root, x: zipped(root / "a.zip", below("cifar-10-batches-py", python_batches(x))),
    "unpacked": lambda root, x: laid(root / "cifar-10-batches-py", python_batches(x)),
    "above unpacked": lambda root, x: laid(root / "cifar-10-batches-py", python_batches(x)).parent,
    "unpacked binary": lambda root, x: laid(root, below("cifar-10-batches-bin", binary_batches(x))),
    "two zips": lambda root, x: beside(root, x, form="WEBP"),
    "folder of two zips": lambda root, x: beside(root, x).parent,
    "two folders": lambda root, x: laid(root, below("train", images(x, "train")) | below("test", images(x, "test")))
    / "train",
    "train and test": lambda root, x: laid(root, below("train", images(x, "train")) | below("test", images(x, "test"))),
    "train and test, zipped": lambda root, x: zipped(
        root / "both.zip", below("c/train", images(x, "train")) | below("c/test", images(x, "test"))
    ),
    "other names": lambda root, x: beside(root, x, names=OTHERS),
}  # fmt: skip


@pytest.fixture(scope="module")
def expected(cifar, tmp_path_factory):
    root = tmp_path_factory.mktemp("expected")
    return Cifar10(FORMS["archive"](root, cifar), order="content", download=False)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_data_set(cifar, expected, tmp_path, form):
    path = FORMS[form](tmp_path, cifar)
    before = sorted(tmp_path.rglob("*"))
    data = Cifar10(path, order="content")
    assert data.class_names == list(NAMES) and data.fingerprint == expected.fingerprint
    assert torch.equal(data.images, expected.images) and torch.equal(data.labels, expected.labels)
    held = data.heldout()
    assert len(held) == 20 and held.class_names == list(NAMES) and held.heldout() is None
    assert held.fingerprint == expected.heldout().fingerprint
    assert sorted(tmp_path.rglob("*")) == before  # read in place


def test_also_in_part_and_at_another_size(cifar, expected, tmp_path):
    path, archive = FORMS["two zips"](tmp_path, cifar), FORMS["archive"](tmp_path / "a", cifar)
    for options in ({"limit": 20}, {"resolution": 16, "channels": 1}):
        one, other = (Cifar10(place, order="content", **options) for place in (path, archive))
        assert one.fingerprint == other.fingerprint != expected.fingerprint
    parts = [hold_out(Cifar10(place, order="content"), 0.3) for place in (path, archive)]
    assert [each.fingerprint for each in parts[0]] == [each.fingerprint for each in parts[1]]


def test_other_images_are_another_data_set(cifar, expected, tmp_path):
    pixels, labels = cifar["train"]
    for changed in (
        (pixels ^ (np.arange(40) == 7).astype(np.uint8)[:, None, None, None], labels),
        (pixels, 9 - labels),
    ):
        path = FORMS["two zips"](tmp_path, {**cifar, "train": changed})
        assert Cifar10(path, order="content").fingerprint != expected.fingerprint
    assert "CIFAR-10 has 50,000 training images, and here are 40." in expected.describe()


def test_published_order(cifar, tmp_path):
    archive = FORMS["archive"](tmp_path, cifar)
    pixels, labels = (np.concatenate([each[i::5] for i in range(5)]) for each in cifar["train"])
    for order in (None, "published"):
        data = Cifar10(archive, order=order)
        assert (
            np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), pixels) and data.labels.tolist() == labels.tolist()
        )
    with pytest.raises(ValueError, match="data.order=published is not possible: single images"):
        Cifar10(FORMS["two zips"](tmp_path, cifar), order="published")


def test_without_a_test_part(cifar, tmp_path):
    assert Cifar10(laid(tmp_path / "only", images(cifar, "train"))).heldout() is None
    with pytest.raises(OSError, match="no part named test"):
        Cifar10(tmp_path / "only", train=False)


class Runs:
    def __reduce__(self):
        return print, ("it has run",)


def complaints(cifar):
    """{name: (the files of a zip, or bytes, or None; what the sentence says)}"""
    python, single = python_batches(cifar), images(cifar, "train")
    nine = {name: data for name, data in single.items() if not name.startswith("truck")}
    return {
        "nine": (nine, "has no class truck, so it is not CIFAR-10: data.path= takes cifar-10-python.tar.gz"),
        "flowers": ({**nine, "tulip/1.png": next(iter(single.values()))},
                    r"has other classes \(tulip\) and no class truck"),
        "flat": ({name.replace("/", "_"): data for name, data in single.items()}, "has no folder per class"),
        "large": (images(cifar, "train", size=64), r"has 40 of 40 images that are not 32x32 \(the first, .*is 64x64\)"),
        "cut": ({name: data for name, data in python.items() if name != "data_batch_3"}, "data_batch_3 is missing"),
        "half": ({**python, "data_batch_2": python["data_batch_2"][:500]}, "data_batch_2 in .* is incomplete or damaged"),
        "odd": ({**python, "data_batch_2": pickle.dumps({"data": np.zeros((2, 3), np.uint8), "labels": [0, 1]})},
                "it is no batch of CIFAR-10"),
        "trap": ({**python, "data_batch_2": pickle.dumps(Runs())}, "it would run builtins.print"),
        "text": (b"no archive at all", "is neither a folder, a zip nor a tar archive"),
        "notes": ({"readme.txt": b"x"}, "No image in"),
        "absent": (None, "There is nothing at"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "what", ["nine", "flowers", "flat", "large", "cut", "half", "odd", "trap", "text", "notes", "absent"]
)
def test_what_is_wrong_is_one_sentence(cifar, tmp_path, what, capfd):
    files, sentence = complaints(cifar)[what]
    path = tmp_path / f"{what}.zip"
    if isinstance(files, bytes):
        path.write_bytes(files)
    elif files is not None:
        zipped(path, files)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((ValueError, OSError)) as error:
        Cifar10(path)
    assert re.search(sentence, str(error.value)) and "\n" not in str(error.value)
    assert "it has run" not in capfd.readouterr().out and sorted(tmp_path.rglob("*")) == before


def test_a_damaged_or_other_tar(cifar, tmp_path):
    path = FORMS["archive"](tmp_path, cifar)
    other = tarred(tmp_path / "other.tar.gz", images(cifar, "train"))
    with pytest.raises(ValueError, match="other.tar.gz holds no file of CIFAR-10: data.path="):
        Cifar10(other)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="is a damaged archive"):
        Cifar10(path)


SMALL = ["experiment=cifar10_tiny", "name=it", "resolution=8", "holdout=0.2", "data.limit=30", "trainer=cpu"]


def test_commands_take_any_form_and_go_on_with_another(cifar, tmp_path, tiny, inside):
    path, archive = FORMS["two zips"](tmp_path, cifar), FORMS["archive"](tmp_path, cifar)
    code, out, err = inside("train", "data=cifar10", f"data.path={path}", *tiny, *SMALL, "kimg=0.064")
    assert code == 0 and "cifar10: 20 images, 10 classes (airplane" in out, err
    code, out, err = inside("train", archive, "data=cifar10", *tiny, *SMALL, "kimg=0.128")
    assert code == 0 and "from 0.064" in out, err
    code, out, err = inside("train", "data=cifar10", f"data.path={tmp_path / 'cifar10-trian.zip'}", *tiny, *SMALL)
    assert code == 2 and err.count("\n") == 1 and "cifar10-trian.zip': data.path= takes cifar-10-python" in err


def test_a_run_of_an_earlier_version_keeps_its_order(cifar, tmp_path):
    archive = FORMS["archive"](tmp_path, cifar)
    config = compose("train", ["data=cifar10", f"data.path={archive}"])
    assert config.data.order == "content"
    keep_order(config, {"config": {"data": {"_target_": "transgan.data.Cifar10", "path": str(archive)}}})
    assert config.data.order is None  # as published, which it then was
    keep_order(config, {"config": {"data": {"_target_": "transgan.data.Cifar10", "order": "content"}}})
    assert config.data.order == "content"
    keep_order(config, {"config": {"data": {"_target_": "transgan.data.Zip"}}})
    assert config.data.order == "content"


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.mark.parametrize("kind", [Mnist, FashionMnist])
def test_forms_of_mnist(tmp_path, kind):
    rng, files, single = np.random.default_rng(1), {}, {}
    names = [f"{k}_{re.sub('[^a-z]+', '_', name.lower())}".strip("_") for k, name in enumerate(kind.names)]
    for part, split, count in (("train", "train", 30), ("t10k", "test", 10)):
        pixels, labels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8), rng.permutation(np.arange(count) % 10)
        files |= {f"{part}-images-idx3-ubyte": idx(pixels), f"{part}-labels-idx1-ubyte": idx(labels.astype(np.uint8))}
        for i, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "PNG")
            single[f"{split}/{names[label]}/{i}.png"] = file.getvalue()
    packed = {f"{name}.gz": gzip.compress(data, 1) for name, data in files.items()}
    dotted = {re.sub("-idx", ".idx", name): data for name, data in files.items()}  # as Kaggle has it
    places = [
        laid(tmp_path / "plain", files), laid(tmp_path / "packed", packed), laid(tmp_path / "dotted", dotted),
        zipped(tmp_path / "a.zip", below("raw", packed)), tarred(tmp_path / "a.tgz", files),
        tmp_path / "packed" / "train-images-idx3-ubyte.gz",
        laid(tmp_path / "single", single), zipped(tmp_path / "single.zip", single),
    ]  # fmt: skip
    found = [kind(place, order="content", download=False) for place in places]
    assert len({each.fingerprint for each in found}) == 1 and len({each.heldout().fingerprint for each in found}) == 1
    assert all(each.class_names == list(kind.names) and len(each.heldout()) == 10 for each in found)
    assert kind(places[0]).labels.tolist() == list(files["train-labels-idx1-ubyte"][8:])
