"""train, evaluate and sample one after the other, and what the command line answers without them."""

import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import transgan
from transgan import checkpoint
from transgan.callbacks.evaluation import append
from transgan.runs.report import number


def strict(text):
    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


# The run that train leaves.


def test_files_of_a_run(digits_run):
    run, _ = digits_run
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    wanted = {
        "config.yaml", "checkpoints/last.ckpt", "checkpoints/best.ckpt", "metrics.jsonl", "stats.csv",
        "samples/reals.png", "samples/000000.png", "samples/000000_640.png", "samples/000001_280.png", "env.json", "log.txt",
    }  # fmt: skip
    assert wanted <= names
    assert not any("=" in name or name.endswith(".tmp") for name in names)


def test_metrics_lines(digits_run):
    run, _ = digits_run
    lines = strict((run / "metrics.jsonl").read_text())
    assert [line["kimg"] for line in lines][:3] == [0, 0.64, 1.28]
    for line in lines:
        assert set(line) == {"kimg", "seconds", "metrics", "protocol"}
        assert set(line["metrics"]) == {
            "fd_classifier", "kd_classifier", "kd_classifier_std", "cs_classifier", "cs_classifier_std",
            "accuracy_classifier", "accuracy_real_classifier", "mesh", "spread", "spread_features_classifier",
        }  # fmt: skip
        protocol = line["protocol"]
        assert protocol["extractor"] == "classifier" and len(protocol["extractor_sha256"]) == 64
        assert protocol["num_generated"] == 128 and protocol["num_real"] == 1797 and protocol["split"] == "train"
        assert protocol["resolution"] == 8 and protocol["weights"] == "ema" and protocol["truncation"] is None
        assert protocol["seed"] == ("selection" in protocol) and protocol["comparable_to_published"] is False


def test_the_best_is_measured_again_with_fresh_seeds(digits_run):
    run, done = digits_run
    *lines, again = strict((run / "metrics.jsonl").read_text())
    best = min(lines, key=lambda line: line["metrics"]["fd_classifier"])
    assert again["kimg"] == best["kimg"] and again["protocol"]["checkpoint"] == "best.ckpt"
    assert again["protocol"]["seed"] == 1 and "chosen by other seeds" in again["protocol"]["selection"]
    assert again["protocol"]["id"] == best["protocol"]["id"] and again["metrics"] != best["metrics"]
    value, bounds = again["metrics"]["fd_classifier"], again["protocol"]["bounds"]
    assert f"good    fd_classifier {value:.4g} (the best, of {best['kimg']:g} kimg, measured again" in done.stdout
    assert bounds["ceiling"] == lines[0]["metrics"]["fd_classifier"] and bounds["floor_of"].startswith("two halves")
    real = f"real images against each other {bounds['floor']:.3g} ({bounds['floor_num']:,} of them)"
    assert f"; {real}, untrained {bounds['ceiling']:.3g}: " in done.stdout


def test_stats(digits_run):
    run, _ = digits_run
    with open(run / "stats.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["kimg"]) for row in rows] == [0.32, 0.64, 0.96, 1.28]
    assert {"seconds", "loss_d", "loss_g", "d_real", "d_fake", "images_per_second", "memory_mib"} <= set(rows[0])
    assert all(np.isfinite(float(value)) for row in rows for value in row.values() if value)


def test_env(digits_run):
    run, _ = digits_run
    env = json.loads((run / "env.json").read_text())
    assert env["command"][:2] == ["transgan", "train"]
    assert torch.__version__.startswith(env["packages"]["torch"])


def test_lines_of_train(digits_run):
    """Plain lines where there is no terminal, and the next command at the end."""
    _, done = digits_run
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stdout + done.stderr
    assert done.stderr == ""
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"transgan {transgan.__version__} · torch ") and first.endswith(" · run runs/digits")
    for start in (
        "data    digits: 1,797",
        "metrics fd_classifier",
        "model   generator",
        "plan    to 1.28",
        "done    1.28 kimg in ",
        "good    fd_classifier ",
        "next    transgan sample runs/digits to=grid · ",
    ):
        assert f"\n{start}" in done.stdout
    progress = [line for line in done.stdout.splitlines() if line.startswith("kimg")]
    pattern = r"1\.3/1\.28 .* img/s  eta \d+m\d\ds \| G .* D\(fake\) .* \| fd_classifier .* \(best .* @ "
    assert re.search(pattern + r".*\) \| mesh [\d.]+ spread [\d.]+", progress[-1])


