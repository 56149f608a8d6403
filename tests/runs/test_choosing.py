"""What a run costs, counted from its configuration and a measured step."""

import pytest
import torch

from transgan.config.compose import compose
from transgan.data import free_memory
from transgan.errors import UserError
from transgan.planning import Measured
from transgan.runs import choosing, planned
from transgan.runs.beside import beside_of
from transgan.runs.measuring import Footprint

STEP = Measured(500.0, None, {1: 500.0}, 0.01, 0.01, 30.0, None, 10**9, 10**10)
RUN = ["experiment=digits", "evaluate_at_start=false", "kimg=16", "evaluate_every=4", "sample_every=4"]


def cost(*words, **more):
    return choosing.cost_of(compose("train", [*RUN, *words]), STEP, 1797, "cpu", **more)


def test_grids_health_and_evaluations_are_counted():
    each = 0.01
    whole = cost("evaluate_share=1").measuring
    assert whole == pytest.approx((4 + 1) * 1797 * 2 * each + 4 * 100 * each + 5 * 100 * each)
    assert whole - cost("evaluate_share=1", "grid=1").measuring == pytest.approx(5 * 99 * each)
    assert whole - cost("evaluate_share=1", "~callbacks.health").measuring == pytest.approx(4 * 100 * each)
    assert cost("metrics=none", "callbacks.samples=null").measuring == pytest.approx(4 * 100 * each)
    assert cost("callbacks=none").measuring == 0
    before = cost("evaluate_share=1", "evaluate_at_start=true").measuring - whole
    assert before == pytest.approx(1797 * 2 * each)  # before the first step


def test_blocks_and_the_users_images_are_counted():
    few, many = (cost("evaluate_share=1", f"metrics.num_samples={count}").measuring for count in (10_000, 20_000))
    assert many - few == pytest.approx(5 * 10_000 * 0.02)
    three = cost("evaluate_share=1", "metrics.num_samples=10000", "metrics.blocks=3").measuring
    assert three - few == pytest.approx(5 * 20_000 * 0.02)
    paper = beside_of(compose("train", [*RUN, "metrics=paper"]), (), 1797, 2)
    assert (paper.samples, paper.blocks, paper.processes) == (50_000, 3, 2)


@pytest.mark.parametrize("kept", [set(), {"sample_every"}, {"sample_every", "metrics.num_samples"}])
def test_what_is_to_be_chosen_is_not_given(kept):
    found = beside_of(compose("train", RUN), kept, 1797, 1)
    assert (found.sample_every, found.evaluate_every) == (None if kept else 4.0, 4.0)
    assert found.samples == (None if "metrics.num_samples" in kept else 1797)


def test_processes_share_the_memory_of_a_cpu(monkeypatch):
    """Each takes a part of what is free, and what all take is said."""
    monkeypatch.setattr(free_memory, "of_machine", lambda: 8 * 2**30)
    monkeypatch.setattr(free_memory.control_groups, "free", lambda: 6 * 2**30)
    monkeypatch.setattr(free_memory, "of_limit", lambda: 5 * 2**30)
    monkeypatch.setattr(choosing, "memory_mib", lambda: 500.0)
    cpu = torch.device("cpu")
    assert planned.free_bytes(cpu) == 5 * 2**30 and planned.free_bytes(cpu, 2) == 3 * 2**30
    one, two = cost(), cost(processes=2, here=2)
    assert two.memory == 2 * one.memory and two.free == 2 * one.free and two.processes == 2
    assert choosing.cost_of(compose("train", RUN), STEP, 1797, "cuda", 2, 2).processes == 1


class Stand:
    """A step that takes a GiB for each of eight images."""

    def __init__(self, *arguments):
        self.module = torch.nn.Module()
        self.module.fewest = 1
        self.module.parts = torch.nn.Module()
        self.module.parts.obstacle = lambda: None

    def footprint(self, batch, free):
        return Footprint(0.0, 2.0**30)


def test_what_fits_into_a_process_is_its_part_of_the_memory(monkeypatch):
    monkeypatch.setattr(planned, "Trial", Stand)
    monkeypatch.setattr(free_memory, "of_machine", lambda: 12 * 2**30)
    monkeypatch.setattr(free_memory.control_groups, "free", lambda: 2**63)
    config, plan = compose("train", [*RUN, "batch_size=8", "threads=1"]), planned.Plan(left=frozenset({"micro_batch"}))

    def fit(processes, plan=plan):
        return planned.fitted(plan, config, {}, None, None, torch.device("cpu"), processes, here=processes)

    assert fit(1).micro_batch is None and fit(1).batch == 8
    assert fit(2).batch == 4 and fit(2).micro_batch is None and fit(4).micro_batch is None
    assert fit(8).micro_batch is None and fit(8).free == 12 * 2**30 // 8
    monkeypatch.setattr(free_memory, "of_machine", lambda: 6 * 2**30)
    assert fit(2).micro_batch == 2
    with pytest.raises(UserError, match="3.0 GiB are free for each of 2 processes; give micro_batch=2 or less"):
        fit(2, planned.Plan())


@pytest.mark.parametrize("micro_batch", [9, 64, 10_000])
def test_no_more_images_than_a_batch_has_go_through_at_once(monkeypatch, micro_batch):
    monkeypatch.setattr(planned, "Trial", Stand)
    monkeypatch.setattr(planned, "free_bytes", lambda device, here: 12 * 2**30)
    config = compose("train", ["experiment=digits", "batch_size=8", f"micro_batch={micro_batch}"])
    fit = planned.fitted(planned.Plan(), config, {}, None, None, torch.device("cpu"), 1)
    assert fit.micro_batch == micro_batch and fit.memory == int(planned.SLACK * 8 * 2**30)
