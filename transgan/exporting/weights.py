"""to=safetensors: the weights, and in the header and beside them, as JSON, what they are and how they are built."""

import json
from pathlib import Path

import torch
from safetensors.torch import save

from transgan import exported, files
from transgan.errors import UserError
from transgan.exporting.source import Source


def write(source: Source, out: Path) -> str:
    """Writes OUT.safetensors and OUT.json, and reads them back -> what was checked, in a sentence.

    Raises UserError where what is read does not make the same images; then nothing is left.
    """
    text = json.dumps(files.plain(source.facts), ensure_ascii=False)
    state = source.sampler.network.state_dict()
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    data = save(weights, metadata={"format": "pt", "transgan": text})
    with files.replacing(out) as file:
        file.write(data)
        file.flush()
        again = exported.load(file.name)
        seeds = [0, 1]
        if not torch.equal(again.generate(seeds), source.sampler.generate(seeds)):
            raise UserError(f"{out}: what was written makes other images when it is read; nothing was kept")
    files.write_json(out.with_suffix(".json"), source.facts)
    return f"read back without pickle; the images of seeds {seeds[0]} and {seeds[1]} are the same"