# evaluate


@pytest.fixture(scope="module")
def evaluated(digits_run, transgan_process):
    """evaluate after train: (its output, its line of metrics.jsonl, train's last line)."""
    run, _ = digits_run
    lines = strict((run / "metrics.jsonl").read_text())
    done = transgan_process("evaluate", "runs/digits", "checkpoint=last", cwd=run.parents[1])
    assert done.returncode == 0, done.stderr
    after = strict((run / "metrics.jsonl").read_text())
    assert after[: len(lines)] == lines and len(after) == len(lines) + 1
    return done, after[-1], [line for line in lines if "selection" not in line["protocol"]][-1]


def test_evaluate_repeats_the_number_of_training(evaluated):
    done, line, trained = evaluated
    assert line["kimg"] == trained["kimg"]
    for name, value in trained["metrics"].items():
        assert line["metrics"][name] == pytest.approx(value, rel=1e-6)
        assert re.search(rf"{name} +{re.escape(number(line['metrics'][name]))}", done.stdout)
    protocol = {key: value for key, value in line["protocol"].items() if key != "checkpoint"}
    assert protocol == trained["protocol"] and line["protocol"]["checkpoint"] == "last.ckpt"


def test_images_have_seeds_and_lines_are_strict_json(digits_run, tmp_path):
    """What `evaluate` would do without seeds of its own and strict JSON."""
    run, _ = digits_run
    module, _ = checkpoint.load(run / "checkpoints" / "last.ckpt")
    labels = torch.zeros(4, dtype=torch.int64)

    def naive():  # whatever the random state happens to be
        return module.generator_ema(torch.randn(4, module.generator_ema.latent_dim), labels)

    with torch.no_grad():
        assert not torch.equal(naive(), naive())
    assert torch.equal(module.generate(range(4), labels), module.generate(range(4), labels))
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kimg": 1}\n')
    append(path, 2, 0.0, {"fid": float("nan")}, {})
    assert [line["kimg"] for line in strict(path.read_text())] == [1, 2]
    with open(path, "w") as file:  # overwrites, and writes what is no JSON
        file.write(json.dumps({"kimg": 2, "metrics": {"fid": float("nan")}}) + "\n")
    assert path.read_text().count("\n") == 1
    with pytest.raises(ValueError, match="NaN"):
        strict(path.read_text())


def test_evaluate_says_how_it_measured(evaluated):
    done, line, _ = evaluated
    assert "\x1b" not in done.stdout and done.stderr == ""
    protocol = line["protocol"]
    assert f"protocol {protocol['id']}: 128 generated (EMA weights, seed 0) against all 1,797" in done.stdout
    assert f"classifier {protocol['extractor_sha256'][:8]}" in done.stdout
    assert "not comparable to published FIDs" in done.stdout
    assert "metrics.jsonl" in done.stdout


def test_evaluate_differently(inside, digits_run):
    """Other samples give another number under another protocol."""
    run, _ = digits_run
    before = strict((run / "metrics.jsonl").read_text())
    best = run / "checkpoints/best.ckpt"
    code, out, err = inside("evaluate", best, "num_samples=64", "seed=3", "psi=0.5", "device=cpu")
    assert code == 0, err
    line = strict((run / "metrics.jsonl").read_text())[-1]
    assert line["protocol"]["num_generated"] == 64 and line["protocol"]["seed"] == 3
    assert line["protocol"]["truncation"] == 0.5 and line["protocol"]["checkpoint"] == "best.ckpt"
    assert line["metrics"] != before[1]["metrics"]
    assert "64 generated (EMA weights, psi 0.5, seed 3)" in out
    code, out, err = inside("evaluate", best, "num_samples=16", "psi=0", "bounds=false", "device=cpu")
    assert code == 0 and re.search(r"EMA weights, psi 0(\.0)?, seed 0", out), err


