"""Our numbers against torch-fidelity's: the same image files, the same (random) Inception weights, both from the start."""

import json

import numpy as np
import pytest
import torch_fidelity
from PIL import Image

from transgan.cli import main

pytestmark = pytest.mark.slow
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


def test_evaluate_gives_the_numbers_of_torch_fidelity(tmp_path, random_inception, monkeypatch):
    """Of one size: that features of others are the same to the last bit is tested beside the extractor."""
    made, real = draw(tmp_path / "made", 10, 48, 0, 60), draw(tmp_path / "real", 12, 48, 1, 0)
    theirs = torch_fidelity.calculate_metrics(
        input1=str(made), input2=str(real), cuda=False, verbose=False, isc=True, fid=True, kid=True, prc=True,
        isc_splits=3, kid_subsets=10, kid_subset_size=8, feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(random_inception), cache=False, batch_size=8, save_cpu_ram=True,
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code = main([
        "evaluate", str(made), f"against={real}", "metrics=paper", "extractor=inception",
        f"extractor.weights={random_inception}", "extractor.check=false", "bounds=false", "device=cpu",
        "metrics.measures.score.splits=3", "metrics.measures.kernel.subsets=10",
        "metrics.measures.kernel.subset_size=8", "metrics.batch_size=16", "out=ours.json",
    ])  # fmt: skip
    assert code == 0
    ours = json.loads((tmp_path / "ours.json").read_text())
    assert ours["protocol"]["comparable_to_published"] is False  # unchecked weights are never FID
    for name, key in OURS.items():
        assert ours["metrics"][name] == pytest.approx(theirs[key], rel=1e-4), name
