"""Damaged TIFF files: what is said of them is ours, and nothing else appears on the terminal."""

import io
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from transgan.data import Folder
from transgan.data.inspection.check import check
from transgan.data.libtiff import handler
from transgan.data.preparation.prepare import Settings, prepare
from transgan.planning.look import facts_of


@pytest.fixture(params=["tiff_lzw", "tiff_adobe_deflate", "group4"])
def damaged(request, tmp_path):
    """A folder with a good and a damaged file, of which libtiff complains."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1" if request.param == "group4" else "L").save(
        file, "TIFF", compression=request.param
    )
    data = bytearray(file.getvalue())
    data[20:60] = bytes(range(40, 80))
    (tmp_path / "bad.tif").write_bytes(data)
    Image.fromarray(pixels).save(tmp_path / "good.png")
    return tmp_path


def test_libtiff_is_silent_while_files_are_read(damaged, capfd):
    for in_memory in (True, False):
        data = Folder(damaged, 8, 1, on_error="skip", in_memory=in_memory)
        data.__getitems__(range(len(data)))
    check(damaged, resolution=8)
    prepare(damaged, damaged / "out.zip", Settings(8), on_error="skip")
    facts_of(damaged, None, None, 0.0, "cpu", None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(handler()[1] is None, reason="libtiff's handler of errors cannot be reached")
def test_it_is_as_before_for_others_afterwards(damaged, capfd):
    Folder(damaged, 8, 1, on_error="skip")
    with suppress(OSError), Image.open(damaged / "bad.tif") as image:
        image.load()
    assert capfd.readouterr().err
