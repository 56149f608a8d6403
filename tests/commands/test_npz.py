"""Images and statistics in npz files, from the command line: ours, ADM's, and those with numbers that cannot be."""

import json
import re

import numpy as np
import pytest
import torch

from transgan.metrics.frechet import Moments

PIXELS = ["extractor=pixels", "bounds=false", "device=cpu", "out=found.json"]


def noise(count, seed, low=0):
    return np.random.default_rng(seed).integers(low, 256, (count, 8, 8, 3), dtype=np.uint8)


def features(images):
    return Moments.of(torch.from_numpy(images.transpose(0, 3, 1, 2).reshape(len(images), -1)).float() / 255)


@pytest.fixture
def files(tmp_path):
    """made.npz (60 images), real.npz (300, as ADM writes them, with mu and sigma), moments.npz (mean and cov alone)."""
    made, real = noise(60, 1, 40), noise(300, 0)
    np.savez(tmp_path / "made.npz", images=made)
    moments = features(real)
    mean, covariance = moments.mean.numpy(), moments.covariance.numpy()
    np.savez(tmp_path / "real.npz", arr_0=real, mu=mean + 1, sigma=covariance, mu_s=np.zeros(7), sigma_s=np.eye(7))
    np.savez(tmp_path / "moments.npz", mean=mean, cov=covariance)
    np.savez(tmp_path / "single.npz", mean=mean.astype(np.float32), cov=covariance.astype(np.float32), n=300)
    return tmp_path


@pytest.fixture
def evaluated(inside, files):
    def run(*words):
        code, out, err = inside("evaluate", *words, *PIXELS)
        assert code == 0, err
        return json.loads((files / "found.json").read_text())

    return run


def test_images_against_images_and_against_their_statistics(evaluated):
    images = evaluated("made.npz", "against=real.npz")
    assert images["protocol"]["num_real"] == 300 and "file" not in images["protocol"]["reference"]
    assert "kd_pixels" in images["metrics"]  # which needs images
    moments = evaluated("made.npz", "against=moments.npz", "num_real=300")
    assert moments["metrics"]["fd_pixels"] == pytest.approx(images["metrics"]["fd_pixels"], rel=1e-9)
    single = evaluated("made.npz", "against=single.npz")
    assert single["metrics"]["fd_pixels"] == pytest.approx(images["metrics"]["fd_pixels"], rel=1e-5)
    asked_for = evaluated("made.npz", "against=real.npz", "num_real=300")  # its mu and sigma, which are others
    assert asked_for["metrics"]["fd_pixels"] == pytest.approx(images["metrics"]["fd_pixels"] + 192, rel=0.2)
    assert asked_for["protocol"]["reference"]["file"] == "real.npz"


def test_what_sample_writes_is_read(inside, digits_run, tmp_path):
    run, _ = digits_run
    assert inside("sample", run, "seeds=0-59", "to=npz", "out=made.npz", "device=cpu")[0] == 0
    assert inside("sample", run, "seeds=0-59", "out=files", "device=cpu")[0] == 0
    words = ["data=digits", "extractor=pixels", "bounds=false", "device=cpu"]
    numbers = []
    for name in ("made.npz", "files"):
        code, out, err = inside("evaluate", name, *words, "out=found.json")
        assert code == 0, err
        numbers.append(json.loads((tmp_path / "found.json").read_text()))
    assert "spread_of_all" in numbers[1]["flags"]  # the files have no classes
    for each in numbers:
        each["metrics"] = {name: value for name, value in each["metrics"].items() if not name.startswith("spread")}
    assert numbers[0]["metrics"] == numbers[1]["metrics"]
    assert (
        inside("evaluate", "made.npz", "data=digits", "extractor=classifier", "extractor.steps=50", *words[2:])[0] == 0
    )
    (file,) = tmp_path.glob("made.npz.*.evaluation.json")
    assert "accuracy_classifier" in json.loads(file.read_text())["metrics"]  # its classes are those of the data
    code, out, err = inside("evaluate", run, "against=made.npz", "extractor=pixels", "bounds=false", "num_samples=50")
    assert code == 0 and "made.npz: 60 images, 10 classes" in out, err


@pytest.mark.parametrize("value", ["-5", "0", "1", "2.5", "nan", "many"])
def test_a_number_of_real_images_that_cannot_be(refused, files, value):
    err = refused("evaluate", "made.npz", "against=moments.npz", f"num_real={value}", *PIXELS)
    assert "num_real=" in err and "whole number" in err


def test_statistics_that_cannot_be(refused, files):
    mean, cov = np.zeros(192), np.eye(192)
    cases = [
        ({"mu": mean, "sigma": cov, "n": 0}, [], "n in bad.npz is 0: it takes a whole number of images, 2 or more"),
        ({"mu": mean, "sigma": cov, "n": np.nan}, [], "n in bad.npz is nan"),
        ({"mu": mean, "sigma": cov, "n": 400}, ["num_real=401"], "itself says that it was made of 400 images"),
        (
            {"mu": mean, "sigma": cov},
            ["num_real=100"],
            "has a rank of 192 or more, and that of 100 images is 99 at most",
        ),
        ({"mu": mean, "sigma": -cov, "n": 400}, [], "sigma in bad.npz is not positive semi-definite"),
        (
            {"mu": mean, "sigma": cov - 0.01 - 0.2 * cov[::-1] - 0.9 * np.diag(mean + 1), "n": 400},
            [],
            "not positive semi-",
        ),
        ({"images": noise(9, 0)}, ["num_real=9"], "no arrays mu and sigma.*images.*leave num_real= out"),
        ({"images": noise(9, 0) / 255}, [], "images in bad.npz is float64"),
    ]
    for arrays, words, sentence in cases:
        np.savez(files / "bad.npz", **arrays)
        err = refused("evaluate", "made.npz", "against=bad.npz", *words, *PIXELS)
        assert re.search(sentence, err), err
        assert len(err.strip().split("\n")) == 1 and not (files / "found.json").exists()
    err = refused("evaluate", "moments.npz", "against=real.npz", *PIXELS)
    assert "moments.npz holds no images" in err and "mean (192,)" in err
