"""The judge: closed forms, and independence of batch size, processes and everybody else's random numbers."""

import json

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn
from torchmetrics.image.inception import InceptionScore

from transgan.metrics import Inception, Judge


@pytest.fixture
def dataset(images_dataset, noise):
    return images_dataset(noise(1234), torch.arange(1234) % 3)


def judge_of(dataset, extractor, **arguments):
    judge = Judge(extractor, **arguments)
    judge.prepare(dataset)
    return judge


def frechet(a, b):
    """The definition, by scipy."""
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * scipy.linalg.sqrtm(ca @ cb).real)


def test_frechet_distance_is_the_closed_form(dataset, pixels, generate):
    judge = judge_of(dataset, pixels(), num_samples=301)
    fakes = generate(list(judge.seeds), judge.labels)
    expected = frechet(dataset.images.flatten(1) / 255, fakes.flatten(1) / 255)
    assert judge(generate)["fd_pixels"] == pytest.approx(expected, rel=1e-6)


def test_score_is_k_for_one_hot_logits(dataset, pixels):
    class OneHot(pixels):
        def __call__(self, images):
            features, _ = super().__call__(images)
            return features, nn.functional.one_hot(images[:, 0, 0, 0].long() % 5, 5).float() * 900

    judge = judge_of(dataset, OneHot(), num_samples=1000, splits=1)
    numbers = judge(lambda seeds, labels: (torch.tensor(seeds) % 5).byte().view(-1, 1, 1, 1).repeat(1, 1, 4, 4))
    assert numbers["cs_pixels"] == pytest.approx(5, abs=1e-9)
    constant = judge(lambda seeds, labels: torch.full((len(seeds), 1, 4, 4), 2, dtype=torch.uint8))
    assert constant["cs_pixels"] == pytest.approx(1, abs=1e-9)


@pytest.mark.filterwarnings("ignore:Metric", "ignore:std")
def test_score_equals_torchmetrics(dataset, pixels, generate):
    judge = judge_of(dataset, pixels(), num_samples=300, splits=1)
    metric = InceptionScore(nn.Identity(), splits=1)         # one group: the permutation does not matter
    metric.update(pixels()(generate(list(judge.seeds), judge.labels))[1].double())
    assert judge(generate)["cs_pixels"] == pytest.approx(metric.compute()[0].item(), rel=1e-9)


def test_no_logits_no_score(dataset, pixels, generate):
    assert set(judge_of(dataset, pixels(logits=False), num_samples=50)(generate)) == {"fd_pixels"}


def test_batch_size_changes_nothing(dataset, pixels, generate):
    numbers = [judge_of(dataset, pixels(), num_samples=103, batch_size=size)(generate) for size in (1, 7, 64)]
    assert numbers[0] == numbers[1] == numbers[2]


@pytest.mark.parametrize("world_size, num_samples", [(2, 101), (3, 100), (5, 3)])   # 5 ranks, 3 images: two have none
def test_processes_change_nothing(dataset, pixels, generate, world_size, num_samples):
    judge = judge_of(dataset, pixels(), num_samples=num_samples, batch_size=7)
    held, made = [], []

    def counting(seeds, labels):
        made.extend(seeds)
        return generate(seeds, labels)

    class Waiting(Exception):
        pass

    def hand_in(rows):
        held.append(rows)
        raise Waiting

    for rank in range(world_size):
        with pytest.raises(Waiting):
            judge(counting, rank, world_size, hand_in)
    assert sorted(made) == list(judge.seeds)
    assert len({rows.shape for rows in held}) == 1          # a plain all_gather will do
    assert judge(generate, 0, world_size, lambda rows: held) == judge(generate)
    assert judge(generate, world_size - 1, world_size, lambda rows: held) is None


def test_the_metrics_do_not_wait_for_other_processes(dataset, pixels, generate, monkeypatch):
    judge = judge_of(dataset, pixels(), num_samples=100)
    expected = judge(generate)
    monkeypatch.setattr("torchmetrics.metric.jit_distributed_available", lambda: True)   # but there is no group
    assert judge_of(dataset, pixels(), num_samples=100)(generate) == expected


def test_twice_is_the_same_and_the_reals_stay(dataset, pixels, generate):
    judge = judge_of(dataset, pixels(), num_samples=100)
    first = judge(generate)
    assert judge(generate) == first
    assert int(judge.frechet.real_features_num_samples) == len(dataset)
    assert int(judge.frechet.fake_features_num_samples) == 0


def test_a_seed_is_another_sample(dataset, pixels, generate):
    one, two = (judge_of(dataset, pixels(), num_samples=100, seed=seed) for seed in (0, 1))
    assert not set(one.seeds) & set(two.seeds)
    assert one(generate) != two(generate)


