"""A batch in parts: the gradients and the log of the complete batch, less memory, and a way out where memory is lacking."""

from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Trainer

from transgan.augmentation import Compose, Cutout, Translation
from transgan.consistency import BalancedConsistency
from transgan.losses import Hinge, LeastSquares, NonSaturating, RelativisticAverage, Wasserstein
from transgan.matching import EnergyDistance
from transgan.models.flow_discriminator import FlowDiscriminator
from transgan.models.flow_transformer import FlowTransformer
from transgan.models.image_gpt import ImageGPT
from transgan.models.masked_images import MaskedImages
from transgan.models.observation import Logistics
from transgan.models.tokens import Pixels
from transgan.models.vae import VAE, ConvDecoder, ConvEncoder
from transgan.penalties import (
    R1R2,
    R1R2JVP,
    WGANGP,
    Lazy,
    NoPenalty,
    R1R2CentralDifference,
    R1R2FiniteDifference,
    Subsampled,
)
from transgan.supervision import NoiseGuidance, ScaleWise
from transgan.training.autoregressive import Autoregressive
from transgan.training.flow import Flow
from transgan.training.masked import Masked
from transgan.training.microbatches import MicroBatches, pairwise
from transgan.training.transgan_official import TransGANOfficial, WassersteinMeanDrift
from transgan.training.variational import Variational

SIZE = 8


@pytest.fixture(autouse=True)
def in_float64(monkeypatch):
    """So that what is left between two orders of a sum is far below the tolerance."""
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    yield
    torch.set_default_dtype(torch.float32)


class Recorded:
    """Takes no step, and keeps what it would have been about."""

    def __init__(self, module):
        self.module, self.gradients = module, {}

    def step(self, name, optimizer, finite, images):
        network = getattr(self.module, name)
        self.gradients[name] = {each: value.grad.clone() for each, value in network.named_parameters()
                                if value.grad is not None}  # fmt: skip
        return True

    def read(self, images):
        return True


def gradients(module, steps=1, size=SIZE):
    """-> (the gradients of both networks in the last step, what it logged)."""
    module.skipped = recorded = Recorded(module)
    random = torch.Generator().manual_seed(5)
    batches = [(torch.randint(0, 256, (size, 1, 8, 8), generator=random, dtype=torch.uint8), torch.arange(size) % 3)]
    Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    ).fit(module, torch.utils.data.DataLoader(batches * steps, batch_size=None))  # fmt: skip
    numbers = {name: float(value) for name, value in module.log_values.items()}
    return recorded.gradients, numbers


def require_same(make, sizes, steps=1, size=SIZE):
    whole, log = gradients(make(None), steps, size)
    assert whole and all(any(value.abs().max() > 0 for value in each.values()) for each in whole.values())
    for micro_batch in sizes:
        parts, other_log = gradients(make(micro_batch), steps, size)
        assert parts.keys() == whole.keys()
        for name, network in whole.items():
            assert parts[name].keys() == network.keys()
            largest = max(value.abs().max() for value in network.values())
            for key, value in network.items():
                torch.testing.assert_close(parts[name][key], value, rtol=1e-6, atol=float(1e-6 * largest), msg=key)
        for numbers in (log, other_log):
            numbers.pop("latents_used", None)  # counts those that vary within a batch
        assert other_log == pytest.approx(log, rel=1e-5, abs=1e-7)


@pytest.fixture
def made(adversarial, shift):
    def make(**changes):
        changes = dict(batch_size=SIZE, augmentation=shift, gamma=1.0) | changes
        return lambda micro_batch: adversarial(micro_batch=micro_batch, **changes)

    return make


PENALTIES = {
    "none": NoPenalty(), "r1_r2": R1R2(), "r1": R1R2(fake=False), "gp": WGANGP(), "jvp": R1R2JVP(),
    "central": R1R2CentralDifference(), "part": Subsampled(R1R2(), 0.25), "lazy": Lazy(R1R2(), 2),
    "part, lazy": Lazy(Subsampled(R1R2(), 0.375), 1),
}  # fmt: skip


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients_of_every_penalty(made, penalty):
    require_same(made(penalty=PENALTIES[penalty]), (1, 2, 3, 4, 8))


def flow_discriminator():
    torch.manual_seed(2)
    return FlowDiscriminator(8, 1, 3, dim=16, depth=1, num_heads=2, mlp_ratio=2.0, style_dim=8, time=None)


@pytest.mark.parametrize("penalty", [R1R2(), R1R2FiniteDifference(), Subsampled(R1R2CentralDifference(), 0.25)])
def test_gradients_where_each_image_is_looked_at_at_a_time_of_its_own(made, penalty):
    def make(micro_batch):
        consistency = BalancedConsistency(10.0, 10.0)
        return made(discriminator=flow_discriminator(), penalty=penalty, consistency=consistency)(micro_batch)

    require_same(make, (1, 4))


