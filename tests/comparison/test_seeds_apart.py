"""Rows of a suite whose seeds were trained on several days become one table with claims (benchmarks/comparisons)."""

import json

import pytest

from benchmarks.comparisons import table

SUITE = {
    "name": "two", "kimg": 1.0, "seconds": 10.0, "systems": {"gan": {"title": "GAN"}, "flow": {"title": "Flow"}},
    "claims": {"first": {"says": "The GAN is better", "tests": [
        {"metric": "fd_x_heldout", "better": "lower", "budget": "seconds", "ours": "gan", "theirs": ["flow"]}]}},
}  # fmt: skip


def row(system, seed, distance, **more):
    numbers = {"fd_x": distance, "fd_x_heldout": distance, "recall_prdc_k5_x": 0.5, "kimg": 3.0, "seconds": 10.0}
    facts = {
        "suite": "two",
        "system": system,
        "budget": "seconds",
        "seed": seed,
        "protocol": "aa",
        "parameters": 7,
        "clock": "cpu",
    }
    points = [{"kimg": 1.0, "own_kimg": 1.0, "seconds": 5.0, "fd_x": 2 * distance}]
    return facts | {"numbers": numbers, "curve": points} | more


def written(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in [*rows, row("gan", 0, 9.0, suite="another")]))
    return path


def test_seeds_of_several_days_are_one_table(tmp_path):
    rows = [row("flow", 0, 3.0), row("gan", 0, 1.0), row("gan", 1, 1.2), row("flow", 1, 3.1)]
    groups = table.read(written(tmp_path, rows), SUITE)
    assert list(groups["seconds"]) == ["gan", "flow"]  # as the suite has them
    text = "\n".join(table.markdown(groups, SUITE, lambda name: SUITE["systems"][name]["title"]))
    assert "| GAN | 2 | 1.1 ± 0.14 | 0.5 ± 0 | 3 ± 0 | 10 ± 0 | 7 |" in text
    assert "| The GAN is better | **holds** | GAN holds against Flow (fd_x_heldout, seconds: 1.1 against 3.05" in text
    assert [point.value for point in groups["seconds"]["gan"][0].curve("fd_x")] == [2.0]


@pytest.mark.parametrize("other, said", [
    (row("gan", 0, 1.1), "gan, seconds, seed 0 is there twice"),
    (row("gan", 1, 1.1, clock="wall"), "rows of two have seconds of several clocks"),
    (row("gan", 1, 1.1, protocol="bb"), "rows of two are by several protocols: aa, bb"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(other, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        table.read(written(tmp_path, [row("gan", 0, 1.0), other]), SUITE)
