"""The sentences of a result say what the numbers say, and the numbers that stand for a run are the right ones."""

import json

import pytest

from transgan.reporting import result
from transgan.reporting.measured import Measured, all_measured
from transgan.reporting.scale import scale

STATS = ["kimg,seconds,loss_g,skipped_generator,images_per_second", "5,10,1.5,0,500", "10,25,1.25,3,400"]


def measured(value, floor=None, ceiling=None, **numbers):
    bounds = {name: each for name, each in (("floor", floor), ("ceiling", ceiling)) if each is not None}
    protocol = {"extractor": "pixels", "id": "a", "num_generated": 5000, "num_real": 5000}
    return Measured(8.0, {"fd_pixels": value} | numbers, protocol, "here", bounds=bounds)


def test_what_was_made(folder):
    said = result.made(folder())
    assert said == "A GAN: StyleTransformer generates, ViTDiscriminator discriminates, trained on Digits; 8 px, grey."


@pytest.mark.parametrize(
    "value, said",
    [
        (1.2, "hardly distinguish"), (3.0, "near real images"), (20.0, "has learned much"), (60.0, "learned little"),
    ],
)  # fmt: skip
def test_what_a_distance_means(value, said):
    first, second = result.quality(measured(value, floor=1.0, ceiling=100.0))
    assert said in second and f"fd_pixels is {value:g} (lower is better), measured at 8 kimg." in first
    assert f"Real images against real ones (real images) have 1: the value is {value:.2g} times that floor." in first
    assert "An untrained generator has 100, the ceiling" in first


@pytest.mark.parametrize(
    "value, said",
    [(1.2, "hardly distinguish"), (3.0, "near real images"), (20.0, "clearly distinguish"), (60.0, "clearly")],
)
def test_what_was_learned_is_not_said_without_a_ceiling(value, said):
    (second,) = result.quality(measured(value, floor=1.0))[1:]
    assert said in second and "learned" not in second


def test_what_a_run_began_with_is_no_untrained_generator(folder, line):
    """One with the weights of another run: its first evaluation is `begun` in sentences, rows and the scale."""
    material = folder([line(0, 9.0), line(8, 2.0, bounds={"floor": 1.0, "begun": 9.0})])
    material.config["init_from"] = "runs/other"
    (first, *_) = all_measured(material)
    assert first.bounds == {"floor": 1.0, "begun": 9.0, "begun_num": 5000}
    said = " ".join(result.quality(first))
    assert "As it began, with weights of another run, it had 9." in said and "untrained" not in said
    assert [row[0] for row in first.rows_of_bounds] == ["floor", "as it began"]
    assert [kind for _, _, kind in scale(first).marks] == ["bound", "value", "begun"] and scale(first).height > 62
    first.bounds["ceiling"] = 90.0
    assert len(scale(first).marks) == 4 and "An untrained generator has 90, the ceiling" in result.quality(first)[0]
    first.bounds["begun"] = 1.5
    assert result.quality(first)[1] == "So training has not brought it nearer to real images than it began."


def test_a_run_out_of_patience_is_not_said_to_become_better(folder, line):
    material = folder([line(4, 3.0), line(8, 2.99)], kimg=20.0)
    vars(material)["out_of_patience"] = "fd_pixels has not become better than 3 in one evaluation"
    said = " ".join(result.trend(material, measured(2.99)))
    assert said == "The last evaluation while training was the best one, but by less than patience= counts as better."


def test_images_alike_are_no_collapse_before_anything_was_learned(folder):
    def said(value):
        return " ".join(result.notes(folder(), measured(value, floor=1.0, ceiling=100.0, spread=0.1)))

    assert "look alike, which is mode collapse." in said(20.0)
    assert "or because training has hardly begun" in said(99.0)


def test_without_floor_and_ceiling_there_is_the_number_alone():
    assert result.quality(measured(3.0)) == ["fd_pixels is 3 (lower is better), measured at 8 kimg."]
    assert result.quality(None) == [] and scale(measured(3.0, floor=1.0)) is None


def test_the_scale_is_logarithmic():
    found = scale(measured(10.0, floor=1.0, ceiling=100.0))
    (left, floor, _), (middle, value, kind), (right, ceiling, _) = found.marks
    assert middle - left == pytest.approx(right - middle) and kind == "value"
    assert (floor, value, ceiling) == ("real images 1", "this run 10", "untrained 100")
    assert found.description == "fd_pixels on a logarithmic scale: real images 1, this run 10, untrained 100."


