"""The run that others begin with: its network's configuration and EMA weights."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from transgan import checkpoint, files

LISTS = ("dim", "depth", "num_heads")  # with one number per stage, of which a source has one
KINDS = {
    "ImageGPT": "image GPT", "MaskedImages": "masked model", "FlowTransformer": "flow", "OneStep": "one-step generator",
}  # fmt: skip
OTHERS = {  # by the algorithm, of which nothing is copied
    "Adversarial": "GAN", "Variational": "VAE", "Autoregressive": "PixelRNN", "Drifting": "drifting model",
    "TransGANOfficial": "GAN",
}  # fmt: skip
HOW = {  # to train one
    "image GPT": "algorithm=image_gpt", "masked model": "algorithm=masked", "flow": "algorithm=flow",
    "one-step generator": "algorithm=student",
}  # fmt: skip


@dataclass
class Source:
    """A run to start from: its checkpoint, its network's configuration and its EMA weights.

    config: of the whole run. data, class_names: the images that it was trained on. begun_with: what it has written of
    the run that it began with itself.
    """

    kind: str
    path: Path
    sha256: str
    network: dict[str, Any]
    weights: dict[str, Tensor]
    kimg: float
    config: dict[str, Any]
    data: str | None = None
    class_names: list[str] = field(default_factory=list)
    begun_with: dict[str, Any] | None = None

    @property
    def num_classes(self) -> int:
        return int(self.network.get("num_classes") or 0)

    @property
    def holdout(self) -> float:
        """The share of its images that it was not trained on."""
        return float(self.config.get("holdout") or 0.0)

    @property
    def said(self) -> str:
        """the flow of PATH (60 kimg, sha256 0123...), for a report."""
        return f"the {self.kind} of {self.path} ({self.kimg:g} kimg, sha256 {self.sha256[:12]})"


def read(path: str, kinds: list[str]) -> Source:
    """The network of a run folder or checkpoint. Raises CheckpointError for a run of none of these kinds."""
    file = checkpoint.find(path)
    saved = checkpoint.read(file)
    name, network, kind = network_of(saved["config"], path, kinds)
    prefix = f"{name}_ema."
    weights = {n.removeprefix(prefix): v for n, v in saved["state_dict"].items() if n.startswith(prefix)}
    if not any(n.startswith("stages.0.") for n in weights):
        raise other_kind(saved["config"], path, kinds, None)
    return Source(
        kind, file.resolve(), files.sha256(file), network, weights, saved["images_seen"] / 1000, saved["config"],
        saved.get("data"), list(saved.get("class_names") or []), saved.get("begun_with"),
    )  # fmt: skip


def planned(config: dict[str, Any], path: str, kinds: list[str]) -> Source:
    """The network of a run that is yet to be trained at a place, by its configuration: its shape, and no weights."""
    _, network, kind = network_of(config, path, kinds)
    return Source(kind, Path(path), "", network, {}, 0.0, config)


def network_of(config: dict[str, Any], path: str, kinds: list[str]) -> tuple[str, dict[str, Any], str]:
    """-> (the name of what a run trains, its configuration, its kind)"""
    name = "network" if "network" in config["algorithm"] else "generator"
    network = config["algorithm"].get(name) or {}
    kind = KINDS.get(str(network.get("_target_")).split(".")[-1])
    if kind is None or kind not in kinds:
        raise other_kind(config, path, kinds, kind)
    return name, network, kind


def other_kind(config: dict[str, Any], path: str, kinds: list[str], kind: str | None) -> checkpoint.CheckpointError:
    own = str(config["algorithm"].get("_target_", "another kind")).split(".")[-1]
    found = own if (word := kind or OTHERS.get(own)) is None else f"{article(word)} {word}"
    return checkpoint.CheckpointError(
        f"checkpoint={path}: that is a run of {found}, and this needs {one_of(kinds)}; train one with {ways(kinds)}"
    )


def one_of(kinds: list[str]) -> str:
    """a flow, a masked model or an image GPT"""
    return listed([f"{article(kind)} {kind}" for kind in kinds])


def ways(kinds: list[str]) -> str:
    """algorithm=flow or algorithm=masked"""
    return listed([HOW[kind] for kind in kinds])


def listed(words: list[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def article(kind: str) -> str:
    return "an" if kind[0] in "aei" else "a"
