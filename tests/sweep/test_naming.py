"""The names of a sweep's run folders."""

import pytest

from transgan.sweep.naming import LONGEST, folder_name


@pytest.mark.parametrize("overrides, name", [
    (["seed=0", "loss=hinge"], "loss-hinge_seed-0"),
    (["loss=hinge", "seed=0"], "loss-hinge_seed-0"),
    (["algorithm.gamma.start=0.1"], "algorithm.gamma.start-0.1"),
    (["generator.dim=[16,32]"], "generator.dim-16-32"),
    (["+trainer.benchmark=true"], "trainer.benchmark-true"),
    (["name=a", "seed=1"], "a_seed-1"),
    ([], "job"),
])  # fmt: skip
def test_a_name_says_the_overrides(overrides, name):
    assert folder_name(overrides) == name


def test_values_that_no_file_name_holds_stay_apart():
    names = {
        folder_name([f"data.path={path}"]) for path in ("/a/b", "/a=b", "/a b", "a-b", "a/b", "~/a/b", "", "ä", "*")
    }
    assert len(names) == 9
    assert not any(set(name) & set("/= *~") for name in names)


def test_a_long_name_is_cut_and_stays_unique():
    names = {folder_name([f"data.path={'x' * 300}{i}"]) for i in range(3)}
    assert len(names) == 3 and all(len(name) <= LONGEST + 7 for name in names)


def test_what_separates_the_parts_can_be_chosen():
    assert folder_name(["seed=0", "loss=hinge"], between=".", after=",", leave_out=["seed"]) == "loss.hinge"
