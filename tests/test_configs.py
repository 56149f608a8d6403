"""Every choice in conf/: its keys are the constructor's, and it builds, runs and trains."""

import inspect
import logging
import re
import warnings

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from PIL import Image
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.augmentation import NoAugmentation
from transgan.commands import train
from transgan.comparison.suite import Suite
from transgan.config.compose import compose
from transgan.config.search import CONF, groups
from transgan.losses import Relativistic
from transgan.penalties import R1R2
from transgan.training.objectives import DiscriminatorInputs, discriminator_objective

GLOBAL = {"experiment", "recipe"}  # whose files hold keys of other groups
CHOICES = [(group, name) for group, names in sorted(groups().items()) if group not in GLOBAL for name in names]
FROM_PYTHON = {
    "pretrained",
    "schedules",
    "extractor",
    "reset_real_features",
    "degree",
    "gamma",
    "coef",
    "seed",
    "quantile",
    "pairs",
}  # need no key
NEEDED = {
    "data=folder": ["data.path=/x"], "data=zip": ["data.path=/x"], "extractor=timm": ["extractor.model_name=x"],
    "extractor=mobilenet_v2": ["extractor.weights=/x"], "extractor=resnet56_cifar10": ["extractor.weights=/x"],
    "extractor=module": ["extractor.module={_target_: torch.nn.Flatten}", "extractor.name=x"],
    "tokens=pixels": ["algorithm=image_gpt"], "tokens=patches": ["algorithm=image_gpt"],
    "tokens=palette": ["algorithm=image_gpt"],
    "autoencoder=convolutional": ["algorithm=vae"], "autoencoder=vit": ["algorithm=vae"],
    "discriminator=backbone": [
        "discriminator.pretrained=false", "discriminator.model_name=test_vit", "discriminator.out_indices=[0,2]",
    ],
}  # fmt: skip
each_choice = pytest.mark.parametrize("group, name", CHOICES, ids=[f"{group}/{name}" for group, name in CHOICES])


def composed(*arguments):
    """The train configuration with the command's keys filled in."""
    needed = [word for choice, words in NEEDED.items() if choice in arguments for word in words]
    return compose("compare" if arguments[0].startswith("suite=") else "train", [*arguments, *needed])


def nodes(config):
    if OmegaConf.is_dict(config):
        if "_target_" in config:
            yield config
        for key in config:
            yield from nodes(config._get_node(key))


@each_choice
def test_keys_are_the_constructors(group, name):
    config = composed(f"{group}={name}")[group]
    for node in nodes(config):
        if node._target_.startswith("transgan.") and not node.get("_partial_"):
            parameters = inspect.signature(get_class(node._target_)).parameters.values()
            named = {each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
            keys = set(node) - {"_target_", "_partial_"}
            assert keys <= named and named - keys <= FROM_PYTHON
        else:
            accepted = inspect.signature(get_class(node._target_)).parameters.values()
            if not any(argument.kind is argument.VAR_KEYWORD for argument in accepted):
                assert set(node) - {"_target_", "_partial_"} <= {argument.name for argument in accepted}


@pytest.mark.parametrize("name", [name for group, name in CHOICES if group == "suite"])
@pytest.mark.slow
def test_every_run_of_a_suite_can_be_composed(name, tmp_path):
    suite = Suite(OmegaConf.to_container(compose("compare", [f"suite={name}"]).suite), tmp_path)
    suite.speed = lambda system: 1000.0
    jobs = [job for budget in suite.budgets for first in (*suite.rounds(), None) for job in suite.jobs(budget, first)]
    assert len({job.name for job in jobs}) == len(jobs) > 0
    for job in jobs:
        data = [] if name == "digits" else ["data.path=/x"]
        assert compose("train", [*job.arguments, *data]).kimg == job.kimg


@each_choice
def test_the_first_line_says_what_it_is(group, name):
    assert (CONF / group / f"{name}.yaml").read_text().startswith("# ")


# TransGAN's networks are huge: fewer pixels, with the same windows, and these parts of their widths, for one head.
PIXELS = {"transgan_cifar10": 16, "transgan_stl10": 24} | {
    f"transgan_{name}": 64 for name in ("church256", "celebahq256", "celeba64", "celeba128")
}
PART = {"generator": 8, "discriminator": 12}


def resolution(name):
    return PIXELS.get(name, 64 if name.endswith("_64") else 32 if name.endswith("_small") else 8)


def network(group, name, channels, classes):
    """The network at the size it is meant for; a large one with its widths but one block per stage."""
    config = composed(f"{group}={name}", f"resolution={resolution(name)}", f"channels={channels}")
    config.num_classes = classes
    if name in PIXELS:
        config[group].dim = [width // PART[group] for width in config[group].dim]
        config[group].num_heads = config[group].depth = [1] * len(config[group].dim)
    with torch.device("meta"):
        size = sum(p.numel() for p in instantiate(config[group], _convert_="all").parameters())
    if size > 3e6 and "depth" in config[group]:
        config[group].depth = [1] * len(config[group].dim)
    return instantiate(config[group], _convert_="all")


def cases(group):
    every = [(channels, classes) for channels in (1, 3) for classes in (0, 3)]
    return [
        (name, channels, classes)
        for name in groups()[group]
        for channels, classes in (every if resolution(name) == 8 else [(3, 3)])
    ]


def assert_gradients(module):
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
        assert parameter.grad.any() or "k_norm" in name or "q_norm" in name, f"the gradient of {name} is zero"


@pytest.mark.parametrize("name, channels, classes", cases("generator"))
def test_generator(name, channels, classes):
    module = network("generator", name, channels, classes)
    latent = torch.randn(2, module.latent_dim, requires_grad=True)
    labels = torch.tensor([0, 2]) if classes else None
    images = module(latent, labels)
    assert images.shape == (2, channels, resolution(name), resolution(name)) and images.isfinite().all()
    images.square().mean().backward()
    assert_gradients(module)
    module.zero_grad()
    with sdpa_kernel(SDPBackend.MATH):
        (slope,) = torch.autograd.grad(module(latent, labels).square().mean(), latent, create_graph=True)
        (1e3 * slope.square().sum()).backward()
    assert_gradients(module)


@pytest.mark.parametrize("name, channels, classes", cases("discriminator"))
def test_discriminator(name, channels, classes):
    module = network("discriminator", name, channels, classes)
    real, fake = torch.randn(2, 2, channels, resolution(name), resolution(name))
    labels = torch.tensor([0, 2]) if classes else None
    logits = module(real, labels)
    assert logits.shape == (2,) and logits.dtype == torch.float32
    logits.square().sum().backward()
    assert_gradients(module)
    norms = []
    for gamma in (0.0, 10.0):
        module.zero_grad()
        inputs = DiscriminatorInputs(
            real=real, fake=fake, labels=labels, random=torch.empty(2, 2, 0), noise=torch.empty(2, 0),
            strength=torch.tensor(1.0), gamma=torch.tensor(gamma),
        )  # fmt: skip
        value, log, _ = discriminator_objective(module, Relativistic(), R1R2(), None, NoAugmentation(), inputs)
        value.backward()
        assert log["r1"] > 0 and log["r2"] > 0
        learned = [p for p in module.parameters() if p.requires_grad]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in learned)
        norms.append(nn.utils.get_total_norm([p.grad for p in learned]))
    assert norms[0] > 0 and norms[1] > 0 and norms[0] != norms[1]


def test_sizes_are_the_ones_in_the_comments():
    """`about N million parameters` in the first line of a choice."""
    found = 0
    for group in ("generator", "discriminator"):
        for name in groups()[group]:
            said = re.search(r"about (\d+) million parameters", (CONF / group / f"{name}.yaml").read_text())
            if said:
                config = composed(f"{group}={name}", f"resolution={resolution(name)}", "channels=3")
                config.num_classes = 10
                with torch.device("meta"):
                    size = sum(p.numel() for p in instantiate(config[group], _convert_="all").parameters())
                assert size / 1e6 == pytest.approx(int(said[1]), rel=0.1), name
                found += 1
    assert found


def pictures(folder):
    for k in range(2):
        (folder / f"class{k}").mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (64, 64), (40 * i, 90 * k, 100)).save(folder / f"class{k}" / f"{i}.png")
    return folder


