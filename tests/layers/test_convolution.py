"""Convolutional blocks in closed form, norms without batch statistics, and the head."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transgan.layers.convolution import ClassNorm, ResidualDown, ResidualStem, ResidualUp, Stem
from transgan.layers.projection import ProjectionHead


def test_stems_say_their_stride():
    images = torch.randn(2, 3, 8, 8)
    for stem, stride in ((Stem(3, 5), 1), (ResidualStem(3, 5, 1), 2), (ResidualStem(3, 5, 2), 4)):
        assert stem.stride == stride and stem(images).shape == (2, 5, 8 // stride, 8 // stride)


def test_class_norm_closed_form():
    norm, x, labels = ClassNorm(4, 3, num_groups=2), torch.randn(2, 4, 5, 5), torch.tensor([2, 0])
    groups = x.reshape(2, 2, -1)
    plain = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
    plain = plain.reshape(x.shape)
    torch.testing.assert_close(norm(x, labels), plain)  # no class differs at the start
    nn.init.normal_(norm.label_embed.weight)
    table = norm.label_embed.weight[labels]
    torch.testing.assert_close(norm(x, labels), plain * (1 + table[:, :4, None, None]) + table[:, 4:, None, None])
    assert isinstance(ClassNorm(4).norm.weight, nn.Parameter) and norm.norm.weight is None
    assert ClassNorm(6, num_groups=8).norm.num_groups == 2  # what divides both


def test_an_image_does_not_depend_on_its_neighbours():
    block, x, labels = ResidualUp(4, 6, 3), torch.randn(3, 4, 4, 4), torch.tensor([0, 1, 2])
    torch.testing.assert_close(block.train()(x, labels)[1:2], block.eval()(x[1:2], labels[1:2]))


def test_residual_up_closed_form():
    block, x = ResidualUp(4, 6), torch.randn(2, 4, 3, 3)
    double = lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3)  # noqa: E731
    h = block.conv1(double(F.relu(block.norm1.norm(x))))
    h = block.conv2(F.relu(block.norm2.norm(h)))
    torch.testing.assert_close(block(x), h + double(block.shortcut(x)))
    assert block(x).shape == (2, 6, 6, 6)


@pytest.mark.parametrize("down", [True, False])
def test_residual_down_closed_form(down):
    block, x = ResidualDown(4, 6, down), torch.randn(2, 4, 8, 8)
    halve = (lambda x: F.avg_pool2d(x, 2)) if down else (lambda x: x)  # noqa: E731
    h = block.conv2(F.leaky_relu(block.conv1(F.leaky_relu(x, 0.2)), 0.2))
    torch.testing.assert_close(block(x), halve(h) + block.shortcut(halve(x)))
    assert isinstance(ResidualDown(4, 4, False).shortcut, nn.Identity)


def test_projection_head_closed_form():
    head, x, labels = ProjectionHead(5, 3), torch.randn(4, 5), torch.tensor([0, 2, 1, 2])
    plain = x @ head.linear.weight[0]
    torch.testing.assert_close(head(x, labels), plain + (x * head.label_embed.weight[labels]).sum(1))
    assert head.linear.bias is None
    other = ProjectionHead(5, 0)
    torch.testing.assert_close(other(x), x @ other.linear.weight[0])


def test_projection_head_is_float32_under_bf16():
    head, x, labels = ProjectionHead(5, 3), torch.randn(4, 5), torch.tensor([0, 2, 1, 2])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(x, labels), head(x, labels).float())
        torch.testing.assert_close(head(x.bfloat16(), labels), head(x.bfloat16().float(), labels))
    assert head(x.bfloat16().float(), labels).dtype == torch.float32


@pytest.mark.parametrize("block", [ResidualUp(2, 2), ResidualDown(2, 2)])
def test_can_be_differentiated_twice(block):
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: block.double()(x).square(), (x,))
