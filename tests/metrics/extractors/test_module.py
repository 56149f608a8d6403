"""A user's own network: whatever `_target_` names, copied, frozen, and under a name that claims nothing."""

import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from transgan.metrics.extractors import FromModule


class Means(nn.Module):
    """The mean of every channel; `logits` of them if there is a head."""

    def __init__(self, head=False):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.head = nn.Linear(3, 2) if head else None

    def forward(self, images):
        features = images.float().mean((2, 3)) * self.scale
        return features if self.head is None else (features, self.head(features))


class Returns(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, images):
        return self.make(images.float())


def prepared(dataset, module, name="means"):
    extractor = FromModule(module, name)
    extractor.prepare(dataset)
    return extractor


def test_features_with_and_without_logits(dataset):
    features, logits = prepared(dataset, Means())(dataset.images)
    assert torch.equal(features, dataset.images.float().mean((2, 3))) and logits is None
    extractor = prepared(dataset, Means(head=True))
    assert (
        extractor(dataset.images)[1].shape == (12, 2) and extractor.num_features == 3 and extractor.class_names is None
    )


def test_given_by_configuration(dataset):
    node = {
        "_target_": "transgan.metrics.extractors.FromModule",
        "name": "flat",
        "module": {"_target_": "torch.nn.Flatten"},
    }
    extractor = instantiate(node)
    extractor.prepare(dataset)
    assert extractor.name == "flat" and extractor.num_features == 3 * 32 * 32


def test_a_copy_is_taken_when_it_is_prepared(dataset):
    module = Means()
    extractor = prepared(dataset, module)
    before = extractor(dataset.images)[0]
    with torch.no_grad():
        module.train().scale.fill_(2.0)
    assert torch.equal(extractor(dataset.images)[0], before) and module.scale.requires_grad


def test_hash_tells_classes_and_weights_apart(dataset):
    one, same, other, head = (prepared(dataset, module) for module in (Means(), Means(), Means(), Means(head=True)))
    assert one.hash == same.hash and len({one.hash, head.hash, prepared(dataset, nn.Flatten()).hash}) == 3
    changed = Means()
    with torch.no_grad():
        changed.scale.fill_(2.0)
    assert prepared(dataset, changed).hash != other.hash


@pytest.mark.parametrize("name", ["fid", "FID", "is", "kid", "inception", "Inception", "my net", "a=b", "", "a/b"])
def test_names_that_claim_or_break_something_are_refused(name):
    with pytest.raises(ValueError, match=f"extractor.name={name} cannot be used"):
        FromModule(Means(), name)


def test_what_is_no_module_is_refused():
    with pytest.raises(ValueError, match="extractor.module is dict, not a torch module"):
        FromModule({"a": 1}, "means")


@pytest.mark.parametrize("make, said", [
    (lambda x: x, r"\(2, 3, 32, 32\)"), (lambda x: x.flatten(), r"\(6144,\)"), (lambda x: x.mean((2, 3))[:1], r"\(1, 3\)"),
    (lambda x: (x.mean((2, 3)), x), r"\(2, 3, 32, 32\)"), (lambda x: {"features": x}, "dict"),
    (lambda x: (x.mean((2, 3)),) * 3, "tuple"),
])  # fmt: skip
def test_other_answers_are_refused(dataset, make, said):
    extractor = FromModule(Returns(make), "wrong")
    for _ in range(2):  # also when it is asked again
        with pytest.raises(ValueError, match=f"extractor=wrong must return features N x D.*returned {said}"):
            extractor.prepare(dataset)
