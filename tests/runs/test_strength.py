"""How typical samples are: which key a run takes, and which it does not."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from transgan.errors import UserError
from transgan.models import DCGANGenerator, OneStep, StyleTransformer
from transgan.runs.run import Run


def strength(network, **given):
    run = object.__new__(Run)
    run.path, run.module = Path("runs/a/last.ckpt"), SimpleNamespace(ema=network)
    return run.strength(OmegaConf.create({"psi": 1.0, "temperature": 1.0} | given))


@pytest.mark.parametrize("given", [dict(psi=0.8), dict(temperature=0.8), dict(psi=0.8, temperature=0.7)])
@pytest.mark.parametrize("kind", [OneStep, DCGANGenerator])
def test_a_generator_without_styles_takes_neither(kind, given):
    said = ", ".join(f"{key}={value}" for key, value in given.items())
    network = object.__new__(kind)
    with pytest.raises(UserError, match=f"^{said}: .* at once and has no styles to truncate; leave it out$"):
        strength(network, **given)
    assert strength(network) == 1


def test_a_generator_with_styles_takes_psi():
    network = object.__new__(StyleTransformer)
    assert strength(network, psi=0.8) == 0.8
    with pytest.raises(UserError, match="temperature=0.8: .* is a GAN; give psi=0.8"):
        strength(network, temperature=0.8)
