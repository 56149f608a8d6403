"""Where runs differ, commands to paste, and a table for a paper."""

import shlex

import pytest

from transgan.config.compose import compose
from transgan.reporting import configuration
from transgan.reporting.latex import latex
from transgan.reporting.material import Material
from transgan.reporting.measured import Measured


def test_where_runs_differ(folder):
    """Keys by key; of a part of another class the class alone, of repeated keys one, of names nothing."""
    one, other = folder(name="one"), folder(name="other", kimg=20.0)
    data = other.config["data"]
    other.config["algorithm"]["generator"] |= {"_target_": "transgan.models.vitgan.ViTGAN", "depth": 4}
    other.config["data"] = data | {"limit": None, "path": "elsewhere"}
    head, *rows = configuration.differences([one, other])
    assert head == ["key", "one", "other"]
    assert rows == [
        ["kimg", "10.0", "20.0"],
        ["algorithm.generator._target_", "transgan.models.style_transformer.StyleTransformer", "transgan.models.vitgan.ViTGAN"],
        ["data.limit", "–", "null"],
    ]  # fmt: skip
    assert configuration.differences([one, one]) == [["key", "one", "one"]]


def test_commands_are_accepted(digits):
    """All of them as they would be typed, and each for the run that it says."""
    material = Material(str(digits))
    found = dict(configuration.commands(material))
    for line in found.values():
        _, command, *arguments = shlex.split(line)
        config = compose(command, arguments)
        if "again" in line:
            assert config.name == "digits-again"
        elif command == "train":
            assert (config.name, config.runs) == ("digits", "runs")
    assert list(found)[1] == "continues it to twice its length" and "kimg=2.56" in found[list(found)[1]]
    assert [line.split()[1] for line in found.values()] == ["train", "train", "train", "evaluate", "sample", "report"]


@pytest.mark.parametrize("name", ["b c&d's", "x/y", "-dash"])
def test_commands_of_runs_with_any_name(digits, tmp_path, name):
    place = tmp_path / "moved" / name
    place.parent.mkdir(parents=True)
    digits.rename(place)
    material = Material(f"moved/{name}")
    for what, line in configuration.commands(material):
        _, command, *arguments = shlex.split(line)
        if "folder where it was started" in what:
            continue
        config = compose(command, arguments)
        if what.startswith("continues"):
            assert (tmp_path / config.runs / config.name).samefile(place)
        if what.startswith("trains it again"):  # beside it
            assert (tmp_path / config.runs / config.name).parent.samefile(place.parent)


def test_a_table_for_each_protocol():
    def measured(value, id):
        return Measured(8.0, {"fd_pixels": value, "fd_pixels_std": 1.0, "mesh": 2.0}, {"extractor": "pixels", "id": id}, "",
                        {"fd_pixels": {"std": 0.25}})  # fmt: skip

    text = latex(["a_b", "c", "d", "e"], [measured(1.5, "x"), measured(2.5, "x"), None, measured(3.5, "y")])
    assert r"a\_b & 1.5 $\pm$ 0.25 & 2 \\" in text and r"run & fd\_pixels & mesh \\" in text
    assert text.count(r"\begin{tabular}{lrr}") == 2 == text.count(r"\end{tabular}")
    assert text.startswith("% Numbers of different protocols do not compare") and "d &" not in text.replace("end", "")
    assert latex(["a"], [None]) == ""
