"""A recipe says how to train, an experiment on what; and the networks of a recipe fit any resolution."""

import pytest
import torch

from transgan import checkpoint
from transgan.config.compose import compose, patch_of
from transgan.instantiation import container

RECIPES = ["minutes", "hour", "day", "gpu"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_chosen_recipe_takes_the_place_of_an_experiments_networks_and_settings(recipe):
    config = compose("train", ["experiment=cifar10", f"recipe={recipe}"])
    alone = compose("train", [f"recipe={recipe}", "data=cifar10", "resolution=32", "channels=3", "mirror=true"])
    for key in (
        "generator",
        "discriminator",
        "algorithm",
        "batch_size",
        "kimg",
        "precision",
        "matching",
        "evaluate_every",
    ):
        assert config[key] == alone[key], key
    assert (config.name, config.mirror, config.resolution, config.channels) == ("cifar10", True, 32, 3)
    assert config.extractor._target_.endswith("Inception")


def test_an_experiment_may_choose_a_recipe_and_a_command_line_another():
    config = compose("train", ["experiment=fashion_mnist"])
    assert (config.resolution, config.batch_size) == (16, compose("train", ["recipe=minutes"]).batch_size)
    assert compose("train", ["experiment=fashion_mnist", "recipe=none"]).matching is None


def test_keys_and_parts_of_the_command_line_win_over_a_recipe():
    config = compose("train", ["recipe=minutes", "generator=dcgan", "kimg=3", "algorithm.gamma=2", "matching=none"])
    assert config.generator._target_.endswith("DCGANGenerator")
    assert (config.kimg, config.algorithm.gamma, config.matching) == (3, 2, None)


@pytest.mark.parametrize("experiment", ["digits_gpt", "transgan_cifar10"])
def test_without_a_recipe_an_experiment_is_what_it_was(experiment):
    config = compose("train", [f"experiment={experiment}", "recipe=none"])
    assert config == compose("train", [f"experiment={experiment}"])


def test_a_recipe_after_an_experiment_of_another_algorithm_is_a_gan():
    config = compose("train", ["experiment=digits_gpt", "recipe=minutes"])
    assert config.algorithm._target_.endswith("Adversarial") and "tokens" not in config


@pytest.mark.parametrize("side, patch", [(7, 1), (8, 2), (16, 4), (28, 4), (32, 8), (48, 8), (64, 16), (100, 4)])
def test_patches_leave_four_tokens_a_side(side, patch):
    assert patch_of(side) == patch


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("resolution", [8, 16, 32, 48, 64])
def test_networks_of_a_recipe_fit_the_resolution(recipe, resolution):
    config = compose("train", [f"recipe={recipe}", "channels=3", f"resolution={resolution}"])
    config.num_classes = 2
    with torch.device("meta"):  # its shapes alone
        module = checkpoint.build(container(config))
        labels = torch.arange(2)
        images = module.generator(torch.randn(2, module.latent_dim), labels)
        assert images.shape == (2, 3, resolution, resolution)
        assert module.discriminator(images, labels).shape == (2,)


@pytest.mark.parametrize("network, choice", [
    ("generator", "style_transformer_small"), ("discriminator", "vit_small"), ("generator", "dcgan"),
])  # fmt: skip
@pytest.mark.parametrize("sized", ["experiment=cifar10_tiny", "recipe=minutes", "experiment=cifar10_minutes"])
def test_a_chosen_network_is_of_the_size_in_its_own_file(network, choice, sized):
    config = compose("train", [sized, f"{network}={choice}", "resolution=32", "channels=3"])
    alone = compose("train", [f"{network}={choice}", "resolution=32", "channels=3"])
    assert container(config)[network] == container(alone)[network]


def test_to_choose_what_an_experiment_has_changes_nothing():
    given = compose("train", ["experiment=cifar10_tiny", "generator=style_transformer", "discriminator=vit"])
    assert given == compose("train", ["experiment=cifar10_tiny"])


def test_another_algorithm_takes_an_experiments_rates_and_not_its_kind_of_step():
    config = compose("train", ["experiment=digits", "algorithm=transgan_official"])
    assert not config.algorithm.share_fakes and compose("train", []).algorithm.share_fakes is True
    assert config.algorithm.generator_lr.start == compose("train", []).algorithm.generator_lr.start


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("kimg", [150, 20_000])
def test_a_recipe_follows_the_length_of_the_run_and_the_number_of_images(recipe, kimg):
    config = compose("train", [f"recipe={recipe}", f"kimg={kimg}", "resolution=16", "data=digits"])
    algorithm = checkpoint.build(container(config))
    largest = max(range(0, 1000 * kimg, 10 * kimg), key=lambda i: algorithm.schedules["generator_lr"](i))
    assert largest < 100 * kimg  # the rate rises for less than a tenth of the run
    assert algorithm.schedules["gamma"](500 * kimg) < algorithm.schedules["gamma"](0)
    assert algorithm.adaptive is not None and algorithm.schedules["augment"](0) > 0
    assert config.threads is None or recipe in ("minutes", "hour")
