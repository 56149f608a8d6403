"""Three ways to supervise a generator, on images whose judgement is known."""

import pytest
import torch
from torch import nn

from transgan.augmentation import Cutout, NoAugmentation
from transgan.supervision import FinalImage, NoiseGuidance, ScaleWise
from transgan.training.randomness import StepRNG

SHAPE = (3, 8, 8)
TWO_STAGES = dict(img_size=8, in_chans=3, dim=[16, 8], depth=[2, 2], num_heads=[2, 1])  # levels of 4, 4, 8, 8 pixels
LATENT, LABELS = torch.linspace(-1, 1, 12).reshape(2, 6), torch.tensor([0, 2])


def draws(batch, rank=0, world_size=1):
    return StepRNG(5, 0, batch, rank, world_size, torch.device("cpu"))


def checked(supervision, generator):
    network = generator(**TWO_STAGES, image_heads=supervision.num_outputs)
    supervision.check(network)
    return supervision


def every(generator):
    return [FinalImage(), *(checked(s, generator) for s in (NoiseGuidance(4), ScaleWise(4, 1.0)))]


def some_levels(n=2):
    return [torch.randn(n, 3, side, side) for side in (4, 4, 8, 8)]


def up(images):
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3)


def down(images):
    return images.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))


# ---- the finished image


def test_the_finished_image_alone_changes_nothing(generator):
    plain, network, images = FinalImage(), generator(), torch.randn(2, *SHAPE)
    plain.check(network)
    plain.check(nn.Linear(1, 1))  # any generator
    (image,) = plain.generate(network, LATENT, LABELS)
    assert torch.equal(image, network(LATENT, LABELS))
    noise = plain.draw(draws(2), SHAPE)
    assert noise.shape == (2, 0) and plain.levels == 1
    assert plain.real(images, noise) is images and plain.fake([image], noise) is image
    assert plain.spread(images) is images and plain.labels(LABELS) is LABELS and plain.labels(None) is None
    augment = NoAugmentation()
    assert plain.augmentation(augment) is augment
    assert torch.equal(plain.regulariser([image]), torch.zeros(()))


# ---- noise guidance


def test_four_levels_of_noise_are_gats():
    assert NoiseGuidance(4).t == pytest.approx([0.885, 0.76, 0.51, 0.01])
    assert NoiseGuidance(2, start=0.3, floor=0.0).t == pytest.approx([0.7, 0.0])


@pytest.mark.parametrize("supervision", [NoiseGuidance(4), NoiseGuidance(3, 0.4, 0.05), NoiseGuidance(2, 0.5, 0.0)])
def test_noise_of_a_level_has_its_standard_deviation(supervision):
    k = supervision.num_outputs
    noise = supervision.draw(draws(2000), (1, 6, 6))
    assert noise.shape == (2000, 2, k, 1, 6, 6)
    nothing = torch.zeros(2000, 1, 6, 6)
    for judged in (supervision.real(nothing, noise), supervision.fake([nothing] * k, noise)):
        numbers = judged.movedim(1, 0).flatten(1)  # (K, 72000)
        expected = torch.tensor(supervision.t)
        torch.testing.assert_close(numbers.std(1), expected, rtol=0.015, atol=0)  # over five standard errors
        assert (numbers.mean(1).abs() < 5 * expected / 72000**0.5 + 1e-12).all()


def test_noise_is_markov_from_fine_to_coarse():
    """The covariance of n_j and n_k is what the chain says, and a coarser image is a finer one and new noise."""
    supervision = NoiseGuidance(4)
    noise, t = supervision.draw(draws(2000), (1, 6, 6)), torch.tensor(supervision.t)
    n = supervision.real(torch.zeros(2000, 1, 6, 6), noise).movedim(1, 0).flatten(1)
    shrink = (1 - t)[:, None] / (1 - t)  # [k, j]: from level j to level k
    upper = shrink * t.square()  # j finer than k
    expected = torch.triu(upper) + torch.triu(upper, 1).T
    torch.testing.assert_close(torch.cov(n), expected, rtol=0, atol=0.015)
    images = torch.randn(2000, 1, 6, 6)
    real = supervision.real(images, noise)
    for k in range(3):
        keep = (1 - t[k]) / (1 - t[k + 1])
        new = (t[k] ** 2 - (keep * t[k + 1]) ** 2).sqrt()
        torch.testing.assert_close(real[:, k : k + 1], keep * real[:, k + 1 : k + 2] + new * noise[:, 0, k])


