"""to=torch: a program of torch.export, which runs without this package."""

import io
import json
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from transgan import files
from transgan.exporting.checks import Difference, checked
from transgan.exporting.network import ImagesFromLatents, Inputs
from transgan.exporting.source import Source
from transgan.sampling import LatentSampler
from transgan.sampling.pixels import rounded


class One(nn.Module):
    """One of the two outputs of a network, 0 or 1."""

    def __init__(self, network: ImagesFromLatents, index: int) -> None:
        super().__init__()
        self.network, self.index = network, index

    def forward(self, latent: Tensor, label: Tensor | None = None, psi: Tensor | None = None) -> Tensor:
        return self.network(latent, label, psi)[self.index]


def traced(network: nn.Module, example: Inputs) -> torch.export.ExportedProgram:
    """The graph of a network that takes inputs like the example, for any number of images."""
    count = torch.export.Dim("N", min=1, max=2**20)
    shapes = {name: {0: count} if value.ndim else None for name, value in example.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(network, (), example, dynamic_shapes=shapes, strict=False)


def without_traces(program: torch.export.ExportedProgram) -> None:
    """Takes out where in our code each operation was made, with the paths of this machine."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)


def write(source: Source, out: Path, output: str = "uint8") -> Difference:
    """Writes a .pt2 file whose program takes latent, label and psi by name, as far as there are, and returns images.

    In it, as an extra file, is transgan.json. Raises UserError where it makes other images than PyTorch.
    """
    sampler = cast(LatentSampler, source.sampler)
    network = ImagesFromLatents(sampler.network, sampler.num_classes).eval()
    program = traced(One(network, ("uint8", "float").index(output)), network.example())
    both: Any = traced(network, network.example()).module()  # values before they are rounded
    extra = {"transgan.json": json.dumps(files.plain(source.facts))}
    without_traces(program)
    memory = io.BytesIO()  # torch's writer has errors of its own for a disk that is full
    torch.export.save(program, memory, extra_files=extra)
    loaded: Any = torch.export.load(io.BytesIO(memory.getvalue())).module()

    def run(inputs: Inputs) -> tuple[Tensor, Tensor]:
        images = loaded(**inputs)
        if output == "uint8":
            return images, both(**inputs)[1]
        return rounded(images), images

    with torch.no_grad():
        found = checked(run, network, sampler, str(out))
    with files.replacing(out) as file:
        file.write(memory.getvalue())
    return found
