"""The configuration groups: every argument of every class is visible in its YAML, and the protocols are what they say."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from transgan.metrics import Judge
from transgan.overrides import compose

FOLDER = Path(__file__).parents[2] / "conf" / "metrics"


@pytest.fixture(params=["fast", "paper"])
def config(request):
    return request.param, compose("evaluate", ["run=x", f"metrics={request.param}", "extractor=inception"]).metrics


def test_every_argument_is_listed_and_it_builds(config):
    name, config = config
    for node in (config, *config.measures.values()):
        assert set(node) - {"_target_"} == set(inspect.signature(get_class(node._target_)).parameters)
    judge = instantiate(config)
    assert isinstance(judge, Judge) and judge.primary == "fid"
    assert set(judge.measures) == {"frechet", "kernel", "score", "accuracy"} | (
        {"manifold", "copies"} if name == "paper" else set())


def test_the_protocol_for_publishing():
    config = compose("evaluate", ["run=x", "metrics=paper", "extractor=inception"]).metrics
    assert (config.num_samples, config.blocks, config.with_heldout) == (50_000, 3, True)
    assert config.seed > compose("evaluate", ["run=x", "metrics=fast", "extractor=inception"]).metrics.seed
    measures = config.measures
    assert measures.score.splits == 10 and (measures.kernel.subsets, measures.kernel.subset_size) == (100, 1000)
    assert (measures.manifold.k, measures.manifold.max_samples) == (5, 10_000)
    assert measures.frechet.per_class and measures.frechet.infinity


def test_one_measure_can_be_changed_and_a_timm_model_named():
    words = ["run=x", "metrics=paper", "metrics.measures.manifold.k=3", "extractor=timm:resnet10t.c3_in1k"]
    config = compose("evaluate", words)
    assert config.metrics.measures.manifold.k == 3 and config.metrics.extractor.model_name == "resnet10t.c3_in1k"


def test_none_is_empty():
    assert not OmegaConf.load(FOLDER / "none.yaml")
