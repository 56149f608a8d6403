"""The block, the stack of it, and DropPath."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers.attention import Attention, Causal, Windowed
from transgan.layers.block import Block, DropPath, Transformer
from transgan.layers.feedforward import Mlp, SwiGLU
from transgan.layers.noise import seeded_tokens
from transgan.layers.norm import ScaledNorm, StyleNorm


def block(norm, drop_path=0.0):
    return Block(Attention(8, 2, qk_norm=True), SwiGLU(8, 16), norm(8), norm(8), drop_path)


def test_block_closed_form():
    layer, x = block(partial(ScaledNorm, init_values=0.5)), torch.randn(2, 4, 8)
    middle = x + 0.5 * layer.attn(layer.norm1.norm(x))
    torch.testing.assert_close(layer(x), middle + 0.5 * layer.mlp(layer.norm2.norm(middle)))


@pytest.mark.parametrize("norm", [partial(ScaledNorm, init_values=0.0), partial(StyleNorm, style_dim=4)])
def test_zero_gates_make_the_identity(norm):
    layer, x = block(norm), torch.randn(2, 4, 8)
    assert torch.equal(layer(x, torch.zeros(2, 4)), x)  # a style of zeros gives StyleNorm a gate of zeros


def test_style_changes_the_block():
    layer, x = block(partial(StyleNorm, style_dim=4)), torch.randn(2, 4, 8)
    assert not torch.allclose(layer(x, torch.ones(2, 4)), layer(x, -torch.ones(2, 4)))


def test_drop_path_in_eval_mode_and_at_zero_is_the_identity():
    x = torch.randn(3, 4, 8)
    assert DropPath(0.7).eval()(x) is x
    assert DropPath(0.0).train()(x) is x


def test_drop_path_drops_whole_samples_and_keeps_the_expectation():
    out = DropPath(0.25).train()(torch.ones(20000, 2, 3))
    torch.testing.assert_close(out.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)  # six standard deviations


def test_feed_forward_closed_forms():
    x, mlp, glu = torch.randn(2, 8), Mlp(8, 12), SwiGLU(8, 12)
    hidden = F.gelu(x @ mlp.fc1.weight.T + mlp.fc1.bias)
    torch.testing.assert_close(mlp(x), hidden @ mlp.fc2.weight.T + mlp.fc2.bias)
    gate, value = glu.fc1(x)[:, :8], glu.fc1(x)[:, 8:]
    torch.testing.assert_close(glu(x), glu.fc2(gate * torch.sigmoid(gate) * value))
    assert (glu.fc1.out_features, glu.fc2.in_features) == (16, 8)  # two thirds of 12


def test_transformer_builds_what_it_is_asked_for():
    stack = Transformer(
        8, 3, 2, (4, 4), window_size=2, relative_position=True, qk_norm=False, mlp_layer=Mlp, drop_path=0.1
    )
    assert len(stack.blocks) == 3
    for each in stack.blocks:
        assert isinstance(each.attn.pattern, Windowed) and each.attn.pattern.window_size == 2
        assert len(each.attn.rotary.table) == 4 and each.attn.bias.index.shape == (4, 4)  # positions within a window
        assert isinstance(each.attn.q_norm, nn.Identity) and isinstance(each.mlp, Mlp)
        assert each.drop_path.drop_prob == 0.1
    plain = Transformer(8, 1, 2, (1, 5), causal=True, rotary=False)
    assert isinstance(plain.blocks[0].attn.pattern, Causal) and plain.blocks[0].attn.bias is None
    assert not [name for name, _ in plain.named_buffers()]


def test_transformer_is_its_blocks_in_a_row():
    stack, x = Transformer(8, 2, 2, (2, 2), num_prefix_tokens=1), torch.randn(2, 5, 8)
    torch.testing.assert_close(stack(x), stack.blocks[1](stack.blocks[0](x)))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_intermediates_is_what_comes_after_every_block(checkpointing):
    stack = Transformer(8, 3, 2, (2, 2), norm=partial(StyleNorm, style_dim=4), noise=True, checkpointing=checkpointing)
    for layer in stack.blocks:
        layer.noise.strength.data.fill_(0.5)
    x, style, seeds = torch.randn(2, 4, 8), torch.randn(2, 4), torch.tensor([3, 5])
    after = list(stack.intermediates(x, style, seeds))
    assert len(after) == 3 and torch.equal(after[-1], stack(x, style, seeds))
    for i, (before, found) in enumerate(zip([x, *after], after, strict=False)):
        assert torch.equal(found, stack.blocks[i](before, style, seeds + i))
    after[1].sum().backward()
    assert stack.blocks[1].attn.qkv.weight.grad.any() and stack.blocks[2].attn.qkv.weight.grad is None


def test_a_stack_of_no_blocks_is_the_identity():
    stack, x = Transformer(8, 0, 2, (2, 2)), torch.randn(2, 4, 8)
    assert stack(x) is x and list(stack.intermediates(x)) == []


def test_intermediates_block_is_compiled_into_one_graph():
    stack, x = Transformer(8, 2, 2, (2, 2), checkpointing=True), torch.randn(2, 4, 8)
    compiled = torch.compile(lambda x: sum(stack.intermediates(x)), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), sum(stack.intermediates(x)))


def test_a_causal_stack_looks_back_only():
    stack, x = Transformer(8, 2, 2, (1, 6), causal=True, relative_position=True), torch.randn(1, 6, 8)
    changed = x.clone()
    changed[:, 3] += 1
    difference = (stack(changed) - stack(x)).abs().amax(-1)[0]
    assert not difference[:3].any() and difference[3:].all()


def test_noise_and_cross_attention_closed_form():
    stack = Transformer(8, 1, 2, (1, 4), rotary=False, noise=True, context_dim=6).eval()
    layer, x, context, seeds = stack.blocks[0], torch.randn(2, 4, 8), torch.randn(2, 3, 6), torch.tensor([3, 5])
    layer.noise.strength.data.fill_(0.5)
    middle = x + layer.cross_attn(x, context)
    middle = middle + layer.attn(layer.norm1.norm(middle) + 0.5 * seeded_tokens(seeds, 4)[..., None])
    torch.testing.assert_close(stack(x, context, seeds), middle + layer.mlp(layer.norm2.norm(middle)))


def test_intermediates_block_has_noise_of_its_own():
    stack, x, seeds = Transformer(8, 2, 2, (1, 4), noise=True), torch.randn(2, 4, 8), torch.tensor([3, 5])
    for layer in stack.blocks:
        layer.noise.strength.data.fill_(0.5)
    one = stack.blocks[1](stack.blocks[0](x, None, seeds), None, seeds + 1)
    torch.testing.assert_close(stack(x, None, seeds), one)
    assert not torch.allclose(stack(x), stack(x))  # without seeds it is new


def test_another_attention_can_be_given():
    class Own(Attention):
        pass

    stack = Transformer(8, 2, 2, (4, 4), window_size=2, relative_position=True, attn_layer=Own)
    assert all(type(layer.attn) is Own and layer.attn.bias is not None for layer in stack.blocks)


@pytest.mark.parametrize("norm", [ScaledNorm, partial(StyleNorm, style_dim=4)])
def test_checkpoints_keep_less_and_change_nothing(norm):
    stack = Transformer(8, 3, 2, (4, 4), norm=norm, drop_path=0.3, relative_position=True, noise=True)
    for layer in stack.blocks:
        layer.noise.strength.data.fill_(0.5)
    x, style, found, kept = torch.randn(4, 16, 8), torch.randn(4, 4), [], []
    for stack.checkpointing in (False, True):
        stack.zero_grad()
        torch.manual_seed(0)
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=saved: s.append(t.numel()) or t, lambda t: t):
            out = stack(x, style)
        torch.rand(1)  # the second pass has the first one's numbers
        out.square().sum().backward()
        found.append([out, *(p.grad for p in stack.parameters())])
        kept.append(sum(saved))
    assert kept[1] < kept[0] / 4
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_checkpoints_are_off_where_a_second_derivative_is_wanted():
    stack, x = Transformer(8, 2, 2, (2, 2), checkpointing=True), torch.randn(2, 4, 8)
    with sdpa_kernel(SDPBackend.MATH):
        gradient = torch.func.grad(lambda x: stack(x).square().sum())(x)
        gradient.square().sum().backward()
    assert stack.blocks[0].attn.qkv.weight.grad.any()
    x.requires_grad_()
    compiled = torch.compile(stack, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), stack(x))


def test_errors():
    with pytest.raises(ValueError, match="windowed attention takes no prefix tokens"):
        Transformer(8, 1, 2, (4, 4), window_size=2, num_prefix_tokens=1)
    with pytest.raises(ValueError, match="either causal or windowed, not both"):
        Transformer(8, 1, 2, (4, 4), window_size=2, causal=True)


@pytest.mark.parametrize("norm", [partial(ScaledNorm, init_values=0.5), partial(StyleNorm, style_dim=2, init_gain=1.0)])
def test_can_be_differentiated_twice(norm):
    layer = Block(Attention(4, 1, qk_norm=True), SwiGLU(4, 6), norm(4), norm(4)).double()
    x, style = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 3, 4), (1, 2)))
    arguments = (x, style) if isinstance(layer.norm1, StyleNorm) else (x,)
    with sdpa_kernel(SDPBackend.MATH):
        assert torch.autograd.gradgradcheck(layer, arguments)


@pytest.mark.parametrize("layer", [Mlp(3, 4), SwiGLU(3, 4)])
def test_feed_forward_can_be_differentiated_twice(layer):
    assert torch.autograd.gradgradcheck(layer.double(), (torch.randn(2, 3, dtype=torch.float64, requires_grad=True),))
