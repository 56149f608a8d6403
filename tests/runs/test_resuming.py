"""A run that goes on says which of its schedules jump, with the numbers that stats.csv then has, and how to keep them."""

import csv
import re

import pytest

from transgan.runs.resuming import jumps


def rows(folder) -> list[dict]:
    with open(folder / "stats.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def reported(out: str) -> dict[str, tuple[float, float]]:
    """key -> (before, after) of the note."""
    found = re.findall(r"algorithm\.(\S+) goes from (\S+) (?:back up )?to ([^\s,;]+)", out)
    return {key: (float(before), float(after)) for key, before, after in found}


GAN = ["matching=none", "algorithm.generator_lr.warmup=0.0", "algorithm.gamma.start=1.0"]
GPT = [
    "experiment=digits_gpt",
    "algorithm.lr.warmup=0",
    "algorithm.network.dim=16",
    "algorithm.network.depth=1",
    "algorithm.network.num_heads=2",
    "trainer=cpu",
    "logger=none",
    "metrics=none",
    "batch_size=32",
    "grid=4",
]


@pytest.mark.parametrize("kind, expected", [
    ("gan", {"generator_lr", "discriminator_lr", "beta2", "gamma"}), ("gpt", {"lr"}),
])  # fmt: skip
def test_the_numbers_are_those_of_the_steps(inside, tiny, tmp_path, kind, expected):
    words = ["train", *(GPT if kind == "gpt" else [*tiny, *GAN]), "log_every=0.032", "name=it"]
    code, out, err = inside(*words, "kimg=0.32")
    assert code == 0 and "goes from" not in out, err
    code, out, err = inside(*words, "kimg=0.64")
    assert code == 0, err
    note = next(line for line in out.splitlines() if "goes from" in line)
    assert note.startswith("plan    kimg was 0.32 and is 0.64, and schedules that end with the run follow it: ")
    assert set(reported(note)) == expected
    lines = {round(1000 * float(row["kimg"])): row for row in rows(tmp_path / "runs" / "it")}
    for key, (before, after) in reported(note).items():
        assert before == pytest.approx(float(lines[320][key]), rel=6e-3)  # three digits
        assert after == pytest.approx(float(lines[352][key]), rel=6e-3)
        assert (f"algorithm.{key} goes from {before:.3g} back up to" in note) == (key.endswith("lr") and after > before)
        assert f"algorithm.{key}.kimg=0.32" in note

    # the way out that it names
    kept = [word.replace("0.32", "0.64") for word in re.search(r"add (.*)", note)[1].split()]
    code, out, err = inside(*words, "kimg=0.96", *kept)
    assert code == 0 and "from 0.64" in out and "goes from" not in out, err


@pytest.mark.parametrize("words", [
    ["algorithm.generator_lr=1e-4", "algorithm.discriminator_lr=1e-4", "algorithm.beta2=0.9"],
    ["algorithm.generator_lr.end=2e-3", "algorithm.generator_lr.start=2e-3", "algorithm.discriminator_lr=1e-4",
     "algorithm.beta2=0.99", "algorithm.generator_lr.warmup=0.032"],
    ["algorithm.generator_lr.kimg=0.1", "algorithm.discriminator_lr.kimg=0.1", "algorithm.beta2.kimg=0.1"],
])  # fmt: skip
def test_what_stays_is_not_said(inside, tiny, words):
    words = ["train", *tiny, "matching=none", "algorithm.gamma=0.1", *words]
    assert inside(*words, "kimg=0.128")[0] == 0
    code, out, err = inside(*words, "kimg=0.16")
    assert code == 0 and "from 0.128" in out and "goes from" not in out, out + err


def config(kimg: float, **algorithm) -> dict:
    return {"kimg": kimg, "batch_size": 10, "algorithm": algorithm}


def linear(kimg: float, start=1.0, end=0.0) -> dict:
    return {"_target_": "transgan.schedules.Linear", "start": start, "end": end, "kimg": kimg}


def test_wherever_a_schedule_stands():
    before = config(1.0, part={"inner": {"weight": linear(1.0)}}, constant=1.0, seed=3)
    previous = {"images_seen": 500, "config": before}
    found = jumps(previous, config(2.0, part={"inner": {"weight": linear(2.0)}}, constant=2.0, seed=4))
    assert "algorithm.part.inner.weight goes from 0.51 to 0.75" in found and found.count("goes from") == 1
    assert found.endswith("add algorithm.part.inner.weight.kimg=1")
    assert jumps(previous, config(2.0, part={"inner": {"weight": linear(1.0)}})) is None


def test_a_schedule_that_gives_way_to_a_number():
    previous = {"images_seen": 900, "config": config(1.0, lr=linear(1.0))}
    assert jumps(previous, config(1.0, lr=0.5)) == "algorithm.lr goes from 0.11 back up to 0.5"
    assert jumps(previous, config(1.0, lr=0.1)) is None
    assert jumps({"images_seen": 900, "config": config(1.0)}, config(2.0, lr=linear(2.0))) is None  # an older run
    # a shorter run
    assert "algorithm.lr goes from 0.11 to 0;" in jumps(previous, config(0.9, lr=linear(0.9)))
