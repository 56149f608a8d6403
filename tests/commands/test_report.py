"""report: one file that holds everything, of any kind of run in any state; and sentences for what is not there."""

import html
import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch

import transgan
from page_check import Page, faults
from transgan.commands.report import require_same_runs
from transgan.errors import UserError
from transgan.reporting import drawing, neighbours, page
from transgan.runs.lock import Lock, owner

SECTIONS = [
    "Result", "Cost", "Distances", "Curves", "Images over time", "Classes", "Latent walk", "Nearest training images",
    "Data", "Configuration", "Commands", "LaTeX",
]  # fmt: skip
SMALL = {
    "trainer": "cpu",
    "logger": "none",
    "metrics": "none",
    "batch_size": 32,
    "kimg": 0.064,
    "grid": 4,
    "threads": 1,
}


def visible(text: str) -> str:
    """The page as it is read: without tags, style and data URIs, its white space as one space."""
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", text, flags=re.S)
    return " ".join(html.unescape(text).split())


@pytest.fixture
def digits(digits_run, tmp_path, monkeypatch):
    """A copy of the digits run at runs/digits of the current folder, without what other tests measured of it."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "digits"
    shutil.copytree(digits_run[0], run, ignore=shutil.ignore_patterns("evaluations"))
    return run


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """A GPT, a VAE, and a GAN without classes on a folder that is gone, each after two steps."""
    runs = tmp_path_factory.mktemp("others")
    transgan.train(**SMALL, experiment="digits_gpt", runs=runs, name="gpt", evaluate_at_start=False)
    transgan.train(**SMALL, experiment="digits_vae", runs=runs, name="vae", evaluate_at_start=False)
    tiny = {"dim": [16], "depth": [1], "num_heads": [2]}
    transgan.train(**SMALL, conditional=False, runs=runs, name="plain", generator=tiny, discriminator=tiny)
    return runs


def test_a_run(inside, digits, tmp_path):
    code, out, err = inside("report", "runs/digits")
    assert code == 0 and not err, err
    assert out.startswith("look    runs/digits/report.html (") and out.endswith("1 run)\n")
    text = (digits / "report.html").read_text()
    assert faults(text) == []
    found = Page(text)
    assert found.headings == [1] + [2] * 12 and re.findall(r'<h2 id="\w+">(.*?)</h2>', text) == SECTIONS
    assert len(text) < 3_000_000
    said = visible(text)
    for part in (
        "A GAN: StyleTransformer generates, ViTDiscriminator discriminates, trained on Digits; 8 px, grey; 10 classes.",
        "Training is finished: 1.28 thousand images were shown.", "An untrained generator has", "the ceiling",
        "Real images against real ones (", "that floor", "transgan evaluate runs/digits",
        "These are the very images that the run was trained on", "The smallest class has 174 images and the largest 183",
        "before training", "after 1,280 images",
        "real images", "by the features of classifier that its distances are measured by", "not comparable to published",
        r"\begin{tabular}",
    ):  # fmt: skip
        assert part in said, part
    alts = [each["alt"] for tag, each in found.tags if tag == "img"]
    assert sum(alt.startswith("10 generated images of class") for alt in alts) == 10
    assert sum("then its 3 nearest training images" in alt for alt in alts) == 12
    assert sum("images on the way" in alt for alt in alts) == 4
    assert sum(tag == "svg" and each.get("role") == "img" for tag, each in found.tags) >= 6
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_evaluated_run_lies_between_floor_and_ceiling(inside, digits):
    code, out, err = inside("evaluate", "runs/digits", "num_samples=64", "seed=7", "device=cpu")
    assert code == 0, err
    assert inside("report", "runs/digits", "neighbours=0")[0] == 0
    text = (digits / "report.html").read_text()
    said = visible(text)
    assert faults(text) == [] and 'class="scale"' in text and "times that floor" in said
    assert "from evaluations/" in said and "Other evaluations of digits" in said
    assert "neighbours=0 was given: the training images were not read." in said
    assert "few images (64)" in said


def test_several_runs_beside_each_other(inside, digits, others, tmp_path):
    """Each kind of model; what one of them cannot give is a sentence, and their keys are compared."""
    code, out, err = inside("report", "runs/digits", others / "gpt", others / "vae", "out=all.html", "neighbours=2")
    assert code == 0 and "look    all.html (" in out and "3 runs)" in out, err
    text = (tmp_path / "all.html").read_text()
    assert faults(text) == [] and "<h1>digits, gpt, vae</h1>" in text
    said = visible(text)
    assert (
        "and this run makes its images token by token." in said and said.count("A walk needs") == 1
    )  # a VAE has latents
    assert "A model that predicts images value by value: ImageGPT" in said and "A variational autoencoder: VAE" in said
    assert (
        said.count("Nothing was measured of this run yet.") == 4
        and "was measured once" not in said
        and "transgan evaluate" in said
    )
    assert "transgan.training.variational.Variational" in said and "in which the runs differ" in said
    assert re.search(r"gpt 64 – – – – – [\d,]+ ", said)  # of the table beside each other


def test_a_run_without_classes(inside, others):
    code, out, err = inside("report", others / "plain", "neighbours=1")
    text = (others / "plain" / "report.html").read_text()
    said = visible(text)
    assert code == 0 and faults(text) == [], err
    assert "10 classes it is not given." in said and "The run has no classes." in said and "seeds 10 to 19" in said
    assert "by their pixels at 8 px" in said and "No distance was measured while training" in said


def test_a_folder_of_runs(inside, others):
    code, out, err = inside("report", others, "neighbours=0")
    assert code == 0 and "3 runs)" in out, err
    assert "<h1>gpt, plain, vae</h1>" in (others / "report.html").read_text()
    os.remove(others / "report.html")


def test_a_folder_in_which_there_are_more_runs_has_its_report_anew(tmp_path):
    """And not over that of others, nor over what is no report: given as one word or as several."""
    runs, out = [str(tmp_path / name) for name in "abc"], tmp_path / "report.html"

    def writes(of, grown):
        try:
            require_same_runs(of, out, grown)
        except UserError:
            return False
        return True

    def report_of(*those):
        marks = " ".join(page.identity(Path(run) for run in those))
        out.write_text(f'<meta name="runs" content="{marks}">')

    assert writes(runs, True)
    report_of(*runs[:2])
    assert writes(runs, True) and not writes(runs, False) and writes(runs[:2], False)
    assert not writes(runs[1:], True) and not writes(runs[:1], True)
    report_of(*runs)
    assert writes(runs[::-1], False)
    out.write_text("mine")
    assert not writes(runs, True)


def test_a_folder_of_runs_does_not_write_over_a_report_of_others(inside, digits, tmp_path):
    shutil.copytree(digits, tmp_path / "runs" / "moved")
    assert inside("report", "runs", "neighbours=0")[0] == 0
    shutil.rmtree(tmp_path / "runs" / "moved")
    shutil.copytree(digits, tmp_path / "runs" / "other")
    before = (tmp_path / "runs" / "report.html").read_bytes()
    code, out, err = inside("report", "runs", "neighbours=0")
    assert code == 2 and "is there already and is not of these runs" in err
    assert (tmp_path / "runs" / "report.html").read_bytes() == before


def test_runs_of_one_folder_have_their_report_beside_them(inside, digits, others, tmp_path):
    shutil.copytree(digits, tmp_path / "runs" / "moved")
    assert inside("report", "runs/digits", "runs/moved", "neighbours=0")[0] == 0
    assert "<h1>digits, moved</h1>" in (tmp_path / "runs" / "report.html").read_text()
    assert inside("report", "runs/digits", others / "vae", "neighbours=0")[0] == 0
    assert (tmp_path / "comparisons" / "report.html").is_file()
    # the same runs have it anew, and others do not take its place
    assert inside("report", others / "vae", "runs/digits", "neighbours=0")[0] == 0
    before = (tmp_path / "comparisons" / "report.html").read_bytes()
    code, out, err = inside("report", "runs/digits", others / "gpt", "neighbours=0")
    assert code == 2 and "comparisons/report.html is there already and is not of these runs; give another file" in err
    assert (tmp_path / "comparisons" / "report.html").read_bytes() == before


def test_a_run_that_is_being_trained(inside, digits):
    """Its process is another one than that which reads it: a POSIX lock is no obstacle to its own process."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    assert owner(digits) is None
    ready, ready_end = os.pipe()
    done, done_end = os.pipe()
    if (child := os.fork()) == 0:
        os.close(done_end)
        lock = Lock(digits)
        lock.acquire()
        os.write(ready_end, b"x")
        os.read(done, 1)
        os._exit(0)
    os.read(ready, 1)
    try:
        assert inside("report", "runs/digits", "neighbours=0")[0] == 0
        found = owner(digits)
        shutil.rmtree(digits / "checkpoints")
        young = inside("report", "runs/digits", "neighbours=0", "out=young.html")
    finally:
        os.close(done_end)
        os.waitpid(child, 0)
    assert found is not None and found["pid"] == child
    assert f"still being trained, by process {child} on " in visible((digits / "report.html").read_text())
    assert young[0] == 0 and "runs/digits is being trained and has no checkpoint yet" in young[1]
    assert (digits / ".lock").is_file() and owner(digits) is None  # of a process that is gone


