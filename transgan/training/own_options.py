"""Optimizers that continue with the options of today's configuration."""

from typing import Any

import torch


def with_own_options(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimizer, which takes the states of a checkpoint and keeps its own options: how it computes (`fused`), and
    what a configuration changes on purpose (`eps`, `weight_decay`). By itself torch takes the checkpoint's."""

    def keep(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        groups = [
            saved | {key: own[key] for key in optimizer.defaults if key in own}
            for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=False)
        ]
        return state | {"param_groups": groups} if len(groups) == len(state["param_groups"]) else state

    optimizer.register_load_state_dict_pre_hook(keep)
    return optimizer
