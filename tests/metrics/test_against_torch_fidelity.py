"""Our numbers against the command line of torch-fidelity: the same images, the same (random) Inception weights."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
ONE_THREAD = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
OURS = {  # ours: theirs
    "fd_inception_unchecked": "frechet_inception_distance",
    "cs_inception_unchecked": "inception_score_mean",
    "cs_inception_unchecked_std": "inception_score_std",
    "kd_inception_unchecked": "kernel_inception_distance_mean",
    "kd_inception_unchecked_std": "kernel_inception_distance_std",
    "precision_k3_inception_unchecked": "precision",
    "recall_k3_inception_unchecked": "recall",
}


def draw(folder, count, side, seed, low):
    """Blotches of colour: noise alone would look the same to every network."""
    folder.mkdir()
    random = np.random.default_rng(seed)
    for i in range(count):
        blotches = Image.fromarray(random.integers(low, 256, (6, 6, 3), dtype=np.uint8)).resize((side, side))
        grain = random.integers(-20, 20, (side, side, 3))
        pixels = (np.asarray(blotches).astype(int) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    return folder


def run(*words, cwd):
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ | ONE_THREAD | {"TRANSGAN_CACHE": str(cwd / "cache")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("side", [32, 64, 299, 512])
def test_the_same_numbers_as_its_command_line(tmp_path, random_inception, side):
    made, real = draw(tmp_path / "made", 24, side, 0, 60), draw(tmp_path / "real", 30, side, 1, 0)
    theirs = json.loads(run(
        sys.executable, "-m", "torch_fidelity.fidelity", "--input1", made, "--input2", real, "--cpu", "--json",
        "--silent", "--isc", "--fid", "--kid", "--prc", "--isc-splits", 3, "--kid-subsets", 10, "--kid-subset-size", 15,
        "--feature-extractor", "inception-v3-compat",
        "--feature-extractor-weights-path", random_inception, "--no-cache", "--batch-size", 8, cwd=tmp_path,
    ))  # fmt: skip
    run(
        sys.executable, "-m", "transgan", "evaluate", made, f"against={real}", "metrics=paper", "extractor=inception",
        f"extractor.weights={random_inception}", "extractor.check=false", "bounds=false", "device=cpu",
        "metrics.measures.score.splits=3", "metrics.measures.kernel.subsets=10",
        "metrics.measures.kernel.subset_size=15", "metrics.batch_size=16",
        "out=ours.json", cwd=tmp_path,
    )  # fmt: skip
    ours = json.loads((tmp_path / "ours.json").read_text())
    assert ours["protocol"]["comparable_to_published"] is False  # unchecked weights are never FID
    for name, key in OURS.items():
        assert ours["metrics"][name] == pytest.approx(theirs[key], rel=1e-4), (side, name)