def test_a_run_without_a_checkpoint(inside, digits):
    """Killed before the first one: its numbers and grids are there, and a sentence says what is not."""
    shutil.rmtree(digits / "checkpoints")
    code, out, err = inside("report", "runs/digits")
    assert code == 0 and "note    digits: runs/digits holds no checkpoints/last.ckpt" in out, err
    text = (digits / "report.html").read_text()
    said = visible(text)
    assert faults(text) == [] and said.count("There is no checkpoint to make images with") == 3
    assert "from the beginning: there is no checkpoint" in said and "fd_classifier is" in said
    assert "after 1,280 images" in said


def test_a_run_that_was_killed_shows_images_of_its_checkpoint(inside, digits):
    """And not the grid before training, which is all there is in samples/: the very grid that training writes."""
    shutil.copy(digits / "checkpoints" / "last.ckpt", digits / "checkpoints" / "best.ckpt")
    whole = inside("report", "runs/digits", "neighbours=0", "out=whole.html")
    for path in (digits / "samples").glob("00000[01]_*.png"):
        path.unlink()
    assert whole[0] == inside("report", "runs/digits", "neighbours=0")[0] == 0
    lead = re.compile(r'<img class="lead" src="([^"]*)".*?alt="([^"]*)"')
    last, again = (lead.search(Path(path).read_text()).groups() for path in ("whole.html", digits / "report.html"))
    assert again == last and last[1] == "Grid of generated images of digits, after 1,280 images"


