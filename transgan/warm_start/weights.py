"""Weights from one network into another of the same names, and a report of what went where."""

from collections.abc import Mapping

import torch
from torch import Tensor

from transgan import checkpoint


def transplant(weights: Mapping[str, Tensor], parameters: Mapping[str, Tensor]) -> None:
    """Copies weights into the parameters of the same names. Raises CheckpointError unless all of them fit."""
    found = []
    for name, parameter in parameters.items():
        there = tuple(weights[name].shape) if name in weights else "nothing"
        if there != tuple(parameter.shape):
            found.append(f"{name} is {there} in the checkpoint and {tuple(parameter.shape)} in the network")
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise checkpoint.CheckpointError(f"the pretrained weights do not fit: {'; '.join(found[:3])}{more}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def amount(sizes: Mapping[str, int]) -> str:
    return f"{len(sizes)} tensor{'s' * (len(sizes) != 1)}, {sum(sizes.values()):,} parameters"


def parts(sizes: Mapping[str, int]) -> str:
    """The layers that parameters belong to; within blocks by their kind."""
    kinds = {"attn": "attention", "mlp": "feed-forward", "norm1": "norms", "norm2": "norms"}
    found = dict[str, None]()
    for name in sizes:
        layer, *inside = name.split(".")
        if layer == "stages":
            layer = "LayerScale" if inside[-1] == "gamma" else kinds[inside[3]]
            layer += " of the blocks"
        found[layer] = None
    return ", ".join(found) or "nothing"