def test_what_is_to_be_minded(folder, line):
    material = folder([line(0, 90.0), line(4, 2.0), line(8, 3.0)], STATS)
    first = measured(
        2.0, ceiling=90.0, mesh=5.0, spread=0.3, accuracy_pixels=0.5, accuracy_real_pixels=0.96, copy_rate_p=0.001
    )
    said = " ".join(result.notes(material, first))
    for part in (
        "recognises 50 % of its images", "96 % of the training", "grid of its patches is visible", "mode collapse",
        "chance allows", "lowest at 4 kimg (2) and rose to 3 by 8 kimg", "3 steps of the generator were skipped",
    ):  # fmt: skip
        assert part in said
    assert "few images" not in said
    first.protocol["num_generated"] = 100
    assert "few images (100)" in " ".join(result.notes(material, first))
    calm = " ".join(result.notes(folder([line(4, 3.0), line(8, 2.0)]), measured(2.0, mesh=1.0, spread=0.9)))
    assert calm == "The last evaluation while training was the best one: with more images it may become better."


def test_how_far_a_run_has_come(folder, monkeypatch):
    assert (
        result.progress(folder())
        == "Training was interrupted after 0 of 10 thousand images, before the first checkpoint."
    )
    assert result.progress(folder(rows=STATS)) == "Training is finished: 10 thousand images were shown."
    material = folder(rows=STATS, kimg=20.0)
    assert "interrupted after 10 of 20 thousand images" in result.progress(material)
    monkeypatch.setattr("transgan.reporting.material.owner", lambda folder: {"pid": 7, "host": "h", "since": "now"})
    assert "still being trained, by process 7 on h, since now: 10 of 20 thousand" in result.progress(
        folder(rows=STATS, kimg=20.0)
    )


def test_which_number_stands_for_a_run(folder, line):
    """The best measured again, not the lucky one; and an evaluation before the first step is the ceiling."""
    again = line(8, 2.5, seed=1, selection="...", checkpoint="best.ckpt")
    material = folder([line(0, 90.0), line(8, 2.0), line(10, None), again])
    first, second = all_measured(material)
    assert (first.value, second.value) == (2.5, 2.0) and "other seeds" in first.source
    assert first.bounds == {"ceiling": 90.0, "ceiling_num": 5000}
    other = folder([line(0, 90.0, id="bbbbbbbb"), line(8, 2.0)])
    assert all_measured(other)[0].bounds == {}  # by another protocol
    assert all_measured(folder([line(8, None)])) == []


def test_an_evaluation_of_another_checkpoint_does_not_stand_for_the_run(folder, line):
    material = folder([line(8, 2.0)])
    (material.folder / "evaluations").mkdir()
    content = {"kimg": 4, "metrics": {"fd_pixels": 9.0}, "protocol": line(4, 9.0)["protocol"], "checkpoint_sha256": "x",
               "bounds": {"floor": 1.0, "ceiling": 50.0}}  # fmt: skip
    (material.folder / "evaluations" / "a.json").write_text(json.dumps(content))
    (material.folder / "evaluations" / "half.json").write_text("{")
    first, second = all_measured(material)
    assert (first.value, second.value) == (2.0, 9.0)
    assert first.bounds["floor"] == 1.0  # by the same protocol


def test_numbers_chosen_by_their_own_seeds_are_called_flattered(folder, line):
    again = line(8, 2.5, seed=1, selection="...", checkpoint="best.ckpt")
    material = folder([line(8, 2.0), again])
    lucky = Measured(8.0, {"fd_pixels": 2.0}, line(8, 2.0)["protocol"], "")
    assert "others give 2.5." in " ".join(result.notes(material, lucky))
    assert "flatters" not in " ".join(result.notes(material, all_measured(material)[0]))


def test_how_it_went(folder):
    """Health's latest word with its reason and remedy; nothing of a run that has none."""
    material = folder()
    assert material.health == ("", "", "") and not [each for each in result.notes(material, None) if "went" in each]
    vars(material)["health"] = ("low variety", "the grid's images differ by 0.2 of real ones", "a smaller gamma")
    assert result.notes(material, None)[0] == (
        "How it went, at the last checkpoint: low variety. The grid's images differ by 0.2 of real ones. A smaller gamma."
    )