def test_a_damaged_checkpoint_is_named(inside, digits):
    for path in (digits / "checkpoints").iterdir():
        path.write_bytes(b"half")
    code, out, err = inside("report", "runs/digits", "neighbours=0")
    assert code == 0 and "is damaged or not a checkpoint" in out
    assert "is damaged or not a checkpoint" in visible((digits / "report.html").read_text())


def test_weights_that_make_no_images(inside, digits):
    """NaN in the EMA weights: the rest of the report is there, and its sections say why they are empty."""
    for path in (digits / "checkpoints").iterdir():
        saved = torch.load(path, weights_only=True)
        for name, value in saved["state_dict"].items():
            if name.startswith("generator_ema.") and value.is_floating_point():
                value.fill_(torch.nan)
        torch.save(saved, path)
    assert inside("report", "runs/digits", "neighbours=1")[0] == 0
    said = visible((digits / "report.html").read_text())
    assert said.count("There are no images: ") == 3 and "the weights are broken" in said


def test_a_checkpoint_of_another_program(inside, digits, tmp_path):
    """One of a user's own Trainer knows its networks and nothing of data, classes or lengths."""
    saved = torch.load(digits / "checkpoints" / "last.ckpt", weights_only=True)
    saved |= {"config": {"algorithm": saved["config"]["algorithm"]}, "class_names": None, "data": None}
    torch.save(saved, tmp_path / "mine.ckpt")
    code, out, err = inside("report", "mine.ckpt")
    assert code == 0 and "look    report.html" in out, err
    text = (tmp_path / "report.html").read_text()
    said = visible(text)
    assert faults(text) == [] and "The run does not say which images it was trained on." in said
    assert "A GAN: StyleTransformer generates" in said and "Training is finished: 1.28 thousand" in said


def test_images_that_are_gone(inside, tmp_path, pictures, tiny_folder):
    """A folder that was moved after training: the report says so, and what the run remembers of it."""
    pictures(tmp_path / "mine", classes=["<b>cats", "dogs & co"])
    assert inside("train", "mine", *tiny_folder, "name=a&b<i>", "kimg=0.032")[0] == 0
    shutil.rmtree(tmp_path / "mine")
    code, out, err = inside("report", "runs/a&b<i>")
    assert code == 0, err
    text = (tmp_path / "runs" / "a&b<i>" / "report.html").read_text()
    said = visible(text)
    assert faults(text) == [] and "<b>cats" not in text and "<i>" not in text
    assert said.count("The training images cannot be read on this machine: ") == 2
    assert "The data had 2 classes: <b>cats, dogs & co." in said
    assert 'alt="10 generated images of class &lt;b&gt;cats"' in text
    assert said.count("give it for NEW_FOLDER in the commands of this page") == 2
    assert said.count(" data.path=NEW_FOLDER") == 2 and said.count(" against=NEW_FOLDER") >= 1
    lines = [html.unescape(each) for each in re.findall(r"<code>(transgan [^<]*NEW_FOLDER)</code>", text)]
    pictures(tmp_path / "elsewhere", classes=["<b>cats", "dogs & co"])
    for line in dict.fromkeys(lines):  # each goes on with the images in their new place
        words = shlex.split(line.replace("NEW_FOLDER", "elsewhere"))[1:]
        words += ["extractor=pixels", "bounds=false", "device=cpu"] if words[0] == "evaluate" else ["dry_run=true"]
        code, out, err = inside(*words)
        assert code == 0, (line, err)


