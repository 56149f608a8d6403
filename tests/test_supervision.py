"""What the discriminator sees of a generator, on images for which that is known."""

import pytest
import torch
from torch import nn

from transgan.augmentation import Cutout, NoAugmentation
from transgan.supervision import FinalImage, NoiseGuidance, ScaleWise
from transgan.training.randomness import StepRNG

SHAPE = (3, 8, 8)
TWO_STAGES = dict(img_size=8, in_chans=3, dim=[16, 8], depth=[2, 2], num_heads=[2, 1])  # levels of 4, 4, 8, 8 pixels
LATENT, LABELS = torch.linspace(-1, 1, 12).reshape(2, 6), torch.tensor([0, 2])


def rng(batch, rank=0, world_size=1):
    return StepRNG(5, 0, batch, rank, world_size, torch.device("cpu"))


def checked(supervision, generator):
    network = generator(**TWO_STAGES, image_heads=supervision.num_outputs)
    supervision.check(network)
    return supervision


def every(generator):
    return [FinalImage(), *(checked(s, generator) for s in (NoiseGuidance(4), ScaleWise(4, 1.0)))]


def some_outputs(n=2):
    return [torch.randn(n, 3, side, side) for side in (4, 4, 8, 8)]


def up(images):
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3)


def down(images):
    return images.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))


# ---- the final image


def test_the_final_image_alone_changes_nothing(generator):
    plain, network, images = FinalImage(), generator(), torch.randn(2, *SHAPE)
    plain.check(network)
    plain.check(nn.Linear(1, 1))  # any generator
    (image,) = plain.generate(network, LATENT, LABELS)
    assert torch.equal(image, network(LATENT, LABELS))
    noise = plain.sample_noise(rng(2), SHAPE)
    assert noise.shape == (2, 0) and plain.num_outputs == 1
    assert plain.real_input(images, noise) is images and plain.fake_input([image], noise) is image
    assert plain.repeat(images) is images
    augmentation = NoAugmentation()
    assert plain.wrap(augmentation) is augmentation
    assert torch.equal(plain.regulariser([image]), torch.zeros(()))


# ---- noise guidance


def test_four_levels_of_noise_are_gats():
    assert NoiseGuidance(4).t == pytest.approx([0.885, 0.76, 0.51, 0.01])
    assert NoiseGuidance(2, start=0.3, floor=0.0).t == pytest.approx([0.7, 0.0])


@pytest.mark.parametrize("supervision", [NoiseGuidance(4), NoiseGuidance(3, 0.4, 0.05), NoiseGuidance(2, 0.5, 0.0)])
def test_noise_of_a_level_has_its_standard_deviation(supervision):
    k = supervision.num_outputs
    noise = supervision.sample_noise(rng(2000), (1, 6, 6))
    assert noise.shape == (2000, 2, k, 1, 6, 6)
    nothing = torch.zeros(2000, 1, 6, 6)
    for seen in (supervision.real_input(nothing, noise), supervision.fake_input([nothing] * k, noise)):
        numbers = seen.movedim(1, 0).flatten(1)  # (K, 72000)
        expected = torch.tensor(supervision.t)
        torch.testing.assert_close(numbers.std(1), expected, rtol=0.015, atol=0)  # over five standard errors
        assert (numbers.mean(1).abs() < 5 * expected / 72000**0.5 + 1e-12).all()


def test_noise_is_markov_from_fine_to_coarse():
    """The covariance of n_j and n_k is what the chain says, and a coarser image is a finer one and new noise."""
    supervision = NoiseGuidance(4)
    noise, t = supervision.sample_noise(rng(2000), (1, 6, 6)), torch.tensor(supervision.t)
    n = supervision.real_input(torch.zeros(2000, 1, 6, 6), noise).movedim(1, 0).flatten(1)
    shrink = (1 - t)[:, None] / (1 - t)  # [k, j]: from level j to level k
    upper = shrink * t.square()  # j finer than k
    expected = torch.triu(upper) + torch.triu(upper, 1).T
    torch.testing.assert_close(torch.cov(n), expected, rtol=0, atol=0.015)
    images = torch.randn(2000, 1, 6, 6)
    real = supervision.real_input(images, noise)
    for k in range(3):
        keep = (1 - t[k]) / (1 - t[k + 1])
        new = (t[k] ** 2 - (keep * t[k + 1]) ** 2).sqrt()
        torch.testing.assert_close(real[:, k : k + 1], keep * real[:, k + 1 : k + 2] + new * noise[:, 0, k])


