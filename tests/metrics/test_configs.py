"""The configuration group: every argument of every class is visible in its YAML, with the default of the code."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from transgan.metrics import Judge

FOLDER = Path(__file__).parents[2] / "conf" / "metrics"


@pytest.mark.parametrize("name, primary", [("classifier", "fd_classifier"), ("inception", "fid")])
def test_every_argument_is_listed_and_it_builds(name, primary):
    config = OmegaConf.load(FOLDER / f"{name}.yaml")
    for node in (config, config.extractor):
        arguments = inspect.signature(get_class(node._target_)).parameters.values()
        assert set(node) - {"_target_"} == {argument.name for argument in arguments}
        for argument in arguments:
            if argument.default is not argument.empty:
                assert node[argument.name] == argument.default, argument
    judge = instantiate(config)
    assert isinstance(judge, Judge) and judge.primary == primary


def test_none_is_empty():
    assert not OmegaConf.load(FOLDER / "none.yaml")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_the_first_line_says_what_it_is(path):
    assert path.read_text().startswith("# ")
