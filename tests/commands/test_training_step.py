"""What a training step may do besides the default holds with a resume and with two processes, too."""

import pytest
import torch

pytestmark = pytest.mark.slow
STILL = [           # what follows the length of the run else
    "algorithm.generator_lr=1.0e-3", "algorithm.discriminator_lr=1.0e-3", "algorithm.beta2=0.99", "algorithm.gamma=1.0",
    "matching=none",
]  # fmt: skip
RELEASED = [
    "algorithm=transgan_official", "loss=wasserstein_mean_drift", "penalty=gp", "augmentation=shift",
    "algorithm.generator_batch_size=64", "algorithm.n_critic=2", *STILL, "algorithm.gamma=20.0",
]  # fmt: skip
VARIANTS = {
    "released": RELEASED,
    "average": ["loss=relativistic_average", "penalty=r1_r2_part", "consistency=bcr", "augmentation=shift", *STILL],
    "lazy": ["loss=hinge", "penalty=r1_lazy", "penalty.every=3", *STILL],
    "directions": ["loss=least_squares", "penalty=jvp", *STILL],
    "matching": [
        *STILL[:-1],
        "matching=energy",
        "matching.weight=3",
        "algorithm.share_fakes=true",
        "optimizer.fused=true",
    ],
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)
SHORT = ["kimg=0.32", "log_every=0.064"]  # ten steps, the last of which is followed by the generator's


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


@each_variant
def test_a_run_goes_on_bit_by_bit(inside, tiny, tmp_path, variant):
    words = ["train", *tiny, *VARIANTS[variant], "log_every=0.064"]
    for more in (["name=whole", "kimg=0.64"], ["name=parts", "kimg=0.32"], ["name=parts", "kimg=0.64"]):
        code, out, err = inside(*words, *more)
        assert code == 0, out + err
        if more[1] == "kimg=0.32":
            assert bool(saved(tmp_path / "runs/parts").get("leaked")) == (variant == "released")
    whole, parts = saved(tmp_path / "runs/whole"), saved(tmp_path / "runs/parts")
    assert parts["images_seen"] == whole["images_seen"] == 640 and not any(whole["nonfinite"].values())
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name


@each_variant
def test_two_processes_train_as_one(inside, srun, tiny, tmp_path, variant):
    # eps: else Adam makes much of the last bit of small gradients
    words = ["train", *tiny, *VARIANTS[variant], *SHORT, "optimizer.eps=1.0e-3"]
    assert inside(*words, "name=one")[0] == 0
    done = srun([*words, "name=two"], tmp_path)
    assert [each.code for each in done] == [0, 0], done[0].err + done[1].err
    one, two = (saved(tmp_path / "runs" / name)["state_dict"] for name in ("one", "two"))
    for name, value in one.items():
        assert (value - two[name]).abs().max() <= 2e-6, name