def test_labels_are_the_proportions_of_the_data(images_dataset, noise, pixels):
    labels = torch.tensor([0] * 70 + [1] * 20 + [2] * 10)
    dataset = images_dataset(noise(100), labels)
    assert judge_of(dataset, pixels()).labels.bincount().tolist() == [70, 20, 10]
    judge = judge_of(dataset, pixels(), num_samples=33)     # shares 23.1, 6.6, 3.3
    assert judge.labels.bincount().tolist() == [23, 7, 3]
    assert judge.labels.dtype == torch.int64 and judge.labels.tolist() != sorted(judge.labels.tolist())
    assert torch.equal(judge.labels, judge_of(dataset, pixels(), num_samples=33).labels)
    assert judge_of(images_dataset(noise(10)), pixels()).labels is None


def test_random_numbers_outside_are_untouched(dataset, pixels, generate):
    before = torch.get_rng_state()
    judge = judge_of(dataset, pixels(), num_samples=100)
    judge(lambda seeds, labels: generate(seeds, labels) + torch.rand(1).byte())   # draws from the global generator
    with pytest.raises(ZeroDivisionError):
        judge(lambda seeds, labels: torch.rand(3) / (1 // 0))
    assert torch.equal(before, torch.get_rng_state())


def test_the_score_ignores_random_numbers_outside(dataset, pixels, generate):
    judge = judge_of(dataset, pixels(), num_samples=100)
    torch.manual_seed(1)
    first = judge(generate)
    torch.manual_seed(2)
    assert judge(generate) == first


def test_works_across_inference_mode_and_leaves_no_gradients(dataset, pixels, generate):
    judge = Judge(pixels(), num_samples=100)
    with torch.inference_mode():
        judge.prepare(dataset)
        inside = judge(generate)
    assert judge(generate) == inside
    assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()


def test_non_finite_features_name_the_image(dataset, pixels, generate):
    class Broken(pixels):
        broken = 0

        def __call__(self, images):
            features, logits = super().__call__(images)
            features[images[:, 0, 0, 0] == self.broken] = float("nan")
            return features, logits

    with pytest.raises(ValueError, match=r"real image \d+ are not finite"):
        judge_of(dataset, Broken())
    extractor = pixels()
    judge = judge_of(dataset, extractor, num_samples=50)
    judge.extractor = Broken()
    judge.extractor.prepare(dataset)
    judge.extractor.broken = generate([judge.seeds[17]], judge.labels[17:18])[0, 0, 0, 0]
    first = next(i for i in range(50) if generate([judge.seeds[i]], judge.labels[i:i + 1])[0, 0, 0, 0]
                 == judge.extractor.broken)
    with pytest.raises(ValueError, match=f"generated image {first} "):
        judge(generate)
    judge.extractor = extractor
    assert np.isfinite(judge(generate)["fd_pixels"])        # the failure left nothing behind


@pytest.mark.parametrize("wrong", [lambda x: x / 255, lambda x: x[1:]])
def test_generators_must_return_uint8_and_all_of_them(dataset, pixels, generate, wrong):
    judge = judge_of(dataset, pixels(), num_samples=50, batch_size=20)
    with pytest.raises(ValueError, match="Generated image 0 .*expected 20 uint8"):
        judge(lambda seeds, labels: wrong(generate(seeds, labels)))


def test_too_few_images(images_dataset, noise, pixels):
    with pytest.raises(ValueError, match="at least two images"):
        judge_of(images_dataset(noise(1)), pixels())


def test_only_the_standard_inception_is_called_fid(pixels):
    names = {type(extractor).__name__ + str(extractor.standard): (Judge(extractor).primary, Judge(extractor).score)
             for extractor in (Inception(), Inception(weights="mine.pth", check=False), pixels())}
    assert names == {"InceptionTrue": ("fid", "is"), "PixelsFalse": ("fd_pixels", "cs_pixels"),
                     "InceptionFalse": ("fd_inception_unchecked", "cs_inception_unchecked")}


def test_protocol_is_complete_and_plain(dataset, pixels):
    protocol = judge_of(dataset, pixels(), num_samples=12).protocol(weights="raw", truncation=0.7)
    assert json.loads(json.dumps(protocol)) == protocol
    assert protocol["num_generated"] == 12 and protocol["num_real"] == 1234 and protocol["split"] == "train"
    assert protocol["extractor"] == "pixels" and protocol["extractor_sha256"] == "00"
    assert protocol["dataset"] == dataset.fingerprint and protocol["resolution"] == 4 and protocol["channels"] == 1
    assert protocol["weights"] == "raw" and protocol["truncation"] == 0.7 and protocol["seed"] == 0
    assert protocol["comparable_to_published"] is False
    assert protocol["splits"] == 6                          # 12 images in chunks of ceil(12 / 10)


def test_num_samples_defaults_to_the_data_up_to_ten_thousand(images_dataset, noise, pixels):
    assert judge_of(images_dataset(noise(20)), pixels()).num_samples == 20
    assert judge_of(images_dataset(noise(10_020, size=1)), pixels(logits=False)).num_samples == 10_000


def test_progress_is_told(dataset, pixels):
    told = []
    Judge(pixels()).prepare(dataset, progress=lambda done, total: told.append((done, total)))
    assert told == [(1000, 1234), (1234, 1234)]
