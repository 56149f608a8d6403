"""How weights that were copied from a pretrained network are trained: frozen for some time, or more slowly.

transgan/warm_start.py copies them.
"""

import re

from torch import nn

LAYERS = {"all": ("attn", "mlp"), "attention": ("attn",), "feedforward": ("mlp",)}


class Pretrained:
    """Attention and feed-forward weights of the stack that came from an image GPT.

    Args:
        layers: what was copied of a block: "all", "attention" or "feedforward".
        blocks: of the first so many blocks; None for all.
        norms: whether the blocks' norms start at the GPT's too. They are trained as layers from scratch are.
        frozen: kimg during which the copied weights do not move. lr_factor: of their learning rate after that.

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
                "never train what was copied, give frozen= the length of the run"
            )
        self.layers, self.blocks, self.norms = layers, blocks, norms
        self.frozen, self.lr_factor = frozen, lr_factor

    def copied(self, network: nn.Module) -> dict[str, nn.Parameter]:
        """The copied parameters by name. Raises ValueError if the network has fewer blocks than asked for."""
        found = {}
        depth = len(network.stages[0].blocks)  # type: ignore[index, union-attr]
        if self.blocks is not None and self.blocks > depth:
            raise ValueError(f"warm_start: blocks={self.blocks}: the stack has {depth}; give at most that many")
        for name, parameter in network.named_parameters():
            match = re.match(r"stages\.0\.blocks\.(\d+)\.(attn|mlp)\.", name)
            if match and int(match[1]) < (self.blocks or depth) and match[2] in LAYERS[self.layers]:
                found[name] = parameter
        return found

    def parameter_groups(self, network: nn.Module) -> list[dict[str, list[nn.Parameter]]]:
        """Two groups for an optimizer: the other parameters, and the copied ones."""
        copied = list(self.copied(network).values())
        ids = {id(parameter) for parameter in copied}
        return [{"params": [p for p in network.parameters() if id(p) not in ids]}, {"params": copied}]

    def learning_rates(self, lr: float) -> list[float]:
        """Of the two groups."""
        return [lr, lr * self.lr_factor]

    def freeze_until_due(self, network: nn.Module, images: int) -> None:
        """Freezes or unfreezes the copied parameters, after so many images.

        Without a gradient a weight counts for no clipping, and Adam leaves it and its moments alone. Not before
        training begins: DDP all-reduces the gradients of those weights alone that had one when it was set up.
        """
        for parameter in self.held(network).values():
            parameter.requires_grad_(images >= 1000 * self.frozen)

    def held(self, network: nn.Module) -> dict[str, nn.Parameter]:
        """The parameters that may be frozen."""
        return self.copied(network)


class PretrainedNetwork(Pretrained):
    """The weights that a network has in common with the flow, or the flow's one-step student, that it begins with.

    Args:
        freeze: which of them do not move for the first `frozen` kimg: "stack", all attention and feed-forward layers,
            "attention", "feedforward", or "all". Most of a network may be frozen, as in D2O (Zheng et al., 2025).
        frozen: kimg. lr_factor: of the learning rate, for all of them.

    Raises ValueError for numbers out of range, and for copying nothing.
    """

    OWN = ("heads",)  # layers that no flow has

    def __init__(self, freeze: str = "stack", frozen: float = 0.0, lr_factor: float = 1.0):
        kinds = {"stack": "all", "attention": "attention", "feedforward": "feedforward", "all": "all"}
        if freeze not in kinds:
            raise ValueError(f"warm_start: freeze={freeze}: it takes {', '.join(kinds)}")
        super().__init__(kinds[freeze], frozen=frozen, lr_factor=lr_factor)
        self.freeze = freeze

    def copied(self, network: nn.Module) -> dict[str, nn.Parameter]:
        """The copied parameters by name."""
        return {n: p for n, p in network.named_parameters() if n.split(".")[0] not in self.OWN}

    def held(self, network: nn.Module) -> dict[str, nn.Parameter]:
        return self.copied(network) if self.freeze == "all" else super().copied(network)

    def described(self) -> list[str]:
        """How it is trained, in sentences; none where as everything else."""
        what = {"stack": "the stack's attention and feed-forward layers", "all": "what was copied"}
        held = what.get(self.freeze, f"the stack's {self.freeze} layers")
        found = [f"{held} are frozen for {self.frozen:g} kimg"] if self.frozen else []
        return found + ([f"what was copied has {self.lr_factor:g} of the learning rate"] if self.lr_factor != 1 else [])
