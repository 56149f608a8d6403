"""What a suite plans: which runs, in which order, how long each is, and what begins with what."""

import json
import math

import pytest

from transgan.comparison.suite import Suite
from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.instantiation import container

PRETRAINING = {
    "flow_first": {"train": ["a=flow"], "share": 0.4},
    "student_first": {"begins_with": "flow_first", "train": ["a=student"], "share": 0.3},
}
SYSTEMS = {
    "gan": {"train": ["a=gan"]},
    "flow": {"train": ["a=flow"]},
    "flow_4": {"like": "flow", "sample": {"steps": 4}},
    "student": {"begins_with": "flow_first", "train": ["a=student"]},
    "post_trained": {"begins_with": "student_first", "train": ["a=post"]},
}


def suite(folder, only=None, **changes):
    config = dict(
        name="test", seeds=[0, 1], budgets=["images"], kimg=10.0, seconds=60.0, points=5, common=["holdout=0.2"],
        pretraining=PRETRAINING, systems=SYSTEMS, claims={},
    )  # fmt: skip
    return Suite(config | changes, folder, only)


def plan(jobs):
    return {job.name: job.kimg for job in jobs}


def test_runs_are_trained_in_the_order_of_what_begins_with_what(tmp_path):
    plans = suite(tmp_path)
    assert plans.rounds() == [["flow_first"], ["student_first"]]
    assert plan(plans.jobs("images", ["flow_first"])) == {f"flow_first-images-{seed}": 4 for seed in (0, 1)}
    (first, _) = plans.jobs("images", ["student_first"])
    assert first.kimg == 3 and f"checkpoint={tmp_path}/runs/flow_first-images-0" in first.arguments
    every = plan(plans.jobs("images", None))
    assert {name: kimg for name, kimg in every.items() if name.endswith("-0")} == {
        "gan-images-0": 10, "flow-images-0": 10, "student-images-0": 6, "post_trained-images-0": pytest.approx(3),
    }  # fmt: skip


def test_every_system_costs_the_same_with_what_it_began_with(tmp_path):
    plans = suite(tmp_path)
    length = {
        job.name: job.kimg for names in (*plans.rounds(), None) for job in plans.jobs("images", names)
    }  # fmt: skip
    for record in plans.records():
        assert sum(length[each.folder.name] for each in record.chain) == pytest.approx(10), record.system
    chains = {record.system: [each.system for each in record.chain] for record in plans.records()}
    assert chains["post_trained"] == ["flow_first", "student_first", "post_trained"]


def test_one_that_is_sampled_in_another_way_has_no_run_of_its_own(tmp_path):
    plans = suite(tmp_path, only=["flow_4"])
    assert plan(plans.jobs("images", None)) == {"flow-images-0": 10, "flow-images-1": 10}
    assert plans.rounds() == []
    records = plans.records()
    assert [(r.system, r.folder.name, r.sampler) for r in records][0] == ("flow_4", "flow-images-0", {"steps": 4})


def test_only_what_is_needed_is_trained_first(tmp_path):
    assert suite(tmp_path, only=["gan", "student"]).rounds() == [["flow_first"]]
    assert suite(tmp_path, only=["gan"]).rounds() == []


