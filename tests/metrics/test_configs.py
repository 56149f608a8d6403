"""The configuration groups: every argument of every class is visible in its YAML, and the protocols are what they say."""

import inspect
import json
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torchmetrics import Metric

from transgan import migration
from transgan.cli import main
from transgan.config.compose import compose
from transgan.metrics import ClassAccuracy, Evaluator, FeatureSpread, FrechetDistance, Mesh, Spread
from transgan.metrics.extractors import Pixels
from transgan.metrics.moments import Moments
from transgan.metrics.reference import Reference

FOLDER = Path(__file__).parents[2] / "conf" / "metrics"


@pytest.fixture(params=["fast", "paper"])
def config(request):
    return request.param, compose("evaluate", ["run=x", f"metrics={request.param}", "extractor=inception"]).metrics


def test_every_argument_is_listed_and_it_builds(config):
    name, config = config
    assert set(config) - {"_target_"} == set(inspect.signature(Evaluator).parameters)
    evaluator = instantiate(config)
    assert isinstance(evaluator, Evaluator) and evaluator.primary == "fid"
    fast = ["frechet", "kernel", "score", "accuracy", "mesh", "spread", "spread_features"]
    assert list(evaluator.metrics.keys()) == fast + (
        ["precision_recall", "prdc", "memorisation"] if name == "paper" else []
    )
    stated = {"closer", "sets", "kernel", "rng_seed"}  # in the protocol, of what cannot be set or rarely is
    details = {"pixels"}  # settings that change no number
    for name, metric in evaluator.metrics.items():
        assert isinstance(metric, Metric)
        assert set(config.measures[name]) - {"_target_"} - details == set(metric.facts()) - stated


def test_the_protocol_for_publishing():
    config = compose("evaluate", ["run=x", "metrics=paper", "extractor=inception"]).metrics
    assert (config.num_samples, config.blocks, config.with_heldout) == (50_000, 3, True)
    assert config.seed > compose("evaluate", ["run=x", "metrics=fast", "extractor=inception"]).metrics.seed
    measures = config.measures
    assert measures.score.splits == 10 and (measures.kernel.subsets, measures.kernel.subset_size) == (100, 1000)
    assert (measures.prdc.k, measures.prdc.max_samples) == (5, 10_000)
    assert (measures.precision_recall.k, measures.precision_recall.max_samples) == (3, 50_000)
    assert measures.frechet.per_class and measures.frechet.infinity


def test_one_metric_can_be_changed_and_a_timm_model_named():
    overrides = ["run=x", "metrics=paper", "metrics.measures.prdc.k=3", "extractor=timm:resnet10t.c3_in1k"]
    config = compose("evaluate", overrides)
    assert config.metrics.measures.prdc.k == 3 and config.metrics.extractor.model_name == "resnet10t.c3_in1k"


def test_none_is_empty():
    assert not OmegaConf.load(FOLDER / "none.yaml")


def protocol(name):
    """Of 100 images against 100, by pixels."""
    config = compose("evaluate", ["run=x", f"metrics={name}", "extractor=pixels"]).metrics
    return of_100_images(instantiate(OmegaConf.to_container(config, resolve=True), _convert_="all"))


def of_100_images(evaluator):
    evaluator.facts, evaluator.extractor.hash, evaluator.num_samples = {"resolution": 8, "channels": 1}, "00", 100
    moments = Moments(100, torch.zeros(2), torch.eye(2))
    evaluator.reference = Reference({"split": "train", "num_real": 100, "dataset": "d"}, moments=moments)
    return evaluator.protocol()


def test_the_id_changes_with_the_numbers_and_with_nothing_else():
    assert protocol("fast")["id"] == "f51ff75c"  # as in results of earlier versions, whose numbers it has
    assert protocol("paper")["id"] == "674f67f5" and protocol("compare")["id"] == "4389c664"
    assert protocol("paper")["id"] != "0b13838d"  # whose precision and recall were other ones


def test_metrics_that_came_later_leave_the_ids_alone_unless_they_are_set_otherwise():
    class Finer(Mesh):
        def __init__(self, finer=1):
            super().__init__()
            self.finer = finer

    def measured(*metrics):
        measures = {"frechet": FrechetDistance()} | {type(metric).__name__: metric for metric in metrics}
        return of_100_images(Evaluator(Pixels(), measures, 100, 8, 0, 1, with_heldout=False))

    without = measured()
    assert measured(Mesh(), Spread(), FeatureSpread()) == without
    assert measured(Finer()) == without and measured(Finer(2))["measures"]["Finer"] == {"finer": 2}
    assert measured(Finer(2))["id"] != without["id"]
    assert measured(ClassAccuracy())["id"] != without["id"]  # one that was there from the beginning


def test_the_protocol_says_how_neighbours_are_counted():
    measures = protocol("paper")["measures"]
    assert (measures["precision_recall"]["k"], measures["precision_recall"]["closer"]) == (3, "<=")
    assert (measures["manifold"]["k"], measures["manifold"]["closer"]) == (5, "<")


def test_a_configuration_of_an_earlier_version_is_the_same_protocol():
    old = json.loads((FOLDER.parents[1] / "tests" / "old_runs" / "options.json").read_text())
    config = OmegaConf.merge(old["metrics/fast"], old["metrics/paper"], {"extractor": old["extractor/pixels"]})
    del config["defaults"]
    config = migration.config({"metrics": OmegaConf.to_container(config)})["metrics"]
    evaluator = instantiate(config, _convert_="all")
    assert list(evaluator.metrics.keys())[-2:] == ["prdc", "memorisation"]
    assert of_100_images(evaluator)["id"] == protocol("paper")["id"]


@pytest.mark.parametrize("old, new", [("manifold.k", "prdc.k"), ("copies.max_samples", "memorisation.max_samples")])
def test_an_earlier_name_on_the_command_line_is_answered_by_the_new_one(old, new, capsys, tmp_path):
    assert main(["evaluate", str(tmp_path), "metrics=paper", f"metrics.measures.{old}=7"]) == 2
    assert f"measures.{old} is not an option any more; it is called metrics.measures.{new}" in capsys.readouterr().err
