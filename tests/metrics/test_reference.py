"""The cache of real images' features: by content, complete, shared, and never a pickle."""

import json
import multiprocessing

import numpy as np
import pytest
import torch

from transgan.metrics import Evaluator, FrechetDistance, cache
from transgan.metrics.cache import entry_key
from transgan.metrics.features import Extracted
from transgan.metrics.frechet import frechet_distance
from transgan.metrics.moments import Moments
from transgan.metrics.reference import reference_of


class Extractor:
    name, hash, class_names, preprocessing, num_features = "pixels", "ab" * 32, None, "none", 16

    def __init__(self, **changes):
        for name, value in changes.items():
            setattr(self, name, value)


def features(dataset, calls=None):
    def extract(block):
        if calls is not None:
            calls.append(len(block))
        return Extracted(dataset.images[list(block)].flatten(1).float() / 255)

    return extract


@pytest.fixture
def dataset(images_dataset, noise):
    return images_dataset(noise(50), torch.arange(50) % 3)


def made(dataset, extractor=None, split="train"):
    """Whether the features were extracted, and not taken from the cache."""
    calls = []
    reference_of(dataset, extractor or Extractor(), split, features(dataset, calls))
    return bool(calls)


def test_the_second_time_nothing_is_extracted(dataset, own_cache):
    calls = []
    first = reference_of(dataset, Extractor(), "train", features(dataset, calls))
    second = reference_of(dataset, Extractor(), "train", features(dataset, calls))
    assert calls == [50]
    assert torch.equal(first.extracted.features, second.extracted.features) and torch.equal(
        second.extracted.labels, dataset.labels
    )
    assert torch.equal(first.moments.covariance, second.moments.covariance) and second.moments.n == 50
    assert sorted(path.name for path in (own_cache / "reference").iterdir()) == [
        f"pixels-{entry_key(second.facts, Extractor())[:16]}"
    ]


def test_whatever_changes_the_features_is_another_entry(dataset, images_dataset, noise):
    made(dataset)
    pixel = dataset.images.clone()
    pixel[7, 0, 0, 0] ^= 1
    same = images_dataset(dataset.images.clone(), dataset.labels)
    assert not made(same)  # content, not the object or its name
    for other in (
        images_dataset(pixel, dataset.labels),
        images_dataset(noise(49), dataset.labels[:49]),
        images_dataset(noise(51), torch.arange(51) % 3),
    ):
        assert made(other)
    prepared = images_dataset(dataset.images.clone(), dataset.labels)
    prepared.preparation = "Lanczos to 4 px"
    assert made(prepared)
    assert made(dataset, split="heldout")
    assert made(dataset, Extractor(hash="cd" * 32)) and made(dataset, Extractor(preprocessing="bicubic to 8 px"))
    assert not made(dataset)
    # the naive key, a path and its settings, is the same for the first 50 images and for all: StyleGAN's mistake
    naive = [hash(("the/folder", "inception", "xflip=False")) for _ in (50, "all")]
    assert naive[0] == naive[1]


def test_the_key_is_the_same_in_every_process_and_version():
    """Python's own hash is another one in every process."""
    facts = {"num_real": 50, "split": "train"}
    assert entry_key(facts, Extractor()).startswith("a0123a5ebc586656")


def spoil(entry, how):
    if how == "truncated":
        (entry / "features.npy").write_bytes((entry / "features.npy").read_bytes()[:-7])
    elif how == "nan":
        rows = np.load(entry / "features.npy")
        rows[3, 3] = np.nan
        np.save(entry / "features.npy", rows)
    elif how == "pickle":
        np.save(entry / "features.npy", np.array([{}], dtype=object), allow_pickle=True)
    elif how == "missing":
        (entry / "statistics.npz").unlink()
    elif how == "other":
        about = json.loads((entry / "about.json").read_text())
        (entry / "about.json").write_text(json.dumps(about | {"key": "0" * 64}))


