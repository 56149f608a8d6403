"""Endpoints, midpoints, warm-up, and numbers that stay."""

import pytest

from transgan.schedules import Cosine, Linear, Share, schedule


def test_cosine():
    value = Cosine(start=2.0, end=1.0, kimg=10.0)
    assert value(0) == 2.0
    assert value(5000) == pytest.approx(1.5)
    assert value(2500) == pytest.approx(1 + 0.5 * (1 + 0.5**0.5))
    assert value(10_000) == pytest.approx(1.0) and value(99_000) == pytest.approx(1.0)
    assert value(1000) > 1.9 + 0.07  # flat at first: a line would be at 1.9


def test_warmup_rises_over_the_cosine():
    value, plain = Cosine(2.0, 1.0, 10.0, warmup=4.0), Cosine(2.0, 1.0, 10.0)
    assert value(0) == 0.0
    assert value(1000) == pytest.approx(0.25 * plain(1000))
    assert value(4000) == pytest.approx(plain(4000))
    assert value(8000) == pytest.approx(plain(8000))


def test_linear():
    value = Linear(start=0.9, end=0.99, kimg=2.0)
    assert value(0) == 0.9
    assert value(500) == pytest.approx(0.9225)
    assert value(1000) == pytest.approx(0.945)
    assert value(2000) == pytest.approx(0.99) and value(5000) == pytest.approx(0.99)


@pytest.mark.parametrize("kind", [Cosine, Linear])
def test_a_span_of_nothing_is_its_end(kind):
    assert kind(3.0, 1.0, 0.0)(0) == pytest.approx(1.0)


def test_share():
    value = Share(share=0.05, limit=2.0)
    assert value(0) == 0.0
    assert value(20_000) == pytest.approx(1.0)
    assert value(40_000) == pytest.approx(2.0) and value(90_000) == 2.0


def test_a_number_stays_and_a_schedule_passes():
    assert schedule(3)(0) == schedule(3)(10**9) == 3.0 and isinstance(schedule(3)(0), float)
    line = Linear(0.0, 1.0, 1.0)
    assert schedule(line) is line
