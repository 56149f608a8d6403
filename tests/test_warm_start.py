"""Warm start: the GPT's shape and weights go into the GAN's networks and back, and what does not fit is refused."""

import hashlib

import pytest
import torch
from omegaconf import OmegaConf

from transgan import checkpoint, warm_start
from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.layers.norm import ScaledNorm, SelfModulatedNorm, StyleNorm
from transgan.training.pretrained import Pretrained

GPT = [
    "experiment=digits_gpt", "algorithm.network.dim=16", "algorithm.network.depth=3", "algorithm.network.num_heads=4",
    "algorithm.network.mlp_ratio=3.0",
]  # fmt: skip
BOTH = ["generator=from_gpt", "discriminator=from_gpt"]
BLOCK = 16 * 48 + 48 + 4 + 4 + 16 * 16 + 16 + 16 * 64 + 64 + 32 * 16 + 16  # qkv, q and k norm, proj, fc1, fc2
NORMS = 2 * 16


@pytest.fixture
def make_gpt(tmp_path):
    """Writes the checkpoint of an image GPT with random weights everywhere: make_gpt(*words) -> its path."""

    def make(*words, name="gpt.ckpt", classes=3):
        config = compose("train", [*GPT, *words])
        config.num_classes = classes
        config = OmegaConf.to_container(config, resolve=True)
        module = checkpoint.build(config)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
        saved = {"state_dict": module.state_dict(), "config": config, "images_seen": 640}
        checkpoint.AtomicCheckpointIO().save_checkpoint(saved, tmp_path / name)
        return tmp_path / name

    return make


def settled(*words):
    """-> (the configuration, the GPT)"""
    config = compose("train", list(words))
    gpt = warm_start.settle(config, list(words))
    config.num_classes = 3
    return config, gpt


def started(*words):
    """-> (the module with the weights of the GPT, the GPT, the lines of the report)"""
    config, gpt = settled(*words)
    torch.manual_seed(config.seed)
    module = checkpoint.build(OmegaConf.to_container(config, resolve=True))
    return module, gpt, warm_start.begin(gpt, module)


@pytest.mark.parametrize("tokens", ["pixels", "patches"])
@pytest.mark.parametrize("name", ["generator", "discriminator"])
def test_from_the_gpt_into_a_network_and_back_the_logits_are_the_same(make_gpt, tokens, name):
    path = make_gpt(f"tokens={tokens}", "tokens.levels=17")
    module, _, _ = started(f"{name}=from_gpt", f"checkpoint={path}")
    gpt = checkpoint.load(path)[0].network_ema
    images, labels = torch.randint(17, (4, 1, 8, 8)) / 8 - 1, torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        tokens = gpt.tokens.tokens(images)
        logits, nats = gpt.tokens.head(gpt.features(tokens, labels)), gpt(images, labels)
        places = Pretrained().copied(gpt)
        for place in places.values():
            place.zero_()
        assert not torch.equal(gpt(images, labels), nats)
        warm_start.transplant(dict(getattr(module, name).named_parameters()), places)
        assert torch.equal(gpt.tokens.head(gpt.features(tokens, labels)), logits)
        assert torch.equal(gpt(images, labels), nats)


def test_the_averaged_weights_go_into_both_networks_and_the_average_follows(make_gpt):
    path = make_gpt("tokens=patches")
    module, gpt, _ = started(*BOTH, f"checkpoint={path}")
    saved = torch.load(path, weights_only=True)["state_dict"]
    for name in Pretrained().copied(module.generator):
        assert not torch.equal(saved[f"network_ema.{name}"], saved[f"network.{name}"])
        for network in (module.generator, module.generator_ema, module.discriminator):
            assert torch.equal(network.get_parameter(name), saved[f"network_ema.{name}"])
    for name, value in module.generator.state_dict().items():
        assert torch.equal(module.generator_ema.state_dict()[name], value)
    assert gpt.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_not_copied_is_as_without_a_warm_start(make_gpt):
    words = [*BOTH, f"checkpoint={make_gpt()}"]
    config, _ = settled(*words)
    torch.manual_seed(config.seed)
    plain = checkpoint.build(OmegaConf.to_container(config, resolve=True))
    module, _, _ = started(*words)
    for name in ("generator", "discriminator"):
        own = set(Pretrained().copied(getattr(module, name)))
        for key, value in getattr(module, name).state_dict().items():
            assert torch.equal(value, getattr(plain, name).state_dict()[key]) == (key not in own), key


