"""Objects described as the configuration that builds them again."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from transgan import instantiation
from transgan.describing import Described, Indescribable, describe
from transgan.layers.block import Transformer
from transgan.layers.patch import Bicubic, PixelShuffle
from transgan.layers.spectral import ImprovedSpectralNorm
from transgan.models import ImageGPT, Pixels, StyleTransformer, ViTDiscriminator
from transgan.models.transgan import Generator
from transgan.schedules import Cosine

MADE = {
    "a schedule": lambda: Cosine(start=1.0, end=0.5, kimg=3.0),
    "a GPT": lambda: ImageGPT(8, 1, 3, partial(Pixels, levels=17), 8, 1, 2, 4.0),
    "a discriminator": lambda: ViTDiscriminator(
        8, 1, 0, 2, 8, [8], [1], [2], None, 4.0, 0.1, transformer=partial(Transformer, qk_norm=False),
        weight_norm=ImprovedSpectralNorm(),
    ),
    "modules as arguments": lambda: Generator(
        8, 1, 0, 4, [8, 8, 2], [0, 1, 1], [2, 2, 2], [None, None, 4], [Bicubic(), PixelShuffle(smooth=True)],
        nn.LayerNorm, True, True, False, 2.0, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_what_is_described_is_built_again(name):
    made = MADE[name]()
    again = instantiation.build(describe(made))
    assert type(again) is type(made) and describe(again) == describe(made)
    if isinstance(made, nn.Module):
        again.load_state_dict(made.state_dict())
        assert repr(again) == repr(made)


def test_modules_without_arguments_are_described_after_torch_compile_too():
    torch.compile(nn.Linear(2, 2), backend="eager")(torch.zeros(1, 2))  # replaces the constructor of nn.Module
    assert describe(Bicubic()) == {"_target_": "transgan.layers.patch.Bicubic"}


def test_defaults_and_positional_arguments_are_recorded():
    made = StyleTransformer(8, 1, 10, 2, [8], [1], [2], None, 4.0, 8, 8, mapping_depth=1)
    assert made.init_arguments["latent_dim"] == 8 and made.init_arguments["mapping_depth"] == 1
    assert made.init_arguments["embed_style"] is True
    assert made.init_arguments["transformer"] == {"_target_": "transgan.layers.block.Transformer", "_partial_": True}
    assert deepcopy(made).init_arguments == made.init_arguments


class Keeps:
    def __init__(self, x):
        self.x = x


class Loses:
    def __init__(self, x):
        self.y = x


class Net(Described, nn.Module):
    def __init__(self, make):
        super().__init__()
        self.layer = make()


@pytest.mark.parametrize(
    "value, match",
    [
        (Loses(1), "Loses does not keep x"),
        (Keeps(torch.relu), "takes any number|has no signature|cannot be imported|no constructor"),
        (lambda x: x, "cannot be imported|signature|constructor"),
        (Net(lambda: nn.Linear(1, 1)), "Net was built with something that cannot be described"),
        (partial(torch.relu), "is not a class"),
        (torch.ones(2), "Tensor has no constructor that could be called again"),
    ],
)
def test_what_cannot_be_described_is_refused(value, match):
    with pytest.raises(Indescribable, match=match):
        describe(value)


def test_a_class_of_a_function_is_refused():
    class Local:
        pass

    with pytest.raises(Indescribable, match="cannot be imported by another program"):
        describe(Local())


def test_wrong_arguments_are_the_constructors_to_refuse():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'make'"):
        Net()
