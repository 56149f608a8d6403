"""A network of one's own as a feature extractor: whatever a configuration names with `_target_`."""

import copy

import torch
from torch import Tensor, nn

from transgan.metrics.extractors.extractor import Extractor, state_hash
from transgan.metrics.sampling import ImageData

RESERVED = {"inception", "fid", "is", "kid"}


class FromModule(Extractor):
    """`module` takes uint8 images N x C x H x W, as they are in the data, and returns features N x D, or a pair of
    features N x D and logits N x K. The numbers are named after `name`.

    A copy is taken, in eval mode and without gradients: what happens to `module` afterwards changes nothing here.
    """

    rgb = False
    preprocessing = "whatever the module does"

    def __init__(self, module: nn.Module, name: str):
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"extractor.module is {type(module).__name__}, not a torch module: name its class in "
                f"extractor.module._target_."
            )
        if not str(name).isidentifier() or str(name).lower() in RESERVED:
            raise ValueError(
                f"extractor.name={name} cannot be used: give characters a to z, digits and underscores, but not "
                f"{', '.join(sorted(RESERVED))}, which mean the standard Inception."
            )
        self.module, self.name = module, name

    def load(self, dataset: ImageData) -> nn.Module:
        network = copy.deepcopy(self.module)
        self.hash = state_hash(network, type(network).__qualname__)
        return network

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        made = self.network(images)
        features, logits = made if isinstance(made, tuple | list) and len(made) == 2 else (made, None)
        for tensor in (features, *(() if logits is None else (logits,))):
            if not isinstance(tensor, torch.Tensor) or tensor.ndim != 2 or len(tensor) != len(images):
                shape = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
                raise ValueError(
                    f"The module of extractor={self.name} must return features N x D, or these and logits "
                    f"N x K; for {len(images)} images it returned {shape}."
                )
        return features, logits
