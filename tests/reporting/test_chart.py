"""Charts: axes with round numbers, lines within them, and the same in words and in a table."""

import re

import pytest

from transgan.reporting import curves
from transgan.reporting.chart import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    brief,
    chart,
    decades,
    short,
    steps,
)


@pytest.mark.parametrize(
    "low, high, expected",
    [(0, 10, [0, 5, 10]), (0.43, 2.04, [0, 0.5, 1, 1.5, 2, 2.5]), (-3, 1, [-3, -2, -1, 0, 1]), (5, 5, [2, 4, 6, 8])],
)
def test_steps_are_round(low, high, expected):
    assert steps(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("low, high", [(2.4, 63.6), (0.001, 900), (1, 1000), (0.3, 0.4), (7, 7.0)])
def test_decades_enclose_the_range(low, high):
    found = decades(low, high)
    assert found == sorted(set(found)) and found[0] <= low and found[-1] >= high and len(found) <= 8


@pytest.mark.parametrize(
    "value, text", [(0, "0"), (0.25, "0.25"), (1234.6, "1,235"), (1e7, "1e+07"), (0.00012, "0.00012"), (-2.5, "-2.5")]
)
def test_numbers_to_read(value, text):
    assert short(value) == text
    assert brief(1288.7) == "1,289" and brief(2.4386) == "2.44"


def positions(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_lines_lie_between_the_axes():
    found = chart("t", [Series("a", [(0, 1.0), (5, 1000.0)]), Series("b", [(2, 10.0), (5, 100.0)])])
    assert found.logarithmic and [name for name, _, _ in found.paths] == ["a", "b"]
    (x, y), (x_end, y_end) = positions(found.paths[0][1])
    assert (x, y) == (LEFT, HEIGHT - BOTTOM) and (x_end, y_end) == (WIDTH - RIGHT, TOP)  # 1 and 1000 are marks
    for _, path, _ in found.paths:
        for x, y in positions(path):
            assert LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM
    assert found.rows == [["kimg", "a", "b"], ["0", "1", "–"], ["2", "–", "10"], ["5", "1,000", "100"]]
    assert found.description.startswith("a goes from 1 at 0 to 1,000 at 5, with 1 as the lowest value, at 0, and 1,000")


def test_a_chart_needs_two_points_and_keeps_to_its_size():
    assert chart("t", []) is None and chart("t", [Series("a", [(1, 1.0)])]) is None
    many = chart("t", [Series("a", [(i, float(i % 7)) for i in range(10_000)])])
    assert len(positions(many.paths[0][1])) == 240 and len(many.rows) == 13 and not many.logarithmic
    assert many.rows[1][0] == "0" and many.rows[-1][0] == "9,999"  # the first and the last are kept


def test_what_is_no_magnitude_is_never_logarithmic():
    series = [Series("d_real", [(0, 0.01), (1, 5.0)])]
    assert chart("t", series).logarithmic and not chart("t", series, magnitudes=False).logarithmic


def test_columns_that_belong_together(folder):
    head = "kimg,seconds,loss_d,loss_g,d_real,generator_lr,beta2,mine,images_per_second,memory_mib,skipped_generator"
    material = folder(rows=[head, "1,2,0.5,1,-1,0.1,0.9,4,9,5,0", "2,4,0.5,1,1,0.05,0.9,5,9,5,0", "3,6,0.5"])
    main, others = curves.signals(material)
    assert [found.title for found in main] == ["Losses", "Output of the discriminator", "Speed"]
    assert [name for name, _, _ in main[0].paths] == ["loss_d", "loss_g"]
    assert [found.title for found in others] == ["generator_lr", "mine"]  # beta2 is constant
    assert main[0].rows[-1][0] == "2"  # the line that was cut off is left out


def test_distances_of_one_protocol_in_one_line(folder, line):
    again = line(8, 2.5, seed=1, selection="...", checkpoint="best.ckpt")
    material = folder([line(0, 90.0), line(4, 3.0), line(4, 7.0, id="other"), line(8, None), again, line(9, 2.0)])
    assert curves.measured(material, "fd_pixels") == [(0, 90.0), (4, 3.0), (9, 2.0)]
    assert curves.measured(material, "fd_pixels", "other") == [(4, 7.0)]
    assert curves.measured(material, "none") == []