def test_real_and_fake_are_treated_alike_with_noise_of_their_own():
    supervision, images = NoiseGuidance(4), torch.randn(2, *SHAPE)
    noise = supervision.draw(draws(2), SHAPE)
    real, fake = supervision.real(images, noise), supervision.fake([images] * 4, noise)
    assert real.shape == fake.shape == (2, 12, 8, 8)
    assert not torch.allclose(real, fake)
    assert torch.equal(real, supervision.fake([images] * 4, noise.flip(1)))  # the same up to which half it gets
    changed = noise.clone()
    changed[:, 1] = 0
    assert torch.equal(supervision.real(images, changed), real)
    changed = noise.clone()
    changed[:, 0] = 0
    assert torch.equal(supervision.fake([images] * 4, changed), fake)


def test_levels_lie_on_each_other_coarse_to_fine_and_enlarged():
    supervision, levels = NoiseGuidance(4), some_levels()
    fake = supervision.fake(levels, torch.zeros(2, 2, 4, *SHAPE))
    for k, image in enumerate([up(levels[0]), up(levels[1]), *levels[2:]]):
        torch.testing.assert_close(fake[:, 3 * k : 3 * k + 3], (1 - supervision.t[k]) * image)


class Mark:
    """Multiplies by its first number and adds its second; remembers what it got."""

    num_random = 2

    def __call__(self, images, draws, strength):
        self.seen = images.shape, draws, strength
        return images * draws[:, 0, None, None, None] + draws[:, 1, None, None, None]


def test_all_levels_of_an_image_are_augmented_alike(shift):
    supervision, mark = NoiseGuidance(4), Mark()
    images, numbers = torch.randn(3, 12, 8, 8), torch.rand(3, 2)
    augment = supervision.augmentation(mark)
    assert augment.num_random == 2
    out = augment(images, numbers, 0.7)
    torch.testing.assert_close(out, images * numbers[:, :1, None, None] + numbers[:, 1:, None, None])
    assert mark.seen[0] == (12, 3, 8, 8) and mark.seen[2] == 0.7  # images of three channels
    numbers = torch.rand(3, shift.num_random)
    same = supervision.augmentation(shift)(images[:, :3].repeat(1, 4, 1, 1), numbers, 1.0)
    assert torch.equal(same, shift(images[:, :3], numbers, 1.0).repeat(1, 4, 1, 1))
    assert not torch.equal(same[:, :3], images[:, :3])


def test_an_augmentation_for_a_batch_at_once_is_for_the_same_images_on_all_levels():
    """Two batches of two, of which the first one's numbers decide for both of its images."""
    hole = Cutout(0.25, 0.5, probability=0.5, batch=2)
    numbers = torch.rand(4, hole.num_random)
    numbers[:, 4] = torch.tensor([0.9, 0.1, 0.1, 0.9])  # decides whether there is a hole
    out = NoiseGuidance(3).augmentation(hole)(torch.ones(4, 3, 8, 8), numbers, 1.0)
    assert torch.equal(out, hole(torch.ones(4, 1, 8, 8), numbers, 1.0).repeat(1, 3, 1, 1))
    assert out[:2].all() and not out[2].all() and not out[3].all()


def test_noise_guidance_judges_an_image_once():
    supervision, numbers = NoiseGuidance(4), torch.randn(2, 5)
    assert torch.equal(supervision.spread(numbers), numbers) and torch.equal(supervision.labels(LABELS), LABELS)
    assert supervision.labels(None) is None
    assert torch.equal(supervision.regulariser(some_levels()), torch.zeros(()))


