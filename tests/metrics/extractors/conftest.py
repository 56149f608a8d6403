"""Random weights of every network in the formats they are published in, and a machine without a network."""

import socket

import pytest
import torch


@pytest.fixture(autouse=True)
def sockets(monkeypatch, tmp_path):
    """Nobody opens a socket; who tried to is listed. The Hugging Face cache is an empty folder."""
    tried = []

    def refuse(*arguments, **_):
        tried.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "__init__", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tried


@pytest.fixture
def smooth():
    """`smooth(n, ...)`: the same n random uint8 images every time, with structure of a quarter of their size."""

    def make(n, channels=3, size=32, seed=0):
        generator = torch.Generator().manual_seed(seed)
        grains = torch.rand((n, channels, 4, 4), generator=generator) * 255
        return torch.nn.functional.interpolate(grains, size=size, mode="bilinear").byte()

    return make


@pytest.fixture
def dataset(images_dataset, smooth):
    return images_dataset(smooth(12), torch.arange(12) % 2)


@pytest.fixture(scope="session")
def save_backbone(tmp_path_factory):
    """save_backbone(name, change=None, **arguments of timm) -> (the network without its head, path of its weights)."""
    import timm
    from safetensors.torch import save_file

    def save(name, change=None, suffix=".safetensors", **arguments):
        torch.manual_seed(7)
        network = timm.create_model(name, **arguments).eval()
        state = {key: value.clone() for key, value in network.state_dict().items()}
        if change is not None:
            change(state)
        path = tmp_path_factory.mktemp("weights") / f"{name}{suffix}"
        save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
        network.reset_classifier(0)
        return network, path

    return save


@pytest.fixture(scope="session")
def resnet10t(save_backbone):
    return save_backbone("resnet10t")
