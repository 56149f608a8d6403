"""Names in an archive that no folder has."""

import io
import warnings
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.data import Zip
from transgan.data.inspection.check import check
from transgan.data.preparation.prepare import Settings, prepare


def png(seed):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("names", [("a.png", "a.png"), ("a.png", "./a.png"), ("../c/a.png", "/c/a.png", "c//a.png")])
def test_of_names_that_are_the_same_the_last_is_taken_and_it_is_said(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed, name in enumerate([*names, "b.png"]):
            archive.writestr(name, png(seed))
    data, last = Zip(tmp_path / "in.zip", 8, 3), png(len(names) - 1)
    place = [file.name for file in data.files].index(names[0].removeprefix("../"))
    pixels = torch.from_numpy(np.array(Image.open(io.BytesIO(last)))).permute(2, 0, 1)
    assert len(data) == 2 and torch.equal(data[place][0], pixels)
    assert f"Left out {len(names) - 1} file" in data.notes[0] and "a.png" in data.notes[0]
    assert data.notes[0] in check(tmp_path / "in.zip", resolution=8).notes
    prepare(tmp_path / "in.zip", tmp_path / "out.zip", Settings(8))
    assert torch.equal(Zip(tmp_path / "out.zip", 8, 3).images, data.images)