# ---- scale-wise


def test_scales_are_judged_one_by_one_in_order(generator):
    supervision, levels, images = checked(ScaleWise(4, 1.0), generator), some_levels(), torch.randn(2, *SHAPE)
    noise = supervision.draw(draws(2), SHAPE)
    assert noise.shape == (2, 0)
    fake, real = supervision.fake(levels, noise), supervision.real(images, noise)
    assert fake.shape == real.shape == (8, *SHAPE)
    for n in range(2):
        for k, image in enumerate([up(levels[0]), up(levels[1]), *levels[2:]]):
            assert torch.equal(fake[4 * n + k], image[n])
        for k, image in enumerate([up(down(images)), up(down(images)), images, images]):
            torch.testing.assert_close(real[4 * n + k], image[n], rtol=0, atol=1e-6)
    blocks = real[0].unflatten(2, (4, 2)).unflatten(1, (4, 2))  # a coarse real has no finer detail
    assert torch.equal(blocks, blocks[:, :, :1, :, :1].expand_as(blocks))
    same = [down(images), down(images), images, images]  # a perfect fake is judged as the real one
    torch.testing.assert_close(supervision.fake(same, noise), real, rtol=0, atol=1e-6)


def test_scales_belong_to_their_image():
    supervision, numbers = ScaleWise(3, 1.0), torch.arange(8).reshape(2, 4)
    assert supervision.labels(LABELS).tolist() == [0, 0, 0, 2, 2, 2] and supervision.labels(None) is None
    assert torch.equal(supervision.spread(numbers), torch.stack([numbers[0]] * 3 + [numbers[1]] * 3))
    assert torch.equal(supervision.spread(numbers.T, 1), supervision.spread(numbers).T)
    augment = NoAugmentation()
    assert supervision.augmentation(augment) is augment


def test_logits_of_finished_images_are_the_last_levels(generator):
    logits = torch.arange(8.0)  # of two images at four levels, or of eight judged as one
    assert torch.equal(FinalImage().finished(logits), logits) and torch.equal(NoiseGuidance(4).finished(logits), logits)
    supervision, finished = checked(ScaleWise(4, 1.0), generator), torch.randn(2, *SHAPE)
    assert supervision.finished(logits).tolist() == [3.0, 7.0]
    assert torch.equal(supervision.finished(supervision.fake([*some_levels()[:-1], finished], None)), finished)


def test_the_regulariser_is_zero_only_where_levels_agree():
    supervision, last = ScaleWise(4, 3.0), torch.randn(2, *SHAPE)
    agree = [down(last), down(last), last.clone(), last]
    assert supervision.regulariser(agree) < 1e-12
    for k in range(3):
        levels = list(agree)
        levels[k] = levels[k] + 0.5
        torch.testing.assert_close(supervision.regulariser(levels), torch.tensor(3.0 * 0.25 / 3))
    detail = last + torch.tensor([0.2, -0.2]).repeat(4)  # finer than the coarse levels: these still agree
    torch.testing.assert_close(supervision.regulariser([*agree[:3], detail]), torch.tensor(3.0 * 0.04 / 3))
    assert ScaleWise(4, 0.0).regulariser(some_levels()) == 0


def test_the_regulariser_pulls_every_level_but_the_last():
    levels = [level.requires_grad_() for level in some_levels()]
    ScaleWise(4, 2.0).regulariser(levels).backward()
    assert levels[3].grad is None
    for level, target in zip(levels[:3], [down(levels[3]), down(levels[3]), levels[3]], strict=True):
        torch.testing.assert_close(level.grad, 2.0 / 3 * 2 * (level - target).detach() / level.numel())


# ---- all


def test_levels_come_from_the_generator(generator):
    network = generator(**TWO_STAGES, image_heads=4)
    for supervision in every(generator)[1:]:
        levels = supervision.generate(network, LATENT, LABELS)
        assert [level.shape[-1] for level in levels] == network.level_sizes == [4, 4, 8, 8]
        assert all(map(torch.equal, levels, network.levels(LATENT, LABELS)))


