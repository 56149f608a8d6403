"""Names, files and terminals of every encoding: files are UTF-8, and what cannot be shown is replaced."""

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import transgan
from transgan.cli import main

MIDDLE_DOT = ["cp932", "cp874", "euc_jp", "ascii", "latin-1", "cp1252", "koi8-r"]
ODD = [os.fsdecode("図 B".encode("euc_jp") + b"\xfccher ${a} \x80\xff"), "Bücher 図"]
EVALUATED = ["metrics=fast", "extractor=pixels", "kimg=0.032", "batch_size=16", "device=cpu"]


@pytest.fixture
def terminal(monkeypatch):
    """Makes standard output one of an encoding, that raises for what it lacks: terminal(encoding) -> its bytes."""

    def make(encoding: str) -> io.BytesIO:
        raw = io.BytesIO()
        monkeypatch.setattr(
            sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="strict", write_through=True)
        )
        return raw

    return make


@pytest.mark.parametrize("encoding", MIDDLE_DOT)
def test_a_terminal_that_lacks_letters(inside, terminal, pictures, tiny_folder, tmp_path, encoding):
    pictures(tmp_path / "Bücher 図" / "in", classes=["é", "図"])
    raw = terminal(encoding)
    for words in (
        ["--help"],
        ["train", "--help"],
        ["train", "--cfg", "name=Bücher 図"],
        ["train", "Bücher 図/in", *tiny_folder, "kimg=0.032", "name=図"],
        ["summary", "runs/図"],
        ["evaluate", "runs/図", *EVALUATED[:2], "bounds=false"],
        ["sample", "runs/図", "to=grid"],
    ):
        assert main(words) == 0, words
    shown = raw.getvalue().decode(encoding)
    assert f"transgan {transgan.__version__} " in shown and "?" in shown
    assert "8 images" in shown.replace("16", "8") and "fd_pixels" in shown


@pytest.mark.parametrize("name", ODD)
@pytest.mark.slow
def test_names_of_every_encoding(inside, pictures, tiny_folder, tmp_path, name):
    """Pictures and runs are found again, in this process's encoding or not."""
    pictures(tmp_path / name / "in", classes=["a", name.replace("$", "")])
    words = ["train", f"{name}/in", *tiny_folder, *EVALUATED[:4], f"name={name}"]
    run = tmp_path / "runs" / name
    for more, said in (
        ([], "0 kimg"),
        ([], "is finished"),
        (["kimg=0.064"], "from 0.032"),
        ([f"init_from=runs/{name}", "name=other"], "start   from the weights"),
    ):
        code, out, err = inside(*words, *more)
        assert code == 0 and said.split()[-1] in out, out + err
    code, out, err = inside("train", f"config=runs/{name}/config.yaml", "name=again")
    assert code == 0, err
    for words in (
        ["evaluate", f"runs/{name}", "device=cpu"],
        ["summary", f"runs/{name}"],
        ["evaluate", f"{name}/in", f"against={name}/in", f"out={name}.json", *EVALUATED[:2], "device=cpu"],
        ["sample", f"runs/{name}", "seeds=0", f"out={name}.out"],
        ["compare", f"runs/{name}", "runs/again", "extractor=pixels", f"out={name}.c"],
    ):
        code, out, err = inside(*words)
        assert code == 0, (words, err)
    for file in [
        *run.glob("*.*"),
        *(tmp_path / f"{name}.c").glob("*.*"),
        tmp_path / f"{name}.json",
        tmp_path / f"{name}.out" / "index.json",
    ]:
        file.read_bytes().decode("utf-8")
    assert OmegaConf.load(run / "config.yaml").data.path == str(tmp_path / name / "in")
    assert f"name={name}" in json.loads((run / "env.json").read_text("utf-8"))["command"]
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_logger_that_takes_only_some_names(refused, inside, pictures, tiny, tmp_path):
    err = refused("train", *tiny, "logger=tensorboard", f"name={ODD[0]}")
    assert "logger=tensorboard: TensorBoard writes only to folders whose names are UTF-8, and runs/" in err
    assert "give another name= or runs=, or logger=none" in err and not (tmp_path / "runs" / ODD[0]).exists()
    code, out, err = inside("train", *tiny, "kimg=0.032", "logger=tensorboard", "name=Bücher 図")
    assert code == 0, err


