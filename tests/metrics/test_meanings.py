"""Every number has a sentence that says what it is, which way is better, and what is good."""

import pytest

from transgan.metrics.meanings import MEANINGS, explained, meaning

OF_AN_EVALUATION = [  # by metrics=paper, with held-out images
    "fd_pixels", "fd_pixels_heldout", "fd_pixels_infinity", "kd_pixels", "cs_classifier", "accuracy_classifier",
    "accuracy_real_classifier", "accuracy_heldout_classifier", "mesh", "mesh_heldout", "spread", "spread_heldout",
    "spread_features_pixels", "precision_k3_pixels", "recall_k3_pixels", "precision_prdc_k5_pixels", "density_k5_pixels",
    "coverage_k5_pixels", "copy_rate_pixels", "copy_rate_p_pixels", "copy_rate_heldout_pixels", "auth_pct_pixels",
    "auth_pct_heldout_pixels", "c_t_pixels", "c_t_heldout_pixels", "fid", "kid", "is", "fid_heldout", "fid_infinity",
    "bits_per_dim", "bits_per_dim_heldout",
]  # fmt: skip


@pytest.mark.parametrize("name", OF_AN_EVALUATION)
def test_every_number_has_a_sentence(name):
    text = meaning(name)
    words = ("lower is better", "higher is better", "1 is", "0 is", "is good", "good is", "what generated ones can reach",
             "is a sign of")  # fmt: skip
    assert any(word in text for word in words), text
    assert "\n" not in text and "  " not in text and not text.endswith(".")


@pytest.mark.parametrize(
    "name, part",
    [
        ("fid", "Inception"), ("fd_classifier", "features"), ("fid_heldout", "held-out"), ("kd_pixels", "kernel"),
        ("fd_classifier_heldout", "held-out"), ("accuracy_real_classifier", "of the training images"), ("is", "Inception"),
        ("copy_rate_heldout", "held-out"), ("bits_per_dim", "lower"), ("isle", ""), ("mean_level", ""), ("meshes", ""),
        ("spread_features_pixels", "features"),
    ],
)  # fmt: skip
def test_what_a_number_is(name, part):
    assert part in meaning(name) and bool(part) == bool(meaning(name))


def test_numbers_explained_with_floor_and_ceiling():
    numbers = {"fd_pixels": 0.25, "kd_pixels": 0.01, "kd_pixels_std": 0.1, "my_own": 3.0}
    one, other = explained(numbers, "fd_pixels", {"floor": 0.021, "ceiling": 5.1, "floor_of": "halves"})
    assert one.startswith("fd_pixels 0.25: Fréchet distance") and other.startswith("kd_pixels 0.01: kernel")
    assert one.endswith("; here the floor is 0.021 and the ceiling is 5.1") and "here" not in other
    assert explained(numbers)[0].endswith(MEANINGS["fd_"])
    assert explained({"fd_pixels": 1.0}, "fd_pixels", {"ceiling": 2.0})[0].endswith("; here the ceiling is 2")
