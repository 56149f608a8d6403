"""`transgan export`: a trained generator in the formats of other programs."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from transgan import files
from transgan.data.dataset import readable
from transgan.errors import UserError, setting_up
from transgan.exporting import hub, onnx, program, weights
from transgan.exporting.source import Source
from transgan.runs.folder import open_console
from transgan.runs.names import wrong_folder, wrong_suffix
from transgan.runs.run import opened
from transgan.runs.sample_files import plain

SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "torch": ".pt2", "web": "-web", "hub": "-hub"}
OWN = {  # a key: the formats that it has an effect on
    "output": ("onnx", "torch"), "precision": ("onnx", "web"), "opset": ("onnx", "web"), "single": ("web",),
    "runtime": ("web",), "data_license": ("hub",), "dataset": ("hub",), "push": ("hub",), "private": ("hub",),
}  # fmt: skip
DEFAULTS = {"output": "uint8", "precision": "fp32", "single": False, "private": True}
AT_ONCE = ("onnx", "torch", "web")


def main(config: DictConfig, arguments: list[str]) -> int:
    """Exports. Returns the exit code."""
    export(config)
    return 0


def export(config: DictConfig) -> Path:
    """Writes what `to` says, checked -> the file or folder."""
    with setting_up("out=PATH"):
        console = open_console()
        check(config)
        source = Source(opened(config.run, config.checkpoint, ema=config.weights == "ema"), config.run, config.license)
        if config.to in AT_ONCE and not source.at_once:
            raise UserError(
                f"to={config.to}: {source.run.path} makes images {source.sampler.how}, and a graph of this kind makes "
                "them at once from a latent; to=safetensors exports what it is, and transgan.load samples from it"
            )
        out = files.expanded(config.out) if config.out else default_out(source, config)
        said = FORMATS[config.to](source, out, config)
        console.print(f"wrote   {out} ({readable(size(out))})")
        for line in said:
            name, colon, rest = line.partition(": ")
            console.print(f"{name:<7} {rest}" if colon and name in ("note", "pushed", "takes") else f"checked {line}")
        return out


def check(config: DictConfig) -> None:
    """What can be said to be wrong before anything is read; all of it at once."""
    to, found = config.to, []
    for key, formats in OWN.items():
        if config[key] != DEFAULTS.get(key) and to not in formats:
            have = " or to=".join(formats)
            found.append(f"{key}={word(config[key])}: it is for to={have}, and this is to={to}; leave it out")
    if to == "hub":
        for key, of in (("license", "the weights"), ("data_license", "the images it was trained on")):
            if config[key] is None:
                found.append(f"to=hub: a card says the licence of {of}: give {key}=..., such as cc-by-4.0, or unknown")
        if config.push is not None and not hub.is_hub_name(config.push):
            found.append(f"push={config.push}: write USER/NAME")
    if config.private is False and config.push is None and to == "hub":
        found.append("private=false: nothing is uploaded; add push=USER/NAME, or leave it out")
    if to in ("onnx", "web"):
        found += onnx.missing(to)
        if config.opset is not None and not onnx.LEAST <= config.opset <= onnx.MOST:
            found.append(f"opset={config.opset}: give {onnx.LEAST} to {onnx.MOST}")
    folder = to == "hub" or to == "web" and not config.single
    suffix = ".html" if to == "web" else SUFFIXES[to]
    if folder:
        found += wrong_folder("out", config.out, *SUFFIXES.values(), ".html", ".zip")
        found += not_ours(config.out)
    else:
        found += wrong_suffix("out", config.out, suffix)
    if found:
        raise UserError(*found)


def word(value: Any) -> str:
    """A value as it is typed."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def not_ours(out: Any) -> list[str]:
    """A sentence for a folder with other things in it, which would be gone."""
    if out is None or not (folder := files.expanded(out)).is_dir():
        return []
    names = {path.name for path in folder.iterdir()}
    if not names or {"model.safetensors", "training.yaml"} <= names or {"index.html", "model.js"} <= names:
        return []
    return [f"out={out}: there are other files in this folder; name one that is empty or does not exist"]


def default_out(source: Source, config: DictConfig) -> Path:
    """RUN/exports/NAME-30kimg.onnx, with what was asked for besides."""
    name = f"{plain(Path(source.run.name).name)}-{source.run.kimg:g}kimg"
    name += "-raw" if config.weights == "raw" else ""
    name += "-float" if config.output == "float" else ""
    name += "-fp16" if config.precision == "fp16" else ""
    suffix = ".html" if config.to == "web" and config.single else SUFFIXES[config.to]
    return source.run.folder / "exports" / f"{name}{suffix}"


def to_safetensors(source: Source, out: Path, config: DictConfig) -> list[str]:
    return [weights.write(source, out), f"takes: transgan.load({str(out)!r}).generate([0, 1, 2])"]


def to_onnx(source: Source, out: Path, config: DictConfig) -> list[str]:
    found = onnx.write(source, out, config.output, config.precision, config.opset)
    return [f"against PyTorch by onnxruntime, {ON}: {found.said}", f"takes: {source.signature(config.output)}"]


def to_torch(source: Source, out: Path, config: DictConfig) -> list[str]:
    found = program.write(source, out, config.output)
    return [f"against PyTorch, {ON}: {found.said}", f"takes: {source.signature(config.output)}"]


def to_hub(source: Source, out: Path, config: DictConfig) -> list[str]:
    card = hub.Card(config.license, config.data_license, config.dataset, config.push)
    said = hub.write(source, out, card)
    if config.push is None:
        return [*said, f"note: look at {out / hub.CARD}, edit it; the same command with push=USER/NAME uploads it"]
    return [*said, f"pushed: {hub.push(out, config.push, config.private)}"]


def to_web(source: Source, out: Path, config: DictConfig) -> list[str]:
    from transgan.exporting.web import page
    from transgan.exporting.web.runtime import Runtime

    runtime = Runtime.find(config.runtime)
    data, found = onnx.converted(source, str(out), "uint8", config.precision, config.opset)
    facts = {key: value for key, value in source.facts.items() if key not in ("sampler", "format")}
    page.write(out, data, facts | {"name": source.run.name, "has_psi": source.has_psi}, runtime, config.single)
    first = out if config.single else out / "index.html"
    return [f"against PyTorch by onnxruntime, {ON}: {found.said}", f"note: open {first} in a browser"]


ON = "on 64 seeds in batches of 1 and of 7"
FORMATS = {
    "safetensors": to_safetensors, "onnx": to_onnx, "torch": to_torch, "web": to_web, "hub": to_hub,
}  # fmt: skip


def size(out: Path) -> int:
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) if out.is_dir() else out.stat().st_size
