"""Where a network's weights come from, and how they are trained: all alike, or those copied later or slower.

An object for each network of an algorithm: FromScratch, or Pretrained where transgan/warm_start.py has copied weights.
"""

import re

from torch import nn

LAYERS = {"all": ("attn", "mlp"), "attention": ("attn",), "feedforward": ("mlp",)}


class FromScratch:
    """All weights start by chance and are trained alike."""

    def copied(self, network: nn.Module) -> dict[str, nn.Parameter]:
        return {}

    def groups(self, network: nn.Module) -> list[dict]:
        """Groups of parameters for an optimizer, in the order of `rates`; each parameter is in one of them."""
        return [{"params": list(network.parameters())}]

    def rates(self, lr: float) -> list[float]:
        """The learning rate of each group."""
        return [lr]

    def at(self, network: nn.Module, images: int) -> None:
        """Sets what is trained after so many images."""


class Pretrained(FromScratch):
    """Attention and feed-forward weights of the stack that came from an image GPT.

    Args:
        layers: what was copied of a block: "all", "attention" or "feedforward". blocks: of the first so many, or None.
        norms: whether the blocks' norms start at the GPT's too. They are trained as fresh layers are.
        frozen: kimg during which what was copied does not move. lr_factor: its part of the learning rate after that.

    Raises ValueError for numbers out of range.
    """

    def __init__(
        self,
        layers: str = "all",
        blocks: int | None = None,
        norms: bool = False,
        frozen: float = 0.0,
        lr_factor: float = 1.0,
    ):
        if layers not in LAYERS:
            raise ValueError(f"warm_start: layers={layers}: it takes {', '.join(LAYERS)}")
        if blocks is not None and (not isinstance(blocks, int) or blocks < 1):
            raise ValueError(f"warm_start: blocks={blocks}: it takes a whole number, 1 or more, or null for all")
        if frozen < 0 or lr_factor <= 0:
            raise ValueError(
                f"warm_start: frozen={frozen:g} must be at least 0 kimg, and lr_factor={lr_factor:g} more than 0; to "
                "train what was copied not at all, give frozen= the length of the run"
            )
        self.layers, self.blocks, self.norms = layers, blocks, norms
        self.frozen, self.lr_factor = frozen, lr_factor

    def copied(self, network: nn.Module) -> dict[str, nn.Parameter]:
        """The parameters that were copied, by name. Raises ValueError if the network has fewer blocks than wanted."""
        found = {}
        depth = len(network.stages[0].blocks)
        if self.blocks is not None and self.blocks > depth:
            raise ValueError(f"warm_start: blocks={self.blocks}: the stack has {depth}; give at most that many")
        for name, parameter in network.named_parameters():
            place = re.match(r"stages\.0\.blocks\.(\d+)\.(attn|mlp)\.", name)
            if place and int(place[1]) < (self.blocks or depth) and place[2] in LAYERS[self.layers]:
                found[name] = parameter
        return found

    def groups(self, network: nn.Module) -> list[dict]:
        copied = list(self.copied(network).values())
        own = {id(parameter) for parameter in copied}
        return [{"params": [p for p in network.parameters() if id(p) not in own]}, {"params": copied}]

    def rates(self, lr: float) -> list[float]:
        return [lr, lr * self.lr_factor]

    def at(self, network: nn.Module, images: int) -> None:
        """Without a gradient a weight counts for no clipping, and Adam leaves it and its moments alone.

        Not before training begins: DDP adds up the gradients of those weights alone that had one when it was set up.
        """
        for parameter in self.copied(network).values():
            parameter.requires_grad_(images >= 1000 * self.frozen)