# sample


@pytest.fixture
def sample(inside, digits_run):
    """StepRNG into a .npz and returns its arrays."""
    run, _ = digits_run

    def draw(*words):
        code, out, err = inside("sample", run, "device=cpu", "to=npz", "out=drawn.npz", *words)
        assert code == 0, err
        return dict(np.load("drawn.npz"))

    return draw


def test_sample_files(transgan_process, digits_run):
    run, _ = digits_run
    done = transgan_process("sample", "runs/digits", "seeds=0-4,7", cwd=run.parents[1])
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout and done.stdout.count("\n") == 2 and "images/s" in done.stdout
    assert "6 images of runs/digits/checkpoints/best.ckpt" in done.stdout and "-> runs/digits/generated" in done.stdout
    kimg = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["images_seen"] / 1000
    assert sorted(path.name for path in (run / "generated").iterdir()) == [
        "index.json", *(f"seed{seed:08d}-{kimg:g}kimg.png" for seed in (0, 1, 2, 3, 4, 7)), "seeds.csv"
    ]  # fmt: skip
    index = json.loads((run / "generated" / "index.json").read_text())
    for name, entry in index["images"].items():
        assert int(name[4:12]) == entry["seed"] and entry["class"] in "0123456789"
        with Image.open(run / "generated" / name) as image:
            assert image.size == (8, 8) and image.mode == "L"


def test_sample_arrays_agree_with_files(sample, inside, digits_run):
    run, _ = digits_run
    arrays = sample("seeds=5-8")
    assert arrays["images"].shape == (4, 8, 8, 1) and arrays["images"].dtype == np.uint8
    assert arrays["seeds"].tolist() == [5, 6, 7, 8] and arrays["labels"].shape == (4,)
    assert inside("sample", run, "device=cpu", "seeds=5-8", "out=files")[0] == 0
    for image, path in zip(arrays["images"], sorted(Path("files").glob("*.png")), strict=True):
        assert np.array_equal(np.array(Image.open(path)), image[:, :, 0])


def test_sample_grid(inside, digits_run, tmp_path):
    run, _ = digits_run
    code, out, err = inside("sample", run, "device=cpu", "seeds=0-11", "to=grid", "columns=6", "out=deep/grid.png")
    assert code == 0, err
    with Image.open(tmp_path / "deep/grid.png") as grid:
        assert grid.width == 6 * 42 + 2 and grid.height == 2 * 42 + 2


def test_a_seed_is_the_same_image_everywhere(sample):
    alone = sample("seeds=7")
    for words in (["seeds=0-20"], ["seeds=0-20", "batch_size=3"], ["seeds=99,7,5", "batch_size=1"], ["seeds=7,7,7"]):
        arrays = sample(*words)
        place = arrays["seeds"].tolist().index(7)
        assert np.abs(arrays["images"][place].astype(int) - alone["images"][0]).max() <= 1
        assert arrays["labels"][place] == alone["labels"][0]
    assert not np.array_equal(sample("seeds=8")["images"], alone["images"])


def test_sample_a_class(sample):
    by_number, by_name = sample("seeds=0-3", "class=3"), sample("seeds=0-3", "class=3", "batch_size=2")
    assert by_number["labels"].tolist() == [3, 3, 3, 3]
    assert np.abs(by_number["images"].astype(int) - by_name["images"]).max() <= 1


def test_sample_a_class_by_name(inside, pictures, tiny_folder, tmp_path):
    """Names win over numbers: folders called 1 and 0 are what their names say."""
    pictures(tmp_path / "pets", classes=["cats", "dogs"])
    assert inside("train", "pets", *tiny_folder, "kimg=0.032")[0] == 0
    for word, label in (("cats", 0), ("dogs", 1), ("1", 1)):
        code, out, err = inside("sample", "runs/folder", f"class={word}", "seeds=0-1", "to=npz", "device=cpu")
        assert code == 0, err
        assert np.load(f"runs/folder/generated-0.032kimg-seeds0-1-class{label}.npz")["labels"].tolist() == [
            label,
            label,
        ]


