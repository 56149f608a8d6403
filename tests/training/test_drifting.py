"""Drifting as a training step: what is compared, that it learns two clusters, and what is refused."""

from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from transgan.data import Digits, ImageData
from transgan.models.masked_images import MaskedImages
from transgan.models.tokens import Patches, Pixels
from transgan.sampling.pixels import to_uint8
from transgan.training.drifting import Drifting, compared

PATCHES = partial(Patches, patch_size=2, components=2)


def masked(tokens=PATCHES, classes=3):
    torch.manual_seed(1)
    return MaskedImages(8, 1, classes, tokens, 16, 2, 2, 2.0)


def fit(module, batches):
    Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    ).fit(module, DataLoader(batches, batch_size=None))  # fmt: skip
    return module


def test_places_of_an_image():
    """Its pixels; and of each of two blocks every token, the mean of them and their standard deviation."""
    images, labels = torch.randn(5, 1, 8, 8), torch.arange(5) % 3
    found = compared(images, masked(), labels, True)
    assert [tuple(x.shape) for x in found] == [(1, 5, 64), *[(16, 5, 16), (1, 5, 16), (1, 5, 16)] * 2]
    assert torch.allclose(found[2][0], found[1].mean(0), atol=1e-6)
    assert [len(compared(images, None, labels, True)), len(compared(images, masked(), labels, False))] == [1, 6]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_models_of_one_token_and_of_several(size):
    """The deviation over one token is none, not NaN, and neither is its gradient; over several it is that of a sample."""
    images = torch.randn(5, 1, 8, 8, requires_grad=True)
    found = compared(images, masked(partial(Patches, patch_size=size, components=2)), torch.arange(5) % 3, False)
    sum(x.square().sum() for x in found).backward()
    assert images.grad.isfinite().all() and images.grad.abs().sum() > 0
    expected = found[0].std(0) if size < 8 else torch.zeros(5, 16)
    torch.testing.assert_close(found[2][0], expected, atol=2e-3, rtol=1e-3)


def test_features_are_the_masked_models_with_a_gradient_by_the_image():
    """Of images whose values are levels they are what the model itself computes with nothing hidden."""
    network, labels = masked(), torch.tensor([0, 2])
    images = (torch.randint(256, (2, 1, 8, 8)) / 127.5 - 1).requires_grad_()
    hidden = torch.zeros(2, 16, dtype=torch.bool)
    own = network.features(network.tokens.tokens(images), hidden, labels)
    found = network.all_features(images, labels)
    assert len(found) == 2 and torch.allclose(found[-1], own, atol=1e-4)
    found[0].sum().backward()
    assert images.grad.abs().sum() > 0


def test_pixels_have_no_gradient():
    with pytest.raises(ValueError, match="train one with tokens=patches"):
        masked(partial(Pixels, levels=17)).all_features(torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("features", [None, masked])
def test_a_step_moves_the_generator_alone(generator, features):
    module = Drifting(generator(), features and features(), batch_size=12, num_classes=3, fakes=2, lr=1e-2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fit(module, [(torch.randint(256, (12, 1, 8, 8), dtype=torch.uint8), torch.arange(12) % 3)] * 3)
    assert module.images_seen == 36 and not any(module.nonfinite.values())
    after = module.state_dict()
    moved = {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert moved == {"generator", "generator_ema"}
    assert module.log_values["drift"].isfinite() and module.generate([0, 1]).shape == (2, 1, 8, 8)


class Small(nn.Module):
    """Images of one pixel from two numbers, by class."""

    latent_dim = 2

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, latent, labels):
        return self.layers(torch.cat([latent, nn.functional.one_hot(labels, 2).float()], 1)).view(-1, 1, 1, 1)


def test_what_is_learned_is_the_distribution_of_each_class():
    torch.manual_seed(0)
    adam = partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.0)
    module = Drifting(Small(), batch_size=128, num_classes=2, optimizer=adam, lr=3e-3, ema_halflife=2.0)
    labels = torch.arange(128) % 2
    means, stds = torch.tensor([-0.5, 0.4]), torch.tensor([0.05, 0.2])
    batches = [
        (to_uint8((means[labels] + stds[labels] * torch.randn(128)).view(-1, 1, 1, 1)), labels) for _ in range(500)
    ]
    fit(module, batches)
    with torch.no_grad():
        for k in (0, 1):
            found = module.generator_ema(torch.randn(2000, 2), torch.full((2000,), k))
            assert found.mean() == pytest.approx(means[k].item(), abs=0.05)
            assert found.std() == pytest.approx(stds[k].item(), rel=0.4)


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(temperatures=[]), r"algorithm.temperatures=\[\]: give at least one number, more than 0"),
        (dict(temperatures=[0.1, 0]), "more than 0"),
        (dict(fakes=0), "algorithm.fakes=0: it takes a whole number"),
        (dict(images_per_class=3), "algorithm.images_per_class=3: give 4 or more, or null"),
        (dict(pixels=False), "algorithm.pixels=false needs features"),
        (dict(micro_batch=2), "micro_batch=2: the drifting field is one of a whole batch"),
    ],
)
def test_bad_input(generator, changes, said):
    with pytest.raises(ValueError, match=said):
        Drifting(generator(), batch_size=12, num_classes=3, **changes)


@pytest.mark.parametrize("classes, size", [(3, 11), (0, 3), (1, 3)])
def test_batches_in_which_nothing_would_move(generator, classes, size):
    """The paper's field is one of several images of a class; a class of which there is one image stands still."""

    class Images:
        def __getitems__(self, indices):
            return torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(1, dtype=torch.long)

    def made(size, **options):
        return Drifting(generator(num_classes=classes), batch_size=size, num_classes=classes, **options)

    with pytest.raises(
        ValueError, match=f"batch_size={size}: .* needs 4 or more.*; give batch_size={size + 1} or more"
    ):
        made(size).attach(Images(), None)
    made(size + 1).attach(Images(), None)
    made(4, images_per_class=4).attach(Images(), None)  # of however many classes
    with pytest.raises(ValueError, match="give batch_size=4 or more$"):
        made(3, images_per_class=4).attach(Images(), None)


@pytest.mark.parametrize("classes", [10, 0])
def test_batches_of_few_classes(generator, classes):
    """images_per_class reaches the loader; without classes there is nothing to put beside each other."""
    module = Drifting(generator(num_classes=classes), batch_size=16, num_classes=classes, images_per_class=8)
    seen = []
    module.training_step = lambda batch, batch_idx: seen.append(batch[1])
    Trainer(
        accelerator="cpu", devices=1, max_epochs=1, limit_train_batches=10, logger=False, use_distributed_sampler=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    ).fit(module, ImageData(Digits(8, 1), 16, seed=0))  # fmt: skip
    counts = [len(labels.unique()) for labels in seen]
    assert counts == [2] * 10 if classes else min(counts) > 4
