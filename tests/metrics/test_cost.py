"""Metrics of many images hold no matrix of all pairs of them. What they cost in seconds: benchmarks/metrics.py."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from transgan.metrics import PRDC, FrechetDistance, KernelDistance, Memorisation, PrecisionRecall

MANY = 3000


class Largest(TorchDispatchMode):
    """The most numbers that any one tensor holds."""

    numel = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        made = function(*arguments, **(keywords or {}))
        sizes = [each.numel() for each in tree_leaves(made) if isinstance(each, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return made


@pytest.mark.parametrize("kind", [FrechetDistance, KernelDistance, PrecisionRecall, PRDC, Memorisation])
def test_no_tensor_of_all_pairs(kind):
    metric = kind(subsets=2, subset_size=MANY) if kind is KernelDistance else kind()
    for seed, real in ((0, True), (1, False)):
        metric.update(torch.randn(MANY, 16, generator=torch.Generator().manual_seed(seed)), real=real)
    if kind is Memorisation:
        metric.update(torch.randn(MANY, 16, generator=torch.Generator().manual_seed(2)), real=True, heldout=True)
    with Largest() as largest:
        metric.compute()
    assert largest.numel <= MANY**2 / 4
