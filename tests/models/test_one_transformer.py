"""One Transformer, several ends: attention and feed-forward weights fit from one network into another."""

from functools import partial

import pytest
import torch

from transgan.layers.block import Transformer
from transgan.models.image_gpt import ImageGPT
from transgan.models.tokens import Patches, Pixels


def shared(stack) -> dict:
    return {n: tuple(p.shape) for n, p in stack.named_parameters() if ".attn." in n or ".mlp." in n}


def test_both_networks_are_stacks_of_the_same_block(generator, discriminator):
    same = dict(dim=[16, 16], depth=[2, 2], num_heads=[2, 2])
    ours, theirs = generator(**same), discriminator(**same)
    for a, b in zip(ours.stages, theirs.stages, strict=True):
        assert type(a) is type(b) is Transformer
        assert len(shared(a)) == 2 * 10 and shared(a) == shared(b)  # qkv, q and k norm, proj, fc1, fc2


def test_weights_of_a_causal_stack_fit_the_generator(generator):
    stack = Transformer(16, 1, 2, (1, 9), mlp_ratio=2.0, causal=True)
    target = generator().stages[0]
    assert shared(stack) == shared(target)
    weights = {name: value for name, value in stack.state_dict().items() if name in shared(stack)}
    assert not target.load_state_dict(weights, strict=False).unexpected_keys
    torch.testing.assert_close(target.blocks[0].attn.qkv.weight, stack.blocks[0].attn.qkv.weight)


@pytest.mark.parametrize("tokens", [partial(Pixels, levels=17), partial(Patches, patch_size=2, components=3)])
def test_image_gpt_the_generator_and_the_discriminator_are_one_stack(generator, discriminator, tokens):
    """The complete networks' names; and weights that went through the generator predict as before, bit for bit."""
    same = dict(dim=[16], depth=[2], num_heads=[2])
    networks = [
        ImageGPT(8, 1, 3, tokens, dim=16, depth=2, num_heads=2, mlp_ratio=2.0), generator(**same), discriminator(**same)
    ]  # fmt: skip
    gpt, target, _ = networks
    assert len(shared(gpt)) == 2 * 10 and shared(gpt) == shared(networks[1]) == shared(networks[2])
    images, labels = torch.randint(17, (4, 1, 8, 8)) / 8 - 1, torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        for parameter in gpt.parameters():  # a new one predicts the same whatever it sees
            parameter += 0.1 * torch.randn_like(parameter)
        own = gpt.tokens.tokens(images)
        features, nats = gpt.features(own, labels), gpt(images, labels)
        logits = gpt.tokens.head(features)
        for source, sink in ((gpt, target), (target, gpt)):
            weights = {name: value.clone() for name, value in source.state_dict().items() if name in shared(source)}
            assert not sink.load_state_dict(weights, strict=False).unexpected_keys
            if sink is target:
                for name in shared(gpt):
                    gpt.get_parameter(name).zero_()
                assert not torch.equal(gpt(images, labels), nats)
        assert torch.equal(gpt.tokens.head(gpt.features(own, labels)), logits) and torch.equal(
            gpt(images, labels), nats
        )