def test_a_check_of_the_data_beside_the_run_is_shown(inside, digits):
    """data-check.json with findings; one that is something else is left alone."""
    finding = {
        "kind": "twins",
        "title": "equal images",
        "count": 12,
        "training": "shows them twice",
        "way": "remove <one>",
    }
    (digits / "data-check.json").write_text(json.dumps({"findings": [finding]}))
    assert inside("report", "runs/digits", "neighbours=0")[0] == 0
    text = (digits / "report.html").read_text()
    assert faults(text) == [] and "equal images 12 shows them twice remove <one>" in visible(text)
    (digits / "data-check.json").write_text('{"findings": [1]}')
    assert inside("report", "runs/digits", "neighbours=0")[0] == 0
    assert "What a check of the data" not in visible((digits / "report.html").read_text())


def test_slow_models_end_their_sections(inside, digits, monkeypatch):
    monkeypatch.setattr(drawing, "LONG", 0.0)
    assert inside("report", "runs/digits", "neighbours=0")[0] == 0
    said = visible((digits / "report.html").read_text())
    assert "These are 1 of 10 classes; class=NAME of `transgan sample` makes the others." in said


def test_a_copied_image_is_found(digits, cache, monkeypatch):
    """A generator that returns training images: each is its own nearest one, at distance 0."""
    from transgan.reporting.album import Album
    from transgan.reporting.material import Material

    monkeypatch.setenv("TRANSGAN_CACHE", str(cache))
    material = Material(str(digits))
    data, _, gap = neighbours.opened(material)
    assert gap is None
    monkeypatch.setattr(material.run.module, "generate", lambda seeds, labels=None: data.__getitems__(seeds)[0])
    for by in ("features of classifier", "pixels at 8 px"):
        found = neighbours.neighbours(material, data, Album(10**6), 4)
        assert [strip.title.rpartition(" ")[2] for strip in found.strips] == ["0"] * 4 and by in found.said[0]
        assert "4 of these 4 generated images are that near to one. Look at those: they may be copies." in found.said[1]
        monkeypatch.setattr(neighbours, "by_extractor", lambda material, dataset: None)


def test_a_report_that_would_be_too_large_is_not_written(refused, digits, monkeypatch):
    monkeypatch.setattr(page, "LARGEST", 10_000)
    err = refused("report", "runs/digits", "neighbours=0")
    assert "the report would have" in err and "10 kB are the most; give fewer runs" in err
    assert not (digits / "report.html").exists()


def test_lines_of_others_are_left_alone(inside, digits):
    """What another program has written to metrics.jsonl and evaluations/."""
    with open(digits / "metrics.jsonl", "a") as file:
        file.write(
            '{"kimg": 1, "metrics": {"x": 1}, "protocol": null}\n{"kimg": "a", "metrics": {}, "protocol": {}}\n[1]\n'
        )
    (digits / "evaluations").mkdir(exist_ok=True)
    (digits / "evaluations" / "x.json").write_text('{"metrics": [], "protocol": {}}')
    assert inside("report", "runs/digits", "neighbours=0")[0] == 0


def test_from_python(digits, tmp_path):
    path = transgan.report(digits, out=tmp_path / "a.html", neighbours=0)
    assert path == tmp_path / "a.html" and faults(path.read_text()) == []
    with pytest.raises(UserError, match="there is no run folder or checkpoint at none"):
        transgan.report("none")


def test_mistakes(refused, pictures, tmp_path):
    pictures(tmp_path / "mine")
    assert "a run is needed: `transgan report runs/NAME`" in refused("report")
    err = refused("report", "runs/none", "mine", "mine", "out=a.pdf", "device=cuda:99")
    assert err.count("\n") == 5
    assert "there is no run folder or checkpoint at runs/none" in err and "mine holds no run" in err
    assert "a run is given twice" in err and "out=a.pdf: its name must end in .html" in err and "device=cuda:99" in err
    assert "neighbours=-1: it takes a whole number" in refused("report", "mine", "neighbours=-1")
    assert "seeds is not an option" in refused("report", "mine", "seeds=3")
    for i in range(25):
        (tmp_path / "many" / str(i) / "checkpoints").mkdir(parents=True)
        Path(tmp_path / "many" / str(i) / "checkpoints" / "last.ckpt").write_bytes(b"")
    assert "25 runs are too many for one page; give 24 or fewer" in refused("report", "many")