def test_draws_are_a_function_of_the_sample(generator):
    """Two processes draw between them what one does; several fakes per real image have noise of their own."""
    for supervision in every(generator):
        whole = supervision.draw(draws(4), SHAPE)
        parts = [supervision.draw(draws(2, rank, 2), SHAPE) for rank in (0, 1)]
        assert torch.equal(torch.cat(parts), whole)
        several = supervision.draw(draws(4), SHAPE, each=3)
        assert several.shape == (12, *whole.shape[1:])
        assert not whole.numel() or len(several.unique(dim=0)) == 12


def test_twice_differentiable_and_pure(generator):
    for supervision in every(generator):
        noise = supervision.draw(draws(1), (1, 8, 8)).double()
        sides = (4, 4, 8, 8)[4 - supervision.num_outputs :]
        inputs = [torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True) for side in sides]
        anchor = torch.randn(1, 1, 8, 8, dtype=torch.float64)  # differences would see through a detach
        before = {name: str(value) for name, value in vars(supervision).items()}

        def through(*levels, supervision=supervision, noise=noise, anchor=anchor):
            judged = supervision.real(levels[-1], noise).sin().sum() + supervision.fake([*levels], noise).cos().sum()
            return judged + supervision.regulariser([*levels[:-1], anchor])

        assert torch.autograd.gradcheck(through, inputs)
        assert torch.autograd.gradgradcheck(through, inputs)
        assert {name: str(value) for name, value in vars(supervision).items()} == before


def test_a_compiled_graph_holds_it_with_its_gradient(generator, shift):
    for supervision in every(generator):
        noise, levels = supervision.draw(draws(2), SHAPE), some_levels()[4 - supervision.num_outputs :]
        images, numbers = torch.randn(2, *SHAPE), supervision.spread(torch.rand(2, shift.num_random))
        augment = supervision.augmentation(shift)

        def slope(images, noise, numbers, *levels, supervision=supervision, augment=augment):
            def value(images):
                real, fake = supervision.real(images, noise), supervision.fake([*levels], noise)
                return (augment(real, numbers, 1.0) - augment(fake, numbers, 1.0)).sin().sum()

            return torch.func.grad(value)(images) + supervision.regulariser([*levels])

        compiled = torch.compile(slope, backend="aot_eager", fullgraph=True)
        arguments = images, noise, numbers, *levels
        torch.testing.assert_close(compiled(*arguments), slope(*arguments), rtol=0, atol=1e-5)


def test_a_generator_must_make_the_levels(generator):
    few = generator(**TWO_STAGES, image_heads=3)
    for supervision in (NoiseGuidance(4), ScaleWise(4, 1.0)):
        for network, has in ((few, "StyleTransformer has 3"), (nn.Linear(1, 1), "Linear has none")):
            with pytest.raises(ValueError, match=rf"levels=4 .* {has}; use generator=.* generator.image_heads=4"):
                supervision.check(network)
        supervision.check(generator(**TWO_STAGES, image_heads=4))


def test_what_makes_no_sense():
    with pytest.raises(ValueError, match="supervision.num_outputs is 1, not 4; for more use supervision=scale_wise"):
        FinalImage(4)
    for make in (NoiseGuidance, lambda levels: ScaleWise(levels, 1.0)):
        for levels in (1, 0):
            with pytest.raises(ValueError, match=f"supervision.num_outputs={levels} must be at least 2"):
                make(levels)
    with pytest.raises(ValueError, match="supervision.weight=-1 must be at least 0"):
        ScaleWise(2, -1)
    for start, floor in ((1.0, 0.01), (0.1, 0.1), (0.5, -0.1), (0.1, 0.2)):
        with pytest.raises(ValueError, match="0 <= floor < start < 1"):
            NoiseGuidance(4, start, floor)
