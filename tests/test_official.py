"""The published names of TransGAN's weights: complete, and read both ways on random weights."""

import pytest
import torch
from hydra.utils import instantiate

from transgan.config.compose import compose
from transgan.layers.position import RelativePositionBias
from transgan.official import STAGES, from_official, official_names, positions, to_official

BLOCK = (
    "attn.qkv.weight",
    "attn.proj.weight",
    "attn.proj.bias",
    *(f"mlp.fc{i}.{k}" for i in (1, 2) for k in ("weight", "bias")),
)
NORMS = tuple(f"norm{i}.norm.{k}" for i in (1, 2) for k in ("weight", "bias"))
TABLE, NOISE = ("attn.relative_position_bias_table",), ("attn.noise_strength_1",)
CROSS = tuple(f"cross_attention.{k}" for k in (
    "q_transform.weight", "k_transform.weight", "v_transform.weight", "proj.weight", "proj.bias", "noise_strength_1",
))  # fmt: skip


def blocks(stages: dict[str, int], *parts):
    return {
        f"{stage}.{i}.{part}"
        for stage, depth in stages.items()
        for i in range(depth)
        for group in parts
        for part in group
    }


def plain(*names):
    return {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}


def pos_embeds(*numbers):
    return {f"pos_embed_{i}" for i in numbers}


SIX = {f"blocks_{i}.block": depth for i, depth in enumerate((5, 4, 4, 4, 4, 4), start=1)}
WANTED = {
    ("cifar10", "generator"): plain("l1", "deconv.0") | pos_embeds(1, 2, 3) | blocks(
        {"blocks.block": 5, "upsample_blocks.0.block": 4, "upsample_blocks.1.block": 2}, BLOCK, NORMS, TABLE),
    ("stl10", "generator"): plain("l1", "deconv.0") | pos_embeds(1, 2, 3) | blocks(
        {"blocks.block": 7, "upsample_blocks.0.block": 5, "upsample_blocks.1.block": 3}, BLOCK, TABLE),
    ("church256", "generator"): plain("l1", "deconv.0") | pos_embeds(*range(1, 7)) | blocks(SIX, BLOCK, TABLE, NOISE),
    ("celebahq256", "generator"): plain("l1", "deconv.0", "embedding_transform") | pos_embeds(*range(1, 7))
    | {"embed_pos"} | blocks(SIX | {"blocks_1.block": 0}, BLOCK, TABLE, NOISE, CROSS),
    ("cifar10", "discriminator"): plain("fRGB_1", "fRGB_2", "norm.norm", "head") | pos_embeds(1, 2) | {"cls_token"}
    | blocks({"blocks_1": 3, "blocks_2": 3}, BLOCK, NORMS, TABLE, NOISE) | blocks({"last_block": 1}, BLOCK, NORMS, NOISE),
    ("stl10", "discriminator"): plain("fRGB_1", "fRGB_2", "head") | pos_embeds(1, 2) | {"cls_token"}
    | blocks({"blocks_1": 3, "blocks_2": 3}, BLOCK, TABLE, NOISE) | blocks({"last_block": 1}, BLOCK, NOISE),
    ("church256", "discriminator"): plain("fRGB_1", "fRGB_2", "fRGB_3", "norm.norm", "head") | pos_embeds(1, 2, 3)
    | {"cls_token"} | blocks({"blocks_1": 2, "blocks_11": 1, "blocks_2": 3, "blocks_3": 4}, BLOCK, NORMS, TABLE)
    | blocks({"last_block": 1}, BLOCK, NORMS),
    ("celebahq256", "discriminator"): plain("fRGB_1", "fRGB_2", "fRGB_3", "norm.norm", "head") | pos_embeds(1, 2, 3)
    | {"cls_token"}
    | blocks({"blocks_1": 3, "blocks_2": 2, "blocks_21": 1, "blocks_3": 4, "last_block": 1}, BLOCK, NORMS),
}  # fmt: skip


def network(architecture, group, part=1):
    config = compose("train", [f"experiment=transgan_{architecture}", "data.path=/x"])[group]
    config.num_classes = 0
    config.dim = [width // part for width in config.dim]
    if part > 1:
        config.num_heads = [1] * len(config.dim)
    return config


def on_meta(config):
    with torch.device("meta"):
        return instantiate(config, _convert_="all")


@pytest.mark.parametrize("architecture, group", WANTED)
def test_names_are_the_published_ones(architecture, group):
    names = official_names(on_meta(network(architecture, group)).state_dict(), architecture)
    assert set(names.values()) == WANTED[architecture, group]
    assert len(names) == len(WANTED[architecture, group])


def test_names_stand_for_the_same_things():
    names = official_names(on_meta(network("celebahq256", "generator")).state_dict(), "celebahq256")
    assert names["stages.1.blocks.3.cross_attn.k.weight"] == "blocks_2.block.3.cross_attention.k_transform.weight"
    assert names["unread.4"] == "blocks_3.block.0.cross_attention.noise_strength_1"
    names = official_names(on_meta(network("church256", "discriminator")).state_dict(), "church256")
    assert names["stages.2.blocks.1.attn.bias.table"] == "blocks_2.1.attn.relative_position_bias_table"
    assert names["embeds.3.embed.proj.bias"] == "fRGB_3.bias" and names["embeds.2.pos_embed"] == "pos_embed_2"
    with pytest.raises(KeyError):
        official_names(["to_rgb.weight", "label_embed.weight"], "cifar10")


def random_state(architecture, group):
    shapes = {name: tuple(v.shape) for name, v in on_meta(network(architecture, group, 16)).state_dict().items()}
    return {name: torch.randn(shape) for name, shape in shapes.items()}, shapes


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("architecture", STAGES)
@pytest.mark.parametrize("group", ["generator", "discriminator"])
def test_both_ways(architecture, group, prefix):
    state, shapes = random_state(architecture, group)
    theirs = {prefix + name: value for name, value in to_official(state, architecture).items()}
    assert all(
        theirs[prefix + official].equal(state[ours]) for ours, official in official_names(state, architecture).items()
    )
    for name in list(theirs):
        if name.endswith("bias_table") and len(theirs[name]) < 5000:
            side = (round(len(theirs[name]) ** 0.5) + 1) // 2
            theirs[name.replace("bias_table", "index")] = positions(side)
    theirs[prefix + "Hz_fbank"] = torch.randn(4, 12)
    back, findings = from_official(theirs, shapes, architecture)
    assert findings == [] and set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_every_difference_is_found():
    state, shapes = random_state("cifar10", "discriminator")
    theirs = to_official(state, "cifar10")
    del theirs["cls_token"], theirs["blocks_2.0.norm1.norm.bias"]
    theirs |= {"extra": torch.ones(1), "head.weight": torch.ones(1, 3)}
    theirs["blocks_1.0.attn.relative_position_index"] = positions(4).T
    assert from_official(theirs, shapes, "cifar10")[1] == [
        "blocks_1.0.attn.relative_position_index is not the index of a square grid in raster order",
        "blocks_2.0.norm1.norm.bias is missing", "cls_token is missing", "extra is unknown",
        "head.weight is (1, 3) and not (1, 24)",
    ]  # fmt: skip


def test_places_are_those_of_the_bias():
    assert torch.equal(positions(5), RelativePositionBias(1, (5, 5)).index)
