"""The configuration groups: every argument of every class is visible in its YAML, and the protocols are what they say."""

import inspect
from pathlib import Path

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from transgan.config.compose import compose
from transgan.metrics import Evaluator
from transgan.metrics.frechet import Moments
from transgan.metrics.reference import Reference

FOLDER = Path(__file__).parents[2] / "conf" / "metrics"


@pytest.fixture(params=["fast", "paper"])
def config(request):
    return request.param, compose("evaluate", ["run=x", f"metrics={request.param}", "extractor=inception"]).metrics


def test_every_argument_is_listed_and_it_builds(config):
    name, config = config
    for node in (config, *config.measures.values()):
        assert set(node) - {"_target_"} == set(inspect.signature(get_class(node._target_)).parameters)
    evaluator = instantiate(config)
    assert isinstance(evaluator, Evaluator) and evaluator.primary == "fid"
    assert set(evaluator.measures) == {"frechet", "kernel", "score", "accuracy"} | (
        {"precision_recall", "manifold", "copies"} if name == "paper" else set()
    )


def test_the_protocol_for_publishing():
    config = compose("evaluate", ["run=x", "metrics=paper", "extractor=inception"]).metrics
    assert (config.num_samples, config.blocks, config.with_heldout) == (50_000, 3, True)
    assert config.seed > compose("evaluate", ["run=x", "metrics=fast", "extractor=inception"]).metrics.seed
    measures = config.measures
    assert measures.score.splits == 10 and (measures.kernel.subsets, measures.kernel.subset_size) == (100, 1000)
    assert (measures.manifold.k, measures.manifold.max_samples) == (5, 10_000)
    assert (measures.precision_recall.k, measures.precision_recall.max_samples) == (3, 50_000)
    assert measures.frechet.per_class and measures.frechet.infinity


def test_one_measure_can_be_changed_and_a_timm_model_named():
    words = ["run=x", "metrics=paper", "metrics.measures.manifold.k=3", "extractor=timm:resnet10t.c3_in1k"]
    config = compose("evaluate", words)
    assert config.metrics.measures.manifold.k == 3 and config.metrics.extractor.model_name == "resnet10t.c3_in1k"


def test_none_is_empty():
    assert not OmegaConf.load(FOLDER / "none.yaml")


def protocol(name):
    """Of 100 images against 100, by pixels."""
    config = compose("evaluate", ["run=x", f"metrics={name}", "extractor=pixels"]).metrics
    evaluator = instantiate(OmegaConf.to_container(config, resolve=True), _convert_="all")
    evaluator.facts, evaluator.extractor.hash, evaluator.num_samples = {"resolution": 8, "channels": 1}, "00", 100
    moments = Moments(100, torch.zeros(2), torch.eye(2))
    evaluator.reference = Reference({"split": "train", "num_real": 100, "dataset": "d"}, moments=moments)
    return evaluator.protocol()


def test_the_id_changes_with_the_numbers_and_with_nothing_else():
    assert protocol("fast")["id"] == "f51ff75c"  # as in results of earlier versions, whose numbers it has
    assert protocol("paper")["id"] != "0b13838d"  # whose precision and recall were other ones


def test_the_protocol_says_how_neighbours_are_counted():
    measures = protocol("paper")["measures"]
    assert (measures["precision_recall"]["k"], measures["precision_recall"]["closer"]) == (3, "<=")
    assert (measures["manifold"]["k"], measures["manifold"]["closer"]) == (5, "<")
