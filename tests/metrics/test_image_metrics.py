"""Metrics of images in the evaluator: shown what the extractor sees, cached, from several processes, and anyone's own."""

import json
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torchmetrics import Metric

from transgan.metrics import Evaluator, FeatureSpread, FrechetDistance, Mesh, Spread
from transgan.metrics.reference import Reference


class Darkest(Metric):
    """A metric of one's own of images and what was extracted from them, which knows nothing of transgan."""

    def __init__(self):
        super().__init__()
        self.add_state("darkest", torch.tensor(255.0), dist_reduce_fx="min")
        self.add_state("means", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")
        self.add_state("pairs", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, images, features, labels, real):
        assert images.dtype == torch.uint8 and len(images) == len(features) == len(labels)
        assert torch.equal(features, images.flatten(1).float() / 255)
        self.darkest = torch.minimum(self.darkest, images.min().float())
        if not real:
            self.means.append(features.mean(1))
            self.labels.append(labels)
        self.pairs += len(images)

    def compute(self):
        return {"darkest": self.darkest, "mean": torch.cat(self.means).mean(), "count": self.pairs}


class Contrast(Metric):
    """Of generated images alone."""

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, images):
        self.total += images.double().std((1, 2, 3)).sum()

    def compute(self):
        return self.total


MEASURES = {
    "frechet": FrechetDistance, "mesh": Mesh, "spread": Spread, "spread_features": FeatureSpread, "mine": Darkest,
    "contrast": Contrast,
}  # fmt: skip
NAMES = ["fd_pixels", "mesh", "spread", "spread_features_pixels"]


@pytest.fixture
def dataset(images_dataset, noise):
    return images_dataset(noise(130), torch.arange(130) % 3)


@pytest.fixture
def prepared(pixels, dataset):
    """prepared(names of metrics, ...) -> an evaluator"""

    def make(*names, data=None, batch_size=16, num_samples=61, blocks=1, **arguments):
        measures = {name: MEASURES[name]() for name in ("frechet", *names)}
        evaluator = Evaluator(pixels(), measures, num_samples, batch_size, 0, blocks, with_heldout=False)
        evaluator.prepare(dataset if data is None else data, **arguments)
        return evaluator

    return make


def alone(kind, fake, real, labels):
    metric = kind()
    for images, is_real, classes in ((real.images, True, real.labels), (fake, False, labels)):
        metric.update(images, real=is_real, **({"labels": classes} if kind is Spread else {}))
    return metric.compute().item()


def test_they_see_what_the_extractor_sees(prepared, dataset, generate):
    evaluator = prepared(*MEASURES)
    result = evaluator(generate)
    fake = generate(list(evaluator.seeds()), evaluator.labels)
    names = [*NAMES, "darkest_pixels", "mean_pixels", "count_pixels", "contrast"]
    assert list(result.numbers) == names  # what is of images alone has no extractor in its name
    for kind in (Mesh, Spread):
        assert result.numbers[kind.__name__.lower()] == alone(kind, fake, dataset, evaluator.labels)
    assert result.numbers["count_pixels"] == 130 + 61  # each image once, though batches are filled up
    assert result.numbers["mean_pixels"] == pytest.approx(fake.double().mean().item() / 255, rel=1e-6)
    assert result.numbers["contrast"] == pytest.approx(fake.double().std((1, 2, 3)).sum().item(), rel=1e-12)
    assert set(result.details) == {"mesh_by_period", "spread_per_class"}
    json.dumps(result.details)
    assert list(evaluator.protocol()["measures"]) == ["frechet", "mine", "contrast"]


def test_batches_and_repetitions_change_nothing(prepared, generate):
    names = ["mesh", "spread", "spread_features"]
    one, *others = [prepared(*names, batch_size=size) for size in (1, 7, 64)]
    first = one(generate)
    assert all(other(generate) == first for other in others) and one(generate) == first


def test_blocks_are_apart(prepared, generate, dataset):
    evaluator = prepared("mesh", blocks=2)
    result = evaluator(generate)
    fakes = [generate(list(evaluator.seeds(block)), evaluator.labels) for block in (0, 1)]
    values = [alone(Mesh, fake, dataset, evaluator.labels) for fake in fakes]
    assert result.numbers["mesh"] == pytest.approx(np.mean(values), rel=1e-12)
    assert result.spread["mesh"]["min"] == min(values)


def test_real_images_are_read_once_whatever_the_extractor(
    prepared, dataset, generate, own_cache, pixels, monkeypatch, caplog
):
    read = []

    class Counted(type(dataset)):
        def __getitems__(self, indices):
            read.extend(indices)
            return super().__getitems__(indices)

    counted = Counted(dataset.images, dataset.labels)
    first = prepared("mesh", "spread", data=counted)(generate)
    assert len(read) == 130 + 2  # in one pass, and two of them to know the features
    assert kinds(own_cache) == ["mesh", "pixels", "spread"]
    read.clear()
    assert prepared("mesh", "spread", data=counted)(generate) == first and len(read) == 2
    monkeypatch.setattr(pixels, "hash", "01")  # the features are made again, the sums are those of before
    assert prepared("mesh", "spread", data=counted)(generate) == first and len(read) == 130 + 4
    assert kinds(own_cache) == ["mesh", "pixels", "pixels", "spread"] and not caplog.text


def kinds(own_cache):
    return sorted(path.name.split("-")[0] for path in (own_cache / "reference").iterdir())


