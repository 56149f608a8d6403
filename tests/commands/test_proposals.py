"""Every command that an output proposes runs: taken out of what commands print, as one would paste it, and started."""

import re
import shlex

import numpy as np
import pytest
from PIL import Image

PLACEHOLDERS = {"PATH", "NAME", "OUT.zip", "REAL_IMAGES", "RUN", "runs/NAME", "COMMAND", "...", "--help", "--cfg", "-m"}
SHORT = [
    "metrics=fast",
    "extractor=pixels",
    "metrics.num_samples=16",
    "evaluate_share=1",
    "data.limit=40",
    "kimg=0.064",
]
# What makes a proposed command quick, and changes nothing of whether it runs.
QUICK = {
    "extractor=masked": ["extractor.steps=2"],
    "evaluate": ["num_samples=16", "device=cpu"],
    "report": ["neighbours=2"],
}
SPACE = "meine Bilder ü"


def proposed(text):
    """The words of each command in an output: in backticks, or after a label, several with · between them."""
    found = re.findall(r"`(transgan [^`]+)`", text)
    for line in re.sub(r"`[^`]*`", "", text).splitlines():
        match = re.search(r"(?:^next    |^advice  Then: |; |: )(transgan [a-z].*)", line)
        found += re.split(r" · |; ", match[1]) if match else []
    commands = [shlex.split(line)[1:] for line in dict.fromkeys(found)]
    return [words for words in commands if len(words) > 1 and not PLACEHOLDERS & {w.split("=")[-1] for w in words}]


@pytest.fixture
def runs(inside, monkeypatch, tmp_path):
    """Runs a command, and whatever its output proposes: runs(*words, code) -> what was proposed. No weights are here."""
    for name in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no weights"))
    monkeypatch.delenv("TRANSGAN_WEIGHTS", raising=False)
    done: set[str] = set()

    def run(*words, code=0, more=()):
        found, out, err = inside(*words)
        assert found == code, out + err
        commands = proposed(out + err)
        for command in commands:
            if (line := shlex.join(command)) in done:
                continue
            done.add(line)
            quick = [
                each for key, values in QUICK.items() if key in command for each in values if "train" not in command
            ]
            found, out, err = inside(*command, *quick, *more)
            assert found == 0, f"{' '.join(map(str, words))} proposes: transgan {line}\n{out}{err}"
        return [shlex.join(command) for command in commands]

    return run


def draw(folder, count, size=8, classes=("",)):
    random = np.random.default_rng(0)
    for i in range(count):
        path = folder / classes[i % len(classes)] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(path)
    return folder


def test_a_shells_words_are_found():
    text = (
        "next    transgan sample 'a b' to=grid · transgan report 'a b'\nadvice  Then: transgan train p resolution=8\n"
        "transgan: no; the whole command: `transgan evaluate made against=x`\n`transgan train PATH`, `transgan report`\n"
        "x: give the folder that holds them: transgan train cats"
    )
    assert proposed(text) == [
        ["evaluate", "made", "against=x"], ["sample", "a b", "to=grid"], ["report", "a b"],
        ["train", "p", "resolution=8"], ["train", "cats"],
    ]  # fmt: skip


def test_what_training_sampling_measuring_and_reports_propose(runs, tiny, tmp_path):
    following = ["sample runs/digits to=grid", "evaluate runs/digits", "report runs/digits"]
    assert runs("train", *tiny, *SHORT) == following
    runs("evaluate", "runs/digits", "num_samples=16", "device=cpu")
    runs("sample", "runs/digits", "seeds=0-3", "out=made")
    runs("report", "runs/digits", "neighbours=0")
    runs("evaluate", "made", "device=cpu")
    draw(tmp_path / "real", 20)
    runs("evaluate", "made", "against=real", "device=cpu", code=2)
    assert runs("compare", "runs/digits", "made", code=2) == ["evaluate made against=runs/digits"]


def test_what_is_proposed_of_folders_with_spaces_and_umlauts(runs, tiny_folder, tmp_path):
    draw(tmp_path / SPACE, 20, classes=["Äpfel", "b c"])
    options = [*tiny_folder, "kimg=0.032", f"runs={SPACE} runs", "extractor=inception"]  # whose weights are not here
    place = f"'{SPACE} runs/folder'"
    assert runs("train", SPACE, *options) == [
        f"sample {place} to=grid",
        f"evaluate {place} metrics=fast extractor=masked",
        f"report {place}",
    ]
    assert runs("evaluate", f"{SPACE} runs/folder", code=2) == [f"evaluate {place} metrics=fast extractor=masked"]
    runs("train", f"{SPACE} runs/folder", *tiny_folder, code=2)
    (tmp_path / SPACE / "Äpfel" / "twin.png").write_bytes((tmp_path / SPACE / "Äpfel" / "0.png").read_bytes())
    found = runs("train", SPACE, *options, "name=other")
    assert f"data check '{SPACE}' resolution=8 channels=3" in found  # which names the duplicate
    draw(tmp_path / "pets", 3)
    assert runs("train", "pets/0.png", "pets/1.png", more=[*options, "name=pets"], code=2) == ["train pets"]


def test_of_one_image_nothing_is_measured(runs, tmp_path):
    draw(tmp_path / "one", 1)
    small = ["generator.dim=[16]", "generator.depth=[1]", "generator.num_heads=[2]", "threads=1", "trainer=cpu"]
    assert runs("train", "one", *small, "kimg=0.032", "logger=none") == ["sample runs/one to=grid", "report runs/one"]
    page = (tmp_path / "runs" / "one" / "report.html").read_text()
    assert "transgan report" in page and "transgan evaluate" not in page


@pytest.mark.parametrize("words, more", [
    (["data", "check", SPACE, "html=null"], ["dry_run=true"]), (["data", "prepare", SPACE, "out ü.zip"], []),
])  # fmt: skip
def test_what_checking_and_preparing_propose(words, more, runs, tiny_folder, tmp_path):
    draw(tmp_path / SPACE, 20, classes=["Äpfel", "b c"])
    smaller = [word for word in tiny_folder if not word.startswith(("metrics=", "resolution=", "auto="))]
    found = runs(*words, "resolution=8", more=[*smaller, "kimg=0.032", "metrics.num_samples=16", *more])
    assert found and all(command.startswith("train ") for command in found)
