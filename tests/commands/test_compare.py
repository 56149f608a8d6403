"""`transgan compare`: runs by one protocol, a suite from nothing and again, stopped and gone on with, and bad input."""

import csv
import json
import os
import resource
import signal
import time

import pytest

from transgan.comparison.given import stem

EVALUATED = ["metrics=fast", "extractor.steps=50", "metrics.num_samples=64", "evaluate_every=0.32", "holdout=0.2"]


@pytest.fixture
def two(inside, tiny):
    """Trains tiny GANs in this process: two(name, options...) for each."""

    def train(name, *options):
        code, out, err = inside("train", *tiny, *EVALUATED, f"name={name}", *options)
        assert code == 0, out + err
        return f"runs/{name}"

    return train


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_runs_beside_each_other_each_number_with_its_place(inside, two, tmp_path):
    words = [two("one-0"), two("one-1", "seed=1"), two("deep", "generator.depth=[2]")]
    code, out, err = inside("compare", *words, "num_samples=100", "speed_images=4")
    assert code == 0, out + err
    rows = rows_of(tmp_path / "comparisons" / "runs" / "comparison.csv")
    assert [(row["system"], row["seed"]) for row in rows] == [("one", "0"), ("one", "1"), ("deep", "0")]
    assert len({row["protocol"] for row in rows}) == 1
    for row in rows:
        saved = json.loads((tmp_path / "comparisons" / "runs" / row["evaluation"]).read_text())
        assert float(row["fd_classifier_heldout"]) == saved["metrics"]["fd_classifier_heldout"]
        assert saved["protocol"]["id"] == row["protocol"] and saved["protocol"]["num_generated"] == 100
        assert saved["checkpoint_sha256"] == row["checkpoint_sha256"]
        assert (tmp_path / "comparisons" / "runs" / row["run"] / "stats.csv").exists()
        assert float(row["seconds"]) > 0 and float(row["kimg"]) == 0.64
    text = (tmp_path / "comparisons" / "runs" / "comparison.md").read_text()
    assert "| one | " in text and "| deep | " in text and rows[0]["protocol"] in text
    for picture in ("figures/samples.png", "figures/parameters.png", "samples/deep.png", "samples/real.png"):
        assert (tmp_path / "comparisons" / "runs" / picture).exists()
    assert f"]({'figures/samples.png'})" in text
    for words_of_run in ((), ("runs/deep",)):  # the grid says what made it, and is made again
        code, out, err = inside("sample", *words_of_run, "like=comparisons/runs/samples/deep.png", "out=again.png")
        assert code == 0 and "every pixel is that of" in out, out + err

    lines = (tmp_path / "runs" / "deep" / "metrics.jsonl").read_text()
    code, out, err = inside("compare", *words, "num_samples=100", "speed_images=4")  # what is measured stays measured
    assert code == 0 and "evaluated" not in out
    assert (tmp_path / "runs" / "deep" / "metrics.jsonl").read_text() == lines
    again = rows_of(tmp_path / "comparisons" / "runs" / "comparison.csv")
    assert [row["fd_classifier"] for row in again] == [row["fd_classifier"] for row in rows]
    (file,) = (tmp_path / "runs" / "deep" / "evaluations").iterdir()
    assert file.name == f"000000_640-last-{rows[0]['protocol']}-seed1.json"
    file.rename(file.with_name(f"000001-last-{rows[0]['protocol']}.json"))  # as earlier versions named it
    code, out, err = inside("compare", *words, "num_samples=100", "speed_images=4")
    assert code == 0 and "evaluated" not in out and not file.exists()
    code, out, err = inside("compare", *words, "num_samples=100", "speed_images=4", "seed=2")  # that one has seed 1
    assert code == 0 and "3/3 evaluated deep" in out


@pytest.mark.parametrize(
    "names, name",
    [
        (["gan-0", "gan-1"], "gan"), (["frozen2-0", "frozen2-1"], "frozen2"), (["gpt_10", "gpt_11"], "gpt"),
        (["seed1", "seed12"], "seed"), (["a", "b"], ""), (["7", "8"], ""),
    ],
)  # fmt: skip
def test_names_of_systems(names, name):
    assert stem(names) == name


