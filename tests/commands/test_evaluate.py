"""`transgan evaluate` on runs and on any program's images: its numbers, its files, and what it refuses."""

import json
import os
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DistributedSampler

from transgan.data import Folder, Zip
from transgan.metrics.frechet import Moments, frechet_distance


def draw(folder, count, side=8, mode="RGB", seed=0, low=0, classes=("a", "b")):
    random = np.random.default_rng(seed)
    for i in range(count):
        path = folder / classes[i % len(classes)] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (side, side, 3) if mode == "RGB" else (side, side)
        Image.fromarray(random.integers(low, 256, shape, dtype=np.uint8)).save(path)
    return folder


@pytest.fixture
def sides(tmp_path):
    """Two folders of pictures: made (60) and real (80)."""
    return draw(tmp_path / "made", 60, low=40, seed=1), draw(tmp_path / "real", 80)


@pytest.fixture
def evaluated(digits_run, tmp_path_factory):
    """A copy: what is written here is no business of the tests that read the run as training left it."""
    run, done = digits_run
    return shutil.copytree(run, tmp_path_factory.mktemp("copy") / "digits"), done


PIXELS = ["extractor=pixels", "bounds=false"]


def result(path):
    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def newest(folder):
    """The last evaluation of the pictures in `made`."""
    return result(max(folder.glob("made.*.evaluation.json"), key=lambda path: path.stat().st_mtime_ns))


def moments(folder):
    return Moments.of(Folder(folder, None, None).images.flatten(1).float() / 255)


def test_images_of_any_program(inside, sides, tmp_path):
    made, real = sides
    code, out, err = inside("evaluate", made, f"against={real}", "extractor=pixels", "device=cpu")
    assert code == 0, err
    found = newest(tmp_path)
    assert found["metrics"]["fd_pixels"] == pytest.approx(frechet_distance(moments(made), moments(real)), rel=1e-9)
    protocol = found["protocol"]
    assert protocol["num_generated"] == 60 and protocol["num_real"] == 80 and protocol["weights"] == "given images"
    assert protocol["comparable_to_published"] is False and not any(name in found["metrics"] for name in ("fid", "kid"))
    assert {"small_sample", "rank_deficient", "small_kernel_subsets"} == set(found["flags"])
    for flag, sentence in found["flags"].items():
        assert f"{flag}: {sentence}" in out
    bounds = found["bounds"]
    assert bounds["floor_num"] == 40 and bounds["ceiling_num"] == 60 and f"{bounds['ceiling']:.4f}" in out
    assert found["protocol_line"] in out and found["latex"] in out
    columns = ", ".join(name for name in found["metrics"] if name != "kd_pixels_std")  # that is a ±
    assert found["latex"].startswith("made & ") and found["latex"].endswith(columns)
    assert not list(tmp_path.rglob("metrics.jsonl")) and not list(made.rglob("*.json"))


def test_a_zip_and_a_folder_are_the_same(inside, sides, tmp_path):
    made, real = sides
    for folder in sides:
        shutil.make_archive(str(folder), "zip", folder)
    numbers = []
    for one, other in ((made, real), (f"{made}.zip", real), (made, f"{real}.zip")):
        code, _, err = inside("evaluate", one, f"against={other}", *PIXELS, "device=cpu", "out=found.json")
        assert code == 0, err
        numbers.append(result(tmp_path / "found.json")["metrics"])
    assert numbers[0] == numbers[1] == numbers[2]
    assert len(Zip(f"{made}.zip", None, None)) == 60


def test_a_part_of_the_images_is_spread_over_all(inside, sides, tmp_path):
    made, real = sides
    code, _, err = inside("evaluate", made, f"against={real}", *PIXELS, "num_samples=30", "device=cpu")
    assert code == 0, err
    whole = Folder(made, None, None)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))[:30].sort().values
    assert 5 < int(whole.labels[order].sum()) < 25  # the first 30 of the sorted names are one class
    expected = frechet_distance(Moments.of(whole.images[order].flatten(1).float() / 255), moments(real))
    assert newest(tmp_path)["metrics"]["fd_pixels"] == pytest.approx(expected, rel=1e-9)


