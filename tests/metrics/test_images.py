"""The metrics as torchmetrics of images, by an extractor: the interface of torchmetrics' own FID, KID and IS."""

import pytest
import torch
from torch import nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.image.fid import FrechetInceptionDistance

from transgan.metrics import (
    PRDC,
    ClassAccuracy,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    Memorisation,
    PrecisionRecall,
)
from transgan.metrics.extractors import Pixels


class Means(nn.Module):
    """Four features and three logits."""

    def forward(self, images):
        x = images.float().flatten(1) / 255
        return x.unfold(1, 4, 4).mean(2), x[:, :3] * 4


ALL = {
    FrechetDistance: {},
    KernelDistance: {"subsets": 3, "subset_size": 20},
    InceptionScore: {"splits": 2},
    PrecisionRecall: {},
    PRDC: {},
    Memorisation: {"quantile": 0.1},
    ClassAccuracy: {},
}


@pytest.fixture
def sides(noise):
    return noise(70, seed=1, high=200), noise(90), noise(60, seed=2)


def flat(value):
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("kind", ALL)
def test_images_give_what_their_features_give(kind, sides):
    fake, real, heldout = sides
    by_images, by_features = kind(extractor=Means(), **ALL[kind]), kind(**ALL[kind])
    assert isinstance(by_images, Metric)
    for metric, of in ((by_images, lambda x: (x, x)), (by_features, Means())):
        for images, real_ones in ((real, True), (fake, False)):
            for part in images.split(30):
                features, logits = of(part)
                if kind is InceptionScore:
                    metric.update(logits, real=real_ones)
                elif kind is ClassAccuracy:
                    metric.update(logits, torch.arange(len(part)) % 3, real=real_ones)
                else:
                    metric.update(features, real=real_ones)
        if kind is Memorisation:
            metric.update(of(heldout)[0], real=True, heldout=True)
    values, expected = flat(by_images.compute()), flat(by_features.compute())
    assert values == expected and all(isinstance(value, torch.Tensor) and value.ndim == 0 for value in values)
    by_images.reset()
    assert not any(len(state) if isinstance(state, list) else state.any() for state in by_images.metric_state.values())


def test_the_same_calls_as_torchmetrics(sides):
    fake, real, _ = sides

    class Features(nn.Module):
        num_features = 4

        def forward(self, images):
            return Means()(images)[0].double()

    theirs = FrechetInceptionDistance(Features(), reset_real_features=False)
    ours = FrechetDistance(extractor=Features(), reset_real_features=False)
    for count in (70, 40):
        for metric in (ours, theirs):
            if count == 70:
                metric.update(real, real=True)
            metric.reset() if count == 40 else None
            metric.update(fake[:count], real=False)
        assert ours.compute().item() == pytest.approx(theirs.compute().item(), rel=1e-5)


def test_a_collection_gives_real_images_to_those_that_want_them(sides):
    fake, real, _ = sides
    extractor = Pixels()
    with pytest.raises(ValueError, match="needs logits, and the extractor pixels has none"):
        InceptionScore(extractor=extractor).update(fake)
    metrics = MetricCollection(
        [FrechetDistance(extractor=Means()), InceptionScore(splits=2, extractor=Means()), PRDC(extractor=extractor)]
    )
    metrics.update(real, real=True)
    metrics.update(fake, real=False)
    values = metrics.compute()
    alone = InceptionScore(splits=2, extractor=Means())
    alone.update(fake)
    assert values["InceptionScore"] == alone.compute() and 0 <= values["precision"] <= 1
    assert values["FrechetDistance"] > 0
    metrics.reset()


def test_what_is_neither_images_nor_features_is_refused(sides):
    fake, *_ = sides
    with pytest.raises(ValueError, match="must be a float matrix .N, D., not torch.uint8"):
        FrechetDistance().update(fake, real=True)
    with pytest.raises(ValueError, match="takes uint8 images N x C x H x W, not a tensor of shape .70, 16."):
        FrechetDistance(extractor=Pixels()).update(fake.flatten(1).float(), real=True)
    with pytest.raises(ValueError, match="takes uint8 images"):
        FrechetDistance(extractor=Pixels()).update(fake.float(), real=True)
