"""`transgan.load`: what makes images, from whatever it was kept in."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transgan import exported

if TYPE_CHECKING:
    import torch


def load(path: str | os.PathLike[str], which: str = "best", device: "str | torch.device" = "cpu") -> Any:
    """The trained module of a run or checkpoint, or the sampler of an exported file, ready for `generate(seeds)`.

        images = transgan.load("runs/digits").generate([0, 1, 2])       # uint8, N x C x H x W

    Args:
        path: a run folder; a checkpoint of `transgan train` or of one's own Trainer's ModelCheckpoint; a safetensors
            file of `transgan export`, or a folder that holds one as model.safetensors; hf://USER/NAME or
            hf://USER/NAME@REVISION, such a folder on the Hugging Face Hub.
        which: of a run folder's checkpoints "best" (or the last if there is no best) or "last".
        device: where it goes.

    A run or checkpoint becomes a LightningModule in eval mode; what was exported becomes a transgan.sampling.Sampler,
    for which neither Lightning nor Hydra is imported. Nothing runs that a file names unless it is a class of transgan
    or one that the user trusts. Raises transgan.exported.ExportError or transgan.checkpoint.CheckpointError, which are
    ValueErrors, in a sentence, for what cannot be loaded.
    """
    if exported.is_exported(path):
        return exported.load(path).to(device)
    from transgan import checkpoint

    return checkpoint.load(checkpoint.find(Path(path), which))[0].to(device)