def test_sample_without_classes(inside, pictures, tiny_folder, tmp_path):
    pictures(tmp_path / "flat", classes=["."])
    assert inside("train", "flat", *tiny_folder, "kimg=0.032")[0] == 0
    assert inside("sample", "runs/folder", "seeds=0-1", "to=npz", "device=cpu")[0] == 0
    assert np.load("runs/folder/generated-0.032kimg-seeds0-1.npz")["labels"].tolist() == [-1, -1]
    code, out, err = inside("sample", "runs/folder", "class=0", "device=cpu")
    assert code == 2 and "this run is unconditional" in err


def test_truncation(sample):
    """At psi=0 only the class is left; at 1 nothing changes; between them images move."""
    arrays = sample("seeds=0-29", "psi=0")
    for label in set(arrays["labels"].tolist()):
        of_class = arrays["images"][arrays["labels"] == label].astype(int)
        assert np.abs(of_class - of_class[0]).max() <= 1
    assert not np.array_equal(sample("seeds=0-29", "psi=0.7")["images"], arrays["images"])


# Answers without a run.


def test_help(inside):
    code, out, err = inside("--help")
    assert code == 0 and err == ""
    assert inside()[1] == out and inside("-h")[1] == out and inside("help")[1] == out
    assert sum(line.startswith(("  transgan train", "  transgan sample")) for line in out.splitlines()) >= 3
    for command in ("train", "evaluate", "sample"):
        code, out, err = inside(command, "--help")
        assert code == 0 and err == ""
        assert sum(line.startswith(f"  transgan {command} ") for line in out.splitlines()) >= 3
        assert not re.search(r"\{[a-z_]*\}", out)  # of a template
        assert max(map(len, out.splitlines())) <= 130
    assert "digits" in inside("train", "--help")[1]


def test_version(inside):
    assert inside("--version") == (0, f"transgan {transgan.__version__}\n", "")


def test_the_whole_configuration(inside, tmp_path):
    code, out, err = inside("train", "--cfg", "kimg=3")
    assert code == 0 and "kimg: 3" in out and "_target_: transgan.training.adversarial.Adversarial" in out
    assert not (tmp_path / "runs").exists()


def test_a_number_in_the_place_of_any_schedule(inside):
    for name in ("gamma", "augment", "beta2", "ema_halflife", "discriminator_lr", "generator_lr"):
        code, out, err = inside("train", "--cfg", f"algorithm.{name}=0.5")
        assert code == 0, err


def test_no_torch_before_it_is_needed(transgan_process, tmp_path):
    script = (
        "import sys; from transgan.cli import main; main(sys.argv[1:]); "
        "sys.exit('torch' in sys.modules or 'pytorch_lightning' in sys.modules)"
    )
    for words in (["--help"], ["train", "--help"], ["train", "kimgs=3"], ["train", "--cfg"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *words], env=transgan_process.environment, cwd=tmp_path, capture_output=True
        )
        assert done.returncode == 0, (words, done.stderr)


def seconds(act, times: int) -> float:
    """The fastest of some: what else the machine does only adds."""

    def once():
        start = time.monotonic()
        act()
        return time.monotonic() - start

    return min(once() for _ in range(times))


def test_quick_answers(transgan_process, tmp_path):
    assert seconds(lambda: transgan_process("--help", cwd=tmp_path, new=True), 5) < 0.7
    assert seconds(lambda: transgan_process("train", "kimgs=3", cwd=tmp_path, new=True), 3) < 1.5


@pytest.mark.slow
def test_first_line_of_train(transgan_process, tiny, tmp_path):
    environment = transgan_process.environment

    def import_torch():
        subprocess.run([sys.executable, "-c", "import torch"], env=environment, check=True)

    def first_line():
        words = [sys.executable, "-m", "transgan", "train", *tiny]
        with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline().startswith("transgan ")
            process.kill()

    assert seconds(first_line, 2) < seconds(import_torch, 2) + 2
