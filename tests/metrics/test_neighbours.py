"""The two measures by nearest neighbours: what their numbers are called, and what is said of the sets they are of."""

import pytest
import torch

from transgan.metrics import Evaluator, Manifold, PrecisionRecall
from transgan.metrics.manifold import prdc, precision_recall
from transgan.metrics.reference import Features, Reference


def features(n, seed=0):
    return Features(torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)))


def measured(measure, fake, real):
    return measure(fake, Reference({}, real), None)


def test_both_ways_beside_each_other():
    fake, real = features(80, 1), features(80)
    k3, k5 = measured(PrecisionRecall(), fake, real), measured(Manifold(), fake, real)
    theirs = precision_recall(fake.rows, real.rows, 3)
    assert k3.numbers == {"precision_k3": theirs["precision"], "recall_k3": theirs["recall"]} and not k3.flags
    theirs = prdc(fake.rows, real.rows, 5)
    assert list(k5.numbers) == ["precision_prdc_k5", "recall_prdc_k5", "density_k5", "coverage_k5"] and not k5.flags
    assert list(k5.numbers.values()) == list(theirs.values())
    same_k = measured(Manifold(k=3), fake, real).numbers
    assert not same_k.keys() & k3.numbers.keys()


def test_what_is_said_of_the_sets():
    one, six = features(60), Features(features(60).rows.repeat(6, 1))
    flags = measured(PrecisionRecall(), one, six).flags
    assert "are of 60 generated and 360 real images" in flags.pop("unequal_sets_k3") and not flags
    outcome = measured(Manifold(max_samples=50), one, features(70, 1))
    assert outcome.flags == {
        "part_of_sets_prdc_k5": (
            "precision_prdc_k5, recall_prdc_k5, density_k5, coverage_k5 are of 50 images of either side"
        )
    }
    outcome = measured(Manifold(), six, six)
    assert set(outcome.numbers.values()) == {0.0} and set(outcome.flags) == {"twins_prdc_k5"}
    assert outcome.flags["twins_prdc_k5"].startswith("360 generated and 360 real images have 5 equal ones or more")
    outcome = measured(PrecisionRecall(), six, six)
    assert outcome.numbers == {"precision_k3": 1.0, "recall_k3": 1.0} and not outcome.flags


def test_one_name_for_two_numbers_is_refused():
    measures = {"some": PrecisionRecall(max_samples=100), "all": PrecisionRecall()}
    with pytest.raises(ValueError, match="measures.some and metrics.measures.all both give precision_k3"):
        Evaluator(None, measures, 10, 8, 0, 1, False)


def test_too_few_images_are_refused_before_any_is_looked_at(images_dataset, noise, pixels):
    class Blind(pixels):
        def __call__(self, images):
            raise AssertionError("looked")

    for measure in (PrecisionRecall(), Manifold()):
        evaluator = Evaluator(Blind(), {"some": measure}, measure.k, 8, 0, 1, False)
        with pytest.raises(
            ValueError, match=f"measures.some.k={measure.k}: {measure.k} images .*k={measure.k - 1} or less"
        ):
            evaluator.prepare(images_dataset(noise(50)))
