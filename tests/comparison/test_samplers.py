"""`sample:` of a suite's systems: what cannot be sampled so is refused before anything is trained."""

import pytest

from transgan.comparison.samplers import check_samplers
from transgan.comparison.suite import Suite
from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.instantiation import container


def checked(folder, base="flow", **sample):
    config = container(compose("compare", ["suite=digits"]).suite)
    config["systems"]["other"] = {"like": base, "sample": sample}
    check_samplers(Suite(config, folder), lambda words: compose("train", words))


@pytest.mark.parametrize(
    "base, sample, said",
    [
        ("flow", {"stepps": 4}, "there is no stepps; it takes steps, solver, guidance"),
        ("gan", {"steps": 4}, "gan is no flow, and makes images in no steps; leave it out"),
        ("student", {"solver": "heun"}, "student is no flow, and makes images in no steps; leave it out"),
        ("flow", {"guidance": 2.0}, "guidance=2 needs a flow that knows images without a class too; train flow with"),
        ("flow", {"solver": "newton"}, "algorithm.solver=newton"),
        ("flow", {"steps": 0}, "algorithm.steps=0"),
    ],
)
def test_what_cannot_be_sampled_so(tmp_path, base, sample, said):
    with pytest.raises(UserError) as error:
        checked(tmp_path, base, **sample)
    (found,) = error.value.findings
    assert found.startswith(f"suite.systems.other.sample: {said}")


def test_what_can_be_is_let_pass(tmp_path):
    checked(tmp_path, steps=4, solver="heun", guidance=1)


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "cifar10"])
def test_shipped_suites_pass(tmp_path, name):
    check_samplers(
        Suite(container(compose("compare", [f"suite={name}"]).suite), tmp_path), lambda w: compose("train", w)
    )
