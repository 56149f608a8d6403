"""ImageDataset: a user's images, by their path, for torch's own tools."""

import copy
import pickle
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from transgan import ImageDataset
from transgan.data import Folder, Npz, Zip


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The same four images of two classes as a folder, a zip and an npz."""
    root = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        path = root / "folder" / "ab"[i // 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for path in sorted((root / "folder").rglob("*.png")):
            archive.write(path, path.relative_to(root / "folder"))
    np.savez(root / "images.npz", images=pixels, labels=np.array([0, 0, 1, 1]))
    return {Folder: root / "folder", Zip: root / "images.zip", Npz: root / "images.npz"}


@pytest.mark.parametrize("kind", [Folder, Zip, Npz])
def test_a_path_gives_its_kind_of_source(paths, kind):
    images = ImageDataset(paths[kind])
    assert type(images) is kind and isinstance(images, torch.utils.data.Dataset)
    assert len(images) == 4 and images.num_classes == 2
    image, label = images[3]
    assert image.dtype == torch.uint8 and image.shape == (3, 6, 6) and label == 1


def test_options_are_those_of_the_source(paths):
    images = ImageDataset(path=paths[Folder], resolution=4, channels=1, limit=2)
    assert images[0][0].shape == (1, 4, 4) and len(images) == 2
    assert ImageDataset(paths[Folder], 4, labels="none").num_classes == 0


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_dataloader_of_torch_makes_batches(paths, in_memory):
    images = ImageDataset(paths[Folder], in_memory=in_memory)
    batches = list(DataLoader(images, batch_size=3, collate_fn=images.collate))
    assert [tuple(pixels.shape) for pixels, _ in batches] == [(3, 3, 6, 6), (1, 3, 6, 6)]
    assert batches[0][0].dtype == torch.uint8 and batches[0][1].tolist() == [0, 0, 1]


def test_copies_are_of_the_same_kind(paths):
    images = ImageDataset(paths[Zip], in_memory=False)
    for each in (copy.deepcopy(images), pickle.loads(pickle.dumps(images))):
        assert type(each) is Zip and torch.equal(each[1][0], images[1][0])


def test_a_path_without_anything(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is nothing at"):
        ImageDataset(tmp_path / "none")
