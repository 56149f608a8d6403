"""The metrics on 1, 2 and 3 processes, by the synchronisation of torchmetrics: uneven shares, and none."""

import functools
import multiprocessing
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from transgan.metrics import (
    PRDC,
    ClassAccuracy,
    FeatureSpread,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    Memorisation,
    Mesh,
    PrecisionRecall,
    Spread,
)
from transgan.metrics.moments import Moments

COUNTS = {"one": [337], "two": [250, 87], "three": [250, 87, 0], "none": [0, 337]}
METRICS = {
    "frechet": functools.partial(FrechetDistance, per_class=True),
    "kernel": functools.partial(KernelDistance, 10, 50),
    "score": functools.partial(InceptionScore, 3),
    "precision_recall": PrecisionRecall,
    "prdc": PRDC,
    "memorisation": functools.partial(Memorisation, quantile=0.05),
    "accuracy": ClassAccuracy,
    "spread_features": FeatureSpread,
}
OF_IMAGES = {"mesh": Mesh, "spread": Spread}


def images(seed, scale=1.0):
    return torch.randn(337, 5, generator=torch.Generator().manual_seed(seed)) * scale


def pictures(seed, low=0, high=256):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (337, 3, 8, 8), generator=generator, dtype=torch.uint8)


def of_images(process_group, mine, size):
    """name -> everything that is reported of the images."""
    metrics = {name: make(process_group=process_group) for name, make in OF_IMAGES.items()}
    labels = torch.arange(337) % 5
    for images, is_real, is_heldout in ((pictures(0), 1, 0), (pictures(2), 1, 1), (pictures(1, 50, 150), 0, 0)):
        share, classes = images[mine], labels[mine]
        for part, named in zip(share.split(size), classes.split(size), strict=True) if len(share) else ():
            metrics["mesh"].update(part, real=bool(is_real), heldout=bool(is_heldout))
            metrics["spread"].update(part, real=bool(is_real), heldout=bool(is_heldout), labels=named)
    found = {}
    for name, metric in metrics.items():
        with metric.sync_context(dist_sync_fn=metric.dist_sync_fn):
            report = metric.report()
        found[name] = metric.compute(), *report.of_images.values()
    return found


def values(process_group=None, mine=slice(None), size=100):
    """name -> numbers of every metric for a share of the images, given in batches of `size`."""
    real, fake, heldout = images(0), images(1, 1.2), images(2)
    labels = torch.arange(337) % 5
    metrics = {name: make(process_group=process_group) for name, make in METRICS.items()}
    for features, is_real, is_heldout in ((real, True, False), (heldout, True, True), (fake, False, False)):
        share, classes = features[mine], labels[mine]
        for part, named in zip(share.split(size), classes.split(size), strict=True) if len(share) else ():
            for name in ("kernel", "precision_recall", "prdc") if not is_heldout else ():
                metrics[name].update(part, real=is_real)
            metrics["memorisation"].update(part, real=is_real, heldout=is_heldout)
            metrics["frechet"].update(part, real=is_real, heldout=is_heldout, labels=named)
            metrics["accuracy"].update(part, named, real=is_real, heldout=is_heldout)
            metrics["score"].update(part, real=is_real)
            metrics["spread_features"].update(part, real=is_real, labels=named) if not is_heldout else None
    found = {name: metric.compute() for name, metric in metrics.items()}
    found |= of_images(process_group, mine, size)
    given = FrechetDistance(process_group=process_group)
    given.set_real(Moments.of(real))  # on every process, and counted once
    if len(fake[mine]):
        given.update(fake[mine], real=False)
    found["given moments"] = given.compute()
    return {name: plain(value) for name, value in found.items()}


def plain(value):
    each = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
    return [float(number) for number in each]


def naive(group, mine):
    """torchmetrics' own, on a process without a share."""
    extractor = nn.Identity()
    extractor.num_features = 5
    metric = FrechetInceptionDistance(extractor, process_group=group)
    if len(images(0)[mine]):
        metric.update(images(0)[mine], real=True)
        metric.update(images(1)[mine], real=False)
    try:
        return float(metric.compute())
    except AttributeError as error:
        return str(error)


def process(rank, store, answers):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{store}", rank=rank, world_size=3, timeout=timedelta(seconds=60))
    try:
        found = {}
        for name, counts in COUNTS.items():
            group = dist.new_group(list(range(len(counts))))
            if rank < len(counts):
                first = sum(counts[:rank])
                mine = slice(first, first + counts[rank])
                found[name] = values(group, mine, 100 if rank == 0 else 29)  # other numbers of updates
                if name == "three":
                    found["naive"] = naive(group, mine)
        answers.put((rank, found))
        dist.barrier()
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """rank -> case -> values"""
    context = multiprocessing.get_context("fork")  # a spawned process would import torch for ten seconds
    queue, store = context.Queue(), tmp_path_factory.mktemp("processes") / "store"
    started = [context.Process(target=process, args=(rank, store, queue)) for rank in range(3)]
    for each in started:
        each.start()
    found = dict(queue.get(timeout=120) for _ in started)
    for each in started:
        each.join(60)
        assert each.exitcode == 0
    return found


@pytest.mark.parametrize("case", COUNTS)
def test_the_same_on_any_number_of_processes(answers, case):
    expected = values()
    for rank in range(len(COUNTS[case])):
        for name, numbers in expected.items():
            assert answers[rank][case][name] == pytest.approx(numbers, rel=1e-9), (rank, name)
            assert name not in OF_IMAGES or answers[rank][case][name] == numbers  # whole numbers are not rounded
        assert answers[rank][case] == answers[0][case]  # to the last bit


def test_torchmetrics_own_has_no_answer_without_a_share(answers):
    assert "orig_dtype" in answers[2]["naive"]