def test_real_and_fake_are_treated_alike_with_noise_of_their_own():
    supervision, images = NoiseGuidance(4), torch.randn(2, *SHAPE)
    noise = supervision.sample_noise(rng(2), SHAPE)
    real, fake = supervision.real_input(images, noise), supervision.fake_input([images] * 4, noise)
    assert real.shape == fake.shape == (2, 12, 8, 8)
    assert not torch.allclose(real, fake)
    assert torch.equal(real, supervision.fake_input([images] * 4, noise.flip(1)))  # the same up to which half it gets
    changed = noise.clone()
    changed[:, 1] = 0
    assert torch.equal(supervision.real_input(images, changed), real)
    changed = noise.clone()
    changed[:, 0] = 0
    assert torch.equal(supervision.fake_input([images] * 4, changed), fake)


def test_outputs_are_stacked_as_channels_coarse_to_fine_and_enlarged():
    supervision, levels = NoiseGuidance(4), some_outputs()
    fake = supervision.fake_input(levels, torch.zeros(2, 2, 4, *SHAPE))
    for k, image in enumerate([up(levels[0]), up(levels[1]), *levels[2:]]):
        torch.testing.assert_close(fake[:, 3 * k : 3 * k + 3], (1 - supervision.t[k]) * image)


class Mark:
    """Multiplies by its first number and adds its second; remembers what it got."""

    num_random = 2

    def __call__(self, images, random, strength):
        self.seen = images.shape, random, strength
        return images * random[:, 0, None, None, None] + random[:, 1, None, None, None]


def test_all_levels_of_an_image_are_augmented_alike(shift):
    supervision, mark = NoiseGuidance(4), Mark()
    images, numbers = torch.randn(3, 12, 8, 8), torch.rand(3, 2)
    augmentation = supervision.wrap(mark)
    assert augmentation.num_random == 2
    out = augmentation(images, numbers, 0.7)
    torch.testing.assert_close(out, images * numbers[:, :1, None, None] + numbers[:, 1:, None, None])
    assert mark.seen[0] == (12, 3, 8, 8) and mark.seen[2] == 0.7  # images of three channels
    numbers = torch.rand(3, shift.num_random)
    same = supervision.wrap(shift)(images[:, :3].repeat(1, 4, 1, 1), numbers, 1.0)
    assert torch.equal(same, shift(images[:, :3], numbers, 1.0).repeat(1, 4, 1, 1))
    assert not torch.equal(same[:, :3], images[:, :3])


def test_an_augmentation_for_a_batch_at_once_is_for_the_same_images_on_all_levels():
    """Two batches of two, of which the first one's numbers decide for both of its images."""
    hole = Cutout(0.25, 0.5, probability=0.5, batch=2)
    numbers = torch.rand(4, hole.num_random)
    numbers[:, 4] = torch.tensor([0.9, 0.1, 0.1, 0.9])  # decides whether there is a hole
    augmentation = NoiseGuidance(3).wrap(hole)
    numbers = augmentation.of_batch(numbers)
    out = augmentation(torch.ones(4, 3, 8, 8), numbers, 1.0)
    assert torch.equal(out, hole(torch.ones(4, 1, 8, 8), numbers, 1.0).repeat(1, 3, 1, 1))
    assert out[:2].all() and not out[2].all() and not out[3].all()


def test_noise_guidance_gives_an_image_one_logit():
    supervision, numbers = NoiseGuidance(4), torch.randn(2, 5)
    assert torch.equal(supervision.repeat(numbers), numbers) and torch.equal(supervision.repeat(LABELS), LABELS)
    assert torch.equal(supervision.regulariser(some_outputs()), torch.zeros(()))


# ---- scale-wise


def test_every_scale_is_an_input_of_its_own_in_order(generator):
    supervision, levels, images = checked(ScaleWise(4, 1.0), generator), some_outputs(), torch.randn(2, *SHAPE)
    noise = supervision.sample_noise(rng(2), SHAPE)
    assert noise.shape == (2, 0)
    fake, real = supervision.fake_input(levels, noise), supervision.real_input(images, noise)
    assert fake.shape == real.shape == (8, *SHAPE)
    for n in range(2):
        for k, image in enumerate([up(levels[0]), up(levels[1]), *levels[2:]]):
            assert torch.equal(fake[4 * n + k], image[n])
        for k, image in enumerate([up(down(images)), up(down(images)), images, images]):
            torch.testing.assert_close(real[4 * n + k], image[n], rtol=0, atol=1e-6)
    blocks = real[0].unflatten(2, (4, 2)).unflatten(1, (4, 2))  # a coarse real has no finer detail
    assert torch.equal(blocks, blocks[:, :, :1, :, :1].expand_as(blocks))
    same = [down(images), down(images), images, images]  # a perfect fake looks like the real one
    torch.testing.assert_close(supervision.fake_input(same, noise), real, rtol=0, atol=1e-6)