def test_the_shape_is_the_gpts(make_gpt):
    """Whatever the experiment says: cifar10_tiny has other widths."""
    path = make_gpt("tokens=patches", "tokens.patch_size=4", "resolution=16", "channels=3")
    config, gpt = settled("experiment=cifar10_tiny", "data=folder", "data.path=/x", *BOTH, f"checkpoint={path}")
    for name in ("generator", "discriminator"):
        shape = {key: config[name][key] for key in ("dim", "depth", "num_heads", "mlp_ratio", "patch_size")}
        assert shape == {"dim": [16], "depth": [3], "num_heads": [4], "mlp_ratio": 3.0, "patch_size": 4}
        assert config.algorithm[name].dim == [16]
    assert config.warm_start.source == str(path) and config.warm_start.sha256 == gpt.sha256


def test_pixels_are_no_patches(make_gpt):
    path = make_gpt("tokens=pixels")
    assert settled("generator=from_gpt", f"checkpoint={path}", "generator.patch_size=4")[0].generator.patch_size == 4


@pytest.mark.parametrize(
    "word", ["qk_norm=false", "qkv_bias=false", "mlp_layer={_target_:transgan.layers.feedforward.Mlp,_partial_:true}"]
)
def test_another_kind_of_stack_fits_too(make_gpt, word):
    module, gpt, _ = started(*BOTH, f"checkpoint={make_gpt(f'+algorithm.network.transformer.{word}')}")
    for network in (module.generator, module.discriminator):
        names = set(Pretrained().copied(network))
        assert names == {n for n in gpt.weights if ".attn." in n or ".mlp." in n}


@pytest.mark.parametrize(
    "option, per_block, blocks",
    [
        ("layers=all", BLOCK, 3), ("blocks=2", BLOCK, 2), ("layers=attention", 16 * 48 + 48 + 8 + 16 * 16 + 16, 3),
        ("layers=feedforward", 16 * 64 + 64 + 32 * 16 + 16, 3),
    ],
)  # fmt: skip
def test_the_report_counts_every_parameter_once(make_gpt, option, per_block, blocks):
    words = [f"warm_start.{name}.{option}" for name in ("generator", "discriminator")]
    path = make_gpt()
    module, gpt, said = started(*BOTH, f"checkpoint={path}", *words)
    for name in ("generator", "discriminator"):
        network = getattr(module, name)
        report = warm_start.copy_stack(gpt, network, module.pretrained[name])
        total = {key: sum(sizes.values()) for key, sizes in report.items()}
        assert total["copied"] == blocks * per_block and total["norms"] == 0
        assert total["copied"] + total["from_scratch"] == sum(p.numel() for p in network.parameters())
        assert total["copied"] + total["unused"] == sum(v.numel() for v in gpt.weights.values())
    start = said.index(next(line for line in said if line.startswith("start   discriminator")))
    assert said[start].endswith(
        f"image GPT of {path} (0.64 kimg, sha256 {gpt.sha256[:12]}): dim 16, depth 3, num_heads 4, mlp_ratio 3"
    )
    assert f"copied {len(report['copied'])} tensors, {total['copied']:,} parameters: " in said[start + 1]
    assert (
        f"from scratch {len(report['from_scratch'])} tensors, {total['from_scratch']:,} parameters: pos_embed, "
        in said[start + 2]
    )
    assert f"not used {len(report['unused'])} tensors, {total['unused']:,} parameters: start, " in said[start + 3]


def test_how_it_is_trained_is_said(make_gpt):
    words = [*BOTH, f"checkpoint={make_gpt()}", "warm_start.generator.frozen=2.5", "warm_start.generator.lr_factor=0.1"]
    said = "\n".join(started(*words)[2])
    assert said.count("what was copied") == 1
    assert "what was copied is frozen for 2.5 kimg, then has 0.1 of the learning rate" in said