def test_a_larger_machine_does_more_of_everything(tmp_path):
    plans = suite(tmp_path, scale=3, path="/images")
    assert plan(plans.jobs("images", ["flow_first"]))["flow_first-images-0"] == 12
    assert plans.says("images") == "equal images: 30 kimg" and "180 s" in plans.says("seconds")
    assert "CPU-seconds" in suite(tmp_path, clock="cpu", trainer="cpu").says("seconds")
    assert "data.path=/images" in plans.jobs("images", None)[0].arguments


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(pretraining=PRETRAINING | {"flow_first": {"train": [], "share": 0.4, "begins_with": "gpt"}}),
         "suite.pretraining.flow_first begins with gpt, which is not under suite.pretraining"),
        (dict(pretraining=PRETRAINING | {"flow_first": {"train": [], "share": 0.4, "begins_with": "flow_first"}}),
         "suite.pretraining.flow_first begins with flow_first, which begins with itself"),
        (dict(pretraining=PRETRAINING | {"flow_first": {"train": [], "share": 0.7}}),
         "suite.systems.post_trained: what it begins with takes 1 of a budget"),
        (dict(systems=SYSTEMS | {"flow_4": {"like": "flows"}}), "suite.systems.flow_4 is like flows, which is not"),
        (dict(systems=SYSTEMS | {"flow_2": {"like": "flow_4"}}), "suite.systems.flow_2 is like flow_4, which is not"),
        (dict(scale=0), "suite.scale=0: it must be more than 0"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(tmp_path, changes, said):
    with pytest.raises(UserError) as error:
        suite(tmp_path, **changes)
    assert any(each.startswith(said) for each in error.value.findings), error.value.findings


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "cifar10"])
def test_shipped_suites(tmp_path, name):
    """Every run of theirs composes, and costs what the others do."""
    plans = Suite(container(compose("compare", [f"suite={name}"]).suite), tmp_path)
    for names in (*plans.rounds(), None):
        for job in plans.jobs("images", names):
            if job.name.endswith("-0"):
                data = [] if name == "digits" else ["data.path=/images"]
                compose("train", [*job.arguments, *data])
    for record in plans.records():
        assert plans.share(record.before and record.before.system) < 1


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "cifar10"])
def test_shipped_claims_speak_of_every_system(name):
    """And of pre-training against the same network from scratch, of one step against many."""
    shipped = container(compose("compare", [f"suite={name}"]).suite)
    tests = [test for claim in shipped["claims"].values() for test in claim["tests"]]
    assert {other for test in tests for other in (test["ours"], *test["theirs"])} == set(shipped["systems"])
    own = [test for test in tests if test["ours"] == "post_trained" and "adversarial_flow" in test["theirs"]]
    assert {test["budget"] for test in own} == {"images", "seconds"}


def test_what_others_begin_with_is_given_nothing_about_evaluations(tmp_path):
    plans = suite(tmp_path, common=["holdout=0.2", "metrics=fast", "metrics.num_samples=100", "patience=3"])
    (first, _), measured = plans.jobs("images", ["flow_first"]), plans.jobs("images", None)[0]
    asked = [each for each in first.arguments if each.startswith(("metrics", "patience"))]
    assert asked == ["metrics=none"] and {"holdout=0.2", "callbacks.likelihood=null"} <= set(first.arguments)
    assert "callbacks.likelihood=null" not in measured.arguments
    assert {"metrics=fast", "patience=3"} <= set(measured.arguments)


def lengths_of(plans, names):
    return {job.name: job.kimg for job in plans.jobs("seconds", names)}


def trained_before(plans, names):
    """The folders of these runs, as training leaves their command in them."""
    for job in plans.jobs("seconds", names):
        (plans.runs / job.name).mkdir(parents=True)
        (plans.runs / job.name / "env.json").write_text(json.dumps({"command": ["python", "train", *job.arguments]}))


@pytest.mark.parametrize("names, name", [(None, "gan"), (None, "post_trained"), (["flow_first"], "flow_first")])
def test_seeds_added_later_leave_every_length_of_equal_seconds(tmp_path, monkeypatch, names, name):
    """The speed of the new ones changes the median; a run that is there was annealed over its own length."""
    both = {"budgets": ["images", "seconds"]}
    monkeypatch.setattr(Suite, "speed", lambda self, name: 100.0 + 7 * len(self.config["seeds"]))
    first = lengths_of(suite(tmp_path, **both), names)
    more = lengths_of(suite(tmp_path, **both, seeds=[0, 1, 2]), names)
    assert first.items() <= more.items() and more[f"{name}-seconds-2"] == first[f"{name}-seconds-0"]
    longer = lengths_of(suite(tmp_path, **both, seconds=120.0), names)  # another budget is another length
    assert longer[f"{name}-seconds-0"] == pytest.approx(2 * first[f"{name}-seconds-0"], rel=0.1)


@pytest.mark.parametrize("factor, kept", [(1.1, True), (0.9, True), (3.0, False)])
def test_runs_of_earlier_versions_keep_their_length(tmp_path, monkeypatch, factor, kept):
    """Of a folder without lengths; unless that was for other seconds."""
    both = {"budgets": ["images", "seconds"]}
    monkeypatch.setattr(Suite, "speed", lambda self, name: 100.0)
    trained_before(suite(tmp_path, **both), None)
    first = lengths_of(suite(tmp_path, **both), None)
    (tmp_path / "runs" / "lengths.json").unlink()
    monkeypatch.setattr(Suite, "speed", lambda self, name: 100.0 * factor)
    again = lengths_of(suite(tmp_path, **both, seeds=[0, 1, 2]), None)
    assert math.isclose(again["gan-seconds-2"], again["gan-seconds-0"])
    assert (again["gan-seconds-0"] == first["gan-seconds-0"]) is kept


