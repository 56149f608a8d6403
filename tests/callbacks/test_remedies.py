"""What is said to change exists in the run it is said of."""

import re
from types import SimpleNamespace

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from transgan.callbacks.diagnosis import diagnosis
from transgan.callbacks.remedies import NETWORKS, Remedies, either
from transgan.config.compose import compose
from transgan.penalties import R1R2, NoPenalty
from transgan.schedules import Cosine, schedule

COSINE = Cosine(start=1e-3, end=1e-4, kimg=10)
KEY = re.compile(r"algorithm(?:\.\w+)+")
ALGORITHMS = [
    ["experiment=digits"], ["experiment=digits", "algorithm=transgan_official", "algorithm.generator_batch_size=null"], ["experiment=digits_vae"],
    ["experiment=digits_gpt"], ["experiment=digits_flow"], ["experiment=digits_drifting"], ["experiment=digits_rnn"],
    ["algorithm.generator_lr=1e-3", "algorithm.gamma=2", "penalty=none", "augmentation=none"], ["recipe=gpu"],
]  # fmt: skip


def gan(**changes):
    schedules = {"generator_lr": COSINE, "discriminator_lr": schedule(1e-3), "gamma": COSINE, "augment": schedule(0.6)}
    usual = dict(networks=("generator", "discriminator"), schedules=schedules, clip=None, penalty=R1R2(), images_seen=0,
                 augmentation=SimpleNamespace(num_random=3))  # fmt: skip
    return SimpleNamespace(**usual | changes)


def network(**changes):
    return SimpleNamespace(**dict(networks=("network",), schedules={"lr": COSINE}, clip=1.0, images_seen=0) | changes)


def every(remedies):
    return [
        *(remedies.rate(change, *names) for change in ("raise", "lower") for names in (NETWORKS, *zip(NETWORKS))),
        remedies.more_penalty(), remedies.smaller_discriminator(), remedies.smaller_gradients(), remedies.more_images(),
    ]  # fmt: skip


@pytest.mark.parametrize("words", ALGORITHMS, ids=" ".join)
def test_every_key_that_is_said_is_one_of_the_run(words):
    config = compose("train", [*words, "data=digits"])
    config.num_classes, config.batch_size = 10, 8
    config.algorithm = OmegaConf.merge(config.algorithm, {"features": None} if "features" in config.algorithm else {})
    remedies = Remedies.of(instantiate(config.algorithm))
    named = {key for each in every(remedies) for key in KEY.findall(each)}
    assert named and remedies.rate("lower", *NETWORKS) and all(OmegaConf.select(config, key) is not None or
               key == "algorithm.clip" for key in named), named  # fmt: skip


def test_a_gan_has_two_rates_and_others_one():
    both = Remedies.of(gan())
    assert both.rate("lower", *NETWORKS) == (
        "lower algorithm.generator_lr.start and algorithm.generator_lr.end and algorithm.discriminator_lr"
    )
    assert both.rate("raise", "discriminator") == "raise algorithm.discriminator_lr"
    assert Remedies.of(network()).rate("lower", "generator") == "lower algorithm.lr.start and algorithm.lr.end"
    assert Remedies.of(SimpleNamespace()).rate("lower", "generator") == ""


def test_gamma_weighs_where_there_is_a_penalty():
    assert Remedies.of(gan()).more_penalty() == "raise algorithm.gamma.start and algorithm.gamma.end"
    assert Remedies.of(gan(penalty=NoPenalty())).more_penalty() == "give penalty=r1_r2_part"
    assert Remedies.of(network()).more_penalty() == Remedies.of(network()).smaller_discriminator() == ""


def test_what_is_set_already_is_not_said():
    assert Remedies.of(network(clip=1.0)).smaller_gradients() == "lower algorithm.clip, which is 1"
    assert Remedies.of(network(clip=10.0)).smaller_gradients() == "set algorithm.clip=1"
    assert Remedies.of(gan()).more_images().endswith("set algorithm.augment=1, which is 0.6")
    assert Remedies.of(gan(schedules={"augment": schedule(1.0)})).more_images() == "use more images"
    assert "augmentation=diffaugment" in Remedies.of(gan(augmentation=SimpleNamespace(num_random=0))).more_images()
    assert Remedies.of(network()).more_images() == "use more images"


def test_options_that_are_not_there_leave_no_trace():
    assert either("", "b", "", "c") == "b, or c" and either("", then="kept") == "kept" and either("") == ""
    assert either("a", then="kept") == "a; kept"


def test_one_network_has_neither_a_discriminator_nor_the_keys_of_two():
    remedies = Remedies.of(network())
    still = [{"kimg": 1.0, "grid_change": 0.5}, {"kimg": 2.0, "grid_change": 0.0}]
    assert diagnosis(still, remedies).word == "flat" and diagnosis(still).word == "discriminator wins"
    peak = [{"kimg": 1.0, "grad_norm_n": 2.0}, {"kimg": 2.0, "grad_norm_n": 2.0, "grad_norm_n_peak": 900.0}]
    found = diagnosis(peak, remedies)
    assert found.word == "diverging" and "of the network" in found.reason and "algorithm.lr.start" in found.remedy
    bits = [{"kimg": float(i), "bits": value} for i, value in enumerate([3.0, 2.5, 2.7, 2.8])]
    assert "best.ckpt" not in str(diagnosis(bits, remedies)) and "algorithm" not in diagnosis(bits, remedies).remedy
