"""The drifting field: where it vanishes, what it is where everything is known, and that samples which follow it arrive."""

import pytest
import torch

from transgan.drifting import classes_apart, drift, drift_loss


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_vanishes_where_both_are_equal():
    y = normal(2, 30, 3)
    for temperature in (0.1, 1.0, 10.0):
        assert drift(normal(2, 20, 3, seed=1), y, y, temperature).abs().max() < 1e-12
        assert drift(y, y, y[:, torch.randperm(30)], temperature).abs().max() < 1e-8


def test_it_changes_its_sign_with_real_and_generated():
    x, p, q = normal(1, 10, 2), normal(1, 40, 2, seed=1) + 1, normal(1, 40, 2, seed=2)
    assert torch.allclose(drift(x, p, q, 0.7), -drift(x, q, p, 0.7))
    assert drift(x, p, q, 0.7).abs().max() > 0.01


def test_of_equal_distributions_it_averages_out():
    """Different samples of one distribution: the more there are, the less they move."""
    sizes = [
        torch.stack(
            [drift(normal(1, n, 2, seed=3 * i), normal(1, n, 2, seed=3 * i + 1), normal(1, n, 2, seed=3 * i + 2), 1.0)
             .square().mean() for i in range(8)]
        ).mean().sqrt()
        for n in (16, 64, 256)
    ]  # fmt: skip
    assert sizes[1] < 0.6 * sizes[0] and sizes[2] < 0.6 * sizes[1]


def test_by_hand():
    """One generated sample at 0, a real one at 1, another generated one at -1: equally near, so that each kernel is a
    half of what x sees and all of what sees it."""
    x, real, fake = torch.zeros(1, 1, 1), torch.ones(1, 1, 1), -torch.ones(1, 1, 1)
    half = 0.5**0.5
    assert drift(x, real, fake, 1.0).item() == pytest.approx(half * half * 1 - half * half * -1)


def test_samples_see_their_own_class_alone():
    x, labels = normal(1, 6, 2), torch.tensor([0, 0, 0, 1, 1, 1])
    real, real_labels = normal(1, 8, 2, seed=4), torch.tensor([0] * 4 + [1] * 4)
    apart = classes_apart(labels, real_labels, 6, 8)
    whole = drift(x, real, x, 1.0, apart)
    for k in (0, 1):
        mine, theirs = labels == k, real_labels == k
        own = classes_apart(labels[mine], real_labels[theirs], 3, 4)
        assert torch.allclose(whole[:, mine], drift(x[:, mine], real[:, theirs], x[:, mine], 1.0, own))


def test_who_sees_none_does_not_move():
    x, real = normal(1, 3, 2), normal(1, 4, 2, seed=1)
    apart = classes_apart(torch.tensor([0, 1, 2]), torch.tensor([0, 0, 1, 1]), 3, 4)
    assert (drift(x, real, x, 1.0, apart) == 0).all()  # each is the only one of its class: nobody repels it
    apart = classes_apart(torch.tensor([0, 0, 2]), torch.tensor([0, 0, 1, 1]), 3, 4)
    moved = drift(x, real, x, 1.0, apart)
    assert moved.isfinite().all() and (moved[:, 2] == 0).all() and (moved[:, :2] != 0).any()


@pytest.mark.parametrize("labels", [None, torch.arange(200) % 2])
def test_samples_that_follow_it_arrive(labels):
    """Gradient steps on the loss carry samples from one place over two clusters, and between classes none mixes."""
    torch.manual_seed(0)
    centres = torch.tensor([[-2.0, 0.0], [2.0, 1.0]])
    real = (centres[torch.arange(200) % 2] + 0.3 * torch.randn(200, 2)).unsqueeze(0)
    x = (0.1 * torch.randn(1, 200, 2)).requires_grad_()
    apart = classes_apart(labels, labels, 200, 200)
    adam, moves = torch.optim.Adam([x], lr=0.05), []
    for _ in range(300):
        adam.zero_grad()
        loss, moved = drift_loss(x, real, (0.05, 0.2), apart)
        loss.backward()
        adam.step()
        moves.append(moved.item())
    found = x.detach()[0]
    near = torch.cdist(found, centres)
    assert near.min(1).values.median() < 0.6 and moves[-1] < 0.5 * moves[0]
    share = (near.argmin(1) == 1).float()
    assert 0.35 < share.mean() < 0.65
    if labels is not None:
        assert (share == labels).float().mean() > 0.95
    assert found[share == 0].std(0).mean() > 0.12  # and with their variety


def test_the_scale_of_features_does_not_matter():
    x, real = normal(2, 12, 5), normal(2, 10, 5, seed=1)
    apart = classes_apart(None, None, 12, 10)
    one, move = drift_loss(x, real, (0.1, 1.0), apart)
    other, same = drift_loss(1000 * x, 1000 * real, (0.1, 1.0), apart)
    assert torch.allclose(one, other) and torch.allclose(move, same)


def test_the_gradient_is_the_field():
    """Of the loss by x: what is to be reached is held fixed."""
    x, real = normal(1, 12, 2).requires_grad_(), normal(1, 10, 2, seed=1)
    apart = classes_apart(None, None, 12, 10)
    drift_loss(x, real, (0.5,), apart)[0].backward()
    unit = torch.cdist(x.detach(), real).mean() / 2**0.5
    field = drift(x.detach() / unit, real / unit, x.detach() / unit, 0.5 * 2**0.5, apart)
    field = field / field.square().mean().sqrt()
    assert torch.allclose(x.grad, -2 * field / x.numel() / unit)