# The norms.


def test_norms_are_copied_into_a_discriminator_and_become_the_middle_of_a_style(make_gpt):
    words = [f"warm_start.{name}.norms=true" for name in ("generator", "discriminator")]
    module, gpt, said = started(*BOTH, f"checkpoint={make_gpt()}", *words)
    for i in range(3):
        for part in ("norm1", "norm2"):
            place = f"stages.0.blocks.{i}.{part}"
            scale = gpt.weights[f"{place}.norm.weight"]
            assert torch.equal(module.discriminator.get_parameter(f"{place}.norm.weight"), scale)
            assert (module.discriminator.get_parameter(f"{place}.gamma") == 0.1).all()  # the GPT has no LayerScale
            bias = module.generator.get_parameter(f"{place}.modulation.bias")
            assert torch.equal(bias, torch.cat([scale - 1, torch.ones(16)]))
            assert torch.equal(module.generator_ema.get_parameter(f"{place}.modulation.bias"), bias)
    assert f"set by the GPT's 6 tensors, {3 * 2 * 16} parameters: norms of the blocks" in "\n".join(said)
    report = warm_start.copy_stack(gpt, module.generator, module.pretrained["generator"])
    total = {key: sum(sizes.values()) for key, sizes in report.items()}
    assert total["norms"] == 3 * 2 * 32
    assert total["copied"] + total["norms"] + total["from_scratch"] == sum(
        p.numel() for p in module.generator.parameters()
    )
    assert total["copied"] + 3 * NORMS + total["unused"] == sum(v.numel() for v in gpt.weights.values())


def test_layerscale_goes_along(make_gpt):
    words = [f"warm_start.{name}.norms=true" for name in ("generator", "discriminator")]
    path = make_gpt("algorithm.network.init_values=0.3")
    module, gpt, _ = started(*BOTH, f"checkpoint={path}", *words)
    gamma = gpt.weights["stages.0.blocks.2.norm2.gamma"]
    assert torch.equal(module.discriminator.get_parameter("stages.0.blocks.2.norm2.gamma"), gamma)
    assert torch.equal(module.generator.get_parameter("stages.0.blocks.2.norm2.modulation.bias")[16:], gamma)


@pytest.mark.parametrize("init_values", [None, 0.3])
def test_a_style_norm_starts_as_the_scaled_norm_it_is_given(init_values):
    """Where the style is zero: the same tokens go into the branch, and the same gate is behind it."""
    own, x, style = ScaledNorm(8, init_values=init_values), torch.randn(2, 5, 8), torch.zeros(2, 4)
    with torch.no_grad():
        own.norm.weight += 0.3 * torch.randn(8)
    expected, gate = own(x)
    norm = StyleNorm(8, 4)
    norm.start_at(own.norm.weight, own.gamma)
    found, found_gate = norm(x, style)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_gate, torch.as_tensor(gate).expand_as(found_gate))
    norm = SelfModulatedNorm(8, 4)
    norm.start_at(own.norm.weight, own.gamma)
    torch.testing.assert_close(norm(x, style)[0], torch.nn.functional.layer_norm(x, (8,)) * own.norm.weight)


# What is refused, in a sentence each, with both numbers.


@pytest.mark.parametrize(
    "words, found",
    [
        (["generator.dim=[48]"], "generator.dim=[48]: the image GPT of checkpoint={} has dim 16"),
        (["discriminator.depth=[2]"], "discriminator.depth=[2]: the image GPT of checkpoint={} has depth 3"),
        (["generator.depth=[3,3]"], "generator.depth=[3, 3]: the image GPT of checkpoint={} has depth 3"),
        (["discriminator.num_heads=[2]"], "discriminator.num_heads=[2]: the image GPT of checkpoint={} has num_heads 4"),
        (["generator.mlp_ratio=4.0"], "generator.mlp_ratio=4.0: the image GPT of checkpoint={} has mlp_ratio 3.0"),
        (["discriminator.patch_size=4"], "discriminator.patch_size=4: the image GPT of checkpoint={} has patch_size 2"),
        (["resolution=16"], "resolution=16: the image GPT of checkpoint={} has resolution 8; give resolution=8"),
        (["channels=3"], "channels=3: the image GPT of checkpoint={} has channels 1; give channels=1"),
        (["+generator.transformer.qk_norm=false"], "generator.transformer.qk_norm=False: the image GPT of checkpoint={} has the default"),
    ],
)  # fmt: skip
def test_another_shape(make_gpt, words, found):
    path = make_gpt("tokens=patches")
    with pytest.raises(UserError) as error:
        settled(*BOTH, f"checkpoint={path}", *words)
    (finding,) = error.value.findings
    assert finding.startswith(found.format(path))