LATIN = {"LC_ALL": "de_DE.iso88591"}
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.slow
@pytest.mark.parametrize("locale", [LATIN, ASCII], ids=["latin-1", "ascii"])
def test_in_another_locale(transgan_process, pictures, tiny_folder, tmp_path, locale):
    """What one process writes another one reads, and so does one that works in UTF-8."""
    if locale is LATIN:
        if shutil.which("localedef") is None:
            pytest.skip("there is no localedef to make the locale with")
        made = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", tmp_path / "de_DE.iso88591"]
        if subprocess.run(made, capture_output=True).returncode:
            pytest.skip("localedef has no German here")
        locale = locale | {"LOCPATH": str(tmp_path)}
    name = os.fsdecode(b"B\xfccher")
    pictures(tmp_path / name, classes=["a", name])
    run = tmp_path / "runs" / name

    def go(*words, **environment):
        command = [sys.executable, "-m", "transgan", *words]
        done = subprocess.run(
            [os.fsencode(word) for word in command], cwd=tmp_path, capture_output=True, timeout=300,
            env=transgan_process.environment | environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    out = go("train", name, *tiny_folder, "kimg=0.032", f"name={name}", **locale)
    assert b"16 images" in out and (b"\xfc" in out) == ("LOCPATH" in locale)
    if "LOCPATH" not in locale:
        go("train", f"config=runs/{name}/config.yaml", "name=again", **locale)
    for file in (run / "config.yaml", run / "env.json", run / "log.txt", run / "stats.csv"):
        file.read_bytes().decode("utf-8")
    assert re.search(r"B(ü|\\uDCFC)cher", (run / "config.yaml").read_text("utf-8"))
    go("sample", f"runs/{name}", "to=grid", f"out={name}.png", **locale)
    assert (tmp_path / f"{name}.png").exists()
    done = transgan_process("sample", f"runs/{name}", "seeds=0", cwd=tmp_path)  # with the locale of this process
    assert done.returncode == 0, done.stderr


ROOT = Path(transgan.__file__).parent
OWN = [*ROOT.glob("*.py"), *(ROOT / "commands").glob("*.py"), *(ROOT / "comparison").glob("*.py")]


def in_the_locale(source: str) -> list[int]:
    """The lines that read or write text in an encoding that the locale chooses."""
    found, tree = [], ast.parse(source)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") in defined:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        words = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
        binary = any(isinstance(word, str) and re.fullmatch(r"[rwxab+]*b[rwxab+]*", word) for word in words)
        ours = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") in ("files", "Image")
        ours = ours or name == "open" and getattr(getattr(node.func, "value", None), "id", "") == "os"  # a number
        if name in ("open", "read_text", "write_text", "fdopen", "FileHandler", "NamedTemporaryFile") and not ours:
            if not binary and "encoding" not in {each.arg for each in node.keywords}:
                found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", sorted(OWN), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_in_the_encoding_of_the_locale(path):
    assert not in_the_locale(path.read_text("utf-8"))


def test_such_a_text_would_be_seen():
    for source in (
        "open(path)",
        "path.read_text()",
        "path.write_text(x)",
        "open(p, 'w', newline='')",
        "os.fdopen(h, 'w')",
    ):
        assert in_the_locale(source) == [1]
    for source in (
        "open(p, 'rb')",
        "open(p, encoding='utf-8')",
        "files.read_text(p)",
        "Image.open(p)",
        "os.open(p, 0)",
    ):
        assert not in_the_locale(source)
