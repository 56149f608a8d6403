"""What exports of runs take: bytes, the difference from PyTorch, and milliseconds an image on one thread.

    python -m benchmarks.exporting runs/digits runs/cats --out /tmp/exports

PyTorch and onnxruntime make 64 images at once, the median of five times; so does a page in Chromium, after a first time
that is given by itself, if there is a Chromium and onnxruntime-web (TRANSGAN_ORT_WEB, or npm). Prints a table in
Markdown.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import transgan
from transgan.errors import UserError
from transgan.exporting import onnx, program, weights
from transgan.exporting.source import Source
from transgan.exporting.web import page
from transgan.exporting.web.runtime import Runtime
from transgan.runs.run import Run

SEEDS = list(range(64))


def milliseconds(make: Callable[[], Any]) -> float:
    """The median of five times, an image, after a first one that does not count."""
    make()
    found = []
    for _ in range(5):
        start = time.perf_counter()
        make()
        found.append(time.perf_counter() - start)
    return 1000 * statistics.median(found) / len(SEEDS)


def by_onnxruntime(path: Path, sampler: Any) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}
    feed = {"latent": sampler.latents_of(SEEDS).numpy(), "psi": torch.tensor(1.0).numpy()}
    if sampler.num_classes:
        feed["label"] = sampler.labels_of(SEEDS).numpy()
    return milliseconds(lambda: session.run(None, {name: feed[name] for name in names}))


def in_chromium(index: Path) -> tuple[float, float] | None:
    """Milliseconds an image of the first grid, and the median of the next five; None without a browser."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import chromium

    if (binary := chromium.found()) is None:
        return None
    draw = (
        "transgan.ready.then(async () => { const seeds = [...Array(64).keys()], latents = transgan.latents(seeds);"
        "const labels = seeds.map(() => 0), start = performance.now(); await transgan.draw(latents, labels, 1);"
        "return (performance.now() - start) / 64; })"
    )
    with tempfile.TemporaryDirectory() as folder, chromium.Chromium(binary, Path(folder), limit=300.0) as browser:
        browser.open(f"{index.absolute().as_uri()}#count=1")
        browser.wait('document.getElementById("status").textContent.includes("ms per image")')
        first = browser.evaluate(draw)
        return first, statistics.median(browser.evaluate(draw) for _ in range(5))


def row(run: str, out: Path) -> list[str]:
    source = Source(Run(run), run)
    sampler, facts = source.sampler, source.facts
    folder = out / Path(run).name
    weights.write(source, folder / "a.safetensors")
    full, half = folder / "a.onnx", folder / "half.onnx"
    apart, apart_half = onnx.write(source, full), onnx.write(source, half, precision="fp16")
    of_torch = program.write(source, folder / "a.pt2")
    start = time.perf_counter()
    transgan.load(folder / "a.safetensors")
    loading = time.perf_counter() - start
    try:
        runtime = Runtime.find(None)
        own = {key: value for key, value in facts.items() if key not in ("sampler", "format")}
        own |= {"name": facts["run"], "has_psi": source.has_psi}
        shown = in_chromium(page.write(folder / "page", full.read_bytes(), own, runtime, single=False))
    except UserError as error:
        print(error, file=sys.stderr)
        shown = None
    native = milliseconds(lambda: sampler.generate(SEEDS))
    sizes = [f"{path.stat().st_size / 1e6:.2f}" for path in (folder / "a.safetensors", full, half, folder / "a.pt2")]
    return [
        f"{facts['run']}, {facts['resolution']} px", f"{facts['parameters'] / 1e6:.2f} M", *sizes,
        f"{apart.largest:.1e}", f"{of_torch.largest:.1e}", f"{apart_half.largest:.1e}", f"{loading:.2f}",
        f"{native:.2f}", f"{by_onnxruntime(full, sampler):.2f}",
        "" if shown is None else f"{shown[1]:.2f} ({shown[0]:.2f})",
    ]  # fmt: skip


HEAD = [
    "run", "parameters", "MB: safetensors", "ONNX", "ONNX fp16", "torch.export", "difference: ONNX", "torch.export",
    "ONNX fp16", "s to load", "ms an image: PyTorch", "onnxruntime", "Chromium (first)",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for cells in (HEAD, ["---"] * len(HEAD), *(row(run, given.out) for run in given.runs)):
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
