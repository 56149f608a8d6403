"""Images in npz files: what is read, as what, and what is refused in a sentence."""

import numpy as np
import pytest
import torch

from transgan.data.npz import Npz, holds_images

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 6, 6, 3), dtype=np.uint8)


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "arrays, channels, classes",
    [
        ({"images": PIXELS}, 3, []),  # anybody's
        ({"arr_0": PIXELS, "arr_1": np.arange(12) % 3}, 3, ["0", "1", "2"]),  # ADM's samples
        ({"arr_0": PIXELS, "mu": np.zeros(4), "sigma": np.eye(4), "mu_s": np.zeros(2)}, 3, []),  # its references
        ({"images": PIXELS[..., 0]}, 1, []),
        (
            {"images": PIXELS[..., :1], "labels": np.full(12, -1), "seeds": np.arange(12)},
            1,
            [],
        ),  # ours, without classes
        ({"images": PIXELS, "labels": np.full(12, 1), "class_names": np.array(["ä b", "c"])}, 3, ["ä b", "c"]),
    ],
)
def test_the_files_that_programs_write(tmp_path, arrays, channels, classes):
    data = Npz(saved(tmp_path / "some.npz", **arrays))
    pixels = next(iter(arrays.values())).reshape(12, 6, 6, -1)
    assert torch.equal(data[3][0], torch.from_numpy(pixels[3]).permute(2, 0, 1))
    assert (len(data), data.resolution, data.channels, data.class_names) == (12, 6, channels, classes)
    assert "some.npz: 12 images" in data.describe()
    assert ("num_real=N uses its mean and covariance" in data.describe()) == ("mu" in arrays)
    assert holds_images(tmp_path / "some.npz")


def test_another_size_is_asked_for(tmp_path):
    data = Npz(saved(tmp_path / "some.npz", images=PIXELS), 3, 1)
    assert data[0][0].shape == (1, 3, 3) and "from 6x6" in data.describe()


EVIL = np.array([print] * 12, dtype=object)


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"images": PIXELS.astype(np.float32) / 255}, "images in .* is float32 of shape .*: give uint8"),
        ({"images": PIXELS.astype(np.int64)}, "is int64 of shape"),
        ({"arr_0": PIXELS.transpose(0, 3, 1, 2)}, r"arr_0 in .* of shape \(12, 3, 6, 6\): give uint8 N x H x W x C"),
        ({"images": np.zeros((2, 4, 4, 4), np.uint8)}, "with 1 or 3 channels"),
        ({"images": PIXELS[:, :4]}, "are 6x4: images are measured as they are, squares"),
        ({"images": PIXELS[:0]}, r"of shape \(0, 6, 6, 3\)"),
        ({"images": PIXELS[0, 0]}, r"holds no images: .* there is images \(6, 3\)"),
        ({"mu": np.zeros(4), "sigma": np.eye(4)}, r"holds no images: .* there is mu \(4,\), sigma \(4, 4\)"),
        ({"images": PIXELS, "labels": np.arange(5)}, r"labels in .* is int64 of shape \(5,\)"),
        ({"images": PIXELS, "labels": np.linspace(0, 1, 12)}, "labels in .* is float64"),
        ({"images": PIXELS, "labels": np.arange(12) - 1}, "a whole number, 0 or more, for each of the 12 images"),
        (
            {"images": PIXELS, "labels": np.arange(12), "class_names": np.array(["a"])},
            "class_names .* are 1, .* up to 11",
        ),
        ({"images": PIXELS, "labels": EVIL}, "cannot be read as plain arrays"),
        ({"images": EVIL}, "holds no images"),
    ],
)
def test_what_is_refused(tmp_path, arrays, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        Npz(saved(tmp_path / "some.npz", **arrays))
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path):
    whole = saved(tmp_path / "some.npz", images=PIXELS.repeat(50, 0)).read_bytes()
    for name, content in (("cut", whole[:700]), ("empty", b""), ("text", b"images")):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        assert not holds_images(path)
        with pytest.raises(ValueError, match="holds no images: .* nothing that can be read"):
            Npz(path)
    torn = bytearray(whole)
    torn[-5000] ^= 255  # a pixel, as its checksum tells
    path.write_bytes(torn)
    with pytest.raises(ValueError, match="cannot be read as plain arrays"):
        Npz(path)


@pytest.mark.parametrize("most", [10**6, 2**40, 2**63])
def test_numbers_that_are_no_classes(tmp_path, most):
    path = tmp_path / "x.npz"
    np.savez(path, arr_0=np.zeros((2, 4, 4, 3), np.uint8), arr_1=np.array([0, most], np.uint64))
    with pytest.raises(ValueError, match=f"arr_1 in .* goes up to {most:,}, and there can be 1,000,000 classes"):
        Npz(path)
