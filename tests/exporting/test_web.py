"""The page that shows a generator's images: its numbers, its files, and what a browser makes of it."""

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import transgan.exporting.web
from page_check import faults
from transgan import files, provenance
from transgan.callbacks.samples import save_grid
from transgan.errors import UserError
from transgan.exporting.web import page
from transgan.exporting.web import runtime as of_runtime
from transgan.exporting.web.runtime import BUNDLE, PACKAGE, WASM, Runtime, classic
from transgan.sampling.randomness import mix, seeded_normal

WEB = Path(transgan.exporting.web.__file__).parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not on this machine")
SIDE, LATENT, CLASSES = 16, 20, 3
FACTS = {
    "name": "Tiny", "resolution": SIDE, "channels": 3, "latent_dim": LATENT, "num_classes": CLASSES,
    "class_names": ["cat", "dog", "<b>owl</b>"], "has_psi": True, "kimg": 1234.5, "version": "0.0", "run": "tiny",
    "checkpoint_sha256": "0123456789abcdef" * 4, "metric": "fd_pixels", "value": 12.34, "floor": 1.5,
    "protocol": "5,000 images, seed 0", "license": "CC0", "parameters": 143133,
}  # fmt: skip
BARE = FACTS | {
    "num_classes": 0, "class_names": [], "has_psi": False, "metric": None, "value": None, "floor": None,
    "protocol": None, "license": None, "parameters": None, "kimg": 0.0, "channels": 1,
}  # fmt: skip
MODULE = "/*! of a test */const u=import.meta.url;export{a as InferenceSession,b as Tensor,c as default,d as env};\n"
CONTENTS = {PACKAGE: b'{"version": "1.30.0"}', BUNDLE: MODULE.encode(), WASM: b"\0asm\1\0\0\0"}


