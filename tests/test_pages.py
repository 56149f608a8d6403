"""What the pages name exists: links, paths, identifiers, choices of groups; and what they type is accepted."""

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

from transgan import __version__
from transgan.cli import separated
from transgan.config.compose import compose

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GUIDES = [ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md"]
# Names that stand for a user's, and files of runs.
PLACEHOLDER = re.compile(r"NAME|FOLDER|RUN\b|PATH|^runs/|^~|^mine\.|conf/loss/mine|^(config|stats|metrics|env|log|last|best|dataset)\.\w+$"
                         r"|^(checkpoints|samples|evaluations)/|^data/cifar10")  # fmt: skip


def spans(page: Path) -> set[str]:
    """Inline code, outside of fenced blocks and of the glossary."""
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))
    text = re.sub(r"(?ms)^## Glossary$.*?(?=^## |\Z)", "", text)
    return set(re.findall(r"`([^`\n]+)`", text))


def blocks(page: Path) -> list[str]:
    return re.findall(r"(?ms)^```\w*\n(.*?)^```$", page.read_text(encoding="utf-8"))


@cache
def words_of_the_source() -> frozenset[str]:
    files = [*ROOT.glob("transgan/**/*.py"), *ROOT.glob("conf/**/*.yaml"), *ROOT.glob("tests/**/*.py")]
    return frozenset(word for path in files for word in re.findall(r"\w+", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if not link.startswith(("http", "#"))]
    assert not [link for link in local if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    paths = {span.rstrip("/") for span in spans(page) if re.fullmatch(r"[\w.~-]*[/.][\w./-]+", span)}
    paths = {
        path for path in paths if "/" in path or Path(path).suffix in (".py", ".md", ".yaml", ".ckpt", ".csv", ".jsonl")
    }
    missing = [path for path in paths if not PLACEHOLDER.search(path) and not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_identifiers_exist(page: Path) -> None:
    names = {span for span in spans(page) if re.fullmatch(r"[A-Za-z]\w+", span) and not span.isupper()}
    assert (
        not names - words_of_the_source() - {"layers", "models", "training", "data", "metrics", "callbacks", "commands"}
    )


def test_the_tree_of_the_architecture_is_the_tree_of_the_package() -> None:
    tree = blocks(ROOT / "ARCHITECTURE.md")[0].partition("transgan/\n")[2].partition("\ntests/")[0].splitlines()
    named = [re.split(r"\s{2,}(?=\S+ \S+ )", line.strip())[0] for line in tree if re.match(r"  \w", line)]
    inside = {name.rstrip("/") for line in named for name in line.split()}
    assert inside and not [name for name in inside if not (ROOT / "transgan" / name).exists()]
    parts = {path.name for path in (ROOT / "transgan").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert not parts - inside


def test_the_readme_lists_the_choices_of_every_group() -> None:
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if not (row := re.match(r"\| `(\w+)` \| (.*) \|$", line)):
            continue
        there = {path.stem for path in (ROOT / "conf" / row[1]).glob("*.yaml")}
        assert there, row[1]
        named = set(re.findall(r"`([\w*]+)`", row[2]))
        stems = {name for name in named if not name.startswith("_")}
        for name in stems:
            assert [each for each in there if re.fullmatch(name.replace("*", ".*"), each)], (row[1], name)
        patterns = [name.replace("*", ".*") for name in stems]
        patterns += [f".*{name}" for name in named if name.startswith("_")]
        unnamed = [each for each in there if not any(re.fullmatch(pattern, each) for pattern in patterns)]
        assert not [each for each in unnamed if each != "from_gpt"], row[1]


def commands() -> list[str]:
    lines = [line for page in PAGES for block in blocks(page) for line in block.splitlines()]
    lines = [re.sub(r"\s+#.*", "", line.strip()) for line in lines if line.strip().startswith("transgan ")]
    return sorted({line for line in lines if "..." not in line and " --" not in line and " -m" not in line})


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_pages_are_accepted(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "their_samples", "photos64.zip", "runs/cats", "runs/gpt", "runs/digits"):
        (tmp_path / folder).mkdir(parents=True)
    if "loss=mine" in line:
        write_the_example(tmp_path)
    command, arguments = separated(shlex.split(line)[1:])
    assert compose(command, arguments) is not None


def write_the_example(folder: Path) -> None:
    """The files of the README whose first line names them."""
    for block in blocks(ROOT / "README.md"):
        if name := re.match(r"# (\S+\.(?:py|yaml))\n", block):
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block, encoding="utf-8")


def test_the_citation_and_the_change_log_are_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["version"] == __version__ and citation["license"] == project["license"]
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"]), ids=lambda path: path.name
)
def test_files_of_the_forge_can_be_parsed(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
