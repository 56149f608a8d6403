"""A discriminator around a flow's stack: heads, times, second derivatives, and the flow's own weights in it."""

import pytest
import torch

from transgan.models.flow_discriminator import FlowDiscriminator
from transgan.models.flow_transformer import FlowTransformer
from transgan.training.pretrained import PretrainedNetwork

SHAPE = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, dim=16, depth=3, num_heads=2, mlp_ratio=2.0, style_dim=8
)
IMAGES, LABELS = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])


def made(**changes):
    torch.manual_seed(0)
    return FlowDiscriminator(**SHAPE | changes)


@pytest.mark.parametrize("pool, size", [("attention", 16), ("avg", 16), ("flatten", 256)])
@pytest.mark.parametrize("heads", [None, [1, 3]])
def test_logits(pool, size, heads):
    network = made(global_pool=pool, heads=heads)
    logits = network(IMAGES, LABELS)
    assert logits.shape == (4,) and logits.dtype == torch.float32
    assert network.heads["logit"].in_features == size * (1 if heads is None else 2)
    torch.testing.assert_close(network(IMAGES[1:2], LABELS[1:2]), logits[1:2])  # of its own image alone
    assert not torch.allclose(network(IMAGES, LABELS.roll(1)), logits)
    assert made(num_classes=0, global_pool=pool)(IMAGES).shape == (4,)


@pytest.mark.parametrize("pool", ["attention", "avg", "flatten"])
def test_a_penalty_has_a_gradient(pool):
    from torch.nn.attention import SDPBackend, sdpa_kernel

    network, x = made(global_pool=pool, heads=[2, 3]), IMAGES.clone().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):
        (slope,) = torch.autograd.grad(network(x, LABELS).sum(), x, create_graph=True)
        slope.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_fixed_time_and_one_for_each_image():
    fixed = made(time=0.9)
    assert torch.equal(fixed.times(IMAGES), torch.full((4,), 0.9))
    drawn = made(time=None)
    times = torch.cat([drawn.times(IMAGES) for _ in range(500)])
    assert 0.5 <= times.min() < 0.51 and 0.99 < times.max() <= 1
    assert torch.equal(drawn.eval().times(IMAGES), torch.full((4,), 0.75))


def test_times_that_are_handed_in():
    """Both passes over an image, at the same time, differ by the image alone; in between training nothing is drawn."""
    drawn, random = made(time=None), torch.tensor([[0.0], [0.5], [0.9], [0.25]])
    assert torch.allclose(drawn.times(IMAGES, random), torch.tensor([0.5, 0.75, 0.95, 0.625]))
    assert torch.equal(drawn(IMAGES, LABELS, random), drawn(IMAGES, LABELS, random))
    assert not torch.allclose(drawn(IMAGES, LABELS, random), drawn(IMAGES, LABELS, 1 - random))
    assert torch.equal(drawn.eval()(IMAGES, LABELS, random), drawn(IMAGES, LABELS))
    assert drawn.num_random == 1 and made().num_random == 0


def test_everything_but_the_heads_comes_from_the_flow():
    torch.manual_seed(1)
    flow, network = FlowTransformer(**SHAPE), made()
    copied = PretrainedNetwork().copied(network)
    theirs = dict(flow.named_parameters())
    assert {name: p.shape for name, p in copied.items()} == {name: theirs[name].shape for name in copied}
    assert {name.split(".")[0] for name in theirs} - {name.split(".")[0] for name in copied} == {"output"}
    assert {name.split(".")[0] for name, _ in network.named_parameters()} - {n.split(".")[0] for n in copied} == {
        "heads"
    }


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(heads=[4]), r"discriminator.heads=\[4\]: the stack has 3 blocks; give some of 1 to 3"),
        (dict(heads=[0, 1]), "the stack has 3 blocks"),
        (dict(heads=[]), "the stack has 3 blocks"),
        (dict(global_pool="token"), "discriminator.global_pool=token is not possible: give attention, avg or flatten"),
        (dict(time=1.5), "discriminator.time=1.5: it takes 0, noise, to 1"),
    ],
)
def test_bad_input(changes, said):
    with pytest.raises(ValueError, match=said):
        made(**changes)