class Generator(nn.Module):
    """Of a latent, a class and psi, with the smallest layers."""

    def __init__(self) -> None:
        super().__init__()
        self.style, self.classes = nn.Linear(LATENT, 16), nn.Embedding(CLASSES, 16)
        self.image = nn.Linear(16, 3 * SIDE * SIDE)

    def forward(self, latent: Tensor, label: Tensor, psi: Tensor) -> Tensor:
        style = torch.tanh(self.style(latent) + 2 * self.classes(label)) * psi
        images = torch.tanh(self.image(style)).reshape(-1, 3, SIDE, SIDE)
        return (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def package(folder: Path, **changes: bytes | None) -> Path:
    """An unpacked onnxruntime-web that consists of the parts that are read. changes: of CONTENTS, None for none."""
    for name, content in (
        CONTENTS | {{"bundle": BUNDLE, "wasm": WASM}[key]: each for key, each in changes.items()}
    ).items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


def tgz(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in CONTENTS.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Runtime:
    """A runtime that runs nothing."""
    return Runtime.find(str(package(tmp_path / "onnxruntime-web")))


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    try:
        return Runtime.find()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, bytes]:
    """A generator, and the same in ONNX."""
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    generator, count = Generator().eval(), torch.export.Dim("count")
    program = torch.onnx.export(
        generator, (torch.zeros(2, LATENT), torch.tensor([0, 1]), torch.tensor(1.0)), dynamo=True, verbose=False,
        input_names=["latent", "label", "psi"], output_names=["images"], dynamic_shapes=({0: count}, {0: count}, None),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    program.save(path)
    return generator, path.read_bytes()


@pytest.fixture(scope="module")
def pages(
    model: tuple[nn.Module, bytes], runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> dict[bool, Path]:
    """The page in both forms, by whether it is a single file."""
    folder = tmp_path_factory.mktemp("pages")
    return {single: page.write(folder / f"{single}", model[1], FACTS, runtime, single) for single in (False, True)}


@torch.no_grad()
def images(generator: nn.Module, seeds: list[int], label: int | None = None, psi: float = 1.0) -> Tensor:
    """What PyTorch makes of the seeds."""
    labels = torch.tensor([mix(seed, 1) % CLASSES if label is None else label for seed in seeds])
    return generator(seeded_normal(seeds, LATENT), labels, torch.tensor(psi))


def node(tmp_path: Path, *scripts: str) -> Any:
    """What the scripts print, as JSON."""
    path = tmp_path / "script.js"
    path.write_text("\n".join(scripts), encoding="utf-8")
    done = subprocess.run([str(NODE), str(path)], capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert not done.returncode and not done.stderr, done.stderr
    return json.loads(done.stdout)


def own(*names: str) -> str:
    return "\n".join(files.read_text(WEB / name) for name in names)


# ---- numbers


@needs_node
def test_a_seed_is_the_same_numbers_as_in_torch(tmp_path):
    cases = [
        (seed, size)
        for seed in (0, 1, 7, 2**32 + 5, 2**53 - 1)
        for size in (1, 2, 5, 15, 16, 17, 31, 32, 64, 100, 3072)
    ]
    made = node(
        tmp_path, own("random.js"),
        f"const cases = {json.dumps(cases)};",
        "console.log(JSON.stringify(cases.map(([seed, size]) => [",
        "  Array.from(transganRandom.randn(seed, size)), String(transganRandom.mix(seed, 1)), transganRandom.label(seed, 7)])));",
    )  # fmt: skip
    for (seed, size), (numbers, mixed, label) in zip(cases, made, strict=True):
        expected = torch.randn(size, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(torch.tensor(numbers), expected, rtol=0, atol=1e-6, msg=f"{seed}, {size}")
        assert int(mixed) == mix(seed, 1) and label == mix(seed, 1) % 7


@needs_node
def test_latents_between_two_keep_their_length_and_ends(tmp_path):
    made = node(
        tmp_path, own("random.js", "engine.js"),
        "const [a, b] = [Float32Array.of(3, 0), Float32Array.of(0, 3)];",
        "console.log(JSON.stringify([[a, b, 0], [a, b, 0.5], [a, b, 1], [a, a, 0.5]]",
        "  .map((each) => Array.from(transganEngine.slerp(...each)))));",
    )  # fmt: skip
    half = 3 * 0.5**0.5
    torch.testing.assert_close(
        torch.tensor(made), torch.tensor([[3, 0], [half, half], [0, 3], [3, 0]]), atol=1e-6, rtol=0
    )


@pytest.mark.slow
@needs_node
@pytest.mark.parametrize("label, psi", [(None, 1.0), (2, 0.5)])
def test_the_files_of_the_page_make_the_images_of_torch(model, pages, tmp_path, label, psi):
    """In node, with the WebAssembly that the page carries: without a browser, where there is none."""
    folder, seeds = pages[False].parent, list(range(5, 42))
    labels = "engine.labels(seeds)" if label is None else f"seeds.map(() => {label})"
    made = node(
        tmp_path, (folder / "runtime.js").read_text(encoding="utf-8"), (folder / "model.js").read_text(encoding="utf-8"),
        own("random.js", "engine.js"), f"const facts = {json.dumps(FACTS)}, seeds = {json.dumps(seeds)};",
        "transganEngine.open(facts, transganFiles).then(async (engine) => {",
        f"  const made = await engine.draw(engine.latents(seeds), {labels}, {psi});",
        "  console.log(JSON.stringify([Array.from(made.data), made.dims]));",
        "});",
    )  # fmt: skip
    expected = images(model[0], seeds, label, psi)
    assert made[1] == list(expected.shape)
    assert (torch.tensor(made[0]).reshape(made[1]) - expected.int()).abs().max() <= 1


# ---- the runtime


def test_the_runtime_is_a_folder_or_a_packed_file(tmp_path):
    folder = package(tmp_path / "modules" / "package")
    found = [Runtime.find(str(path)) for path in (folder, folder.parent, tgz(tmp_path / "a.tgz"))]
    assert found[0] == found[1] == found[2]
    assert found[0].version == "1.30.0" and found[0].wasm == CONTENTS[WASM]
    assert found[0].sha256 == {name: hashlib.sha256(CONTENTS[name]).hexdigest() for name in (BUNDLE, WASM)}


def test_a_module_is_made_a_script():
    script = classic(MODULE)
    assert script.startswith("var ort=(()=>{") and "import.meta" not in script and "export" not in script
    assert "InferenceSession:a" in script and "Tensor:b" in script and "env:d" in script


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda path: path, "there is no such file or folder"),
        (lambda path: package(path, wasm=None), "it has no dist/ort-wasm-simd-threaded.wasm"),
        (lambda path: package(path, wasm=b"<html>"), "holds no WebAssembly"),
        (lambda path: package(path, bundle=b"export{a as b};"), "of another form"),
        (lambda path: package(path, bundle=b"import{z}from'y';" + MODULE.encode()), "of another form"),
        (lambda path: (path.write_text("no archive"), path)[1], "no complete .tgz"),
        (lambda path: (path.write_bytes(tgz(path).read_bytes()[:150]), path)[1], "it has no dist/"),
    ],
)
def test_a_broken_runtime_is_one_sentence(tmp_path, make: Callable[[Path], Path], reason):
    given = make(tmp_path / "given")
    with pytest.raises(UserError) as error:
        Runtime.find(str(given))
    assert len(error.value.findings) == 1 and "\n" not in str(error.value)
    assert str(error.value).startswith(f"runtime={given}: ") and reason in str(error.value)
    assert "`npm pack onnxruntime-web@1.30.0`" in str(error.value)


def test_the_variable_names_a_runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSGAN_ORT_WEB", str(package(tmp_path / "here")))
    assert Runtime.find().version == "1.30.0"
    monkeypatch.setenv("TRANSGAN_ORT_WEB", "nowhere")
    with pytest.raises(UserError, match="^TRANSGAN_ORT_WEB=nowhere: "):
        Runtime.find()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """An npm that does what a line of sh says, and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRANSGAN_ORT_WEB", raising=False)

    def does(line: str) -> None:
        path = tmp_path / "bin" / "npm"
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    return does


needs_sh = pytest.mark.skipif(os.name != "posix", reason="the npm of these tests is a script of sh")


@needs_sh
def test_what_npm_fetched_is_kept_and_checked(tmp_path, monkeypatch, npm):
    path = tgz(tmp_path / "made.tgz")
    digest = hashlib.sha512(path.read_bytes()).digest()
    monkeypatch.setattr(of_runtime, "SHA512", base64.b64encode(digest).decode())
    monkeypatch.setattr(of_runtime, "SHA256", {name: files.hash_of(CONTENTS[name]) for name in (BUNDLE, WASM)})
    npm(f'[ "$2" = onnxruntime-web@1.30.0 ] && cp {path} onnxruntime-web-1.30.0.tgz')
    first = Runtime.find()
    npm("exit 1")
    assert Runtime.find() == first  # from the cache
    kept = next((tmp_path / "cache").rglob("*.wasm"))
    kept.write_bytes(b"\0asm of somebody else")
    with pytest.raises(UserError, match="could not be fetched"):
        Runtime.find()


@needs_sh
@pytest.mark.parametrize(
    "line, reason",
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", "npm: npm error code ENOTFOUND"),
        ("echo other > onnxruntime-web-1.30.0.tgz", "another file than the one that was published"),
        ("exit 0", "No such file"),
    ],
)
def test_a_failed_fetch_is_one_sentence_and_leaves_nothing(tmp_path, npm, line, reason):
    npm(line)
    with pytest.raises(UserError) as error:
        Runtime.find()
    assert reason in str(error.value) and "\n" not in str(error.value) and "runtime=" in str(error.value)
    assert not (tmp_path / "cache").exists()


# ---- the files


class Scripts(HTMLParser):
    """The scripts, the style and the policy of a page as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.outside: list[str] = []
        self.style = self.policy = self.facts = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.inside = "facts" if found.get("type") == "application/json" else tag
        if tag == "script" and found.get("src"):
            self.outside.append(str(found["src"]))
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(found["content"])

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts.append(data)
        elif self.inside == "style":
            self.style += data
        elif self.inside == "facts":
            self.facts += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


@pytest.mark.parametrize("facts", [FACTS, BARE], ids=["with classes and psi", "with neither"])
def test_a_single_file_has_everything_in_it(tmp_path, small, facts):
    path = page.write(tmp_path / "out", b"onnx", facts, small, True)
    assert list((tmp_path / "out").iterdir()) == [path]
    text = path.read_text(encoding="utf-8")
    wrong = [each for each in faults(text) if each not in ("<script> runs a script", "no title, or no landmarks")]
    assert not wrong and not Scripts(text).outside  # a page of one part needs no navigation
    assert ('id="class"' in text) == bool(facts["num_classes"]) and ('id="psi"' in text) == facts["has_psi"]


@pytest.mark.parametrize("single", [False, True])
def test_a_browser_may_run_the_scripts_of_the_page_and_load_nothing(tmp_path, small, single):
    found = Scripts(page.write(tmp_path / "out", b"onnx", FACTS, small, single).read_text(encoding="utf-8"))
    assert found.outside == ([] if single else ["runtime.js", "model.js"])
    for content in (*found.scripts, found.style):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in found.policy
    assert found.policy.startswith("default-src 'none';") and not re.search(
        r"https?:|connect|unsafe-(inline|eval)", found.policy.replace("wasm-unsafe-eval", "")
    )
    assert ("'self'" in found.policy) == (not single)
    assert not re.search(r"https?://", own("page.html", "page.css", "page.js", "engine.js", "random.js"))


def test_the_page_states_the_facts_as_text(tmp_path, small):
    text = page.write(tmp_path / "out", b"onnx", FACTS | {"name": "</script><i>"}, small, True).read_text(
        encoding="utf-8"
    )
    assert "<i>" not in text and "<b>owl" not in text
    facts = json.loads(Scripts(text).facts)
    assert facts["name"] == "</script><i>" and facts["model"]["sha256"] == hashlib.sha256(b"onnx").hexdigest()
    assert facts["runtime"]["sha256"] == small.sha256 and facts["runtime"]["version"] == "1.30.0"
    for words in (
        "1,234.5 kimg",
        "fd_pixels 12.34 (floor 1.5); protocol: 5,000 images, seed 0",
        "143,133",
        "CC0",
        "0123456789ab…",
        "All images on this page are generated",
    ):
        assert words in text


def test_a_folder_is_replaced_if_it_is_ours(tmp_path, small):
    out = tmp_path / "out"
    for content in (b"first", b"second"):
        path = page.write(out, content, FACTS, small, False)
        assert path == out / "index.html" and list(tmp_path.glob("*.tmp")) == []
    assert sorted(each.name for each in out.iterdir()) == [
        "LICENSE.onnxruntime.txt",
        "index.html",
        "model.js",
        "runtime.js",
    ]
    assert page.packed(b"second") in (out / "model.js").read_text()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files .mine.txt"):
        page.write(out, b"third", FACTS, small, False)
    assert page.packed(b"second") in (out / "model.js").read_text()


def test_a_folder_is_complete_or_as_it_was(tmp_path, small, monkeypatch):
    out = tmp_path / "out"
    page.write(out, b"first", FACTS, small, False)
    write = files.write_text

    def full(path: Path, text: str) -> None:
        if path.name == "runtime.js":
            raise OSError(28, "No space left on device", str(path))
        write(path, text)

    monkeypatch.setattr(files, "write_text", full)
    for place in (out, tmp_path / "another"):
        with pytest.raises(OSError):
            page.write(place, b"second", FACTS, small, False)
    assert page.packed(b"first") in (out / "model.js").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["onnxruntime-web", "out"]


# ---- in a browser

GRID = """Array.from(document.querySelectorAll("#images canvas"), (canvas) => Array.from(
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data))"""
DONE = 'document.getElementById("status").textContent.includes("ms per image")'
FAILED = 'document.getElementById("error").textContent'


def grid(browser: Any) -> Tensor:
    """The images of the grid, (N, 3, H, W)."""
    browser.wait(f"{DONE} || {FAILED}")
    assert not browser.evaluate(FAILED)
    return torch.tensor(browser.evaluate(GRID)).reshape(-1, SIDE, SIDE, 4)[..., :3].permute(0, 3, 1, 2)


def choose(browser: Any, control: str, value: str, event: str) -> None:
    browser.evaluate(
        f"(() => {{ const found = document.getElementById({control!r}); found.value = {value!r};"
        f"found.dispatchEvent(new Event({event!r}, {{bubbles: true}})); }})()"
    )


def downloaded(browser: Any, button: str) -> bytes:
    """The file that a button saves."""
    browser.evaluate(
        "window.blobs = []; URL.createObjectURL = (blob) => { window.blobs.push(blob); return 'data:,'; };"
        f"document.getElementById({button!r}).click()"
    )
    browser.wait("window.blobs.length > 0")
    return bytes(browser.evaluate("window.blobs[0].arrayBuffer().then((bytes) => Array.from(new Uint8Array(bytes)))"))


@pytest.fixture
def browser(tmp_path: Path) -> Any:
    chromium = pytest.importorskip("chromium", reason="pipes of this kind are of POSIX systems")
    if (binary := chromium.found()) is None:
        pytest.skip("Chromium is not on this machine")
    with chromium.Chromium(binary, tmp_path / "profile") as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("single", [False, True])
def test_a_browser_shows_the_images_of_torch(model, pages, browser, single, tmp_path):
    browser.open(f"{pages[single].as_uri()}#seed=3&psi=0.7")
    seeds = list(range(3, 67))
    shown = grid(browser)
    assert (shown - images(model[0], seeds, psi=0.7).int()).abs().max() <= 1
    made = browser.evaluate(
        "transgan.ready.then(async () => { const seeds = [7, 2 ** 32 + 5];"
        "const made = await transgan.draw(transgan.latents(seeds), [1, 1], 1); return [Array.from(made.data), made.dims]; })"
    )
    expected = images(model[0], [7, 2**32 + 5], label=1)
    assert (torch.tensor(made[0]).reshape(made[1]) - expected.int()).abs().max() <= 1

    choose(browser, "class", "2", "change")
    of_class = grid(browser)
    assert (of_class - images(model[0], seeds, label=2, psi=0.7).int()).abs().max() <= 1
    choose(browser, "psi", "0.2", "input")
    assert (grid(browser) - images(model[0], seeds, label=2, psi=0.2).int()).abs().max() <= 1
    browser.wait('location.hash === "#seed=3&count=64&class=2&psi=0.2"')

    saved, path = downloaded(browser, "download"), tmp_path / "grid.png"
    path.write_bytes(saved)
    save_grid(grid(browser).to(torch.uint8), tmp_path / "ours.png", 8)
    with Image.open(path) as own, Image.open(tmp_path / "ours.png") as ours:
        assert own.convert("RGB").tobytes() == ours.tobytes()
        assert own.text["Software"] == provenance.GRID and "trainedAlgorithmicMedia" in own.text["XML:com.adobe.xmp"]
        assert own.text["Description"].endswith("64 seeds from 3 on of the run tiny")
    facts = provenance.read(path)
    assert facts["seeds"] == seeds and facts["labels"] == [2] * 64 and facts["classes"] == ["<b>owl</b>"] * 64
    assert facts["psi"] == 0.2 and facts["columns"] == 8 and facts["checkpoint_sha256"] == FACTS["checkpoint_sha256"]
    browser.evaluate('document.querySelector("#images button").click()')
    path.write_bytes(downloaded(browser, "enlarged-download"))
    facts = provenance.read(path)
    assert facts["seeds"] == [3] and "columns" not in facts and Image.open(path).size == (SIDE, SIDE)

    assert browser.errors == []
    beside = {path.as_uri() for path in pages[single].parent.iterdir()}
    assert {address.partition("#")[0] for address in browser.requests if not address.startswith("data:")} <= beside


@pytest.mark.slow
def test_a_browser_says_what_is_missing(pages, browser, tmp_path):
    shutil.copy(pages[False], tmp_path / "index.html")
    browser.open((tmp_path / "index.html").as_uri())
    assert "keep them in the same folder" in browser.wait(FAILED)
