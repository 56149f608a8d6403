"""What is chosen from the images, the machine and the time: rules of plain numbers."""

from dataclasses import replace

import pytest

from transgan.config.keys import AUTO
from transgan.planning import Choice, Facts, choose
from transgan.planning.choice import KEYS

PHOTOS = Facts(500, 1800, False, (), "cpu", 2, False, True)


def chosen(facts, given=()):
    return {each.key: each.value for each in choose(facts, given)}


@pytest.mark.parametrize("minutes, device, recipe", [
    (5, "cpu", "minutes"), (None, "cpu", "hour"), (60, "cpu", "hour"), (720, "cpu", "day"), (60, "cuda", "gpu"),
    (None, "cuda", "gpu"), (10, "cuda", "day"), (5, "mps", "minutes"),
])  # fmt: skip
def test_recipe_by_time_and_device(minutes, device, recipe):
    assert chosen(replace(PHOTOS, minutes=minutes, device=device))["recipe"] == recipe


@pytest.mark.parametrize("side, minutes, device, resolution", [
    (8, 20, "cpu", 16), (20, 20, "cpu", 16), (28, 20, "cpu", 32), (32, 20, "cpu", 32), (1800, 20, "cpu", 32),
    (1800, 240, "cpu", 64), (1800, 20, "cuda", 64), (40, 20, "cuda", 32),
])  # fmt: skip
def test_resolution_by_images_and_time(side, minutes, device, resolution):
    facts = replace(PHOTOS, side=side, minutes=minutes, device=device)
    assert chosen(facts)["resolution"] == resolution


def test_classes_are_learned_where_they_can_be():
    assert "conditional" not in chosen(PHOTOS)
    assert "conditional" not in chosen(replace(PHOTOS, classes=(500,)))
    assert chosen(replace(PHOTOS, classes=(1,) * 80))["conditional"] is False
    assert chosen(replace(PHOTOS, classes=(250, 250)))["conditional"] is True


def test_extractor_by_what_is_here_and_what_it_costs():
    few, many = PHOTOS, replace(PHOTOS, count=27_000)
    assert chosen(replace(few, inception=True, minutes=120))["extractor"] == "inception"
    assert chosen(few)["extractor"] == "efficientnet_lite0"
    assert chosen(replace(few, installed=False))["extractor"] == "masked"
    assert chosen(many)["extractor"] == "masked"
    assert chosen(replace(many, classes=(2_700,) * 10))["extractor"] == "classifier"
    assert chosen(replace(many, classes=(1,) * 27_000))["extractor"] == "masked"
    assert chosen(replace(many, device="cuda"))["extractor"] == "efficientnet_lite0"
    assert chosen(replace(many, device="cuda", inception=True))["extractor"] == "inception"


def test_one_image_has_nothing_to_be_compared_with():
    alone = chosen(replace(PHOTOS, count=1))
    assert alone["metrics"] == "none" and "extractor" not in alone
    assert "metrics" not in chosen(replace(PHOTOS, count=2)) and "extractor" in chosen(replace(PHOTOS, count=2))


def test_channels_precision_and_batch():
    assert chosen(PHOTOS)["channels"] == 3 and chosen(replace(PHOTOS, grey=True))["channels"] == 1
    assert chosen(replace(PHOTOS, device="cuda"))["precision"] == "bf16-mixed" and "precision" not in chosen(PHOTOS)
    assert "batch_size" not in chosen(PHOTOS)
    assert chosen(replace(PHOTOS, count=30))["batch_size"] == 16


@pytest.mark.parametrize("facts, given, expected", [
    ({"device": "cuda", "half": False}, (), ("32-true", "auto")), ({"device": "cuda"}, ("recipe",), ("bf16-mixed", "auto")),
    ({}, ("recipe",), ("32-true", None)), ({"device": "mps"}, ("recipe",), ("32-true", None)), ({}, (), (None, None)),
])  # fmt: skip
def test_half_precision_is_for_gpus_that_have_it_whatever_the_recipe_is_for(facts, given, expected):
    found = chosen(replace(PHOTOS, **facts), given)
    assert (found.get("precision"), found["compile"]) == expected


@pytest.mark.parametrize("facts, batch", [
    ({"count": 100, "device": "cuda"}, 64), ({"count": 300, "device": "cuda"}, None), ({"count": 100}, None),
    ({"count": 3, "processes": 2}, 8), ({"count": 30, "processes": 2}, 16), ({"count": 30, "processes": 8}, 32),
])  # fmt: skip
def test_a_batch_is_no_larger_than_the_set_and_has_enough_for_every_process(facts, batch):
    assert chosen(replace(PHOTOS, **facts)).get("batch_size") == batch


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_very_few_images_a_batch_has_one_for_the_penalties(count):
    assert chosen(replace(PHOTOS, count=count))["batch_size"] == 4


def test_no_time_is_said_that_the_user_did_not_give():
    def why(facts, *given):
        return next(each.why for each in choose(facts, given) if each.key == "recipe")

    assert why(PHOTOS) == "20 minutes on a CPU"
    assert why(PHOTOS, "kimg") == "that of 20 minutes on a CPU; how long kimg takes is measured later"
    assert why(replace(PHOTOS, minutes=5), "kimg") == "5 minutes on a CPU"


def test_what_is_given_is_not_chosen():
    given = {"recipe", "extractor", "resolution"}
    assert not given & set(chosen(PHOTOS, given)) and "channels" in chosen(PHOTOS, given)


def test_every_choice_says_its_argument_and_why():
    for each in choose(replace(PHOTOS, classes=(30, 30), device="cuda", count=60)):
        assert each.key in KEYS and each.why and each.argument.startswith(f"{each.key}=")
    assert Choice("a", None, "").argument == "a=null" and Choice("a", False, "").argument == "a=false"
    assert Choice("a", 1, "").argument == "a=1" and Choice("a", 0.25, "").argument == "a=0.25"


def test_the_keys_that_auto_takes_are_those_that_are_chosen():
    assert set(AUTO) == set(KEYS)