DIGITS = [name for name in groups()["experiment"] if name.startswith("digits")]  # these need no data


def small(experiment):
    """As many stages as the experiment's own, but narrow ones."""
    config = compose("train", [f"experiment={experiment}", *([] if experiment in DIGITS else ["data.path=/x"])])
    if "autoencoder" in config:
        dim = [16] if experiment == "digits_vit_vae" else ["[4,8]", "[8,4]"]
        return [f"autoencoder.{part}.dim={dim[i % len(dim)]}" for i, part in enumerate(("encoder", "decoder"))]
    if "network" in config.algorithm:
        own = {"dim": 8, "num_heads": 2, "depth": 1}
        return [f"algorithm.network.{key}={own[key]}" for key in own if key in config.algorithm.network]
    words = []
    for group in ("generator", "discriminator"):
        if group not in config or group in (config.get("warm_start") or {}) and config.warm_start[group] is not None:
            continue  # an algorithm without one, or a network whose shape another run says
        dim = [width // PART[group] if "transgan" in experiment else 8 for width in config[group].dim]
        words += [f"{group}.dim={dim}", *(f"{group}.{key}={[1] * len(dim)}" for key in ("depth", "num_heads"))]
    if "transgan" in experiment:
        name = experiment.removesuffix("_official")
        words += [f"resolution={PIXELS[name]}", "algorithm.n_critic=1", "algorithm.generator_batch_size=8"]
    return [word.replace(" ", "") for word in words]


def batch_of(experiment):
    return 40 if "drifting" in experiment else 4  # it needs several images of a class


def trained(experiment, data, folder):
    """The run of an experiment, small, with those before it that it begins with."""
    config = compose("train", [f"experiment={experiment}", *(data or [])])
    first = [word.removeprefix("experiment=") for word in config.pretraining]
    start = [f"checkpoint={trained(first[0], data, folder)}"] if first else []
    batch = batch_of(experiment)
    kimg = 2 * batch / 1000
    arguments = [
        f"experiment={experiment}", *data, *small(experiment), *start, f"runs={folder}", f"name={experiment}-run",
        "metrics=none", "logger=none", "trainer=cpu", "precision=32-true", f"batch_size={batch}", "grid=4",
        f"kimg={kimg}", f"log_every={kimg}", f"evaluate_every={kimg}",
    ]  # fmt: skip
    assert train.main(compose("train", arguments), arguments) == 0
    return folder / f"{experiment}-run"


@pytest.mark.parametrize("experiment", groups()["experiment"])
def test_every_experiment_trains(experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    data = [] if experiment in DIGITS else ["data=folder", f"data.path={pictures(tmp_path / 'pictures')}"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = trained(experiment, data, tmp_path)
    finally:
        logging.captureWarnings(False)
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["images_seen"] == 2 * batch_of(experiment) and saved["global_step"] == 2
    assert all(value.isfinite().all() for value in saved["state_dict"].values())
    assert (run / "stats.csv").read_text().count("\n") == 2
    assert saved["nonfinite"] and not any(saved["nonfinite"].values())