@pytest.mark.slow
def test_runs_that_began_otherwise_are_other_systems_and_pay_for_it(inside, tiny, two, tmp_path):
    pretrained = ["tokens=patches", "metrics=none", "holdout=0.2", "kimg=0.32"]
    for algorithm in ("image_gpt", "masked"):
        words = [word for word in tiny if not word.startswith(("generator", "discriminator"))]
        code, out, err = inside(
            "train",
            f"algorithm={algorithm}",
            f"name={algorithm}",
            *words,
            *pretrained,
            "algorithm.network.dim=16",
            "algorithm.network.depth=1",
            "algorithm.network.num_heads=2",
        )
        assert code == 0, out + err
    shapes = ("generator.", "discriminator.")

    def warm(name, start, *more):
        words = [word for word in tiny if not word.startswith(shapes)]
        code, out, err = inside(
            "train",
            *words,
            *EVALUATED,
            f"name={name}",
            "discriminator=from_gpt",
            "generator.dim=[16]",
            f"checkpoint=runs/{start}",
            *more,
        )
        assert code == 0, out + err
        return f"runs/{name}"

    words = [warm("gpt-0", "image_gpt"), warm("gpt-1", "image_gpt", "seed=1"), warm("masked-0", "masked")]
    assert inside("compare", *words, "num_samples=64", "speed_images=4")[0] == 0
    rows = rows_of(tmp_path / "comparisons" / "runs" / "comparison.csv")
    assert [row["system"] for row in rows] == ["gpt", "gpt", "masked-0"]
    assert all(float(row["pretraining_kimg"]) == 0.32 and float(row["pretraining_seconds"]) > 0 for row in rows)
    assert all(float(row["kimg"]) == 0.96 for row in rows)


@pytest.mark.slow
def test_the_numbers_are_those_of_evaluate(inside, two, tmp_path):
    run, other = two("a"), two("b", "generator.depth=[2]")
    assert inside("compare", run, other, "metrics=fast", "num_samples=100", "speed_images=4")[0] == 0
    (file,) = (tmp_path / run / "evaluations").glob("*.json")
    compared = json.loads(file.read_text())
    assert inside("evaluate", run, "metrics=fast", "num_samples=100", "checkpoint=last", "out=one.json")[0] == 0
    evaluated = json.loads((tmp_path / "one.json").read_text())
    assert compared["protocol"]["id"] == evaluated["protocol"]["id"]
    assert compared["metrics"] == evaluated["metrics"]


@pytest.mark.slow
def test_runs_that_may_not_stand_in_one_table(inside, refused, two, tiny, pictures, tmp_path):
    one = two("one")
    other = two("other", "holdout=0.3")
    err = refused("compare", one, other)
    assert "differ in training images" in err and "differ in holdout: 0.2 and 0.3" in err
    data = ["data=folder", f"data.path={pictures(tmp_path / 'pictures')}", "resolution=16", "channels=3"]
    assert inside("train", *tiny, "name=folder", *data)[0] == 0
    err = refused("compare", one, "runs/folder", "extractor=classifier")
    assert "differ in resolution: 8 and 16" in err and "differ in channels: 1 and 3" in err
    assert not (tmp_path / "comparisons").exists()


@pytest.mark.parametrize(
    "words, said",
    [
        ([], ["say what to compare: run folders, or suite=digits"]),
        (["runs/none", "runs/other"], ["there is no run folder at runs/none", "there is no run folder at runs/other"]),
        (["."], [". alone compares with nothing"]),
        ([".", "suite=digits"], ["suite= trains its own runs"]),
        (["suite=digit"], ["did you mean digits?"]),
        (["suite=digits", "systems=[gann,vae]"], ["there is no gann in this suite; there are: image_gpt, "]),
        (["suite=digits", "systems=gan"], ["systems=gan: it takes a list"]),
        (["suite=digits", "suite.systems.flow_4.like=gan"], ["suite.systems.flow_4.sample: gan is no flow"]),
        (["suite=digits", "suite.kimg=0", "suite.seeds=[]"], ["suite.kimg=0: it takes", "suite.seeds=[]"]),
        (
            ["suite=digits", "suite.budgets=[seconds]"],
            ["suite.budgets=['seconds']: it takes [images], or [images,seconds]"],
        ),
        (["suite=digits", "jobs=0", "checkpoint=first", "device=tpu"], ["jobs=0", "checkpoint=first", "device=tpu"]),
    ],
)
def test_bad_input(refused, words, said):
    err = refused("compare", *words)
    for sentence in said:
        assert sentence in err


