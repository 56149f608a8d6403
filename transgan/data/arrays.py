"""Images that come as arrays with a library or from its download: scikit-learn's digits and CIFAR-10."""

import contextlib
import io
import logging
import os
import socket
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .dataset import ImageDataset
from .decode import to_image

logger = logging.getLogger(__name__)


class Digits(ImageDataset):
    """1,797 handwritten digits of 8x8 pixels and 16 grays, part of scikit-learn: no download, for first steps."""

    def __init__(self, resolution=8, channels=1):
        super().__init__("digits", resolution, channels)
        from sklearn.datasets import load_digits  # here, because it takes a second

        digits = load_digits()
        pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)
        self.hold(fitted(pixels, resolution, channels), digits.target, map(str, range(10)), [(8, 8)] * len(pixels))


class Cifar10(ImageDataset):
    """CIFAR-10: 50,000 images to train on (train=False: 10,000 others), 32x32, 10 classes.

    `path` is the folder that holds, or will hold, cifar-10-batches-py.
    """

    def __init__(self, path, resolution=32, channels=3, train=True, download=True):
        super().__init__("cifar10" if train else "cifar10 test", resolution, channels)
        from torchvision.datasets import CIFAR10

        self.root, self.train = path, train
        root = Path(path).expanduser().absolute()
        if not (root / CIFAR10.base_folder).exists():
            unpack(root, CIFAR10, download)
        try:
            source = CIFAR10(root, train=train)
        except RuntimeError as error:
            raise ValueError(
                f"{root / CIFAR10.base_folder} is incomplete or damaged: delete it, and start again to unpack it anew."
            ) from error
        images = fitted(source.data, resolution, channels)
        self.hold(images, source.targets, source.classes, [(32, 32)] * len(images))

    def heldout(self):
        return Cifar10(self.root, self.resolution, self.channels, train=False, download=False) if self.train else None


def fitted(pixels, resolution, channels):
    """uint8 array (N, H, W) or (N, H, W, 3) -> uint8 tensor (N, channels, resolution, resolution)"""
    return torch.stack([to_image(Image.fromarray(image), resolution, channels) for image in pixels])


def unpack(root, cifar, download):
    """Makes root/cifar-10-batches-py from the archive in root, or from the network; whole, or not at all, also when
    several processes do it at once."""
    from torchvision.datasets.utils import check_integrity, download_url

    archive = root / cifar.filename
    if archive.exists() and not check_integrity(archive, cifar.tgz_md5):
        raise ValueError(
            f"{archive} is damaged (its md5 is not {cifar.tgz_md5}): delete it, or fetch it again from {cifar.url}"
        )
    if not archive.exists() and not download:
        raise FileNotFoundError(missing(root, cifar, "download=false"))
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as folder:
        if not archive.exists():
            logger.info("downloading CIFAR-10 (170 MB) from %s to %s", cifar.url, root)
            archive = Path(folder) / cifar.filename
            try:
                with silent(), patience(30):
                    download_url(cifar.url, folder, cifar.filename, cifar.tgz_md5)
            except (OSError, RuntimeError) as error:  # RuntimeError: the md5 is wrong
                raise OSError(missing(root, cifar, f"the download failed: {error}")) from error
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        try:
            os.rename(Path(folder) / cifar.base_folder, root / cifar.base_folder)
        except OSError:  # another process was faster
            if not (root / cifar.base_folder).exists():
                raise


def missing(root, cifar, reason):
    return (
        f"CIFAR-10 is not in {root} ({reason}): put {cifar.filename} (md5 {cifar.tgz_md5}, from {cifar.url}) "
        "into that folder; data=zip or data=folder with data.path=<path> work with any copy of the images."
    )


@contextlib.contextmanager
def silent():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def patience(seconds):
    """torchvision waits for ever behind a firewall that swallows packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
