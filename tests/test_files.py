"""Files are complete or absent, in UTF-8 everywhere, and nobody needs a home."""

import errno
import hashlib
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from transgan import files


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_what_fails_leaves_the_file_as_it_was(error, tmp_path):
    path = tmp_path / "a" / "b.txt"
    files.write_text(path, "before")
    with pytest.raises(type(error)) as caught, files.replacing(path) as file:
        file.write(b"half")
        raise error
    assert path.read_text() == "before" and os.listdir(path.parent) == ["b.txt"]
    if isinstance(error, OSError):
        assert caught.value.filename == str(path)


def write(path, letter, count):
    for _ in range(count):
        with files.replacing(path) as file:
            for _ in range(20):
                file.write(letter.encode() * 1000)


def test_two_writers_never_mix(tmp_path):
    path = tmp_path / "x"
    files.write_text(path, "a" * 20_000)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(path, letter, 40)) for letter in "bc"]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        text = path.read_text()
        assert len(text) == 20_000 and len(set(text)) == 1
        seen |= set(text)
    assert [writer.exitcode for writer in writers] == [0, 0] and os.listdir(tmp_path) == ["x"]


TEXTS = ["plain", "Bücher · 猫 🐈", "B\udcfccher"]


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_utf_8_whatever_the_locale(locale, tmp_path):
    program = (
        "import sys; from transgan import files; from pathlib import Path; p = Path(sys.argv[1])\n"
        f"for i, text in enumerate({[t.encode('utf-8', 'surrogatepass') for t in TEXTS]!r}):\n"
        "    t = text.decode('utf-8', 'surrogatepass')\n"
        "    files.write_text(p / str(i), t); files.append_text(p / str(i), t); print(ascii(files.read_text(p / str(i))))"
    )
    environment = os.environ | {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment["PYTHONPATH"] = str(Path(files.__file__).parents[1])
    out = subprocess.run([sys.executable, "-c", program, tmp_path], env=environment, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert out.stdout.splitlines() == [ascii(2 * text) for text in (*TEXTS[:2], "B\\udcfccher")]
    assert (tmp_path / "1").read_bytes() == 2 * TEXTS[1].encode()


@pytest.mark.parametrize("content, text", [
    (b"\xef\xbb\xbfmarked", "marked"), (b"two\r\nlines", "two\nlines"), (b"", ""),
])  # fmt: skip
def test_reads_what_other_systems_write(content, text, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert files.read_text(tmp_path / "x") == text


def test_another_encoding_is_named(tmp_path):
    (tmp_path / "x").write_bytes("Bücher".encode("latin-1"))
    with pytest.raises(ValueError, match="x is not written in UTF-8"):
        files.read_text(tmp_path / "x")


@pytest.fixture
def homeless(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("TRANSGAN_CACHE", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda user: (_ for _ in ()).throw(KeyError(user)))


def test_a_user_without_a_home(homeless, monkeypatch):
    assert files.cache_folder("a", "b").parts[-2:] == ("a", "b")
    with pytest.raises(ValueError, match="no home folder"):
        files.expanded("~/pictures")
    assert files.expanded("pictures") == Path("pictures")
    monkeypatch.setenv("TRANSGAN_CACHE", "/somewhere")
    assert files.cache_folder("a") == Path("/somewhere/a")


def test_json_is_strict_and_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a" / "x.json"
    assert files.write_json(path, {"fid": float("nan"), 1: (2.5, float("inf"))}) == path
    assert files.read_json(path) == {"fid": None, "1": [2.5, None]}
    with pytest.raises(TypeError):
        files.write_json(path, {"x": object()})
    assert files.read_json(path) == {"fid": None, "1": [2.5, None]} and len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize("torn", [b"", b'{"kimg": 0.5, "sec', b"\0\0\0", b"[1]", b"7"])
def test_json_lines_without_a_torn_one(tmp_path, torn):
    path = tmp_path / "x.jsonl"
    assert files.read_json_lines(path) == []
    for kimg in (1, 2):
        files.append_json_line(path, {"kimg": kimg, "value": float("nan")})
    with open(path, "ab") as file:
        file.write(torn)
    assert files.read_json_lines(path) == [{"kimg": 1, "value": None}, {"kimg": 2, "value": None}]
    files.keep_json_lines(path, lambda line: line["kimg"] < 2)
    assert path.read_text() == '{"kimg": 1, "value": null}\n'


def test_csv_without_a_file_and_with_what_a_lost_disk_left(tmp_path):
    path = tmp_path / "x.csv"
    assert files.read_csv(path) == []
    files.write_csv(path, [["a", "b, c"], [1, ""]])
    files.append_csv(path, [[2, 'x"y']])
    with open(path, "ab") as file:
        file.write(b"3,\0z\r\n")
    assert files.read_csv(path) == [["a", "b, c"], ["1", ""], ["2", 'x"y'], ["3", "z"]]


def test_hashes_are_of_bytes():
    assert files.hash_of("abc") == files.hash_of(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert files.hash_of("a\udcff") == hashlib.sha256(b"a\xff").hexdigest()  # a file name that is not text


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("name", [
    b"caf\xe9", b"it's \"q\" $HOME", b"new\nline\xff0", b"back\\slash\x01", b"photos", "\u202egnp".encode(), b"'\xe9'",
])  # fmt: skip
def test_a_shell_reads_the_path_that_it_is_shown(name):
    said = files.in_shell(os.fsdecode(name))
    assert said.isprintable()
    found = subprocess.run(["bash", "-c", f"printf %s {said}"], capture_output=True, check=True).stdout
    assert found == name
