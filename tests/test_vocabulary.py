"""The glossary of CONTRIBUTING.md, kept: no retired word in an identifier, a message, a comment or a page."""

import io
import json
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
TEXT = {".py", ".md", ".yaml", ".yml", ".toml", ".ipynb", ".cff", ""}
# What names the past: history, tables that map old names to new ones, runs and outputs kept as they were written.
# Texts that are part of a file format: they stay as they are.
FORMATS = ("transgan, many images in one picture",)
PAST = (
    "CHANGELOG.md",
    "transgan/migration",
    "tests/test_migration",
    "tests/test_vocabulary.py",
    "tests/old_runs",
    "LICENSE",
)


class Retired(NamedTuple):
    """A word that is not used. `where` is "names" (identifiers), "prose" (everything else) or "both"; `pattern` is
    searched without regard to case; `under` limits the rule to paths that begin so."""

    word: str
    instead: str
    pattern: str
    where: str = "both"
    under: tuple[str, ...] = ("",)


PAGES = ("README", "RESULTS", "CONTRIBUTING", "ARCHITECTURE", "docs", "notebooks")
PRODUCT = ("transgan", "conf", "pyproject", *PAGES)
GRADIENTS = ("transgan/penalties", "transgan/training", "transgan/losses", "transgan/supervision", "conf", *PAGES)
NETWORKS = ("transgan/layers", "transgan/models", "transgan/training")
RETIRED = [
    Retired("judge", "evaluator, discriminator", r"(?<![a-z])judg(e|es|ed|ing|ement)s?(?![a-z])"),
    Retired("verdict", "result", r"(?<![a-z])verdicts?(?![a-z])"),
    Retired("rival", "baseline", r"(?<![a-z])rivals?(?![a-z])"),
    Retired("yardstick", "baseline", r"(?<![a-z])yardsticks?(?![a-z])"),
    Retired("by chance", "from scratch", r"\b(begins?|beginning|starts?|starting)( \w+)? (by|with|from) chance\b", "prose"),
    Retired("Fresh", "FromScratch", r"^Fresh$", "names"),
    Retired("Copied", "Pretrained", r"^Copied$", "names"),
    Retired("generator_start", "generator_pretrained", r"^(generator|discriminator)_start$", "names"),
    Retired("descend", "step_optimizer", r"^descends?$|\bdescends?\b"),
    Retired("add_up", "all_reduce", r"^add(s|ed)?_up$|\badd(s|ed)? up (over|of|from) (the |all )?processes"),
    Retired("draws", "random numbers, noise, rng", r"^((num|bound)_)?draws$|^draw_pixels$", "names"),
    Retired("follow", "decode", r"^follows?$", "names", (*NETWORKS, "tests/models", "tests/layers")),
    Retired("enter", "embed", r"^enters?$", "names", (*NETWORKS, "tests/models", "tests/layers", "conf")),
    Retired("places", "positions", r"^places$|\b(each|every) place\b", "both", NETWORKS),
    Retired("chances", "probabilities", r"(?<![a-z])chances(?![a-z])"),
    Retired("slope", "input gradient", r"(?<![a-z])(?<!negative_)slopes?(?![a-z])", "both", GRADIENTS),
    Retired("Resting", "Skipped", r"^Resting$", "names"),
    Retired("OnPart", "Subsampled", r"^OnPart$", "names"),
    Retired("Lazily", "Lazy", r"^Lazily$", "names"),
    Retired("Team", "DistributedContext", r"(?<![a-z])teams?(?![a-z])"),
    Retired("Copies", "Memorisation", r"^Copies$", "names"),
    Retired("averaged weights", "EMA weights", r"\baveraged? (weights|generator)\b|\baverage of (the|its) generator\b", "prose"),
    Retired("unseen", "held out", r"\bunseen\b"),
    Retired("kept out", "held out", r"\bkept out of training\b|\bkeeps? \S+ out of training\b", "prose"),
    Retired("subject", "target", r"(?<![a-z])subjects?(?![a-z])"),
    Retired("expresses more", "better likelihood", r"\bexpress(es)? more\b", "prose"),
    Retired("told", "reported", r"(?<![a-z])told(?![a-z])"),
    Retired("a person", "user", r"(?<![a-z])persons?(?![a-z])"),
    Retired("words", "overrides, arguments", r"^words$", "names", ("transgan/cli.py", "transgan/commands", "transgan/runs")),
    Retired("views", "augmentations", r"^views$|\bviews of (an|the) image"),
    Retired("strange", "unknown", r"(?<![a-z])strange(?![a-z])"),
    Retired("letters", "characters", r"(?<![a-z])letters(?![a-z])", "both", PRODUCT),
    Retired("picture", "image", r"(?<![a-z~/])pictures?(?![a-z])", "both", PRODUCT),
    Retired("whole or absent", "complete or absent", r"\bwhole,? or (absent|not at all)\b", "prose"),
]  # fmt: skip


