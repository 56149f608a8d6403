"""The distance to real images in the generator's step: its gradient, and the images that are drawn for it."""

import torch

from transgan.matching import EnergyDistance
from transgan.training.objectives import GeneratorInputs, Reference, generator_objective
from transgan.training.reference import reference_of


class Data:
    """Sixteen images, each of one value."""

    num_classes = 3

    def __len__(self):
        return 16

    def __getitems__(self, indices):
        values = torch.tensor(list(indices))
        return values.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 8, 8), values % 3


def test_gradient_is_that_of_the_loss_and_of_the_weighted_distance(adversarial):
    module = adversarial(matching=EnergyDistance())
    torch.manual_seed(0)
    real, labels = torch.rand(4, 1, 8, 8) * 2 - 1, torch.arange(4) % 3
    facts = {
        "real": real, "latent": torch.randn(4, module.latent_dim), "labels": labels,
        "random": torch.rand(2, 4, module.augmentation.num_random), "noise": torch.empty(4, 0), "strength": torch.tensor(0.0),
    }  # fmt: skip
    parts = (module.generator, module.discriminator, module.loss, module.supervision, module.augmentation)

    def gradient(value):
        return torch.autograd.grad(value, list(module.generator.parameters()))

    reference = Reference(real, labels, torch.tensor(2.0))
    both = gradient(generator_objective(*parts, GeneratorInputs(**facts, reference=reference), module.matching))
    plain = gradient(generator_objective(*parts, GeneratorInputs(**facts)))
    fake = module.generator(facts["latent"], labels)
    alone = gradient(module.matching(real, fake, labels, labels))
    for ours, loss, distance in zip(both, plain, alone, strict=True):
        torch.testing.assert_close(ours, loss + 2 * distance, rtol=1e-4, atol=1e-6)


def drawn(module, images_seen):
    module.images_seen = images_seen
    return reference_of(module, torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.long), {"matching_weight": 0.5})


def test_images_that_are_drawn_are_a_function_of_the_step(adversarial, monkeypatch):
    made = [adversarial(matching=EnergyDistance(num_real=8), batch_size=4) for _ in range(2)]
    for module in made:
        monkeypatch.setattr(type(module), "trainer", type("Trainer", (), {"world_size": 1}), raising=False)
        monkeypatch.setattr(type(module), "global_rank", 0, raising=False)
        module.attach(Data(), None)
    first, again, later = drawn(made[0], 40), drawn(made[1], 40), drawn(made[0], 44)
    assert first.images.shape == (12, 1, 8, 8) and first.weight == 0.5
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, later.images)
    shown = ((first.images[4:, 0, 0, 0] + 1) * 127.5).round().long()
    assert torch.equal(first.labels[4:], shown % 3)


def test_nothing_is_drawn_without_matching(adversarial):
    assert reference_of(adversarial(), torch.zeros(4, 1, 8, 8), None, {}) is None