def test_everything_at_once(inside, sides, tmp_path):
    made, real = sides
    heldout = draw(tmp_path / "heldout", 220, seed=7)
    code, out, err = inside(
        "evaluate", made, f"against={real}", f"heldout={heldout}", "extractor=pixels", "metrics=paper", "device=cpu",
        "explain=true",
    )  # fmt: skip
    assert code == 0, err
    found = newest(tmp_path)
    sentences = dict(re.findall(r"^explain (\w+) [^:]+: (.+)$", out, re.MULTILINE))
    assert set(sentences) == {name for name in found["metrics"] if not name.endswith("_std")}
    assert f"the floor is {found['bounds']['floor']:.4g} and the ceiling is" in sentences["fd_pixels"]
    assert {
        "fd_pixels", "fd_pixels_heldout", "kd_pixels", "precision_k3_pixels", "recall_k3_pixels", "precision_prdc_k5_pixels",
        "recall_prdc_k5_pixels", "density_k5_pixels", "coverage_k5_pixels", "copy_rate_pixels",
        "copy_rate_heldout_pixels", "auth_pct_pixels",
        "auth_pct_heldout_pixels", "c_t_pixels", "c_t_heldout_pixels",
    } <= set(found["metrics"])  # fmt: skip
    assert set(found["details"]["fd_pixels_per_class"]) == {"0", "1"}
    pairs = found["details"]["nearest_pairs"]
    assert len(pairs) == 16 and pairs[0]["distance"] <= pairs[-1]["distance"]
    assert "no_infinity" in found["flags"] and found["protocol"]["num_heldout"] == 220
    assert found["bounds"]["floor_of"] == "held-out real images"
    assert "fd_pixels_per_class" in out


def test_statistics_out_and_in(inside, sides, tmp_path):
    made, real = sides
    code, out, err = inside("evaluate", made, f"against={real}", *PIXELS, "export=real.npz", "device=cpu")
    assert code == 0 and "export" in out, err
    first = newest(tmp_path)
    code, out, err = inside("evaluate", made, "against=real.npz", *PIXELS, "metrics=paper", "device=cpu")
    assert code == 0, err
    second = newest(tmp_path)
    assert second["metrics"]["fd_pixels"] == pytest.approx(first["metrics"]["fd_pixels"], rel=1e-9)
    assert {"no_kernel", "no_manifold"} <= set(second["flags"]) and "kd_pixels" not in second["metrics"]
    assert second["protocol"]["reference"]["file"] == "real.npz" and second["protocol"]["num_real"] == 80
    with np.load(tmp_path / "real.npz") as file:
        np.savez(tmp_path / "other.npz", mu=file["mu"], sigma=file["sigma"])
    code, out, err = inside("evaluate", made, "against=other.npz", *PIXELS, "device=cpu")
    assert code == 2 and "num_real=N" in err
    code, out, err = inside("evaluate", made, "against=other.npz", "num_real=80", *PIXELS, "device=cpu")
    assert code == 0 and "resize: not stated" in out, err


def test_grey_images_and_inception(inside, tmp_path, monkeypatch):
    made, real = draw(tmp_path / "made", 6, mode="L"), draw(tmp_path / "real", 6, mode="L", seed=3)
    code, out, err = inside("evaluate", made, f"against={real}", *PIXELS, "device=cpu")
    assert code == 0, err
    assert newest(tmp_path)["protocol"]["channels"] == 1


