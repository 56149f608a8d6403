"""An exported file is enough: what reads it needs neither pickle nor Hydra nor Lightning, and trusts nothing."""

import json
import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

import transgan
from transgan import exported
from transgan.describing import construct, describe
from transgan.exported import ExportError
from transgan.models.flow_transformer import FlowTransformer
from transgan.models.image_gpt import ImageGPT
from transgan.models.observation import Logistics
from transgan.models.tokens import Pixels
from transgan.models.vae import VAE, ConvDecoder, ConvEncoder
from transgan.sampling import DecoderSampler, FlowSampler, LatentSampler, TokenSampler
from transgan.training import Autoregressive, Flow, Variational

FORBIDDEN = """
import sys, time
import torch
start = time.monotonic()
import pickle
for name in ("hydra", "omegaconf", "pytorch_lightning", "lightning", "matplotlib", "torchvision", "timm"):
    sys.modules[name] = None
class Refused:
    def __init__(self, *arguments, **options):
        raise RuntimeError("pickle is not wanted")
pickle.Unpickler = pickle._Unpickler = pickle.load = pickle.loads = Refused
import transgan
images = transgan.load(sys.argv[1]).generate(range(64))
seconds = time.monotonic() - start
print(images.dtype, tuple(images.shape), images.sum().item(), "torch._dynamo" in sys.modules, seconds)
"""


def write(path, own, weights=None, **changes):
    facts = {"format": 1, "version": "0", "sampler": describe(own), "class_names": ["a", "b", "c"]} | changes
    weights = dict(own.network.state_dict()) if weights is None else weights
    save_file(weights, path, metadata={"transgan": json.dumps(facts)})
    return path


@pytest.fixture
def sampler(generator):
    return LatentSampler(generator().eval(), 3)


