"""The classifier: it learns, it is the same every time, and its cache is only ever a saving of time."""

import pytest
import torch
from sklearn.datasets import load_digits

from transgan.metrics.extractors import Classifier


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    images = torch.from_numpy((data.images * 255 / 16).round().astype("uint8"))
    return images[:, None], torch.from_numpy(data.target).long()


@pytest.fixture
def few(digits, images_dataset):
    return images_dataset(digits[0][:300], digits[1][:300])


def trained(dataset, **arguments):
    classifier = Classifier(**arguments)
    classifier.prepare(dataset)
    return classifier


def predictions(classifier, images):
    return classifier(images)[1].argmax(1)


def test_generalises_and_seeds_agree(digits, images_dataset):
    images, labels = digits
    one, two = (trained(images_dataset(images[::2], labels[::2]), seed=seed, steps=250) for seed in (0, 1))
    held_out = predictions(one, images[1::2])
    assert one.accuracy >= 0.99
    assert (held_out == labels[1::2]).float().mean() >= 0.95
    assert one.hash != two.hash
    assert (held_out == predictions(two, images[1::2])).float().mean() >= 0.975
    features, logits = one(images)
    assert features.shape == (len(images), 64) and features.dtype == torch.float32 and logits.shape[1] == 10
    assert torch.linalg.matrix_rank(features.double().T.cov()) == 64
    assert 0.05 < features.std(0).min() and features.std(0).max() < 20


def test_same_weights_with_any_number_of_threads(few, monkeypatch, tmp_path):
    hashes, before = [], torch.get_num_threads()
    try:
        for run, threads in enumerate((1, 2, 2)):
            monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / str(run)))
            torch.set_num_threads(threads)
            torch.manual_seed(run)
            hashes.append(trained(few, steps=20).hash)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(set(hashes)) == 1


def test_random_numbers_outside_are_untouched(few):
    torch.manual_seed(4711)  # not a state that a training leaves behind
    before = torch.get_rng_state()
    trained(few, steps=3)
    assert torch.equal(before, torch.get_rng_state())


def test_trains_the_same_inside_inference_mode_and_autocast(few, monkeypatch, tmp_path):
    plain = trained(few, steps=3)
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "other"))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        inside = trained(few, steps=3)
        assert torch.equal(inside(few.images)[0], plain(few.images)[0])
    assert inside.hash == plain.hash
    assert not plain(few.images)[0].requires_grad


def test_cache_is_used_and_a_broken_one_is_not(few, own_cache, monkeypatch, caplog):
    first = trained(few, steps=20)
    (path,) = own_cache.iterdir()  # one file, and no temporary one
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "train", lambda *_: pytest.fail("trained although cached"))
        second = trained(few, steps=20)
    assert (second.hash, second.accuracy) == (first.hash, first.accuracy)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert trained(few, steps=20).hash == first.hash
    assert "trained again" in caplog.text
    kept = torch.load(path, weights_only=True)
    kept["weights"]["head.bias"] += 1  # a whole file with other weights
    torch.save(kept, path)
    assert trained(few, steps=20).hash == first.hash


def test_other_data_get_another_network(few, digits, images_dataset):
    classifier = trained(few, steps=2)
    network, before = classifier.network, classifier.hash
    classifier.prepare(few)
    assert classifier.network is network and classifier.class_names == few.class_names
    few.class_names = [f"digit {k}" for k in range(10)]
    classifier.prepare(few)
    assert classifier.network is network and classifier.class_names[0] == "digit 0"
    classifier.prepare(images_dataset(digits[0][1:301], digits[1][1:301]))
    assert classifier.network is not network and classifier.hash != before


def test_cache_tells_data_and_arguments_apart(few, own_cache, digits, images_dataset):
    trained(few, steps=2)
    trained(few, steps=3)
    trained(few, steps=2, seed=1)
    trained(images_dataset(digits[0][1:301], digits[1][1:301]), steps=2)
    trained(images_dataset(digits[0][:300], digits[1][:300].roll(1)), steps=2)
    assert len(list(own_cache.iterdir())) == 5


def test_a_cache_that_cannot_be_written_is_no_obstacle(few, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "file"))
    assert trained(few, steps=2).hash
    assert "could not be kept" in caplog.text


def test_labels_are_needed(noise, images_dataset):
    for labels in (None, torch.zeros(20, dtype=torch.int64), torch.full((20,), 3)):
        with pytest.raises(ValueError, match="sub-folder.*extractor=inception.*metrics=none"):
            trained(images_dataset(noise(20), labels))


@pytest.mark.parametrize("channels, size", [(1, 4), (3, 5), (3, 48)])
def test_any_resolution_and_grey_or_rgb(noise, images_dataset, channels, size):
    dataset = images_dataset(noise(20, channels, size), torch.arange(20) % 2)
    features, logits = trained(dataset, steps=2)(dataset.images)
    assert features.shape == (20, 64) and logits.shape == (20, 2) and features.isfinite().all()
