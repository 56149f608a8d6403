"""Keeps what the data tests remember about checked files out of the user's cache."""

import pytest
import torch


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRANSGAN_CACHE", str(folder))
    torch.set_num_threads(1)
    return folder