def test_a_cache_without_sums_is_completed(prepared, generate, own_cache, tmp_path, monkeypatch):
    """As every cache of an earlier version: its features are taken, and the images looked at for what it lacks."""
    prepared()
    (before,) = (own_cache / "reference").iterdir()
    stamp = (before / "features.npy").stat().st_mtime_ns
    later = prepared(*MEASURES)(generate)
    assert (before / "features.npy").stat().st_mtime_ns == stamp
    assert kinds(own_cache) == ["mesh", "pixels", "spread"]
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "another"))
    assert prepared(*MEASURES)(generate) == later


@pytest.mark.parametrize("how", ["truncated", "other images", "other states", "not finite"])
def test_broken_sums_are_reported_and_made_again(prepared, generate, own_cache, caplog, how):
    first = prepared("mesh")(generate)
    (entry,) = (own_cache / "reference").glob("mesh-*")
    sums = dict(np.load(entry / "sums.npz"))
    if how == "truncated":
        (entry / "sums.npz").write_bytes((entry / "sums.npz").read_bytes()[:-40])
    elif how == "other images":
        about = json.loads((entry / "about.json").read_text())
        (entry / "about.json").write_text(json.dumps(about | {"key": "0" * 64}))
    elif how == "other states":
        np.savez(entry / "sums.npz", count=sums["count"], more=np.zeros(3))
    else:
        np.savez(entry / "sums.npz", **sums | {"products": sums["products"] * np.nan})
    assert prepared("mesh")(generate) == first
    assert "is not valid" in caplog.text
    caplog.clear()
    assert prepared("mesh")(generate) == first and not caplog.text


def test_other_labels_are_other_sums(prepared, generate, dataset, images_dataset):
    """The fingerprint of this data set is of its pixels alone."""
    other = images_dataset(dataset.images, torch.arange(130) // 50)
    assert other.fingerprint == dataset.fingerprint
    values = [prepared("spread", data=data)(generate).numbers["spread"] for data in (dataset, other)]
    assert values[0] != values[1]


def test_an_unconditional_generator_is_compared_with_all_images(prepared, generate, dataset, images_dataset):
    names = ["spread", "spread_features"]
    plain = prepared(*names, data=images_dataset(dataset.images))(generate).numbers
    assert prepared(*names, conditional=False)(generate).numbers == plain
    assert prepared(*names)(generate).numbers["spread"] != plain["spread"]


def test_held_out_images_stand_beside(prepared, generate, dataset, images_dataset, noise):
    heldout = images_dataset(noise(60, seed=7), torch.arange(60) % 3)
    for _ in range(2):  # the second time from the cache
        numbers = prepared("mesh", "spread", heldout=heldout)(generate).numbers
        assert numbers["mesh_heldout"] == alone(Mesh, heldout.images, dataset, None)
        assert numbers["spread_heldout"] == alone(Spread, heldout.images, dataset, heldout.labels)
    assert not any("heldout" in name for name in prepared("mesh", "spread")(generate).numbers)


def test_of_statistics_alone_they_are_left_out(prepared, generate):
    names = ["mesh", "spread", "spread_features", "contrast"]
    evaluator = prepared(*names)
    full = evaluator(generate).numbers

    def statistics(extractor):
        return Reference(evaluator.reference.facts, moments=evaluator.reference.moments)

    result = prepared(*names, reference=statistics)(generate)
    assert set(result.flags) == {"small_sample", "no_mesh", "no_spread", "no_spread_features"}
    assert result.numbers == {name: full[name] for name in ("fd_pixels", "contrast")}


def test_the_ceiling_is_no_evaluation(prepared, generate):
    evaluator = prepared("mesh", "spread")
    result = evaluator(generate)
    evaluator.bounds(lambda seeds, labels: torch.zeros(len(seeds), 1, 4, 4, dtype=torch.uint8))
    assert evaluator(generate) == result


def test_a_failure_leaves_nothing_behind(prepared, generate):
    evaluator, calls = prepared("mesh", "spread"), []
    result = evaluator(generate)

    def failing(seeds, labels):
        calls.append(seeds)
        return generate(seeds, labels) if len(calls) < 3 else 1 / 0

    with pytest.raises(ZeroDivisionError):
        evaluator(failing)
    assert evaluator(generate) == result


class Threads:
    """The context of one of several processes, which are threads here."""

    def __init__(self, rank, world_size, shared, barrier):
        self.rank, self.world_size, self.shared, self.barrier = rank, world_size, shared, barrier

    def gather(self, rows):
        self.shared[self.rank] = rows
        self.barrier.wait(30)
        found = [each.clone() for each in self.shared]
        assert len({(each.shape, each.dtype) for each in found}) == 1  # a plain all_gather will do
        self.barrier.wait(30)
        return found

    def together(self):
        return nullcontext()


@pytest.mark.parametrize("world_size, num_samples", [(2, 61), (3, 61), (5, 4)])  # 5 processes, 4 images: one has none
def test_processes_change_nothing(prepared, generate, world_size, num_samples):
    names = ["mesh", "spread", "mine", "contrast"]
    expected = prepared(*names, num_samples=num_samples)(generate)
    shared, barrier = [None] * world_size, threading.Barrier(world_size)
    found = [None] * world_size
    evaluators = [prepared(*names, num_samples=num_samples, main=rank == 0) for rank in range(world_size)]

    def process(rank, evaluator):
        found[rank] = evaluator(generate, Threads(rank, world_size, shared, barrier))

    threads = [threading.Thread(target=process, args=each) for each in enumerate(evaluators)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found[1:] == [None] * (world_size - 1)
    exactly = ("fd_pixels", "mesh", "spread", "count_pixels", "darkest_pixels")
    assert {name: found[0].numbers[name] for name in exactly} == {name: expected.numbers[name] for name in exactly}
    assert found[0].numbers == pytest.approx(expected.numbers, rel=1e-6)
    assert found[0].details == expected.details and found[0].flags == expected.flags