def test_two_passes_over_an_image_are_at_the_same_time(made):
    """A penalty by differences is the exact one along a direction; and nothing but the augmentation is inconsistent."""
    found = {}
    for name, penalty in (
        ("jvp", R1R2JVP()),
        ("fd", R1R2FiniteDifference(1e-5)),
        ("central", R1R2CentralDifference(1e-4)),
    ):
        still = BalancedConsistency(10.0, 10.0, strength=1e-9)  # hardly an augmentation
        make = made(discriminator=flow_discriminator(), penalty=penalty, consistency=still, augment=0.0)
        found[name] = gradients(make(None))[1]
    for name in ("fd", "central"):
        for key in ("r1", "r2"):
            assert found[name][key] == pytest.approx(found["jvp"][key], rel=1e-3), (name, key)
    assert found["jvp"]["cr_real"] < 1e-12 and found["jvp"]["r1"] > 0


LOSSES = [NonSaturating(), Hinge(), LeastSquares(), Wasserstein(0.1)]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_gradients_of_every_loss(made, loss):
    require_same(made(loss=loss, penalty=R1R2()), (1, 4))
    require_same(made(loss=loss, penalty=WGANGP()), (2,))


@pytest.mark.parametrize("share", [None, True])
def test_gradients_with_matching_which_compares_all_images(made, share):
    require_same(made(matching=EnergyDistance(3.0), share_fakes=share), (1, 4), steps=2)


def holes(batch):
    return Compose({"translation": Translation(0.2), "cutout": Cutout(0.25, 0.5, 0.5, batch)})


@pytest.mark.parametrize("batch", [8, 4, 3])
@pytest.mark.parametrize("penalty", ["r1_r2", "part", "part, lazy"])
def test_gradients_where_images_share_a_decision(made, batch, penalty):
    require_same(made(augmentation=holes(batch), penalty=PENALTIES[penalty]), (1, 2, 3, 4))


@pytest.mark.parametrize("supervision, channels", [(ScaleWise(2, 0.5), 1), (NoiseGuidance(2), 2)])
def test_intermediate_images_share_a_decision_in_every_part(made, generator, discriminator, supervision, channels):
    def make(micro_batch):
        torch.manual_seed(0)
        networks = dict(generator=generator(depth=[2], image_heads=2), discriminator=discriminator(in_chans=channels))
        parts = dict(supervision=supervision, augmentation=holes(8), consistency=BalancedConsistency())
        return made(**parts, **networks)(micro_batch)

    require_same(make, (1, 4))


def test_a_decision_is_shared_beside_the_numbers_of_the_discriminator(made):
    def make(micro_batch):
        return made(discriminator=flow_discriminator(), augmentation=holes(8), penalty=PENALTIES["part"])(micro_batch)

    require_same(make, (1, 4))


@pytest.mark.parametrize("share", [0.125, 0.25, 0.5])
def test_a_subsampled_penalty_leaves_the_decisions_of_a_batch_as_they_are(made, share):
    whole, part = (
        gradients(made(augmentation=holes(8), penalty=each)(None))[1] for each in (R1R2(), Subsampled(R1R2(), share))
    )
    for name in ("d_real", "d_fake", "loss_d"):
        assert part[name] == pytest.approx(whole[name], rel=1e-9), name


def test_gradients_with_consistency(made):
    require_same(made(consistency=BalancedConsistency()), (2, 3))


@pytest.mark.parametrize("supervision, channels", [(ScaleWise(2, 0.5), 1), (NoiseGuidance(2), 2)])
def test_gradients_of_intermediate_images(made, generator, discriminator, supervision, channels):
    def make(micro_batch):
        torch.manual_seed(0)
        networks = dict(generator=generator(depth=[2], image_heads=2), discriminator=discriminator(in_chans=channels))
        return made(supervision=supervision, penalty=Subsampled(R1R2(), 0.5), **networks)(micro_batch)

    require_same(make, (1, 3))


def test_gradients_of_more_fakes_than_reals(adversarial):
    """TransGANOfficial's, whose gradient stays in the discriminator for the next step."""
    make = lambda micro: adversarial(  # noqa: E731
        TransGANOfficial, loss=Hinge(), batch_size=4, generator_batch_size=8, micro_batch=micro
    )
    require_same(make, (1, 3), steps=2, size=4)


def likelihood(kind, network, **changes):
    torch.manual_seed(0)
    return kind(network(), batch_size=SIZE, num_classes=3, **changes)


