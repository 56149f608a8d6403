"""Initialisation of linear layers."""

from collections.abc import Collection

from torch import nn


def xavier(network: nn.Module, leave: Collection[nn.Module] = ()) -> None:
    """Xavier-uniform weights (Glorot and Bengio, 2010) and zero biases in every linear layer but those in `leave`."""
    for module in network.modules():
        if isinstance(module, nn.Linear) and module not in leave:
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
