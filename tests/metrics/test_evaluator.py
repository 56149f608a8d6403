"""The evaluator: closed forms, and independence of batch size, processes and everybody else's random numbers."""

import inspect
import json
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance

from transgan.metrics import (
    ClassAccuracy,
    Evaluator,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    incomparable,
    ranking,
)
from transgan.metrics.extractors import Inception
from transgan.metrics.reference import Reference
from transgan.metrics.report import named


@pytest.fixture
def dataset(images_dataset, noise):
    return images_dataset(noise(1234), torch.arange(1234) % 3)


def identity(num_features):
    network = nn.Identity()
    network.num_features = num_features
    return network


def evaluator_of(dataset, extractor, **arguments):
    evaluator = unprepared(extractor, **arguments)
    evaluator.prepare(dataset)
    return evaluator


def unprepared(extractor, splits=3, subset_size=50, num_samples=None, batch_size=256, seed=0, blocks=1):
    measures = {
        "frechet": FrechetDistance(),
        "kernel": KernelDistance(subsets=3, subset_size=subset_size),
        "score": InceptionScore(splits),
        "accuracy": ClassAccuracy(),
    }
    return Evaluator(extractor, measures, num_samples, batch_size, seed, blocks, with_heldout=False)


def frechet(a, b):
    """The definition, by scipy."""
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * scipy.linalg.sqrtm(ca @ cb).real)


def test_frechet_distance_is_the_closed_form(dataset, pixels, generate):
    evaluator = evaluator_of(dataset, pixels(), num_samples=301)
    fakes = generate(list(evaluator.seeds()), evaluator.labels)
    expected = frechet(dataset.images.flatten(1) / 255, fakes.flatten(1) / 255)
    assert evaluator(generate).numbers["fd_pixels"] == pytest.approx(expected, rel=1e-6)


def test_no_logits_no_score(dataset, pixels, generate):
    numbers = evaluator_of(dataset, pixels(logits=False), num_samples=50)(generate).numbers
    assert set(numbers) == {"fd_pixels", "kd_pixels", "kd_pixels_std"}