def test_gradients_of_one_network():
    encoder, decoder = partial(ConvEncoder, dim=[8, 16]), partial(ConvDecoder, dim=[16, 16])
    networks = {
        Autoregressive: partial(
            ImageGPT, 8, 1, 3, partial(Pixels, levels=256), dim=16, depth=1, num_heads=2, mlp_ratio=2.0
        ),
        Flow: partial(FlowTransformer, 8, 1, 3, dim=16, depth=1, num_heads=2, mlp_ratio=2.0),
        Masked: partial(MaskedImages, 8, 1, 3, partial(Pixels, levels=256), 16, 1, 2, 2.0),
        Variational: partial(VAE, 8, 1, 3, 4, encoder, decoder, partial(Logistics, components=1, levels=256)),
    }
    for kind, network in networks.items():
        require_same(lambda micro, kind=kind, network=network: likelihood(kind, network, micro_batch=micro), (1, 3))
    with pytest.raises(ValueError, match=r"micro_batch=2: .*free_bits"):
        likelihood(Variational, networks[Variational], micro_batch=2, free_bits=0.5)


@pytest.mark.parametrize("loss", [RelativisticAverage(), WassersteinMeanDrift()], ids=lambda x: type(x).__name__)
def test_losses_of_the_whole_batch_are_refused(made, loss):
    assert not pairwise(loss)
    with pytest.raises(ValueError, match=f"micro_batch=2: {type(loss).__name__} compares with the mean"):
        made(loss=loss)(2)
    made(loss=loss)(None)


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match="at least 1 image"):
        MicroBatches(size)


# Where memory is lacking.


ERRORS = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
    "onednn": RuntimeError("could not create a primitive"),
    "malloc": MemoryError("std::bad_alloc"),
}


def lacking(network, most, error, only=lambda: True):
    """A network for which there is no memory for more than `most` images, or only while `only()`."""
    forward = network.forward

    def limited(x, *others):
        if len(x) > most and only():
            raise error
        return forward(x, *others)

    network.forward = limited


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("share", [None, True])
@pytest.mark.parametrize("place", ["generator", "discriminator"])
def test_parts_are_halved_until_they_fit_and_nothing_else_changes(made, kind, share, place):
    make = made(share_fakes=share, matching=EnergyDistance(3.0), penalty=Subsampled(R1R2(), 0.25))
    whole, log = gradients(make(None), steps=2)
    module = make(None)
    lacking(getattr(module, place), 2 if place == "generator" else 4, ERRORS[kind])  # real and fake ones at once
    parts, other_log = gradients(module, steps=2)
    assert module.parts.size == 2
    assert other_log == pytest.approx(log, rel=1e-5, abs=1e-7)
    for name, network in whole.items():
        largest = max(value.abs().max() for value in network.values())
        for key, value in network.items():
            torch.testing.assert_close(parts[name][key], value, rtol=1e-6, atol=float(1e-6 * largest))


def test_one_image_that_does_not_fit_ends_the_run(made):
    module = made()(None)
    lacking(module.discriminator, 1, ERRORS["cuda"])  # a real and a fake one
    with pytest.raises(torch.OutOfMemoryError):
        gradients(module)
    assert module.parts.size == 1


def test_other_errors_are_not_taken_for_lack_of_memory(made):
    module = made()(None)
    lacking(module.discriminator, 4, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        gradients(module)
    assert module.parts.size is None


def test_a_loss_of_the_whole_batch_is_not_halved(made):
    module = made(loss=RelativisticAverage())(None)
    lacking(module.discriminator, 4, ERRORS["cuda"])
    with pytest.raises(torch.OutOfMemoryError):
        gradients(module)


@pytest.mark.parametrize("matching", [None, EnergyDistance(3.0)])
def test_one_of_several_processes_does_not_leave_the_others_waiting(made, monkeypatch, matching):
    """Where all images are gathered, a process that asked again would gather alone."""
    ddp = SimpleNamespace(no_sync=nullcontext)
    monkeypatch.setattr("transgan.training.generative.ddp_of", lambda trainer: ddp)
    monkeypatch.setattr("transgan.training.generative.average_gradients", lambda parameters: None)
    monkeypatch.setattr(Trainer, "world_size", 2)
    module = made(matching=matching)(None)
    lacking(module.discriminator, 7, ERRORS["cuda"], only=lambda: module.log_values)  # amid the generator's step
    if matching is None:
        gradients(module)
        assert module.parts.size == 4
        return
    with pytest.raises(torch.OutOfMemoryError):
        gradients(module)
    assert module.parts.size is None


def test_smaller_parts_keep_less_for_the_backward_pass(made):
    """Bytes that are saved for it at the same time, at most."""

    def peak(micro_batch):
        module = made(penalty=R1R2(), share_fakes=True)(micro_batch)
        now, most = 0, 0

        class Kept:
            def __init__(self, tensor):
                nonlocal now, most
                self.tensor, self.size = tensor, tensor.nbytes
                now += self.size
                most = max(most, now)

            def __del__(self):
                nonlocal now
                now -= self.size

        with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
            gradients(module)
        return most

    bytes_of = {micro_batch: peak(micro_batch) for micro_batch in (8, 4, 2, 1)}
    assert 1.6 < bytes_of[8] / bytes_of[4] < 2.4 and 1.4 < bytes_of[4] / bytes_of[2] and bytes_of[2] > 1.2 * bytes_of[1]
