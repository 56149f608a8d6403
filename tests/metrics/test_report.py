"""What metrics report: the names of their numbers, details, and what is said of the images that they are of."""

import pytest
import torch

from transgan.metrics import (
    PRDC,
    ClassAccuracy,
    Evaluator,
    FrechetDistance,
    KernelDistance,
    Memorisation,
    PrecisionRecall,
)
from transgan.metrics.frechet import frechet_distance
from transgan.metrics.kernel import kernel_distance
from transgan.metrics.manifold import prdc, precision_recall
from transgan.metrics.moments import Moments


def features(n, seed=0):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def reported(metric, fake, real):
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.report()


def test_both_ways_of_counting_beside_each_other():
    fake, real = features(80, 1), features(80)
    k3, k5 = reported(PrecisionRecall(), fake, real), reported(PRDC(), fake, real)
    theirs = precision_recall(fake, real, 3)
    assert k3.numbers == {"precision_k3": theirs["precision"], "recall_k3": theirs["recall"]} and not k3.flags
    assert list(k5.numbers) == ["precision_prdc_k5", "recall_prdc_k5", "density_k5", "coverage_k5"] and not k5.flags
    assert list(k5.numbers.values()) == list(prdc(fake, real, 5).values())
    assert not reported(PRDC(k=3), fake, real).numbers.keys() & k3.numbers.keys()


def test_what_is_said_of_the_sets():
    one, six = features(60), features(60).repeat(6, 1)
    flags = reported(PrecisionRecall(), one, six).flags
    assert "are of 60 generated and 360 real images" in flags.pop("unequal_sets_k3") and not flags
    assert reported(PRDC(max_samples=50), one, features(70, 1)).flags == {
        "part_of_sets_prdc_k5": (
            "precision_prdc_k5, recall_prdc_k5, density_k5, coverage_k5 are of 50 images of either side"
        )
    }
    report = reported(PRDC(), six, six)
    assert set(report.numbers.values()) == {0.0} and set(report.flags) == {"twins_prdc_k5"}
    assert report.flags["twins_prdc_k5"].startswith("360 generated and 360 real images have 5 equal ones or more")
    report = reported(PrecisionRecall(), six, six)
    assert report.numbers == {"precision_k3": 1.0, "recall_k3": 1.0} and not report.flags


def test_one_name_for_two_numbers_is_refused():
    measures = {"some": PrecisionRecall(max_samples=100), "all": PrecisionRecall()}
    with pytest.raises(ValueError, match="measures.some and metrics.measures.all both give precision_k3"):
        Evaluator(None, measures, 10, 8, 0, 1, False)


def test_too_few_images_are_refused_before_any_is_looked_at(images_dataset, noise, pixels):
    class Blind(pixels):
        def __call__(self, images):
            raise AssertionError("looked")

    for metric in (PrecisionRecall(), PRDC()):
        evaluator = Evaluator(Blind(), {"some": metric}, metric.k, 8, 0, 1, False)
        with pytest.raises(
            ValueError, match=f"measures.some.k={metric.k}: {metric.k} images .*k={metric.k - 1} or less"
        ):
            evaluator.prepare(images_dataset(noise(50)))


def test_fewer_images_than_a_subset_are_reported_and_not_refused():
    fake, real = features(30, 1), features(80)
    report = reported(KernelDistance(subsets=3, subset_size=50), fake, real)
    mean, std = kernel_distance(fake, real, 3, 30)
    assert report.numbers == {"kd": mean, "kd_std": std} and set(report.flags) == {"small_kernel_subsets"}


def test_distances_of_classes_and_of_held_out_images():
    fake, real, heldout = features(60, 1), features(90), features(40, 2)
    ours, theirs = torch.arange(60) % 3, torch.arange(90) % 4  # nothing was generated of class 3
    metric = FrechetDistance(per_class=True)
    metric.update(heldout, real=True, heldout=True)
    for part in range(3):  # in any batches
        metric.update(real[part::3], real=True, labels=theirs[part::3])
        metric.update(fake[part::3], real=False, labels=ours[part::3])
    report = metric.report()
    assert list(report.numbers) == ["fd", "fd_heldout"] and report.numbers["fd"] == metric.compute()
    expected = frechet_distance(Moments.of(fake), Moments.of(heldout))
    assert report.numbers["fd_heldout"] == pytest.approx(expected, rel=1e-9)
    distances = report.details["fd_per_class"]
    assert list(distances) == [0, 1, 2, 3] and distances[3] is None
    of_class = [Moments.of(side[labels == 1]) for side, labels in ((fake, ours), (real, theirs))]
    assert distances[1] == pytest.approx(frechet_distance(*of_class), rel=1e-9)


def test_accuracy_stands_beside_that_of_real_images():
    labels = torch.arange(40) % 4
    right, wrong = torch.eye(4)[labels], torch.eye(4)[labels.roll(1)]
    metric = ClassAccuracy()
    metric.update(torch.cat([right[:30], wrong[30:]]), labels)
    assert metric.compute() == 0.75 and metric.report().numbers == {"accuracy": 0.75}
    metric.update(right, labels, real=True)
    assert metric.report().numbers == {"accuracy": 0.75, "accuracy_real": 1.0}
    metric.update(wrong, labels, real=True, heldout=True)
    assert metric.report().numbers == {"accuracy": 0.75, "accuracy_heldout": 0.0}
    metric.reset()
    metric.update(None, labels)  # no logits, or not of these classes
    assert metric.report().numbers == {}


def test_no_memorisation_without_held_out_images():
    report = reported(Memorisation(), features(30), features(300))
    assert not report.numbers and "needs 200 held-out real images" in report.flags["no_memorisation"]
    metric = Memorisation()
    metric.update(features(250, 2), real=True, heldout=True)
    report = reported(metric, features(300)[:30], features(300))
    assert report.numbers["auth_pct"] == 0 and report.details["nearest_pairs"][0]["distance"] == 0


def test_settings_that_are_not_the_usual_ones_are_stated():
    assert KernelDistance().facts() == {
        "subsets": 100, "subset_size": 1000, "kernel": "polynomial of degree 3", "rng_seed": 2020,
    }  # fmt: skip
    assert KernelDistance(degree=2, coef=0.5).facts()["kernel"] == "polynomial of degree 2"
    assert KernelDistance(degree=2, coef=0.5).facts()["coef"] == 0.5
    assert Memorisation().facts() == {"max_samples": 10_000}
    assert Memorisation(quantile=0.02).facts() == {"max_samples": 10_000, "quantile": 0.02}