def test_scales_belong_to_their_image():
    supervision, numbers = ScaleWise(3, 1.0), torch.arange(8).reshape(2, 4)
    assert supervision.repeat(LABELS).tolist() == [0, 0, 0, 2, 2, 2]
    assert torch.equal(supervision.repeat(numbers), torch.stack([numbers[0]] * 3 + [numbers[1]] * 3))
    assert torch.equal(supervision.repeat(numbers.T, 1), supervision.repeat(numbers).T)
    augmentation = NoAugmentation()
    assert supervision.wrap(augmentation) is augmentation


def test_logits_of_final_images_are_those_of_the_last_outputs(generator):
    logits = torch.arange(8.0)  # of two images at four levels, or of eight images
    assert torch.equal(FinalImage().final_logits(logits), logits) and torch.equal(
        NoiseGuidance(4).final_logits(logits), logits
    )
    supervision, final = checked(ScaleWise(4, 1.0), generator), torch.randn(2, *SHAPE)
    assert supervision.final_logits(logits).tolist() == [3.0, 7.0]
    assert torch.equal(supervision.final_logits(supervision.fake_input([*some_outputs()[:-1], final], None)), final)


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
    assert ScaleWise(4, 0.0).regulariser(some_outputs()) == 0


def test_the_regulariser_pulls_every_level_but_the_last():
    levels = [level.requires_grad_() for level in some_outputs()]
    ScaleWise(4, 2.0).regulariser(levels).backward()
    assert levels[3].grad is None
    for level, target in zip(levels[:3], [down(levels[3]), down(levels[3]), levels[3]], strict=True):
        torch.testing.assert_close(level.grad, 2.0 / 3 * 2 * (level - target).detach() / level.numel())


# ---- all


def test_levels_come_from_the_generator(generator):
    network = generator(**TWO_STAGES, image_heads=4)
    for supervision in every(generator)[1:]:
        levels = supervision.generate(network, LATENT, LABELS)
        assert [level.shape[-1] for level in levels] == network.image_sizes == [4, 4, 8, 8]
        assert all(map(torch.equal, levels, network.all_images(LATENT, LABELS)))


def test_noise_is_a_function_of_the_sample(generator):
    """Two processes have between them the noise of one."""
    for supervision in every(generator):
        whole = supervision.sample_noise(rng(4), SHAPE)
        parts = [supervision.sample_noise(rng(2, rank, 2), SHAPE) for rank in (0, 1)]
        assert torch.equal(torch.cat(parts), whole)


def test_twice_differentiable_and_pure(generator):
    for supervision in every(generator):
        noise = supervision.sample_noise(rng(1), (1, 8, 8)).double()
        sides = (4, 4, 8, 8)[4 - supervision.num_outputs :]
        inputs = [torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True) for side in sides]
        anchor = torch.randn(1, 1, 8, 8, dtype=torch.float64)  # differences would see through a detach
        before = {name: str(value) for name, value in vars(supervision).items()}

        def through(*levels, supervision=supervision, noise=noise, anchor=anchor):
            seen = (
                supervision.real_input(levels[-1], noise).sin().sum()
                + supervision.fake_input([*levels], noise).cos().sum()
            )
            return seen + supervision.regulariser([*levels[:-1], anchor])

        assert torch.autograd.gradcheck(through, inputs)
        assert torch.autograd.gradgradcheck(through, inputs)
        assert {name: str(value) for name, value in vars(supervision).items()} == before


def test_a_compiled_graph_holds_it_with_its_gradient(generator, shift):
    for supervision in every(generator):
        noise, levels = supervision.sample_noise(rng(2), SHAPE), some_outputs()[4 - supervision.num_outputs :]
        images, numbers = torch.randn(2, *SHAPE), supervision.repeat(torch.rand(2, shift.num_random))
        augmentation = supervision.wrap(shift)

        def gradient(images, noise, numbers, *levels, supervision=supervision, augmentation=augmentation):
            def value(images):
                real, fake = supervision.real_input(images, noise), supervision.fake_input([*levels], noise)
                return (augmentation(real, numbers, 1.0) - augmentation(fake, numbers, 1.0)).sin().sum()

            return torch.func.grad(value)(images) + supervision.regulariser([*levels])

        compiled = torch.compile(gradient, backend="aot_eager", fullgraph=True)
        arguments = images, noise, numbers, *levels
        torch.testing.assert_close(compiled(*arguments), gradient(*arguments), rtol=0, atol=1e-5)


def test_a_generator_must_make_as_many_outputs(generator):
    few = generator(**TWO_STAGES, image_heads=3)
    for supervision in (NoiseGuidance(4), ScaleWise(4, 1.0)):
        for network, has in ((few, "StyleTransformer has 3"), (nn.Linear(1, 1), "Linear has none")):
            with pytest.raises(ValueError, match=rf"num_outputs=4 .* {has}; use generator=.* generator.image_heads=4"):
                supervision.check(network)
        supervision.check(generator(**TWO_STAGES, image_heads=4))


def test_settings_out_of_range():
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
