"""One Transformer, several ends: attention and feed-forward weights fit from one network into another."""

import torch

from transgan.layers.block import Transformer


def shared(stack) -> dict:
    return {n: tuple(p.shape) for n, p in stack.named_parameters() if ".attn." in n or ".mlp." in n}


def test_both_networks_are_stacks_of_the_same_block(generator, discriminator):
    same = dict(dim=[16, 16], depth=[2, 2], num_heads=[2, 2])
    ours, theirs = generator(**same), discriminator(**same)
    for a, b in zip(ours.stages, theirs.stages, strict=True):
        assert type(a) is type(b) is Transformer
        assert len(shared(a)) == 2 * 10 and shared(a) == shared(b)     # qkv, q and k norm, proj, fc1, fc2


def test_weights_of_a_causal_stack_fit_the_generator(generator):
    stack = Transformer(16, 1, 2, (1, 9), mlp_ratio=2.0, causal=True)
    target = generator().stages[0]
    assert shared(stack) == shared(target)
    weights = {name: value for name, value in stack.state_dict().items() if name in shared(stack)}
    assert not target.load_state_dict(weights, strict=False).unexpected_keys
    torch.testing.assert_close(target.blocks[0].attn.qkv.weight, stack.blocks[0].attn.qkv.weight)