# What is refused: one sentence, exit code 2, nothing written, no socket opened.


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a socket was opened without being asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def sentences(refused, tmp_path, no_network, monkeypatch):
    """refused, and no JSON was written; returns its sentences."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("TRANSGAN_WEIGHTS", raising=False)

    def run(*words):
        err = refused(*words, "device=cpu")
        assert not list(tmp_path.rglob("*.evaluation.json"))
        return err.strip().split("\n")

    return run


def test_sizes_and_colours_that_do_not_fit(sentences, sides, tmp_path):
    made, real = sides
    small = draw(tmp_path / "small", 8, side=6)
    grey = draw(tmp_path / "grey", 8, mode="L")
    mixed = draw(tmp_path / "mixed", 8)
    Image.new("RGB", (9, 9)).save(mixed / "a" / "zz.png")
    (tmp_path / "empty").mkdir()
    cases = [
        ((made, f"against={small}"), "have 6 px and the generated ones 8 px", "resolution=8"),
        ((made, f"against={real}", "resolution=16"), "the generated images have 8 px", "resolution=8"),
        ((made, f"against={grey}"), "are grey and the generated ones are in colour", "channels=3"),
        ((grey, f"against={real}"), "are in colour and the generated ones are grey", "channels=1"),
        ((mixed, f"against={real}"), "1 of 9 images", "zz.png, 9x9"),
        ((made, f"against={tmp_path / 'empty'}"), "No image in", "it is empty"),
        ((tmp_path / "empty", f"against={real}"), "No image in", "it is empty"),
        ((made,), "say what to compare them with", "against=FOLDER"),
        ((made, f"against={real}", "psi=0.5"), "psi= is for runs", "leave it out"),
        ((made, f"against={real}", "metrics=paper", "metrics.measures.prdc.k=80"), "k", "80"),
    ]
    for words, *parts in cases:
        found = sentences("evaluate", *words, "extractor=pixels")
        assert len(found) == 1, found
        assert all(part in found[0] for part in parts), found


def test_other_sizes_can_be_asked_for(inside, sides, tmp_path):
    made, _ = sides
    large = draw(tmp_path / "large", 20, side=12)
    code, out, err = inside("evaluate", made, f"against={large}", "resolution=8", *PIXELS, "device=cpu")
    assert code == 0, err
    reference = newest(tmp_path)["protocol"]["reference"]
    assert reference["preparation"] == "Lanczos to 8 px"


def test_all_findings_at_once(sentences, sides, tmp_path):
    found = sentences("evaluate", tmp_path / "nowhere", "against=missing", "heldout=gone", "num_real=9")
    assert len(found) == 4
    found = sentences("evaluate", tmp_path / "nowhere", "devices=0", "psi=nan", "num_samples=1", "checkpoint=first")
    assert len(found) == 4  # of words, before anything is looked at


@pytest.mark.slow
def test_weights_that_are_missing_wrong_or_cut(sentences, sides, tmp_path):
    made, real = sides
    (tmp_path / "other.pth").write_bytes(b"no weights")
    torch.save({"a": torch.zeros(3)}, tmp_path / "swapped.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "swapped.pth").read_bytes()[:200])
    for words in (
        ["extractor=inception"], ["extractor=inception", "extractor.weights=other.pth"], ["extractor=dinov2"],
        ["extractor=inception", "extractor.weights=missing.pth"], ["extractor=timm:resnet10t"],
        ["extractor=timm:resnet10t", "extractor.weights=swapped.pth"], ["extractor=mobilenet_v2", "extractor.weights=cut.pth"],
        ["extractor=resnet56_cifar10", "extractor.weights=swapped.pth"], ["extractor=timm:resnet10tt"],
        ["extractor=dinov2", "extractor.weights=swapped.pth"],
        ["extractor=inception", "extractor.weights=swapped.pth", "extractor.check=false"],
    ):  # fmt: skip
        found = sentences("evaluate", made, f"against={real}", *words)
        assert len(found) == 1, found


def test_a_missing_inception_says_where_it_is_to_be_had(sentences, sides):
    made, real = sides
    (found,) = sentences("evaluate", made, f"against={real}", "extractor=inception")
    for part in (
        "weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729",
        "https://",
        "extractor.weights=PATH",
        "extractor.download=true",
    ):
        assert part in found


def test_a_generator_of_nan_is_refused_and_writes_nothing(inside, digits_run, tmp_path, no_network):
    run, _ = digits_run
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    for name, value in saved["state_dict"].items():
        if name.startswith("generator_ema") and value.is_floating_point():
            value.fill_(float("nan"))
    broken = tmp_path / "broken" / "checkpoints"
    broken.mkdir(parents=True)
    torch.save(saved, broken / "last.ckpt")
    code, out, err = inside("evaluate", broken.parent, "device=cpu")
    assert code == 2 and err.count("\n") == 1 and "hold NaN" in err
    assert not list(broken.parent.rglob("*.json*"))


# Runs.


def test_a_run_that_can_only_be_read(inside, digits_run, monkeypatch, tmp_path):
    """Without a place for the evaluation it is refused at once; with one the run stays as it is."""
    run, _ = digits_run
    before = (run / "metrics.jsonl").read_bytes()
    real = os.access

    def access(path, mode):
        return real(path, mode) and not (mode == os.W_OK and Path(path).is_relative_to(run))

    monkeypatch.setattr(os, "access", access)
    code, _, err = inside("evaluate", run, "num_samples=64", "device=cpu")
    assert code == 2 and "can only be read, and the evaluation would be written there; give out=FILE" in err
    code, out, err = inside("evaluate", run, "num_samples=64", "device=cpu", f"out={tmp_path}/a.json")
    assert code == 0 and "written to" in out and "as a line" not in out and (tmp_path / "a.json").exists(), err
    assert (run / "metrics.jsonl").read_bytes() == before


def test_raw_weights_blocks_and_bounds(inside, digits_run):
    run, _ = digits_run
    code, out, err = inside(
        "evaluate", run, "checkpoint=last", "ema=false", "blocks=2", "num_samples=64", "device=cpu", "out=a.json"
    )
    assert code == 0, err
    code, _, err = inside("evaluate", run, "checkpoint=last", "blocks=2", "num_samples=64", "device=cpu", "out=b.json")
    assert code == 0, err
    import pathlib

    raw, ema = (result(pathlib.Path(name)) for name in ("a.json", "b.json"))
    assert raw["protocol"]["weights"] == "raw" and raw["metrics"]["fd_classifier"] != ema["metrics"]["fd_classifier"]
    assert raw["protocol"]["id"] != ema["protocol"]["id"]
    spread = ema["spread"]["fd_classifier"]
    assert spread["min"] <= ema["metrics"]["fd_classifier"] <= spread["max"] and spread["std"] > 0
    assert "± std" in out and "64 generated x 2 disjoint seed blocks (raw weights" in out
    assert raw["bounds"]["ceiling"] == ema["bounds"]["ceiling"] and "untrained" in out


def test_held_out_images_of_a_run(inside, tiny, tmp_path):
    code, out, err = inside("train", *tiny, "holdout=0.2", "kimg=0.064")
    assert code == 0 and "heldout 359 images, to measure against" in out, err
    saved = torch.load(tmp_path / "runs/digits/checkpoints/last.ckpt", weights_only=True)
    assert saved["config"]["holdout"] == 0.2
    code, out, err = inside(
        "evaluate", "runs/digits", "metrics=fast", "extractor=pixels", "metrics.with_heldout=true", "num_samples=100",
        "device=cpu", "out=a.json",
    )  # fmt: skip
    assert code == 0, err
    found = result(tmp_path / "a.json")
    assert found["protocol"]["num_real"] == 1438 and found["protocol"]["num_heldout"] == 359
    assert "fd_pixels_heldout" in found["metrics"] and found["bounds"]["floor_of"] == "held-out real images"
    assert found["metrics"]["mesh_heldout"] == pytest.approx(1, abs=0.2) and found["metrics"]["mesh"] > 2
    assert found["metrics"]["spread_heldout"] == pytest.approx(1, abs=0.1)
    assert found["metrics"]["spread_features_pixels"] < 0.9 and found["metrics"]["spread"] < 0.9
    assert list(found["details"]["mesh_by_period"]) == ["2", "4"] and len(found["details"]["spread_per_class"]) == 10
    assert {"mesh", "spread", "mesh_heldout"} <= set(out.split()) and not {"mesh", "spread"} & set(
        found["protocol"]["measures"]
    )
    code, out, err = inside("train", *tiny, "holdout=0.1", "kimg=0.128")
    assert code == 2 and "holdout: 0.2 -> 0.1" in err


@pytest.mark.slow
def test_any_number_of_processes_has_the_same_numbers(transgan_process, digits_run, tmp_path):
    run, _ = digits_run
    numbers = {}
    for devices, batch_size in ((1, 64), (2, 7), (3, 1)):
        words = [
            f"devices={devices}",
            "device=cpu",
            f"out={tmp_path / 'found.json'}",
            "num_samples=50",
            "metrics=paper",
            f"metrics.batch_size={batch_size}",
            "extractor=classifier",
            "bounds=false",
            "blocks=2",
        ]
        done = transgan_process("evaluate", run, *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        numbers[devices] = result(tmp_path / "found.json")["metrics"]
        assert done.stdout.count("protocol ") == 1
    assert len(numbers[1]) >= 7
    for devices in (2, 3):
        assert numbers[devices].keys() == numbers[1].keys()
        for name, value in numbers[1].items():
            assert numbers[devices][name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
    # naive: the sampler Lightning puts in makes all shares as large, by taking images twice or not at all
    shares = [DistributedSampler(range(50), 3, rank=0, drop_last=drop).total_size for drop in (False, True)]
    assert shares == [51, 48]


@pytest.mark.slow
def test_a_process_with_nothing_to_do(transgan_process, digits_run, tmp_path):
    run, _ = digits_run
    numbers = []
    for devices in (1, 3):
        done = transgan_process("evaluate", run, f"devices={devices}", "device=cpu", "num_samples=2", "extractor=pixels",
                                "metrics=fast", "metrics.measures.score.splits=1", "bounds=false",
                                f"out={tmp_path / 'found.json'}", cwd=tmp_path)  # fmt: skip
        assert done.returncode == 0, done.stderr
        numbers.append(result(tmp_path / "found.json")["metrics"])
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-9)
    with pytest.raises(RuntimeError):  # naive: the third process has no batch to put together
        torch.stack([torch.zeros(192) for _ in range(2, 2, 3)])
