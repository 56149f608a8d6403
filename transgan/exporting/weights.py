"""to=safetensors: the weights, and in the header and beside them, as JSON, what they are and how they are built."""

import json
from pathlib import Path

import torch
from safetensors.torch import save

from transgan import exported, files
from transgan.errors import UserError
from transgan.exporting.source import Source
from transgan.sampling import TokenSampler


def write(source: Source, out: Path) -> str:
    """Writes OUT.safetensors and OUT.json, and reads them back -> what was checked, in a sentence.

    Raises UserError where what is read does not make the same images; then nothing is left.
    """
    text = json.dumps(files.plain(source.facts))
    state = source.sampler.network.state_dict()
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    data = save(weights, metadata={"format": "pt", "transgan": text})
    with files.replacing(out) as file:
        file.write(data)
        file.flush()
        again, seeds = exported.load(file.name), [0, 1]
        quick = not isinstance(source.sampler, TokenSampler)  # an image token by token takes long
        same = all(torch.equal(value, weights[name]) for name, value in again.network.state_dict().items())
        if not same or quick and not torch.equal(again.generate(seeds), source.sampler.generate(seeds)):
            raise UserError(f"{out}: what was written makes other images when it is read; nothing was kept")
    files.write_json(out.with_suffix(".json"), source.facts)
    images = f", and so are the images of seeds {seeds[0]} and {seeds[1]}" if quick else ""
    return f"read back without pickle: all weights are the same{images}"
