"""The table that an evaluation prints, and its row for a paper."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from transgan.runs.report import latex_row, print_table


def printed(details, classes=()):
    console = Console(file=io.StringIO(), width=200, highlight=False, markup=False)
    print_table(console, SimpleNamespace(numbers={}, spread={}, details=details), {}, "fid", "untrained", classes)
    return console.file.getvalue()


@pytest.mark.parametrize("name", ["spread_per_class", "fd_per_class"])
def test_classes_have_their_names_where_these_are_known(name):
    values = {0: 0.5, 2: 0.25}
    assert f"{name}: cats: 0.5000, owls: 0.2500" in printed({name: values}, ["cats", "dogs", "owls"])
    assert f"{name}: 0: 0.5000, 2: 0.2500" in printed({name: values})


def test_a_deviation_is_no_column_of_its_own():
    numbers = {"fid": 1.25, "kid": 0.5, "kid_std": 0.125}
    assert latex_row("a", SimpleNamespace(numbers=numbers, spread={})) == r"a & 1.25 & 0.5 $\pm$ 0.12 \\  % fid, kid"
    spread = {name: {"std": 0.25} for name in numbers}
    row = latex_row("a", SimpleNamespace(numbers=numbers, spread=spread))
    assert row == r"a & 1.25 $\pm$ 0.25 & 0.5 $\pm$ 0.25 \\  % fid, kid"
