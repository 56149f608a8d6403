"""What a run cost, in words."""

import pytest

from transgan.reporting.cost import duration


@pytest.mark.parametrize(
    "seconds, said",
    [(0.0, "0 s"), (0.043, "0.043 s"), (0.69, "0.69 s"), (12.4, "12 s"), (200.0, "3 min 20 s"), (273600.0, "3 d 4 h")],
)
def test_a_duration_has_two_units_at_most_and_is_never_rounded_to_nothing(seconds, said):
    assert duration(seconds) == said