@pytest.mark.parametrize("changes", [dict(kimg=0.1), dict(kimg=0.04), dict(kimg=10.0, scale=0.001)])
def test_no_run_is_of_no_images(tmp_path, changes):
    plans = suite(tmp_path, **changes)
    jobs = [job for names in (*plans.rounds(), None) for job in plans.jobs("images", names)]
    assert len(jobs) == 12 and min(job.kimg for job in jobs) == 0.1


@pytest.mark.parametrize(
    "fails, seeds, left_out, whole",
    [
        ("gan-images-0", [0, 1], [], "flow,flow_4,student,post_trained"),
        ("flow_first-images-0", [0, 1], ["student_first-images-0", "student-images-0", "post_trained-images-0"],
         "gan,flow,flow_4"),
        ("flow-images-0", [0], ["flow-seconds-0"], "gan,student,post_trained"),  # nothing says how long that is
    ],
)  # fmt: skip
def test_a_run_that_fails_stops_what_depends_on_it_alone(tmp_path, monkeypatch, fails, seeds, left_out, whole):
    trained = []

    def run_all(jobs, count, logs, say):
        trained.extend(job.name for job in jobs)
        yield from ((job, f"{job.name} was not trained: why") for job in jobs if job.name == fails)

    monkeypatch.setattr("transgan.comparison.suite.run_all", run_all)
    monkeypatch.setattr(Suite, "speed", lambda self, name: 100.0)
    plans = suite(tmp_path, budgets=["images", "seconds"], seeds=seeds)
    (sentence,) = plans.train(1, lambda text: None)
    assert sentence.startswith(f"{fails} was not trained: why; `transgan train holdout=0.2 ")
    assert sentence.endswith(f"` is its command; systems=[{whole}] compares the others")
    assert sorted(plans.left_out) == sorted(left_out)
    assert len(trained) == len(set(trained)) == 12 * len(seeds) - len(left_out) and not set(left_out) & set(trained)
    named = {record.folder.name for record in plans.records()}
    assert named and not named & {fails, *left_out}


def test_where_every_run_fails_there_is_nothing_to_compare(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "transgan.comparison.suite.run_all", lambda jobs, *others: [(job, f"{job.name} failed") for job in jobs]
    )
    with pytest.raises(UserError) as error:
        suite(tmp_path, only=["gan", "flow"]).train(1, lambda text: None)
    assert len(error.value.findings) == 4 and all(each.endswith("is its command") for each in error.value.findings)


@pytest.mark.parametrize(
    "common", [["trainer=gpu"], ["trainer=ddp", "trainer.accelerator=gpu"], ["trainer.accelerator=cuda"]]
)
def test_seconds_of_a_cpu_are_not_counted_on_a_gpu(tmp_path, common):
    with pytest.raises(UserError, match="suite.clock=cpu: .* give suite.clock=wall"):
        suite(tmp_path, clock="cpu", common=common)
    assert suite(tmp_path, clock="wall", common=common).on_gpu
    both = suite(tmp_path, clock="cpu", common=common[:1], trainer="gpu")
    assert both.clock == "wall" and both.on_gpu and "60 s of training" in both.says("seconds")


@pytest.mark.parametrize("name", ["digits", "fashion_mnist", "cifar10"])
def test_one_key_trains_a_shipped_suite_on_a_gpu(tmp_path, name):
    usual, other = (Suite(container(compose("compare", [f"suite={name}", *words]).suite), tmp_path)
                    for words in ([], ["suite.trainer=gpu"]))  # fmt: skip
    assert (usual.clock, usual.on_gpu, other.clock, other.on_gpu) == ("cpu", False, "wall", True)
    first, second = (list(plans.jobs("images", None)[0].arguments) for plans in (usual, other))
    assert [each.replace("trainer=gpu", "trainer=cpu") for each in second] == first != second


def test_runs_without_speed_are_given_the_way_out_of_their_clock(tmp_path, monkeypatch):
    monkeypatch.setattr("transgan.comparison.suite.Record.images_per_second", math.nan)
    for clock, way in (("cpu", "suite.clock=wall"), ("wall", r"suite.budgets=\[images\]")):
        with pytest.raises(UserError, match=f"give {way}$"):
            suite(tmp_path, clock=clock, common=["trainer=cpu"]).speed("gan")
