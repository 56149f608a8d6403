"""Which arguments of `transgan train -m` are swept, and over what."""

import pytest

from transgan.errors import UserError
from transgan.sweep.words import as_typed, corners, product, separate

LOSSES = ["hinge", "least_squares", "relativistic", "wasserstein"]


def words(*arguments):
    return separate(arguments, lambda group: LOSSES if group == "loss" else [])


def jobs(*arguments):
    return product(words(*arguments).swept.values())


@pytest.mark.parametrize("argument, values", [
    ("seed=0,1,2", ["0", "1", "2"]),
    ("seed=choice(3,5)", ["3", "5"]),
    ("seed=range(3)", ["0", "1", "2"]),
    ("seed=range(1,8,3)", ["1", "4", "7"]),
    ("seed=sort(3,1,2)", ["1", "2", "3"]),
    ("loss=hinge,relativistic", ["hinge", "relativistic"]),
    ("loss=glob(*)", LOSSES),
    ("loss=glob(*e*,exclude=re*)", ["hinge", "least_squares", "wasserstein"]),
    ("loss=glob([h*,w*])", ["hinge", "wasserstein"]),
    ("generator.dim=[16],[32]", ["[16]", "[32]"]),
    ("generator.dim=[16,32],[32,16]", ["[16,32]", "[32,16]"]),
    ("+trainer.benchmark=true,false", ["true", "false"]),
])  # fmt: skip
def test_every_form_of_a_sweep_gives_its_values(argument, values):
    key = argument.partition("=")[0]
    assert [as_typed(job[0]) for job in jobs(argument)] == [f"{key}={value}" for value in values]


def test_jobs_are_all_combinations_in_the_order_of_hydra():
    assert jobs("seed=0,1", "loss=hinge,relativistic") == [
        ("seed=0", "loss=hinge"), ("seed=0", "loss=relativistic"), ("seed=1", "loss=hinge"), ("seed=1", "loss=relativistic"),
    ]  # fmt: skip


@pytest.mark.parametrize("argument", [
    "seed=3", "generator.dim=[16,32]", "~/pictures", "--config-dir=mine", "optimizer.betas=[0.0,0.9]", "~metrics",
    "name='a,b'", "data.path=/nowhere/[x", "algorithm.gamma={_target_: x, start: 1}",
])  # fmt: skip
def test_what_is_no_sweep_is_for_every_job(argument):
    found = words(argument)
    assert not found.swept and not found.hydra and found.common == [argument.replace("'", "")]


def test_a_path_that_is_there_is_not_split_at_its_comma(tmp_path):
    (tmp_path / "a,b").mkdir()
    assert words(f"data.path={tmp_path}/a,b").common == [f"data.path={tmp_path}/a,b"]
    assert len(jobs(f"data.path={tmp_path}/a,{tmp_path}/b")) == 2


def test_arguments_of_hydra_are_kept_from_the_jobs():
    found = words("hydra/launcher=joblib", "hydra.sweeper.n_trials=8", "+hydra.launcher.x=1", "seed=1")
    assert found.hydra == ["hydra/launcher=joblib", "hydra.sweeper.n_trials=8", "+hydra.launcher.x=1"]
    assert found.common == ["seed=1"]


@pytest.mark.parametrize("argument, said", [
    ("seed=range(0,0)", "the range is empty"),
    ("loss=glob(x*)", "matches none of hinge"),
    ("seed=glob(*)", "glob is for groups"),
    ("seed=range(", "seed=range("),
])  # fmt: skip
def test_a_sweep_over_nothing_is_refused(argument, said):
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        words(argument)


def test_an_interval_is_for_a_search_alone():
    with pytest.raises(UserError, match="interval is for hydra/sweeper=optuna"):
        jobs("algorithm.gamma.start=interval(0,1)")


def test_the_corners_of_a_search_try_each_end_and_each_choice():
    swept = words("algorithm.gamma.start=interval(0.1,2)", "loss=hinge,relativistic").swept.values()
    first, *others = ([as_typed(each) for each in job] for job in corners(swept))
    assert first == ["algorithm.gamma.start=0.1", "loss=hinge"]
    assert others == [
        ["algorithm.gamma.start=2.0", "loss=hinge"], ["algorithm.gamma.start=0.1", "loss=relativistic"],
    ]  # fmt: skip


def test_a_quoted_value_is_typed_without_its_marks():
    assert as_typed("name='a b'") == "name=a b"
    assert as_typed("seed=3") == "seed=3"
