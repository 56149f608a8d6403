"""What lies in a folder beside files."""

import os
import socket

import numpy as np
import pytest
from PIL import Image

from transgan.data import Folder
from transgan.data.inspection.check import check


def fifo(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)  # a path of a socket is short


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
@pytest.mark.parametrize("make", [fifo, device, listening])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    make(tmp_path / "b.png")
    reason = "a pipe, socket or device and not a file"
    assert Folder(tmp_path, 8, 3, on_error="skip").skipped == [("b.png", reason)]
    found = {each.kind: each.why for each in check(tmp_path, resolution=8).findings}
    assert found == {"unreadable": {"b.png": reason}}


@pytest.mark.parametrize(("target", "reason"), [
    ("nowhere", "No such file or directory"), ("b.png", "Too many levels of symbolic links"),
])  # fmt: skip
def test_a_link_that_leads_nowhere_has_the_reason_of_training(tmp_path, target, reason):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(target)
    assert Folder(tmp_path, 8, 3, on_error="skip").skipped == [("b.png", reason)]
    assert check(tmp_path, resolution=8).findings[0].why == {"b.png": reason}