@pytest.mark.parametrize("how", ["truncated", "nan", "pickle", "missing", "other"])
def test_a_broken_entry_is_reported_and_made_again(dataset, own_cache, caplog, how):
    first = reference_of(dataset, Extractor(), "train", features(dataset))
    entry = next((own_cache / "reference").iterdir())
    spoil(entry, how)

    def naive():  # reads what lies under the right name
        return np.load(entry / "features.npy", allow_pickle=True)

    if how == "truncated":
        with pytest.raises(ValueError):  # and falls over where the disk was full
            naive()
    elif how == "nan":
        assert np.isnan(naive()).any()
    else:  # or takes what somebody else put there
        assert naive().dtype == object if how == "pickle" else naive().shape == (50, 16)
    assert made(dataset)
    assert "is not valid" in caplog.text
    assert not made(dataset)
    again = reference_of(dataset, Extractor(), "train", features(dataset))
    assert torch.equal(first.extracted.features, again.extracted.features)
    assert list((own_cache / "reference").iterdir()) == [entry]


def write_entry(folder, barrier, failures):
    """One of several writers of the same entry."""
    import os

    os.environ["TRANSGAN_CACHE"] = folder
    torch.set_num_threads(1)
    images = torch.arange(50 * 16, dtype=torch.uint8).view(50, 1, 4, 4)
    labels = torch.zeros(50, dtype=torch.int64)

    class Data:
        num_classes, class_names, channels, resolution, fingerprint = 0, [], 1, 4, "f"

        def __len__(self):
            return 50

    data = Data()
    data.images, data.labels = images, labels
    try:
        for _ in range(5):
            barrier.wait(30)
            made = reference_of(data, Extractor(), "train", features(data))
            assert torch.equal(made.extracted.features, images.flatten(1).float() / 255)
            if barrier.wait(30) == 0:
                (entry,) = cache.cache_folder().iterdir()  # one, and nothing beside it
                cache.discard(entry)
    except Exception as error:
        failures.put(repr(error))


def test_several_writers_leave_one_whole_entry(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, failures = context.Barrier(2), context.Queue()
    writers = [context.Process(target=write_entry, args=(str(tmp_path), barrier, failures)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert failures.empty(), failures.get()
    assert not list((tmp_path / "reference").iterdir())
    with open(tmp_path / "naive.npy", "wb") as file:  # naive: written in its place, read by another meanwhile
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (50, 16)})
        file.write(bytes(100))
        file.flush()
        with pytest.raises(ValueError):
            np.load(tmp_path / "naive.npy")


def test_a_cache_that_cannot_be_written_costs_time_not_the_run(dataset, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "file"))
    assert made(dataset) and made(dataset)
    assert "could not be kept" in caplog.text


def test_logits_are_kept_where_they_are_the_classes_of_the_data(dataset, own_cache):
    class WithLogits(Extractor):
        class_names = ["class 0", "class 1", "class 2"]

    def extract(block):
        rows = dataset.images[list(block)].flatten(1).float() / 255
        return Extracted(rows, rows[:, :3] * 4)

    reference_of(dataset, WithLogits(), "train", extract)
    kept = reference_of(dataset, WithLogits(), "train", extract)
    assert kept.extracted.names_classes and torch.equal(kept.extracted.logits, extract(range(50)).logits)


def test_the_reference_is_counted_once(dataset, pixels, generate, shares, processes):
    """Reals handed to every process and then summed over them count W times: 1.5988 instead of 1.6041."""
    evaluator = Evaluator(pixels(), {"frechet": FrechetDistance()}, 30, 7, 0, 1, with_heldout=False)
    evaluator.prepare(dataset)
    held = shares(evaluator, generate, 2)
    shared = evaluator(generate, processes(0, 2, lambda own: held))
    assert shared == evaluator(generate) and evaluator.reference.moments.n == 50
    fakes = Moments.of(torch.stack(held, 1).flatten(0, 1)[:30, :16])
    naive = frechet_distance(fakes, Moments.of(torch.cat([evaluator.reference.extracted.features] * 2)))
    assert naive != pytest.approx(shared.numbers["fd_pixels"], rel=1e-3)