def processor_seconds() -> float:
    """Of the processes started here that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


SHORT = [
    "compare", "suite=digits", "systems=[image_gpt,gan_from_gpt]", "suite.kimg=0.6", "suite.seconds=0.5", "suite.seeds=[0]",
    "suite.points=2", "num_samples=64", "speed_images=4", 'suite.common=["holdout=0.2","extractor=classifier","metrics=fast",'
    '"metrics.num_samples=64","extractor.steps=50","logger=none","trainer=cpu"]', "jobs=2",
]  # fmt: skip


@pytest.mark.slow
def test_a_suite_from_nothing_stopped_and_gone_on_with(transgan_process, tmp_path):
    process = transgan_process.start(*SHORT, cwd=tmp_path)
    out, limit = tmp_path / "comparisons" / "digits", time.monotonic() + 600
    while not list(out.glob("runs/image_gpt-images-0/stats.csv")):
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)  # this process alone; it tells the others
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 130 and "the same command continues" in said, said
    assert not list(out.glob("comparison.*"))

    done = transgan_process(*SHORT, cwd=tmp_path, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = rows_of(out / "comparison.csv")
    assert [(r["system"], r["budget"]) for r in rows] == [
        ("image_gpt", "images"), ("gan_from_gpt", "images"), ("image_gpt", "seconds"), ("gan_from_gpt", "seconds"),
    ]  # fmt: skip
    images = rows[:2]
    assert all(abs(float(row["kimg"]) - 0.6) < 0.13 for row in images)  # whole batches of 64, twice
    assert float(images[1]["pretraining_kimg"]) > 0 and float(images[0]["pretraining_kimg"]) == 0
    assert images[0]["bits_per_dim_heldout"] and not images[1]["bits_per_dim_heldout"]
    text = (out / "comparison.md").read_text()
    assert "undecided" in text and "without numbers: " in text
    assert list((out / "figures").glob("fd_classifier_against_seconds_*.png"))

    made = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/checkpoints/last.ckpt")}
    begin = processor_seconds()
    again = transgan_process(*SHORT, cwd=tmp_path)
    assert again.returncode == 0 and not [line for line in again.stdout.splitlines() if line.startswith("train ")]
    assert processor_seconds() - begin < 60  # whatever else runs on the machine
    assert made == {path: path.stat().st_mtime_ns for path in out.glob("runs/*/checkpoints/last.ckpt")}


@pytest.mark.parametrize("suite, place", [
    ("fashion_mnist", "nowhere.zip"), ("cifar10", "no/folder"), ("cifar10", "../gone.tar.gz"),
])  # fmt: skip
def test_images_that_are_nowhere_are_missed_before_a_run_begins(refused, suite, place, tmp_path):
    found = refused("compare", f"suite={suite}", f"suite.path={place}")
    assert found.startswith(f"transgan: suite.path={place}: there is nothing there; give the folder, archive or zip")
    assert not (tmp_path / "comparisons").exists()


@pytest.mark.slow
def test_a_run_that_cannot_be_trained_is_named_with_its_log(transgan_process, tmp_path):
    words = [*SHORT, "systems=[image_gpt]", 'suite.systems.image_gpt.train=["experiment=digits_gpt","tokens.levels=3"]']
    done = transgan_process(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "image_gpt-images-0 was not trained: tokens.levels=3" in done.stderr and "image_gpt-images-0.txt" in done.stderr
    )
    assert not list((tmp_path / "comparisons" / "digits").glob("comparison.*"))


@pytest.mark.slow
def test_the_other_systems_are_compared_where_one_cannot_be_trained(transgan_process, tmp_path):
    words = [*SHORT, "systems=[image_gpt,gan_from_gpt]", "suite.budgets=[images]"]
    words.append('suite.systems.image_gpt.train=["experiment=digits_gpt","tokens.levels=3"]')
    done = transgan_process(*words, cwd=tmp_path, timeout=1200)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "image_gpt-images-0 was not trained: tokens.levels=3" in done.stderr
    assert "systems=[gan_from_gpt] compares the others" in done.stderr
    out = tmp_path / "comparisons" / "digits"
    assert [row["system"] for row in rows_of(out / "comparison.csv")] == ["gan_from_gpt"]
    text = (out / "comparison.md").read_text()
    assert "not trained: image_gpt-images-0" in text and "without numbers: image GPT (images)" in text
