"""summary: what the networks of a configuration have and cost, on the meta device."""

import json

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from transgan import checkpoint, trust
from transgan.commands.summary import measure
from transgan.config.compose import compose
from transgan.config.search import groups
from transgan.runs.machine import networks_of

SIZES = {  # resolution, parameters and GMAC of generator and discriminator, measured on the published code
    "cifar10": (32, 83_312_495, 5.394, 10_210_400, 1.346),
    "stl10": (48, 168_466_623, 18.55, 10_341_536, 3.38),
    "church256": (256, 205_291_952, 101.0, 17_754_569, 32.0),
    "celebahq256": (256, 212_903_275, 114.1, 13_334_593, 30.8),
}


@pytest.mark.parametrize("name", SIZES)
def test_transgan_costs_what_the_original_does(name, inside):
    code, out, err = inside("summary", f"experiment=transgan_{name}", "json=true")
    assert code == 0, err
    found = json.loads(out)
    resolution, generator, generator_gmac, discriminator, discriminator_gmac = SIZES[name]
    assert found["resolution"] == resolution and found["num_classes"] == 0
    assert found["generator.parameters"] == generator and found["discriminator.parameters"] == discriminator
    assert found["generator.macs"] / 1e9 == pytest.approx(generator_gmac, rel=0.01)
    assert found["discriminator.macs"] / 1e9 == pytest.approx(discriminator_gmac, rel=0.01)
    for network in ("generator", "discriminator"):
        for key in ("parameters", "macs"):
            assert sum(part[key] for part in found[f"{network}.parts"]) == found[f"{network}.{key}"]
        assert [p["name"] for p in found[f"{network}.parts"] if p["name"].startswith("stages.")]


def test_tables(inside):
    code, out, err = inside("summary")
    assert code == 0, err
    assert "generator StyleTransformer" in out and "discriminator ViTDiscriminator" in out
    assert "stages.0" in out and "for 1 x 8 x 8 pixels and 10 classes" in out


def test_classes_are_counted_where_they_are_known(inside):
    def parameters(*words):
        code, out, err = inside("summary", "json=true", *words)
        assert code == 0, err
        return json.loads(out)["discriminator.parameters"]

    assert parameters("num_classes=5") - parameters("conditional=false") == 5 * 48
    code, out, err = inside("summary", "experiment=folder")
    assert code == 0 and "the data is not on this machine to say how many classes it has" in out


def test_a_run_is_counted_as_it_was_trained(inside, digits_run):
    code, out, err = inside("summary", digits_run[0], "json=true")
    assert code == 0, err
    found = json.loads(out)
    assert found["num_classes"] == 10 and found["generator.parameters"] < 50_000  # narrower than the default


@pytest.mark.parametrize("group", ["generator", "discriminator"])
@pytest.mark.slow
def test_every_network_can_be_counted(group):
    for name in groups()[group]:
        if name == "from_gpt":
            continue  # it has the shape of a run: test_from_gpt.py
        size = 256 if "256" in name else 128 if "128" in name else 64 if "64" in name or name == "hybrid" else 32
        config = compose("summary", [f"{group}={name}", f"resolution={size}", "channels=3", "num_classes=10"])
        config = checkpoint.without_weights(OmegaConf.to_container(config, resolve=True))
        found = measure(config["algorithm"][group], config)
        assert found["macs"] > 0 and found["parameters"] > 0, name


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("name", [name for name in groups()["algorithm"] if name != "student"])
def test_the_networks_of_every_algorithm_can_be_counted(name, classes):
    """A student's are those of a run: below."""
    config = compose("summary", [f"algorithm={name}", "resolution=8", "channels=1", f"num_classes={classes}"])
    config = checkpoint.without_weights(OmegaConf.to_container(config, resolve=True))
    for network in networks_of(config["algorithm"]):
        found = measure(config["algorithm"][network], config)
        assert found["macs"] > 0 and found["parameters"] > 0, network


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(3))
        self.layers = nn.ModuleList([nn.Linear(6, 3), nn.Linear(3, 1)])

    def forward(self, images, labels=None):
        return self.layers[1](self.layers[0](images.flatten(1)) + self.shift)


def test_closed_form():
    module = f"{Tiny.__module__}.Tiny"
    import sys

    sys.modules.setdefault(Tiny.__module__, sys.modules[__name__])
    with trust.also(module):
        found = measure({"_target_": module}, {"channels": 6, "resolution": 1, "num_classes": 0})
    assert found == {"parameters": 28, "macs": 21, "parts": [
        {"name": "layers.0", "parameters": 21, "macs": 18}, {"name": "layers.1", "parameters": 4, "macs": 3},
        {"name": "itself", "parameters": 3, "macs": 0},
    ]}  # fmt: skip


def test_mistakes(refused):
    assert "did you mean generator.depth?" in refused("summary", "generator.dept=[1]")
    assert "there is no run folder or checkpoint at runs/none" in refused("summary", "runs/none")
    assert "cannot follow 1024" in refused("summary", "experiment=transgan_cifar10", "generator.dim=[1024,512,64]")


def test_what_begins_with_another_run_has_the_shape_that_train_would_give_it(inside, tmp_path):
    """That of what is trained first, through every run in between; with its own findings."""

    def counted(*words):
        code, out, err = inside("summary", "json=true", *words)
        assert code == 0, out + err
        return json.loads(out)["generator.parameters"]

    assert counted("experiment=digits_post_trained") == counted("experiment=digits_student") == 100_605
    assert counted("experiment=fashion_mnist_student", "num_classes=10") > 100_605
    code, _, err = inside("summary", "experiment=digits_student", "generator.dim=32")
    assert code == 2 and "generator.dim=32: the flow of checkpoint=runs/digits_flow has dim 48; leave it out" in err
    assert not (tmp_path / "runs").exists()


def test_a_run_to_begin_with_knows_its_classes(inside, tmp_path):
    """Where the images are not on this machine."""
    words = ["experiment=digits_flow", "algorithm.network.dim=16", "algorithm.network.depth=1", "threads=1"]
    run = ["trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.032", "grid=4", "name=flow"]
    assert inside("train", *words, *run)[0] == 0
    code, out, err = inside(
        "summary", "experiment=folder", "resolution=8", "channels=1", "generator=from_flow", "checkpoint=runs/flow"
    )
    assert code == 0 and "and 10 classes" in out and "not on this machine" not in out, out + err
