import pytest

from transgan.numerals import number


@pytest.mark.parametrize("value, digits, written", [
    (165.4, 2, "165"), (1700, 2, "1,700"), (99.7, 2, "100"), (12.5, 2, "12"), (1.005, 2, "1"), (0.0123, 3, "0.0123"),
    (1234.5, 3, "1,234"), (1234.5, 5, "1,234.5"), (-1700, 2, "-1,700"), (0, 3, "0"), (1e30, 3, "1e+30"),
    (float("inf"), 2, "inf"),
])  # fmt: skip
def test_a_number_as_people_write_it(value, digits, written):
    assert number(value, digits) == written