def test_it_is_read_without_pickle_hydra_and_lightning(sampler, tmp_path):
    path = write(tmp_path / "a.safetensors", sampler)
    done = subprocess.run([sys.executable, "-c", FORBIDDEN, path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = sampler.generate(range(64))
    kind, rest = done.stdout.split(" ", 1)
    assert kind == "torch.uint8" and rest.startswith(f"(64, 1, 8, 8) {made.sum().item()} False ")
    assert float(rest.split()[-1]) < 20  # 0.6 here; compiling or another library would take longer


def module_of(kind):
    """A tiny module of a kind, of parts that can be described."""
    size, stack = dict(img_size=8, in_chans=1, num_classes=0), dict(dim=16, depth=1, num_heads=2, mlp_ratio=2.0)
    if kind is Autoregressive:
        module = Autoregressive(ImageGPT(**size, tokens=partial(Pixels, levels=256), **stack))
    elif kind is Flow:
        module = Flow(FlowTransformer(**size, **stack, style_dim=8))
    else:
        parts = partial(ConvEncoder, dim=[4, 8]), partial(ConvDecoder, dim=[8, 8])
        module = Variational(VAE(8, 1, 0, 4, *parts, partial(Logistics, components=1, levels=256)))
    module.prepare(torch.arange(64).to(torch.uint8).mul(4).view(1, 1, 8, 8).expand(4, -1, -1, -1))
    return module


@pytest.mark.parametrize(
    "kind, expected", [(Autoregressive, TokenSampler), (Flow, FlowSampler), (Variational, DecoderSampler)]
)
def test_every_kind_of_sampler_travels(kind, expected, tmp_path):
    module = module_of(kind)
    own = module.sampler_of_images()
    path = write(tmp_path / "a.safetensors", own)
    found = transgan.load(path)
    assert type(found) is expected and found.facts["class_names"] == ["a", "b", "c"]
    assert torch.equal(found.generate([3, 4], truncation=0.9), module.generate([3, 4], truncation=0.9))
    assert not any(each.requires_grad for each in found.parameters()) and not found.training


@pytest.mark.parametrize("prediction", ["v", "x"])
@pytest.mark.parametrize("solver, steps", [("euler", 24), ("heun", 3)])
def test_an_exported_flow_makes_the_images_of_its_run(prediction, solver, steps, tmp_path):
    net = FlowTransformer(8, 1, 3, dim=16, depth=1, num_heads=2, style_dim=8, prediction=prediction)
    own, labels = FlowSampler(net, 3, steps, solver, guidance=2.0), torch.tensor([0, 1])
    found = transgan.load(write(tmp_path / "a.safetensors", own))
    assert torch.equal(found.generate([3, 4], labels), own.generate([3, 4], labels))


def test_options_of_a_sampler_travel(generator, tmp_path):
    own = module_of(Flow).sampler_of_images()
    own.steps, own.solver = 3, "heun"
    found = transgan.load(write(tmp_path / "a.safetensors", own))
    assert found.protocol == {"steps": 3, "solver": "heun"}


def test_a_folder_with_a_model_is_read_like_one(sampler, tmp_path):
    write(tmp_path / "model.safetensors", sampler)
    assert torch.equal(transgan.load(tmp_path).generate([5]), sampler.generate([5]))


def test_a_description_is_the_way_back(generator):
    network = generator(dim=[8, 16], depth=[1, 1], num_heads=[1, 2], image_heads=2)
    again = construct(describe(network))
    assert describe(again) == describe(network)
    assert {name: value.shape for name, value in again.state_dict().items()} == {
        name: value.shape for name, value in network.state_dict().items()
    }


def test_what_cannot_be_read_is_a_sentence(sampler, tmp_path):
    path = write(tmp_path / "a.safetensors", sampler)
    data = path.read_bytes()

    def refused(match, **changes):
        with pytest.raises(ExportError, match=match):
            transgan.load(write(tmp_path / "b.safetensors", sampler, **changes))

    for broken in (data[:100], data[:-5], b"", b"x" * 400):
        (tmp_path / "c.safetensors").write_bytes(broken)
        with pytest.raises(ExportError, match="damaged or no safetensors file"):
            transgan.load(tmp_path / "c.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "d.safetensors")
    with pytest.raises(ExportError, match="weights of another program"):
        transgan.load(tmp_path / "d.safetensors")
    with pytest.raises(ExportError, match="there is no file .*export runs/NAME"):
        transgan.load(tmp_path / "e.safetensors")
    refused("newer version of transgan", format=99)
    refused("does not say how its network is built", sampler="x")
    network = describe(sampler.network)
    refused("no class of transgan|neither a class of transgan", sampler={"_target_": "os.system", "network": "echo"})
    refused("asks to run os.system", sampler=describe(sampler) | {"network": {"_target_": "os.system"}})
    refused("makes no images", sampler=network)
    refused("another version of transgan", sampler=describe(sampler) | {"network": network | {"unknown": 1}})
    fewer = dict(list(sampler.network.state_dict().items())[1:])
    refused("do not fit its header: .* is missing", weights=fewer)
    refused("has no place", weights=dict(sampler.network.state_dict()) | {"more": torch.zeros(1)})
    changed = {name: torch.zeros(7) for name in sampler.network.state_dict()}
    refused(r"is \(7,\) and not .* and \d+ more", weights=changed)


@pytest.mark.parametrize("address", ["hf://me", "hf://me/it/more", "hf://me/it@", "hf://"])
def test_an_address_of_the_hub_has_two_parts(address):
    with pytest.raises(ExportError, match="write hf://USER/NAME"):
        transgan.load(address)


def test_without_a_network_the_cache_will_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ExportError, match="the Hub cannot be reached .*not in the cache"):
        transgan.load("hf://me/it")


def test_what_is_no_export_is_a_run(tmp_path):
    assert not exported.is_exported(tmp_path) and not exported.is_exported("runs/x")
    assert exported.is_exported("x.SafeTensors") and exported.is_exported("hf://a/b")
    with pytest.raises(ValueError, match="there is no run folder"):
        transgan.load(os.path.join(tmp_path, "runs"))
