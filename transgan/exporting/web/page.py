"""The page: one file with everything, or a folder whose index.html opens without a server all the same."""

import base64
import hashlib
import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from transgan import files, provenance
from transgan.errors import UserError
from transgan.exporting.web.runtime import Runtime, packed
from transgan.numerals import number

COUNTS = (1, 4, 16, 36, 64, 100, 144)  # of images to choose from
HERE = Path(__file__).parent
INDEX, MODEL, RUNTIME, LICENCE = "index.html", "model.js", "runtime.js", "LICENSE.onnxruntime.txt"


def write(out: Path, onnx: bytes, facts: dict[str, Any], runtime: Runtime, single: bool) -> Path:
    """Writes the page into the folder `out`, complete or not at all -> the file to open.

    onnx      of `latent` (N, Z) and, by the facts, `label` (N,) and `psi` () to uint8 `images` (N, C, H, W)
    facts     name, resolution, channels, latent_dim, num_classes, class_names (may be empty), has_psi; for the
              reader version (of transgan), and as far as they are known, else None: run, kimg, checkpoint_sha256,
              parameters, metric with value, floor and protocol (a line), license (of the model)
    single    index.html alone, with everything in it; else beside model.js, runtime.js and a licence. `out` may
              then name the file, as something.html
    Raises UserError where `out` holds other files, and OSError.
    """
    scripts = {RUNTIME: runtime.script + held(wasm=runtime.wasm), MODEL: held(model=onnx)}
    of_page = files.plain(facts) | {
        "class_names": names(facts),
        "runtime": {"name": "onnxruntime-web", "version": runtime.version, "sha256": runtime.sha256},
        "model": {"bytes": len(onnx), "sha256": files.hash_of(onnx)},
        "origin": origin(facts),
    }
    text = render(of_page, scripts, single)
    if single:
        path = out if out.suffix.lower() in (".html", ".htm") else out / INDEX
        files.write_text(path, text)
        return path

    def fill(folder: Path) -> None:
        for name, content in {INDEX: text, **scripts, LICENCE: files.read_text(HERE / "licence.txt")}.items():
            files.write_text(folder / name, content)

    _replace(out, fill, {INDEX, MODEL, RUNTIME, LICENCE})
    return out / INDEX


def origin(facts: dict[str, Any]) -> dict[str, Any]:
    """What files that are saved from the page say of themselves, beside their seeds."""
    known = ("run", "kimg", "checkpoint", "checkpoint_sha256", "weights", "weights_sha256")
    own = {"software": provenance.SOFTWARE} | {key: facts[key] for key in known if facts.get(key) is not None}
    return {
        "software": provenance.SOFTWARE, "grid": provenance.GRID, "xmp": provenance.packet(None), "facts": own,
    }  # fmt: skip


def held(**contents: bytes) -> str:
    """A classic script that holds bytes under their names: a page opened as a file may read no other file."""
    text = json.dumps({name: packed(content) for name, content in contents.items()})
    return f"var transganFiles=Object.assign(typeof transganFiles=='object'?transganFiles:{{}},{text});\n"


def render(facts: dict[str, Any], scripts: dict[str, str], single: bool) -> str:
    """index.html. `scripts` by their names, which are written into it only if it is to stand alone."""
    own = "".join(files.read_text(HERE / name) for name in ("random.js", "engine.js", "png.js", "page.js"))
    style = files.read_text(HERE / "page.css")
    written = [*(scripts.items() if single else ((name, None) for name in scripts)), (None, own)]
    assert not any("</script" in (content or "").lower() for _, content in written)
    inline = [content for _, content in written if content is not None]
    environment = Environment(
        loader=PackageLoader("transgan.exporting.web", ""), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html").render(
        facts=facts, rows=rows(facts), names=names(facts), counts=COUNTS, style=style, scripts=written,
        policy=policy(inline, style, not single), licence=files.read_text(HERE / "licence.txt"),
        megabytes=f"{sum(map(len, scripts.values())) / 1e6:.1f}",
    )  # fmt: skip


def policy(scripts: list[str], style: str, beside: bool) -> str:
    """The Content-Security-Policy: these scripts and this style, those beside the page if need be, and no network."""
    sources = [*map(_digest, scripts), "'wasm-unsafe-eval'", *(["'self'", "file:"] if beside else [])]
    return (
        f"default-src 'none'; script-src {' '.join(sources)}; style-src {_digest(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def names(facts: dict[str, Any]) -> list[str]:
    """Of all classes; those without one are numbered."""
    given = facts["class_names"] or []
    return [given[i] if i < len(given) else f"class {i}" for i in range(facts["num_classes"])]


def rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of what the reader may want to know of the model."""
    side, colour = facts["resolution"], "grey" if facts["channels"] == 1 else "colour"
    found = [
        ("Run", facts.get("run")),
        ("Training", f"{number(facts['kimg'], 6)} kimg (thousands of images shown)" if facts.get("kimg") else None),
        ("Images", f"{side} × {side} pixels, {colour}"),
        ("Classes", f"{facts['num_classes']}" if facts["num_classes"] else None),
        ("Latent", f"{facts['latent_dim']:,} numbers per image"),
        ("Parameters", f"{facts['parameters']:,}" if facts.get("parameters") else None),
        ("Measured", measured(facts)),
        ("Licence of the model", facts.get("license")),
        ("Checkpoint, SHA-256", f"{facts['checkpoint_sha256'][:12]}…" if facts.get("checkpoint_sha256") else None),
        ("Made with", f"transgan {facts['version']}"),
        ("Run in the page by", f"onnxruntime-web {facts['runtime']['version']}"),
    ]
    return [(name, value) for name, value in found if value]


def measured(facts: dict[str, Any]) -> str | None:
    """The number that stands for the model, never without its protocol."""
    if not facts.get("metric") or facts.get("value") is None or not facts.get("protocol"):
        return None
    floor = f" (floor {number(facts['floor'], 4)})" if facts.get("floor") is not None else ""
    return f"{facts['metric']} {number(facts['value'], 4)}{floor}; protocol: {facts['protocol']}"


def _replace(out: Path, fill: Callable[[Path], None], ours: set[str]) -> None:
    """Makes the folder `out` by `fill(folder)`, complete or not at all; one that has `ours` alone is replaced."""
    out = out.absolute()
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a folder, or one that does not exist yet")
    if out.is_dir() and (other := sorted({path.name for path in out.iterdir()} - ours)):
        raise UserError(f"{out} holds other files ({other[0]}), which a page would replace; name another folder")
    new, old = (out.with_name(f"{out.name[:200]}.{secrets.token_hex(4)}{files.SUFFIX}") for _ in range(2))
    try:
        fill(new)
        if out.is_dir():
            out.rename(old)
        try:
            new.rename(out)
        except OSError:
            if old.is_dir():
                old.rename(out)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
