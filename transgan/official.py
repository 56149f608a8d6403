"""The names of weights in the published code of TransGAN and in this package: one table, read in both directions.

Names are facts; nothing else is taken from that code. The weights themselves have the same layout.
"""

import re
from collections.abc import Iterable

import torch
from torch import Tensor

# Our name -> the published one; a name that ends in a dot stands for all that begin with it.
GENERATOR = {
    "embed.": "l1.",
    "context.": "embedding_transform.",
    "context_pos": "embed_pos",
    **{f"pos_embed.{i}": f"pos_embed_{i + 1}" for i in range(6)},
    "to_rgb.": "deconv.0.",
}
DISCRIMINATOR = {
    "cls_token": "cls_token",
    "norm.": "norm.norm.",
    "head.": "head.",
}
BLOCK = {  # within each block of either
    "norm1.": "norm1.",
    "norm2.": "norm2.",
    "noise.strength": "attn.noise_strength_1",
    "attn.bias.table": "attn.relative_position_bias_table",
    "attn.": "attn.",
    "mlp.": "mlp.",
    "cross_attn.q.": "cross_attention.q_transform.",
    "cross_attn.k.": "cross_attention.k_transform.",
    "cross_attn.v.": "cross_attention.v_transform.",
    "cross_attn.proj.": "cross_attention.proj.",
}
UNREAD = "cross_attention.noise_strength_1"  # unread.{number} of each block, counted over all stages
SMALL = ("blocks.block", "upsample_blocks.0.block", "upsample_blocks.1.block"), ("blocks_1", "blocks_2"), (0, 1)
LARGE = tuple(f"blocks_{i}.block" for i in range(1, 7))
# Published prefixes of the blocks of each stage, of generator and discriminator; its stages that begin a scale.
STAGES = {
    "cifar10": SMALL,
    "stl10": SMALL,
    "church256": (LARGE, ("blocks_1", "blocks_11", "blocks_2", "blocks_3"), (0, 2, 3)),
    "celebahq256": (LARGE, ("blocks_1", "blocks_2", "blocks_21", "blocks_3"), (0, 1, 3)),
}
# Stored there and computed by this package: indices of the biases, which are checked, and filters of augmentation.
POSITIONS = "attn.relative_position_index"
DERIVED = (POSITIONS, "Hz_fbank", "Hz_geom")
# The entries of published training checkpoints: weights, with the network they are of, and what is ignored.
WEIGHTS = {"gen_state_dict": "generator", "avg_gen_state_dict": "generator_ema", "dis_state_dict": "discriminator"}
OTHERS = (
    "epoch", "gen_model", "dis_model", "gen_optimizer", "dis_optimizer", "best_fid", "path_helper", "fixed_z",
)  # fmt: skip


def official_names(names: Iterable[str], architecture: str) -> dict[str, str]:
    """Our names of one network's weights, all of them -> the published ones. Raises KeyError for a name of no rule."""
    names = list(names)
    of_generator, of_discriminator, scales = STAGES[architecture]
    is_generator = "to_rgb.weight" in names
    stages, table = (of_generator, dict(GENERATOR)) if is_generator else (of_discriminator, dict(DISCRIMINATOR))
    for scale, i in enumerate(scales, start=1):
        table |= {f"embeds.{i}.embed.proj.": f"fRGB_{scale}.", f"embeds.{i}.pos_embed": f"pos_embed_{scale}"}
    found, unread = {}, 0
    for name in names:
        match = re.fullmatch(r"(?:stages\.(\d+)|last)\.blocks\.(\d+)\.(.+)", name)
        if match is None:
            if not name.startswith("unread."):
                found[name] = renamed(name, table)
            continue
        stage = "last_block" if match[1] is None else stages[int(match[1])]
        found[name] = f"{stage}.{match[2]}.{renamed(match[3], BLOCK)}"
        if is_generator and match[3] == "attn.qkv.weight" and f"unread.{unread}" in names:
            found[f"unread.{unread}"] = f"{stage}.{match[2]}.{UNREAD}"
            unread += 1
    return found


def renamed(name: str, table: dict[str, str]) -> str:
    for ours, theirs in table.items():
        if name == ours or ours.endswith(".") and name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise KeyError(name)


def to_official(state: dict[str, Tensor], architecture: str) -> dict[str, Tensor]:
    """The weights of one of our networks under the published names."""
    names = official_names(state, architecture)
    return {names[name]: value for name, value in state.items()}


def from_official(
    state: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], architecture: str
) -> tuple[dict[str, Tensor], list[str]]:
    """Published weights under our names, and all their differences from a network of ours with these names and shapes.

    The names may have the prefix `module.` of wrapped networks.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    names = official_names(shapes, architecture)
    known = set(names.values())
    findings = [f"{name} is missing" for name in known if name not in state]
    findings += [f"{name} is unknown" for name in state if name not in known and not name.endswith(DERIVED)]
    for ours, theirs in names.items():
        if theirs in state and tuple(state[theirs].shape) != shapes[ours]:
            findings.append(f"{theirs} is {tuple(state[theirs].shape)} and not {shapes[ours]}")
    for name, value in state.items():
        if name.endswith(POSITIONS) and not torch.equal(value.cpu(), positions(round(len(value) ** 0.5))):
            findings.append(f"{name} is not the index of a square grid in raster order")
    return {ours: state[theirs] for ours, theirs in names.items() if theirs in state}, sorted(findings)


def positions(side: int) -> Tensor:
    """The row of the table (T, T) for each pair of tokens of a square, as in layers.position.RelativePositionBias."""
    y, x = torch.arange(side**2) // side, torch.arange(side**2) % side
    return (y[:, None] - y[None] + side - 1) * (2 * side - 1) + (x[:, None] - x[None] + side - 1)