def test_batch_size_changes_nothing(dataset, pixels, generate):
    results = [evaluator_of(dataset, pixels(), num_samples=103, batch_size=size)(generate) for size in (1, 7, 64)]
    assert results[0] == results[1] == results[2]

    def untidy(seeds, labels):  # rounds otherwise where fewer than eight go through a matrix product
        return (generate(seeds, labels) // 2 * min(len(seeds), 8) / 8).round().byte()

    results = [evaluator_of(dataset, pixels(), num_samples=103, batch_size=size)(untidy) for size in (1, 7, 64)]
    assert results[0] == results[1] == results[2]

    # the naive loop rounds the number of images up to whole batches
    def naive(batch_size):
        return sum(batch_size for _ in range(0, 103, batch_size))

    assert [naive(size) for size in (1, 7, 64)] == [103, 105, 128]


@pytest.mark.parametrize("world_size, num_samples", [(2, 101), (3, 100), (5, 4)])  # 5 ranks, 4 images: one has none
def test_processes_change_nothing(dataset, pixels, generate, shares, processes, world_size, num_samples):
    evaluator = evaluator_of(dataset, pixels(), num_samples=num_samples, batch_size=7)
    made = []

    def counting(seeds, labels):
        made.extend(seeds)
        return generate(seeds, labels)

    held = shares(evaluator, counting, world_size)
    assert sorted(set(made)) == list(evaluator.seeds())
    assert len({features.shape for features in held}) == 1  # a plain all_gather will do
    assert evaluator(generate, processes(0, world_size, lambda own: held)) == evaluator(generate)
    assert evaluator(generate, processes(world_size - 1, world_size, lambda own: held)) is None

    # Naive: every process seeds itself by its rank and draws its share, as large as all others, which the gather wants.
    def naive(processes):
        share = -(-num_samples // processes)
        return torch.cat(
            [torch.randn(share, 4, generator=torch.Generator().manual_seed(rank)) for rank in range(processes)]
        )

    one, several = naive(1), naive(world_size)
    assert len(several) > num_samples or not torch.equal(one, several)
    assert (several[:, None] == one).all(2).any(1).sum() < len(one)  # other images than one process makes


def test_the_metrics_do_not_wait_for_other_processes(dataset, pixels, generate, monkeypatch):
    expected = evaluator_of(dataset, pixels(), num_samples=100)(generate)
    monkeypatch.setattr("torchmetrics.metric.jit_distributed_available", lambda: True)  # but there is no group
    assert evaluator_of(dataset, pixels(), num_samples=100)(generate) == expected


def test_twice_is_the_same_and_the_reals_stay(dataset, pixels, generate):
    evaluator = evaluator_of(dataset, pixels(), num_samples=100)
    first = evaluator(generate)
    assert evaluator(generate) == first
    assert evaluator.reference.moments.n == len(dataset)
    # calling torchmetrics' metric, as its interface invites to, counts the real images twice
    naive = FrechetInceptionDistance(identity(16), reset_real_features=False)
    naive.update(evaluator.reference.extracted.features, real=True)
    naive(evaluator.reference.extracted.features[:100] * 0.9, real=False)
    assert naive.real_features_num_samples == 2 * len(dataset)


def test_a_seed_is_another_sample(dataset, pixels, generate):
    one, two = (evaluator_of(dataset, pixels(), num_samples=100, seed=seed) for seed in (0, 1))
    assert not set(one.seeds()) & set(two.seeds())
    assert one(generate) != two(generate)


def test_labels_are_the_proportions_of_the_data(images_dataset, noise, pixels):
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    dataset = images_dataset(noise(100), labels)
    assert evaluator_of(dataset, pixels()).labels.bincount().tolist() == [70, 20, 10]
    evaluator = evaluator_of(dataset, pixels(), num_samples=33)  # shares 23.1, 6.6, 3.3
    assert evaluator.labels.bincount().tolist() == [23, 7, 3]
    assert evaluator.labels.dtype == torch.int64 and evaluator.labels.tolist() != sorted(evaluator.labels.tolist())
    assert torch.equal(evaluator.labels, evaluator_of(dataset, pixels(), num_samples=33).labels)
    assert evaluator_of(images_dataset(noise(10)), pixels()).labels is None


def test_random_numbers_outside_are_untouched(dataset, pixels, generate):
    before = torch.get_rng_state()
    evaluator = evaluator_of(dataset, pixels(), num_samples=100)
    evaluator(lambda seeds, labels: generate(seeds, labels) + torch.rand(1).byte())  # draws from the global generator
    with pytest.raises(ZeroDivisionError):
        evaluator(lambda seeds, labels: torch.rand(3) / (1 // 0))
    assert torch.equal(before, torch.get_rng_state())

    def naive():  # puts the state back, but only where nothing fails
        torch.manual_seed(12345)
        generate(list(evaluator.seeds()), evaluator.labels / (1 // 0))
        torch.set_rng_state(before)

    with pytest.raises(ZeroDivisionError):
        naive()
    assert not torch.equal(before, torch.get_rng_state())


def test_the_score_ignores_random_numbers_outside(dataset, pixels, generate):
    evaluator = evaluator_of(dataset, pixels(), num_samples=100)
    torch.manual_seed(1)
    first = evaluator(generate)
    torch.manual_seed(2)
    assert evaluator(generate) == first


def test_works_across_inference_mode_and_leaves_no_gradients(dataset, pixels, generate):
    evaluator = unprepared(pixels(), num_samples=100)
    with torch.inference_mode():
        evaluator.prepare(dataset)
        inside = evaluator(generate)
    assert evaluator(generate) == inside
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
    with torch.inference_mode():  # naive: sums begun in validation, where Lightning is in inference mode
        naive = evaluator.reference.extracted.features.sum(0)
    with pytest.raises(RuntimeError, match="[Ii]nference"):
        naive += evaluator.reference.extracted.features[0]


def test_non_finite_features_name_the_image(dataset, pixels, generate):
    class Broken(pixels):
        broken = 0

        def __call__(self, images):
            features, logits = super().__call__(images)
            features[images[:, 0, 0, 0] == self.broken] = float("nan")
            return features, logits

    with pytest.raises(ValueError, match=r"real image \d+ are not finite"):
        evaluator_of(dataset, Broken())
    extractor = pixels()
    evaluator = evaluator_of(dataset, extractor, num_samples=50)
    evaluator.extraction.extractor = broken = Broken()
    broken.prepare(dataset)
    broken.broken = generate([evaluator.seeds()[17]], evaluator.labels[17:18])[0, 0, 0, 0]
    first = next(
        i
        for i in range(50)
        if generate([evaluator.seeds()[i]], evaluator.labels[i : i + 1])[0, 0, 0, 0] == broken.broken
    )
    with pytest.raises(ValueError, match=f"generated image {first} "):
        evaluator(generate)
    evaluator.extraction.extractor = extractor
    assert np.isfinite(evaluator(generate).numbers["fd_pixels"])  # the failure left nothing behind


@pytest.mark.parametrize("wrong", [lambda x: x / 255, lambda x: x[1:]])
def test_generators_must_return_uint8_and_all_of_them(dataset, pixels, generate, wrong):
    evaluator = evaluator_of(dataset, pixels(), num_samples=50, batch_size=20)
    with pytest.raises(ValueError, match="Generated image 0 .*expected 24 uint8"):
        evaluator(lambda seeds, labels: wrong(generate(seeds, labels)))


def test_too_few_images(images_dataset, noise, pixels):
    with pytest.raises(ValueError, match="at least two images"):
        evaluator_of(images_dataset(noise(1)), pixels())


def test_only_the_standard_inception_is_called_fid(pixels):
    names = {}
    for extractor in (Inception(), Inception(weights="mine.pth", check=False), pixels()):
        names[extractor.name] = [named(name, extractor) for name in ("fd", "kd", "cs", "fd_heldout", "recall")]
    # torchmetrics' class of that name takes any network, and what it returns is called FID
    naive = FrechetInceptionDistance(identity(16))
    naive.update(torch.rand(20, 16), real=True)
    naive.update(torch.rand(20, 16), real=False)
    assert naive.compute() > 0 and type(naive).__name__ == "FrechetInceptionDistance"
    assert names == {
        "inception": ["fid", "kid", "is", "fid_heldout", "recall"],
        "inception_unchecked": [
            "fd_inception_unchecked",
            "kd_inception_unchecked",
            "cs_inception_unchecked",
            "fd_inception_unchecked_heldout",
            "recall_inception_unchecked",
        ],
        "pixels": ["fd_pixels", "kd_pixels", "cs_pixels", "fd_pixels_heldout", "recall_pixels"],
    }


def test_numbers_of_different_protocols_are_not_ranked(dataset, pixels):
    class Other(pixels):
        hash = "01"

    few, many, other = (
        evaluator_of(dataset, extractor, num_samples=n).protocol()
        for extractor, n in ((pixels(), 60), (pixels(), 100), (Other(), 60))
    )
    values = ({"fd_pixels": 2.0}, {"fd_pixels": 1.0})
    assert ranking([("a", values[0], few), ("b", values[1], few | {"seed": 3})], "fd_pixels") == ["b", "a"]
    assert sorted(values, key=lambda each: each["fd_pixels"])[0] is values[1]  # what one would do without asking
    for wrong, word in ((many, "num_generated: 60 and 100"), (other, "extractor_sha256: 00 and 01")):
        with pytest.raises(ValueError, match=word):
            ranking([("a", values[0], few), ("b", values[1], wrong)], "fd_pixels")
        assert wrong["id"] != few["id"]
    assert not incomparable(few, few | {"seed": 1})


def test_protocol_is_complete_and_plain(dataset, pixels):
    protocol = evaluator_of(dataset, pixels(), num_samples=60, seed=2).protocol(weights="raw", truncation=0.7)
    assert json.loads(json.dumps(protocol)) == protocol
    assert protocol["num_generated"] == 60 and protocol["num_real"] == 1234 and protocol["split"] == "train"
    assert protocol["extractor"] == "pixels" and protocol["extractor_sha256"] == "00"
    assert protocol["reference"]["dataset"] == dataset.fingerprint
    assert protocol["resolution"] == 4 and protocol["channels"] == 1
    assert protocol["weights"] == "raw" and protocol["truncation"] == 0.7 and protocol["seed"] == 2
    assert protocol["comparable_to_published"] is False
    assert protocol["measures"]["score"] == {"splits": 3}
    assert protocol["measures"]["kernel"]["rng_seed"] == 2020 and len(protocol["id"]) == 8


def test_small_samples_are_called_small(dataset, pixels, generate, images_dataset, noise):
    flags = evaluator_of(dataset, pixels(), num_samples=100)(generate).flags
    assert set(flags) == {"small_sample"} and "100 images are few" in flags["small_sample"]
    flags = evaluator_of(dataset, pixels(), num_samples=10, subset_size=20)(generate).flags
    assert set(flags) == {"small_sample", "rank_deficient", "small_kernel_subsets"}
    many = images_dataset(noise(2100), torch.arange(2100) % 3)
    assert not evaluator_of(many, pixels(), num_samples=2048)(generate).flags
    naive = FrechetInceptionDistance(identity(16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # ten images, and not a word
        naive.update(many.images[:10].flatten(1) / 255, real=True)
        naive.update(many.images[10:20].flatten(1) / 255, real=False)
        assert naive.compute() > 0.1


def test_a_bootstrap_is_not_offered():
    """Drawing the same images again adds the bias of a small sample a second time: the interval misses the number it
    is drawn around, and both miss the truth, which is 0 here. Disjoint blocks of seeds are what is offered."""
    from transgan.metrics.frechet import frechet_distance
    from transgan.metrics.moments import Moments

    generator = torch.Generator().manual_seed(0)
    real = Moments.of(torch.randn(20_000, 16, generator=generator))
    fake = torch.randn(100, 16, generator=generator)
    value = frechet_distance(Moments.of(fake), real)
    again = [
        frechet_distance(Moments.of(fake[torch.randint(100, (100,), generator=generator)]), real) for _ in range(200)
    ]
    assert np.quantile(again, 0.025) > value > 0.1
    assert not any("bootstrap" in name for name in inspect.signature(Evaluator).parameters)


def test_blocks_are_disjoint_and_give_mean_and_spread(dataset, pixels, generate):
    evaluator = evaluator_of(dataset, pixels(), num_samples=100, seed=1, blocks=3)
    seen = []
    result = evaluator(lambda seeds, labels: seen.extend(seeds) or generate(seeds, labels))
    assert len(set(seen)) == 300 and min(seen) >= 1_000_003
    single = [evaluator_of(dataset, pixels(), num_samples=100, seed=s) for s in (1, 2, 3)]
    for each in single:
        each.labels = evaluator.labels
    values = [each(generate).numbers["fd_pixels"] for each in single]
    assert result.numbers["fd_pixels"] == pytest.approx(np.mean(values), rel=1e-12)
    spread = result.spread["fd_pixels"]
    assert spread["std"] == pytest.approx(np.std(values, ddof=1), rel=1e-9)
    assert (spread["min"], spread["max"]) == (min(values), max(values))


def test_floor_and_ceiling(dataset, pixels, generate, images_dataset, noise):
    evaluator = evaluator_of(dataset, pixels(), num_samples=300)
    bounds = evaluator.bounds(lambda seeds, labels: torch.zeros(len(seeds), 1, 4, 4, dtype=torch.uint8))
    assert bounds["floor_of"] == "two halves of the real images" and bounds["floor_num"] == 300
    assert 0 < bounds["floor"] < evaluator(generate).numbers["fd_pixels"] < bounds["ceiling"]
    evaluator.prepare(dataset, images_dataset(noise(200, seed=5), torch.arange(200) % 3))
    with_heldout = evaluator.bounds(generate)
    assert with_heldout["floor_of"] == "held-out real images" and with_heldout["floor_num"] == 200


def test_numbers_against_held_out_images(dataset, pixels, generate, images_dataset, noise):
    heldout = images_dataset(noise(200, seed=5), torch.arange(200) % 3)
    evaluator = unprepared(pixels(), num_samples=300)
    evaluator.prepare(dataset, heldout)
    other = evaluator_of(heldout, pixels(), num_samples=300)
    other.labels = evaluator.labels
    assert evaluator(generate).numbers["fd_pixels_heldout"] == pytest.approx(
        other(generate).numbers["fd_pixels"], rel=1e-9
    )
    assert evaluator.protocol()["num_heldout"] == 200


def test_an_unconditional_generator_is_asked_for_no_class(dataset, pixels, generate):
    evaluator = unprepared(pixels(), num_samples=60)
    evaluator.prepare(dataset, conditional=False)
    asked = []
    evaluator(lambda seeds, labels: asked.append(labels) or generate(seeds, labels))
    assert asked == [None]


def test_num_samples_defaults_to_the_data_up_to_ten_thousand(images_dataset, noise, pixels):
    assert evaluator_of(images_dataset(noise(20)), pixels()).num_samples == 20
    assert evaluator_of(images_dataset(noise(10_020, size=1)), pixels(logits=False)).num_samples == 10_000


def test_progress_is_reported(dataset, pixels):
    reported = []
    unprepared(pixels()).prepare(dataset, progress=lambda done, total: reported.append((done, total)))
    assert reported == [(1000, 1234), (1234, 1234)]


def test_numbers_of_one_known_evaluation(images_dataset, noise, pixels, generate):
    """As every version so far has computed them, in the order of the configuration; processors may round otherwise."""
    evaluator = Evaluator(
        pixels(),
        {"frechet": FrechetDistance(), "kernel": KernelDistance(subsets=3, subset_size=50)},
        num_samples=60, batch_size=16, seed=1, blocks=1, with_heldout=False,
    )  # fmt: skip
    evaluator.prepare(images_dataset(noise(120), torch.arange(120) % 3))
    numbers = evaluator(generate).numbers
    assert list(numbers) == ["fd_pixels", "kd_pixels", "kd_pixels_std"]
    assert list(numbers.values()) == pytest.approx(
        [0.2944352966493864, 0.03036643138597291, 0.0044104474890588954], rel=1e-9
    )


class Brightness(Metric):
    """A metric of one's own, which knows nothing of transgan."""

    def __init__(self):
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, features):
        self.total += features.mean(1).sum()
        self.count += len(features)

    def compute(self):
        return self.total / self.count


class Contrast(Metric):
    """Another one: of generated images less that of real ones, with a deviation."""

    def __init__(self):
        super().__init__()
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def update(self, features, real):
        (self.real if real else self.fake).append(features.std(1))

    def compute(self):
        fake, real = torch.cat(self.fake), torch.cat(self.real)
        return fake.mean() - real.mean(), fake.std()


def test_any_torchmetrics_metric_is_measured(dataset, pixels, generate):
    metrics = {"frechet": FrechetDistance(), "brightness": Brightness(), "contrast": Contrast()}
    evaluator = Evaluator(pixels(), metrics, 50, 16, 0, 2, with_heldout=False)
    evaluator.prepare(dataset, dataset)  # held-out images are not for those that do not name them
    numbers = evaluator(generate).numbers
    names = ["fd_pixels", "fd_pixels_heldout", "brightness_pixels", "contrast_pixels", "contrast_std_pixels"]
    assert list(numbers) == names
    blocks = [generate(list(evaluator.seeds(block)), evaluator.labels).flatten(1) / 255 for block in (0, 1)]
    assert numbers["brightness_pixels"] == pytest.approx(np.mean([block.mean() for block in blocks]), rel=1e-6)
    real = (dataset.images.flatten(1) / 255).std(1).mean()
    assert numbers["contrast_pixels"] == pytest.approx(
        np.mean([block.std(1).mean() - real for block in blocks]), rel=1e-5
    )
    assert evaluator.protocol()["measures"]["brightness"] == {"metric": "Brightness"}
    assert evaluator.metrics["contrast"].fake == []  # nothing is held until the next evaluation


def test_of_statistics_alone_what_needs_features_is_left_out(dataset, pixels, generate):
    full = evaluator_of(dataset, pixels(), num_samples=50)
    evaluator = unprepared(pixels(), num_samples=50)
    evaluator.prepare(
        dataset, reference=lambda extractor: Reference(full.reference.facts, moments=full.reference.moments)
    )
    result = evaluator(generate)
    assert set(result.flags) == {"small_sample", "no_kernel"}
    assert result.numbers == {
        name: value for name, value in full(generate).numbers.items() if not name.startswith("kd_")
    }