def tracked() -> list[Path]:
    """Every text file of the repository but those that name the past."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    names = [name for name in listed.split("\0") if name and not name.startswith(PAST) and "/fixtures/" not in name]
    return [ROOT / name for name in names if Path(name).suffix in TEXT and (ROOT / name).is_file()]


def pieces(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    """The parts of a file, as (line, "names" or "prose", part). Of a notebook, what was written and not what was printed."""
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME:
                yield token.start[0], "names", token.string
            elif token.type in (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)):
                for i, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + i, "prose", line
        return
    for i, line in enumerate(text.splitlines(), 1):
        yield i, "prose", line
        if path.suffix in (".yaml", ".yml") and (key := re.match(r"\s*(?:- )?(\w+):", line)):
            yield i, "names", key[1]


def findings(name: str, text: str) -> list[str]:
    """Sentences about the retired words in a file of this name."""
    if name == "CONTRIBUTING.md":  # its glossary names what it retires
        text = re.sub(r"(?ms)^## Glossary$.*?(?=^## |\Z)", "", text)
    for written in FORMATS:
        text = text.replace(written, "")
    rules = [rule for rule in RETIRED if name.startswith(rule.under)]
    found = []
    for line, kind, part in pieces(Path(name), text):
        for rule in rules:
            if rule.where in (kind, "both") and re.search(
                rule.pattern, part, re.IGNORECASE if kind == "prose" or "^" not in rule.pattern else 0
            ):
                found.append(f"{name}:{line}: {rule.word} -> {rule.instead}: {part.strip()[:100]}")
    return found


def test_no_retired_word_is_used() -> None:
    found = [
        sentence
        for path in tracked()
        for sentence in findings(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert not found, f"{len(found)} retired words; the glossary is in CONTRIBUTING.md:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "name, text",
    [
        ("transgan/a.py", "judge = 1"),
        ("transgan/a.py", "the_judges = 1"),
        ("transgan/a.py", "x = 1  # Judged by another"),
        ("transgan/a.py", '"""Judges images."""'),
        ("transgan/a.py", 'f"{x} is a person\'s mistake"'),
        ("conf/a.yaml", "enter: true"),
        ("conf/a.yaml", "x: 1  # a convolutional yardstick"),
        ("README.md", "an image has pictures"),
        ("CONTRIBUTING.md", "## Glossary\njudge\n## Next\njudge"),
        ("transgan/layers/a.py", "places = 1"),
    ],
)
def test_a_retired_word_would_be_found(name: str, text: str) -> None:
    assert len(findings(name, text)) == 1


@pytest.mark.parametrize(
    "name, text",
    [
        ("transgan/a.py", "prejudge = negative_slope = 1"),
        ("transgan/data/a.py", "places = 1"),
        ("transgan/a.py", "for each in images: pass"),
        ("CONTRIBUTING.md", "## Glossary\njudge\n"),
        ("README.md", "Samples are drawn with noise of their own seed."),
    ],
)
def test_a_word_that_is_not_retired_is_left_alone(name: str, text: str) -> None:
    assert not findings(name, text)


def test_the_glossary_names_every_retired_word() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    glossary = page.partition("\n## Glossary\n")[2].partition("\n## ")[0]
    assert not [rule.word for rule in RETIRED if rule.word not in glossary]
