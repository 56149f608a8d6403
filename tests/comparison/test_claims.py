"""Results of claims: Welch's interval against scipy's worked-out numbers and by its coverage; what a claim needs to hold."""

import math
import random

import pytest

from transgan.comparison.claims import FAILS, HOLDS, UNDECIDED, check_claims, result_of, welch
from transgan.comparison.claims import test as compared
from transgan.comparison.tables import claims_table


def test_welch_by_hand():
    ours, theirs = [1.0, 2.0, 3.0], [6.0, 8.0, 13.0]
    # means 2 and 9, variances 1 and 13: standard error sqrt(14 / 3), degrees of freedom (14/3)^2 / (1/18 + 169/18)
    error, freedom = math.sqrt(14 / 3), (14 / 3) ** 2 / (1 / 18 + 169 / 18)
    from scipy.special import stdtrit

    half = stdtrit(freedom, 0.975) * error
    assert welch(ours, theirs) == pytest.approx((-7 - half, -7 + half))


def test_the_interval_holds_the_truth_19_times_of_20():
    draw = random.Random(0)
    inside = 0
    for _ in range(2000):
        low, high = welch([draw.gauss(5, 1) for _ in range(3)], [draw.gauss(4, 1) for _ in range(3)])
        inside += low <= 1 <= high
    assert 0.94 <= inside / 2000 <= 0.98  # Welch is a little careful with three of each


@pytest.mark.parametrize(
    "ours, theirs, better, expected",
    [
        ([1.0, 1.1, 0.9], [2.0, 2.1, 1.9], "lower", HOLDS),
        ([2.0, 2.1, 1.9], [1.0, 1.1, 0.9], "lower", FAILS),
        ([2.0, 2.1, 1.9], [1.0, 1.1, 0.9], "higher", HOLDS),
        ([1.0, 1.1, 0.9], [2.0, 2.1, 1.9], "higher", FAILS),
        ([1.0, 3.0, 2.0], [1.5, 2.5, 2.2], "lower", UNDECIDED),
        ([1.0], [2.0], "lower", UNDECIDED),  # one seed says nothing about spread
        ([1.0, 1.0], [1.0, 1.0], "lower", UNDECIDED),
        ([1.0, 1.0], [2.0, 2.0], "lower", HOLDS),
    ],
)
def test_result_of_two_systems(ours, theirs, better, expected):
    found = compared("fd", "images", ("a", ours), ("b", theirs), better)
    assert found.result == expected
    assert found.sentence().startswith(f"{expected} against b (fd, images: ")


def test_result_of_a_claim():
    def of(*results):
        numbers = {HOLDS: [1.0, 1.1, 0.9], FAILS: [9.0, 9.1, 8.9], UNDECIDED: [2.0, 7.0, 6.0]}
        return [compared("fd", "images", ("a", numbers[each]), ("b", [5.0, 5.1, 4.9]), "lower") for each in results]

    assert result_of(of(HOLDS, HOLDS)) == HOLDS
    assert result_of(of(HOLDS, FAILS)) == FAILS
    assert result_of(of(HOLDS, UNDECIDED)) == UNDECIDED
    assert result_of(of(UNDECIDED)) == UNDECIDED
    assert result_of([]) == UNDECIDED


def test_a_claim_about_a_system_without_numbers_is_undecided_and_says_so():
    numbers = {"gpt": [1.0, 1.1, 0.9], "rnn": [2.0, 2.1, 1.9], "gan": []}
    test = {"metric": "bits", "budget": "images", "better": "lower", "ours": "gpt"}
    claims = {
        "whole": {"says": "", "tests": [test | {"theirs": ["rnn"]}]},
        "part": {"says": "", "tests": [test | {"theirs": ["rnn", "gan"]}]},
    }
    found = check_claims(claims, lambda system, budget, metric: numbers[system])
    assert found["whole"][0] == HOLDS and not found["whole"][2]
    result_of_part, tests, missing = found["part"]
    assert result_of_part == UNDECIDED and len(tests) == 1 and missing == [("gan", "images")]


@pytest.mark.parametrize(
    "theirs, expected",
    [(["best", "gan"], FAILS), (["gan", "best"], FAILS), (["rnn", "best", "gan"], FAILS), (["rnn", "gan"], UNDECIDED),
     (["same", "gan"], UNDECIDED), (["gan"], UNDECIDED), (["rnn", "same"], UNDECIDED), (["rnn"], HOLDS)],
)  # fmt: skip
def test_one_that_fails_fails_whatever_else_is_missing(theirs, expected):
    numbers = {
        "gpt": [1.0, 1.1, 0.9],
        "rnn": [2.0, 2.1, 1.9],
        "same": [1.0, 1.1, 0.9],
        "best": [0.2, 0.3, 0.1],
        "gan": [],
    }
    test = {"metric": "bits", "budget": "images", "better": "lower", "ours": "gpt", "theirs": theirs}
    found = check_claims({"one": {"says": "", "tests": [test]}}, lambda system, budget, metric: numbers[system])
    result, _, missing = found["one"]
    assert result == expected and missing == [("gan", "images")] * ("gan" in theirs)


def test_one_table_with_a_sentence_for_each_pair():
    numbers = {"gpt": [1.0, 1.1, 0.9], "rnn": [2.0, 2.1, 1.9], "gan": []}
    test = {"metric": "bits", "budget": "images", "better": "lower", "ours": "gpt", "theirs": ["rnn", "gan"]}
    claims = {"one": {"says": "It is better", "tests": [test]}}
    found = check_claims(claims, lambda system, budget, metric: numbers[system])
    *_, row = claims_table(found, claims, str.upper)
    assert row.startswith(
        "| It is better | **undecided** | GPT holds against RNN (bits, images: 1 against 2, -1, 95 % "
    )
    assert row.endswith("<br>without numbers: GAN (images) |")
