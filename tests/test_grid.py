"""Every generator with every discriminator, and either with every part that may stand beside it, by the names they have
on the command line: what goes together takes a step, and what does not is refused in one sentence.

The steps are taken on the meta device, where only shapes are computed, so that the networks have their full size.
"""

from contextlib import nullcontext
from itertools import product

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from transgan.config.compose import compose
from transgan.config.search import groups
from transgan.errors import UserError, setting_up
from transgan.training.objectives import (
    DiscriminatorInputs,
    GeneratorInputs,
    discriminator_objective,
    generator_objective,
)

GROUPS = groups()
BACKBONE = ["discriminator.pretrained=false", "discriminator.model_name=test_vit", "discriminator.out_indices=[0,2]"]
RESOLUTIONS = (8, 16, 32, 48, 64, 128, 256)
N = 4
PARTS = ("loss", "penalty", "consistency", "augmentation", "adaptive", "supervision")
DEFAULT = dict(
    generator="style_transformer", discriminator="vit", loss="hinge", penalty="r1", consistency="none",
    augmentation="shift", adaptive="none", supervision="none", optimizer="adam", algorithm="gan",
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_autocast_on_meta(monkeypatch):
    """The meta device knows no autocast, not even switched off."""
    whole = torch.autocast
    monkeypatch.setattr(
        torch, "autocast", lambda kind, **more: nullcontext() if kind == "meta" else whole(kind, **more)
    )


def config_of(*words, resolution=8, channels=3):
    more = BACKBONE if "discriminator=backbone" in words else []
    # the digits experiment chooses parts of its own for some groups; what is named here wins
    config = compose("train", [*words, *more, f"resolution={resolution}", f"channels={channels}", f"batch_size={N}"])
    config.num_classes = 3
    return config


def refusal(make_it):
    """The one sentence in which it is refused, or None. Any other error is an error of ours."""
    try:
        with setting_up():
            make_it()
    except UserError as error:
        assert len(error.findings) == 1, error.findings
        sentence = error.findings[0]
        assert "\n" not in sentence and 20 < len(sentence) < 500 and "Error" not in sentence, sentence
        return sentence
    return None


@pytest.fixture(scope="module")
def made():
    """made(group, name, ...): the part a choice on the command line stands for, on the meta device, built once."""
    known = {}

    def build(group, name, *words, resolution=8, channels=3):
        key = (group, name, words, resolution, channels)
        if key not in known:
            config = config_of(f"{group}={name}", *words, resolution=resolution, channels=channels)
            with torch.device("meta"):
                if group != "algorithm":
                    known[key] = instantiate(config[group], _convert_="all")
                else:  # its numbers and schedules, and no other parts
                    rest = {k: v for k, v in config.algorithm.items() if k == "_target_" or k not in GROUPS}
                    known[key] = {k: instantiate(v) if OmegaConf.is_dict(v) else v for k, v in rest.items()}
        return known[key]

    return build


@pytest.fixture(scope="module")
def step(made):
    """step(group=choice, ...): one step of both players; ValueError if the choices do not go together."""

    def run(resolution=8, channels=3, **choice):
        size = dict(resolution=resolution, channels=channels)
        supervised = [f"supervision={choice['supervision']}"] if "supervision" in choice else []
        chosen = DEFAULT | choice
        more = {group: supervised for group in ("generator", "discriminator")}
        for group in more.keys() - choice.keys():
            more[group] = [*supervised, f"{group}.depth=[{2 if supervised else 1}]"]  # only another part is asked about
        parts = {group: made(group, name, *more.get(group, []), **size) for group, name in chosen.items()}
        algorithm = dict(parts.pop("algorithm"))
        with torch.device("meta"):
            module = get_class(algorithm.pop("_target_"))(**algorithm | parts | {"num_classes": 3})
            assert_step(module, (channels, resolution, resolution))

    return run


def assert_step(module, size):
    module.zero_grad()
    real, labels = torch.empty(N, *size), torch.zeros(N, dtype=torch.int64)
    supervision, rng, strength = module.supervision, Numbers(N), torch.tensor(0.5)
    latent, noise = torch.empty(N, module.latent_dim), supervision.sample_noise(rng, size)
    with torch.no_grad():
        fake = supervision.fake_input(supervision.generate(module.generator, latent, labels), noise)
    seen = supervision.real_input(real, noise)
    assert fake.shape == seen.shape
    penalty = module.penalty.at_step(0)
    count = 2 if module.consistency is None else 2 + module.consistency.num_augmentations
    random = module.augmentation_random(rng, count)
    inputs = DiscriminatorInputs(
        real=seen, fake=fake, labels=supervision.repeat(labels), random=supervision.repeat(random, 1),
        noise=supervision.repeat(penalty.sample_noise(rng, seen.shape[1:])), strength=strength, gamma=torch.tensor(1.0),
    )  # fmt: skip
    value, _, logits = discriminator_objective(
        module.discriminator, module.loss, penalty, module.consistency, module.augmentation, inputs
    )
    assert value.shape == () and all(each.shape == (len(seen),) for each in logits)
    value.backward()
    inputs = GeneratorInputs(real=real, latent=latent, labels=labels, random=random[:2], noise=noise, strength=strength)
    value = generator_objective(
        module.generator, module.discriminator, module.loss, supervision, module.augmentation, inputs
    )
    value.backward()
    for network in (module.generator, module.discriminator):
        missing = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
        assert not missing, missing


class Numbers:
    """training.randomness.StepRNG without numbers."""

    def __init__(self, batch):
        self.batch = batch

    def uniform(self, *shape):
        return torch.empty(self.batch, *shape)

    normal = uniform


@pytest.fixture(scope="module")
def fits(made):
    """fits(group, name): the resolutions at which a network can be built; at the others it is refused."""
    known = {}

    def ask(group, name):
        if (group, name) not in known:
            known[group, name] = [
                size for size in RESOLUTIONS if refusal(lambda size=size: made(group, name, resolution=size)) is None
            ]
        return known[group, name]

    return ask


@pytest.mark.parametrize("group, name", [(g, n) for g in ("generator", "discriminator") for n in GROUPS[g]])
def test_a_network_is_built_or_refused_at_any_size(fits, group, name):
    assert fits(group, name)


@pytest.mark.slow
@pytest.mark.parametrize("generator", GROUPS["generator"])
def test_generators_and_discriminators(fits, step, generator):
    for discriminator in GROUPS["discriminator"]:
        sizes = [s for s in fits("generator", generator) if s in fits("discriminator", discriminator)]
        assert sizes, f"{generator} and {discriminator} have no resolution in common"
        step(generator=generator, discriminator=discriminator, penalty="none", resolution=sizes[0])


def noisy(discriminator):
    return discriminator in ("transgan_cifar10", "transgan_stl10")


@pytest.mark.slow
@pytest.mark.parametrize("discriminator", GROUPS["discriminator"])
def test_discriminators_and_what_they_are_asked(fits, step, discriminator):
    size = fits("discriminator", discriminator)[0]
    for group in ("penalty", "consistency", "supervision"):
        for name in GROUPS[group]:
            choice = {"penalty": "none", group: name}
            said = refusal(lambda choice=choice: step(discriminator=discriminator, resolution=size, **choice))
            if noisy(discriminator) and name in ("fd", "fd_central"):
                assert "discriminator.noise=false" in said
            elif (discriminator, name) == ("backbone", "noise_guidance"):
                assert "use another discriminator" in said
            else:
                assert said is None, (choice, said)


@pytest.mark.parametrize("generator", GROUPS["generator"])
def test_generators_and_supervision(fits, step, generator):
    size = fits("generator", generator)[0]
    for supervision in GROUPS["supervision"]:
        choice = dict(generator=generator, supervision=supervision, discriminator="resnet", penalty="none")
        said = refusal(lambda choice=choice: step(resolution=max(size, 8), **choice))
        if generator == "hybrid" and supervision != "none":  # of one block, and so of one image
            assert "generator.depth=[1] has 1" in said
        elif supervision == "none" or generator.startswith(("style_transformer", "vitgan", "hybrid_", "from_gpt")):
            assert said is None, (choice, said)
        else:
            assert "generator=style_transformer" in said


def sensible(choice) -> bool:
    if choice["adaptive"] == "real_signs" and choice["loss"] not in ("non_saturating", "hinge"):
        return False
    return choice["augmentation"] != "none" or choice["adaptive"] == choice["consistency"] == "none"


@pytest.mark.slow
@pytest.mark.parametrize("one, other", [(a, b) for i, a in enumerate(PARTS) for b in PARTS[i + 1 :]])
def test_parts_beside_the_networks(step, one, other):
    for first, second in product(GROUPS[one], GROUPS[other]):
        choice = {one: first, other: second}
        said = refusal(lambda choice=choice: step(channels=1, **choice))
        assert (said is None) == sensible(DEFAULT | choice), (choice, said)


@pytest.mark.parametrize("loss", GROUPS["loss"])
def test_algorithms_and_losses(step, loss):
    said = refusal(lambda: step(algorithm="transgan_official", loss=loss))
    if loss.startswith("relativistic"):
        assert "a relativistic loss pairs every fake with a real image" in said
    else:
        assert said is None
