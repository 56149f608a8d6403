"""Where memory is lacking, images are made in parts, and no image is another one for that: by samplers, in the midst of
training and after it."""

import json
import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from transgan.at_once import AtOnce, filled
from transgan.callbacks import Evaluation, Health, Likelihood, Samples, Session
from transgan.callbacks import patience as patience_file
from transgan.callbacks.patience import Patience
from transgan.metrics.extraction import Extraction
from transgan.models.flow_transformer import FlowTransformer
from transgan.models.image_gpt import ImageGPT
from transgan.models.observation import Logistics
from transgan.models.tokens import Pixels
from transgan.models.vae import VAE, ConvDecoder, ConvEncoder
from transgan.sampling import LatentSampler
from transgan.sampling.walk import walk
from transgan.training import Autoregressive, Flow, Variational

LACKING = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
ERRORS = [LACKING, MemoryError("std::bad_alloc"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]


@pytest.fixture(autouse=True)
def nothing_to_give_back(monkeypatch):
    """Looking through all objects of a process that runs tests takes half a second."""
    monkeypatch.setattr("transgan.at_once.give_back", lambda: None)


class Limited:
    """A function of images for whose memory there are only so many at once; `asked`: how many each call was for."""

    def __init__(self, function, most, error=LACKING, count=lambda first, *others: len(first)):
        self.function, self.most, self.error, self.count, self.asked = function, most, error, count, []

    def __call__(self, *arguments, **options):
        self.asked.append(self.count(*arguments))
        if self.asked[-1] > self.most:
            raise self.error
        return self.function(*arguments, **options)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("count, most, asked", [
    (64, 64, [64]), (64, 40, [64, 32, 32]), (64, 8, [64, 32, 16] + 8 * [8]), (100, 60, [100, 56, 48]),
    (12, 8, [12, 8, 8]), (9, 8, [9, 8, 8]), (3, 3, [3]), (0, 8, [0]),
])  # fmt: skip
def test_parts_are_halved_until_they_fit(error, count, most, asked):
    """They are multiples of eight, and each image is made once, in its place."""
    make, at_once = Limited(lambda part: torch.tensor(part, dtype=torch.long), most, error), AtOnce()
    assert at_once.of(count, make).tolist() == list(range(count)) and make.asked == asked
    make.asked.clear()
    assert at_once.of(count, make).tolist() == list(range(count))
    assert all(each <= most for each in make.asked)  # what did not fit is not tried again


@pytest.mark.parametrize("count, error, asked", [
    (64, LACKING, [64, 32, 16, 8]), (8, LACKING, [8]), (5, LACKING, [5]), (64, RuntimeError("shapes"), [64]),
    (64, ValueError("NaN"), [64]),
])  # fmt: skip
def test_what_does_not_fit_at_all_and_other_errors_are_raised(count, error, asked):
    make = Limited(torch.tensor, 4, error)
    with pytest.raises(type(error), match=str(error)):
        AtOnce().of(count, make)
    assert make.asked == asked


def test_filled_lists_and_tensors():
    assert filled([3, 4]) == [3] + [4] + 6 * [3] and filled(torch.arange(9)).tolist() == [*range(9)] + 7 * [0]


def module_of(kind):
    size, stack = dict(img_size=8, in_chans=1), dict(dim=16, depth=1, num_heads=2, mlp_ratio=2.0)
    if kind is Autoregressive:
        module = kind(ImageGPT(**size, num_classes=3, tokens=partial(Pixels, levels=256), **stack), num_classes=3)
    elif kind is Flow:
        module = kind(FlowTransformer(**size, num_classes=3, **stack), num_classes=3)
    else:
        parts = partial(ConvEncoder, dim=[4, 8]), partial(ConvDecoder, dim=[8, 8])
        module = kind(VAE(8, 1, 0, 4, *parts, partial(Logistics, components=1, levels=256)))
    module.prepare(torch.arange(64).to(torch.uint8).mul(4).view(1, 1, 8, 8).expand(4, -1, -1, -1))
    return module


METHODS = {Autoregressive: "sample", Flow: "forward", Variational: None}


@pytest.fixture(params=["GAN", Autoregressive, Flow, Variational], ids=lambda kind: getattr(kind, "__name__", kind))
def trained(request, adversarial, monkeypatch):
    """A module, and a function that lets memory be lacking for more than eight of its images."""
    module = adversarial() if request.param == "GAN" else module_of(request.param)

    def limit():
        network = module.ema
        method = METHODS.get(request.param, "forward")
        owner = type(network) if method else ConvDecoder
        calls = []
        real = getattr(owner, method or "forward")

        def limited(self, first, *others):
            calls.append(len(first))
            if len(first) > 8:
                raise LACKING
            return real(self, first, *others)

        monkeypatch.setattr(owner, method or "forward", limited)
        return calls

    return module, limit


def test_images_of_every_model_are_the_same_in_parts(trained):
    module, limit = trained
    seeds, labels = list(range(100, 120)), torch.arange(20) % 3
    whole, own = module.generate(seeds, labels), module.generate(seeds)
    calls = limit()
    assert torch.equal(module.generate(seeds, labels), whole) and max(calls) == 20
    calls.clear()
    assert torch.equal(module.generate(seeds), own) and set(calls) == {8}  # it remembers


def test_images_that_go_on_are_the_same_in_parts(monkeypatch):
    module = module_of(Autoregressive)
    given = torch.randint(0, 64, (20, 1, 8, 8)).mul(4).to(torch.uint8)
    whole = module.complete(given, 4, list(range(20)))
    complete = Limited(ImageGPT.complete, 8, count=lambda network, images, *others: len(images))
    monkeypatch.setattr(ImageGPT, "complete", lambda *arguments: complete(*arguments))
    assert torch.equal(module.complete(given, 4, list(range(20))), whole)
    assert complete.asked == [20, 16, 8, 8, 8]


@pytest.mark.parametrize("space", ["z", "w"])
def test_frames_of_a_film_are_the_same_in_parts(generator, space):
    sampler = LatentSampler(generator().eval(), 3)
    labels = torch.tensor([0, 1])
    frames = lambda: torch.cat(list(walk(sampler, [3, 8], labels, 10, space, 1.0, 20)))  # noqa: E731
    whole = frames()
    sampler.network.synthesis = limited = Limited(sampler.network.synthesis, 8)
    assert torch.equal(frames(), whole) and max(limited.asked[-3:]) == 8


def test_features_are_the_same_in_parts():
    features = Limited(lambda images: (images.flatten(1).float(), images[:, 0, 0].float()), 16)
    extractor = type("Extractor", (), {"num_features": 64, "__call__": lambda self, images: features(images)})()
    images = torch.randint(0, 256, (61, 1, 8, 8), dtype=torch.uint8)
    matrix = Extraction(extractor, torch.device("cpu"), 61, images[:2]).matrix(images)
    assert torch.equal(matrix, torch.cat([images.flatten(1), images[:, 0, 0]], 1).float())
    assert features.asked == [8, 64, 32, 16, 16, 16, 16]


# In the midst of training.


class Alone(SimpleNamespace):
    """A Trainer of one process."""

    def __init__(self, *callbacks):
        strategy = SimpleNamespace(broadcast=lambda value: value, reduce_boolean_decision=lambda value, all: value)
        super().__init__(
            is_global_zero=True, world_size=1, loggers=[], strategy=strategy, callback_metrics={}, should_stop=False,
            callbacks=list(callbacks), sanity_checking=False, fast_dev_run=False, current_epoch=0,
            state=SimpleNamespace(fn="fit"),
        )  # fmt: skip


class Trained(SimpleNamespace):
    """What callbacks see of a module after some images."""

    def __init__(self, images_seen=0, **more):
        usual = {"images_in_step": 100, "num_classes": 0, "device": torch.device("cpu"), "nonfinite": {}}
        super().__init__(images_seen=images_seen, **(usual | more))


def images_of(seeds, labels=None):
    return torch.tensor(seeds, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 40, 40)


def test_a_grid_that_does_not_fit_is_reported_and_training_goes_on(tmp_path, caplog):
    callback = Samples(0.1, 70)
    trainer = Alone(Session(tmp_path, 1.0), callback)
    callback.setup(trainer, Trained(), "fit")
    callback.on_train_start(trainer, Trained(generate=Limited(images_of, 8)))
    assert not (tmp_path / "samples").exists()
    said = "no grid of samples at 0 kimg, and training goes on: memory is lacking for its images (CUDA out of memory. Tried"
    assert said in caplog.text
    callback.on_train_batch_end(trainer, Trained(100, generate=images_of), None, None, 0)
    assert (tmp_path / "samples" / "000000_100.png").exists()
    with pytest.raises(RuntimeError, match="shapes"):
        callback.write(trainer, Trained(200, generate=Limited(images_of, 8, RuntimeError("shapes"))))


class Numbered:
    """Held-out images, of which each is its number."""

    fingerprint = "f"
    labels = torch.zeros(300, dtype=torch.long)

    def __len__(self):
        return 300

    def __getitems__(self, places):
        return torch.tensor(places), self.labels[: len(places)]


def likelihoods(folder, most):
    callback = Likelihood(0.1)
    trainer = Alone(Session(folder, 1.0, heldout=Numbered()), callback)
    bits = Limited(lambda images, labels: images.float(), most)
    callback.setup(trainer, Trained(), "fit")
    for seen in (0, 100):
        callback.measure(trainer, Trained(seen, bits_per_dim=bits, likelihood="exact"))
    found = [json.loads(line)["metrics"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return callback, bits, [line["bits_per_dim_heldout"] for line in found]


def test_a_likelihood_is_measured_in_parts(tmp_path):
    _, bits, found = likelihoods(tmp_path, 64)
    assert found == [149.5, 149.5] and bits.asked[:3] == [256, 128, 64] and max(bits.asked[3:]) == 64


def test_a_likelihood_for_which_there_is_no_memory_is_null(tmp_path, caplog):
    callback, _, found = likelihoods(tmp_path, 4)
    assert found == [None, None] and callback.latest is callback.best is None
    assert (
        caplog.text.count("the likelihood was not measured at 0.1 kimg, and training goes on: memory is lacking") == 1
    )


def test_the_discriminator_is_asked_in_parts():
    """About training images and held-out ones, which it tells apart wholly here."""
    callback = Health(0.1)
    ask = Limited(lambda images, labels: images.float(), 32)
    callback.session = SimpleNamespace(dataset=Numbered(), heldout=Numbered())
    found = callback.of_discriminator(Trained(discriminate=ask))
    assert found["discriminator_gap"] == pytest.approx(0.5, abs=0.01) and max(ask.asked[3:]) == 32


@pytest.mark.parametrize("values, stops", [
    ([math.nan] * 5, None), ([LACKING] * 5, None),  # nothing is known of the images
    ([9.0, LACKING, math.nan, 9.0, LACKING, 9.0], 6), ([9.0, 9.0, LACKING, 8.0, 8.0, 8.0], 6), ([9.0, 9.0, 9.0], 3),
])  # fmt: skip
def test_patience_counts_evaluations_that_did_not_fail(values, stops, tmp_path, caplog):
    left = list(values)

    def evaluate(generate, context):
        value = left.pop(0)
        if isinstance(value, Exception):
            raise value
        return SimpleNamespace(numbers={"fid": value}, flags={})

    evaluator = Evaluator(evaluate)
    evaluation, callback = Evaluation(0.1, evaluator=evaluator), Patience(2)
    session = Session(tmp_path, 1.0, dataset=[])
    trainer = Alone(session, evaluation, callback)
    trainer.strategy.root_device = torch.device("cpu")
    for each in (evaluation, callback):
        each.setup(trainer, Trained(), "fit")
        each.on_train_start(trainer, Trained(generate=None))
    ended = None
    for count in range(1, len(values) + 1):
        for each in (evaluation, callback):
            each.on_train_batch_end(trainer, Trained(100 * count, generate=None), None, None, 0)
        if trainer.should_stop:
            ended = count
            break
    assert ended == stops
    said = patience_file.sentence(callback.state_dict(), 2)
    assert (said is None) == (stops is None) and (said is None or "than inf" not in said)


class Evaluator:
    primary, identity, with_heldout, num_samples = "fid", ["fid"], False, 100

    def __init__(self, function):
        self.function = function

    def __call__(self, generate, context):
        return self.function(generate, context)

    def prepare(self, *arguments, **options):
        """There is nothing to prepare."""

    def few(self):
        return None

    def protocol(self):
        return {}