def test_all_findings_at_once(make_gpt):
    with pytest.raises(UserError) as error:
        settled(*BOTH, f"checkpoint={make_gpt()}", "generator.dim=[48]", "discriminator.depth=[1]", "resolution=16")
    assert len(error.value.findings) == 3


def test_the_same_shape_may_be_said(make_gpt):
    words = ["generator.dim=[16]", "generator.depth=[3]", "discriminator.num_heads=[4]", "discriminator.patch_size=2"]
    assert settled(*BOTH, f"checkpoint={make_gpt('tokens=patches')}", *words)[1] is not None


def test_a_file_that_is_another_than_the_configuration_names(make_gpt, tmp_path):
    path = make_gpt()
    config, gpt = settled(*BOTH, f"checkpoint={path}")
    config.num_classes = 3
    (tmp_path / "config.yaml").write_text(OmegaConf.to_yaml(config, resolve=True))
    repeated, _ = settled(f"config={tmp_path / 'config.yaml'}")
    assert repeated.warm_start == config.warm_start
    other = hashlib.sha256(make_gpt("algorithm.network.dim=32").read_bytes()).hexdigest()
    with pytest.raises(UserError) as error:
        settled(f"config={tmp_path / 'config.yaml'}")
    assert f"its sha256 is {other[:12]} and not {gpt.sha256[:12]}" in error.value.findings[-1]
    assert "generator.dim=[16]: the image GPT of" in error.value.findings[0]


def test_weights_that_have_no_place(generator):
    places = Pretrained().copied(generator())
    with pytest.raises(
        checkpoint.CheckpointError, match=r"is nothing in the checkpoint and \(48, 16\) in the network; .* and 7 more"
    ):
        warm_start.transplant({}, places)
    wider = dict(generator(dim=[24]).named_parameters())
    before = {name: place.detach().clone() for name, place in places.items()}
    with pytest.raises(
        checkpoint.CheckpointError, match=r"qkv.weight is \(72, 24\) in the checkpoint and \(48, 16\) in the network"
    ):
        warm_start.transplant(wider, places)
    assert all(torch.equal(place, before[name]) for name, place in places.items())  # nothing is half done


def test_features_without_a_gradient_by_the_image(make_gpt):
    path = make_gpt("algorithm=masked", "tokens=pixels")
    with pytest.raises(UserError) as error:
        settled("algorithm=drifting", f"checkpoint={path}", "resolution=16")
    sizes, tokens = error.value.findings
    assert sizes.startswith("resolution=16: ") and "tokens of the kind Pixels" in tokens and "tokens=patches" in tokens
    path = make_gpt("algorithm=masked", "tokens=patches")
    assert settled("algorithm=drifting", f"checkpoint={path}")[0].algorithm.features.num_classes == 3


@pytest.mark.parametrize("classes, said", [(3, None), (None, None), (5, "begins with a masked model of 3 classes ")])
def test_other_classes_are_refused_with_everything_else(make_gpt, classes, said):
    words = ["algorithm=drifting", f"checkpoint={make_gpt('algorithm=masked', 'tokens=patches')}"]
    config = compose("train", words)
    config.num_classes = classes
    if said is None:
        assert warm_start.settle(config, words) is not None
        return
    config.channels = 3
    with pytest.raises(UserError) as error:
        warm_start.settle(config, words)
    assert len(error.value.findings) == 2 and said in error.value.findings[1] and "here there are 5" in str(error.value)
