"""What every key takes. A new key in conf/ needs a line here, which a test asks for.

A line is found by the whole key, else by the class the key is an argument of (`ImageGPT.dim`), else by as much of the
key's end as there is a line for (`gamma.start` before `start`). A key that a command has of its own is in COMMANDS.
"""

import re
from functools import cache

from transgan.config.texts import Label, Location, Name, Text
from transgan.config.types import Choice, Either, Free, Items, Kind, Number, Part, Scheduled, Switch, Whole
from transgan.extensions import CONF

SEED = Whole(least=0, most=2**63 - 1)
BLOCK_SEED = Whole(least=0, most=10**12)  # of blocks of a million seeds each
WIDTH = Whole(most=2**16)
DEPTH = Whole(most=1000)
WIDTHS = Items(of=WIDTH)
HEADS = Items(of=Whole(most=4096), example="[4]")
SIZE = Whole(most=4096)
CHANNELS = Choice(of=(1, 3))
SHARE = Number(most=1)
PART = Number(most=1, above=0)  # a share of something, and not nothing
WEIGHT = Number(most=1e38)  # as float32 holds
KIMG = Number(above=0)
EVERY = Number(above=0, hint=" kimg; one larger than the run switches it off")
RATE = Scheduled(of=WEIGHT)
SWITCH = Switch()
TIME = Number(above=0, optional=True)
AUTO = (  # what planning/ chooses
    "recipe", "resolution", "channels", "conditional", "extractor", "metrics", "precision", "compile", "batch_size",
    "micro_batch", "threads", "kimg", "metrics.num_samples", "log_every", "sample_every", "evaluate_every",
    "checkpoint_every",
)  # fmt: skip
OBJECT = Part(optional=True, made=True)
PATH = Location(optional=True)
WINDOWS = Items(of=Whole(most=4096, optional=True), example="[null,8]", optional=True)
NUM_SAMPLES = Whole(least=2, most=1_000_003, optional=True)  # as metrics/evaluator.py takes
BLOCKS = Whole(most=1000)
DEVICE = Text(what="auto, cpu or cuda", pattern=r"auto|cpu|cuda(:\d{1,4})?")
DEVICES = Either(
    of=(Choice(of=(-1,)), Whole(most=1024), Items(of=Whole(least=0, most=1023), example="[0,1]")), literals=("auto",)
)
CLASS = Text(what="a class by its full name, such as package.module.Class", pattern=r"[^\W\d]\w*(\.[^\W\d]\w*)+")
WORKERS = Whole(most=256, optional=True)
WORDS = Items(of=Text(), example="[a,b]")

KEYS: dict[str, Kind] = {
    # the run
    "name": Label(), "train.name": Name(),
    "runs": Location(), "seed": SEED, "resolution": SIZE, "channels": CHANNELS,
    "conditional": Switch(literals=("auto",)),
    "num_classes": Whole(least=0, most=10**6, optional=True),
    "holdout": Number(most=1, below=1), "mirror": SWITCH, "batch_size": Whole(most=2**20), "kimg": KIMG,
    "minutes": TIME, "hours": TIME, "dry_run": SWITCH,
    "auto": Items(of=Choice(of=AUTO), least=0, example="[kimg,extractor]"),
    "micro_batch": Whole(most=2**20, optional=True),
    "precision": Choice(of=("32-true", "bf16-mixed"), hint="; others are not for training here, where one loss scale "
                                                           "does not fit two networks"),
    "compile": Text(what="auto, or a backend of torch.compile, such as inductor", pattern=r"\w+", optional=True),
    "checkpoint": PATH, "init_from": PATH,
    "pretraining": Items(of=Text(), least=0, example="""\"['experiment=digits_flow']\""""),  # for shell and Hydra
    "log_every": EVERY, "sample_every": EVERY, "evaluate_every": EVERY, "checkpoint_every": EVERY,
    "sample_minutes": TIME, "evaluate_minutes": TIME, "checkpoint_minutes": TIME, "every_minutes": TIME,
    "evaluate_at_start": SWITCH, "evaluate_share": PART, "grid": Whole(most=10_000),
    "threads": Whole(most=256, optional=True), "num_workers": Whole(least=0, most=1024),
    "force": SWITCH, "provenance": SWITCH, "like": PATH, "debug": SWITCH, "json": SWITCH, "explain": SWITCH,
    "warm_start.source": PATH, "warm_start.sha256": Text(optional=True),
    "warm_start.generator": OBJECT, "warm_start.discriminator": OBJECT,
    "run": PATH, "out": PATH, "path": Location(), "against": PATH, "heldout": PATH, "export": PATH,
    # the data
    "data.path": Location(), "data.on_error": Choice(of=("raise", "skip")),
    "data.in_memory": Switch(literals=("auto",)), "data.limit": Whole(most=10**9, optional=True),
    "data.white": Number(most=1e38, above=0, optional=True),
    "data.labels": Choice(of=("folders", "none"), optional=True),
    "data.order": Choice(of=("content", "published"), optional=True),
    "data.download": SWITCH, "data.train": SWITCH, "data.split": Text(), "data.category": Text(),
    # the networks
    "img_size": SIZE, "in_chans": Whole(most=4096), "latent_dim": WIDTH, "style_dim": WIDTH, "stem_dim": WIDTH,
    "hidden_dim": WIDTH, "mapping_depth": Whole(least=0, most=100), "image_heads": Whole(most=1000),
    "dim": WIDTHS, "depth": Items(of=Whole(least=0, most=1000), example="[2]"), "num_heads": HEADS,
    "patch_size": Whole(most=4096), "window_size": WINDOWS, "mlp_ratio": Number(most=1000, above=0),
    "init_values": Number(most=1000, optional=True),
    "upsample": Items(of=Part(made=True), least=0, example="[{_target_: ...}]"),
    "embed_style": SWITCH, "global_pool": Choice(of=("token", "avg", "flatten")),
    "checkpointing": SWITCH, "relative_position": SWITCH, "noise": SWITCH, "cross_attention": SWITCH,
    "qk_norm": SWITCH, "qkv_bias": SWITCH, "rotary": SWITCH, "trainable": SWITCH, "pretrained": SWITCH,
    "drop_path": Number(most=1, below=1), "output": OBJECT, "weight_norm": OBJECT,
    "overlap": Whole(least=0, most=4096), "halvings": Whole(least=0, most=13),
    "norm_layer.eps": Number(most=1, above=0),
    "ImageGPT.dim": WIDTH, "ImageGPT.depth": DEPTH, "ImageGPT.num_heads": Whole(most=4096),
    "MaskedImages.dim": WIDTH, "MaskedImages.depth": DEPTH, "MaskedImages.num_heads": Whole(most=4096),
    "PixelRNN.dim": WIDTH, "PixelRNN.depth": DEPTH,
    "ViTEncoder.dim": WIDTH, "ViTEncoder.depth": DEPTH, "ViTEncoder.num_heads": Whole(most=4096),
    "ViTDecoder.dim": WIDTH, "ViTDecoder.depth": DEPTH, "ViTDecoder.num_heads": Whole(most=4096),
    "Transformer.window_size": Whole(most=4096, optional=True),
    "StyleTransformer.style_dim": Whole(most=2**16, optional=True),
    "Discriminator.patch_size": Items(of=Whole(most=4096), example="[2,4]"),
    "BackboneDiscriminator.dim": WIDTH, "out_indices": Items(of=Whole(least=0, most=1000), example="[2,5,8,11]"),
    "num_latents": WIDTH, "components": Whole(most=1000), "colours": Whole(least=2, most=4096),
    "tokens.levels": Whole(least=2, most=256), "observation.levels": Whole(least=2, most=256), "quantise": SWITCH,
    "transformer.patch_size": Whole(most=4096),
    "model_name": Text(), "model": Text(), "weights": PATH, "download": SWITCH,
    "MobileNetV2.weights": Location(), "ResNet56Cifar10.weights": Location(),
    # how they are trained
    **dict.fromkeys(("algorithm.network", "algorithm.generator", "algorithm.discriminator", "algorithm.loss",
                     "algorithm.penalty", "algorithm.augmentation", "algorithm.supervision", "algorithm.optimizer",
                     "network.tokens"), Part()),
    **dict.fromkeys(("consistency", "adaptive", "matching", "algorithm.consistency", "algorithm.adaptive",
                     "algorithm.matching"), OBJECT),
    "generator_lr": RATE, "discriminator_lr": RATE, "lr": RATE,
    "beta2": Scheduled(of=Number(most=1, below=1), optional=True), "beta2.start": Number(most=1, below=1),
    "beta2.end": Number(most=1, below=1),
    "gamma": Scheduled(of=WEIGHT), "beta": Scheduled(of=WEIGHT),
    "augment": Scheduled(of=SHARE), "augment.start": SHARE, "augment.end": SHARE,
    "matching.weight": Scheduled(of=WEIGHT), "sizes": Items(of=Whole(most=4096), example="[4,8]"),
    "late": SWITCH, "tanh": SWITCH, "spread.pixels": SWITCH, "stem.norm": SWITCH,
    "class_distance": WEIGHT, "num_real": Whole(least=0, most=2**16),
    "widths": Items(of=Whole(most=2**16), least=0, optional=True, example="[64,32]"),
    "ema_halflife": Scheduled(of=WEIGHT), "ema_halflife.share": WEIGHT, "limit": WEIGHT,
    "start": WEIGHT, "end": WEIGHT, "warmup": Number(), "Cosine.kimg": WEIGHT, "Linear.kimg": WEIGHT,
    "n_critic": Whole(most=1000), "share_fakes": Switch(optional=True), "clip": Number(above=0, optional=True),
    "generator_batch_size": Whole(most=2**20, optional=True), "max_nonfinite": Whole(), "leak": SWITCH,
    "generator_pretrained": OBJECT, "discriminator_pretrained": OBJECT,
    "FlowTransformer.dim": WIDTH, "FlowTransformer.depth": DEPTH, "FlowTransformer.num_heads": Whole(most=4096),
    "prediction": Choice(of=("v", "x")), "network.levels": Whole(least=2, most=256),
    "time_mean": Number(least=-10, most=10), "time_std": Number(most=10, above=0),
    "label_dropout": Number(most=1, below=1), "Flow.steps": Whole(most=10_000), "solver": Choice(of=("euler", "heun")),
    "guidance": Number(most=100), "divergence": Choice(of=("auto", "exact", "hutchinson")),
    "likelihood_steps": Whole(most=10_000), "likelihood_count": Whole(),
    **{f"{kind}.{key}": WIDTH for kind in ("OneStep", "FlowDiscriminator") for key in ("dim", "depth", "num_heads")},
    "FlowDiscriminator.global_pool": Choice(of=("attention", "avg", "flatten")),
    "heads": Items(of=Whole(most=1000), optional=True, example="[1,2]"),
    "FlowDiscriminator.time": Number(most=1, optional=True), "OneStep.levels": Whole(least=2, most=256),
    "freeze": Choice(of=("stack", "attention", "feedforward", "all")),
    "transport": Scheduled(of=WEIGHT, optional=True),
    "features": OBJECT, "teacher": OBJECT, "pixels": SWITCH, "fakes": Whole(most=1000),
    "images_per_class": Whole(optional=True), "temperatures": Items(of=Number(above=0), example="[0.02,0.05,0.2]"),
    "teacher_steps": Whole(most=10_000), "teacher_solver": Choice(of=("euler", "heun")), "delay": Whole(most=10_000),
    "teacher_guidance": Number(most=100, optional=True), "reuse": Whole(most=10_000),
    "top_k": Whole(optional=True), "mask_ratio": Number(most=1, above=0, optional=True),
    "free_bits": WEIGHT, "bound_samples": Whole(most=10**6), "sample_pixels": SWITCH,
    "optimizer.betas": Items(of=Number(most=1, below=1), count=2, example="[0.0,0.99]"),
    "optimizer.eps": Number(most=1), "optimizer.weight_decay": Number(most=1000),
    "optimizer.fused": Switch(optional=True),
    "layers": Choice(of=("all", "attention", "feedforward")), "blocks": Whole(most=1000, optional=True),
    "norms": SWITCH, "frozen": WEIGHT, "lr_factor": Number(most=1000, above=0),
    "drift": WEIGHT, "real": SWITCH, "fake": SWITCH, "every": Whole(), "penalty.share": PART,
    "sigma": Number(most=1000, above=0), "target": Number(most=1000, above=0),
    "consistency.real": WEIGHT, "consistency.fake": WEIGHT, "strength": PART,
    "adaptive.target": Number(least=-1e6, most=1e6), "adaptive.kimg": KIMG, "adaptive.start": SHARE,
    "supervision.num_outputs": Whole(most=1000), "weight": WEIGHT, "floor": Number(most=1, below=1),
    "supervision.start": Number(most=1, above=0, below=1),
    # augmentation: shares of the images, and how far each goes
    **dict.fromkeys(("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac", "lumaflip", "hue",
                     "probability", "xint_max", "rotate_max", "hue_max", "translation", "cutout", "smallest",
                     "largest"), SHARE),
    **dict.fromkeys(("scale_std", "aniso_std", "xfrac_std", "brightness_std", "contrast_std", "saturation_std", "std",
                     "brightness", "contrast", "saturation"), Number(most=100)),
    **{f"Colour.{key}": SHARE for key in ("brightness", "contrast", "saturation")},
    "batch": Whole(most=2**20, optional=True), "steps.translation": Part(), "steps.cutout": Part(),
    "steps.hue": Part(),
    # metrics
    "metrics.extractor": OBJECT,
    "metrics.num_samples": NUM_SAMPLES, "metrics.seed": BLOCK_SEED, "metrics.blocks": BLOCKS,
    "metrics.batch_size": Whole(most=2**16), "with_heldout": SWITCH, "per_class": SWITCH, "infinity": SWITCH,
    "subsets": Whole(most=10**5), "subset_size": Whole(least=2, most=10**6), "splits": Whole(most=10**4),
    "k": Whole(most=10**4), "max_samples": Whole(least=2, most=10**7),
    "steps": Whole(most=10**7), "augmentation.steps": Part(), "extractor.batch_size": Whole(most=2**16),
    "extractor.check": SWITCH, "module": Part(made=True), "extractor.name": Text(),
    # Lightning
    "trainer.accelerator": Choice(of=("auto", "cpu", "gpu", "cuda", "mps", "tpu")), "trainer.devices": DEVICES,
    "trainer.max_time": Text(
        what="a time as DD:HH:MM:SS, such as 00:23:30:00", pattern=r"[0-9]{1,4}(:[0-9]{2}){3}", optional=True
    ),
    **dict.fromkeys(("trainer.benchmark", "trainer.detect_anomaly", "trainer.sync_batchnorm"), Switch(optional=True)),
    "trainer.profiler": Either(of=(Choice(of=("simple", "advanced", "pytorch")), Part(made=True)), optional=True),
    "trainer.num_nodes": Whole(most=1024), "trainer.deterministic": Switch(literals=("warn",)),
    "trainer.strategy": Either(of=(Text(), Part(made=True))), "strategy.find_unused_parameters": SWITCH,
    "logger.name": Free(), "logger.version": Free(), "logger.save_dir": Location(), "logger.store": Location(),
    "logger.project": Text(optional=True), "logger.offline": Switch(optional=True), "logger.default_hp_metric": SWITCH,
    "logger.experiment_name": Text(), "logger.run_name": Free(), "logger.tracking_uri": Text(optional=True),
    # callbacks
    "every_kimg": EVERY, "Samples.count": Whole(most=10_000), "Likelihood.count": Whole(),
    "Health.count": Whole(least=2, most=10_000),
    "Health.num_real": Whole(least=2, most=10**6), "Patience.evaluations": Whole(optional=True),
    "Patience.margin": Number(most=1, below=1), "patience": Whole(most=10**6, optional=True),
    "Evaluation.at_start": SWITCH, "Evaluation.share": PART, "every_seconds": Number(), "Evaluation.evaluator": OBJECT,
    # a suite
    "suite.kimg": KIMG, "suite.seconds": Number(most=1e8, above=0), "suite.points": Whole(most=1000),
    "suite.clock": Choice(of=("wall", "cpu")), "suite.trainer": Choice(of=("cpu", "gpu"), optional=True),
    "suite.seeds": Items(of=SEED, example="[0,1,2]"), "suite.name": Name(),
    "suite.share": Number(most=1, above=0, below=1), "suite.scale": Number(most=1e6, above=0),
    "suite.path": Location(optional=True), "suite.like": Text(optional=True), "suite.steps": Whole(most=10_000),
    "suite.solver": Choice(of=("euler", "heun")), "suite.guidance": Number(most=100),
    "suite.common": WORDS, "suite.budgets": WORDS, "suite.train": WORDS, "suite.title": Text(),
    "suite.says": Text(), "suite.begins_with": Text(optional=True),
    "suite.tests": Items(of=Part(), example="[{metric: ...}]"),
    "_target_": CLASS, "_partial_": SWITCH,
}  # fmt: skip

SAMPLER: dict[str, Kind] = {  # of what is sampled in steps
    "steps": Whole(most=10_000, optional=True), "solver": Choice(of=("euler", "heun"), optional=True),
    "guidance": Number(most=100, optional=True),
}  # fmt: skip
PIXELS: dict[str, Kind] = {"resolution": Whole(most=4096, optional=True), "channels": Choice(of=(1, 3), optional=True)}
COMMANDS: dict[str, dict[str, Kind]] = {
    "train": {}, "summary": {},
    "evaluate": {
        "checkpoint": Choice(of=("best", "last")), "num_real": Whole(least=2, most=10**12, optional=True),
        **PIXELS, "ema": SWITCH, **SAMPLER, "bounds": SWITCH, "devices": Whole(most=1024), "device": DEVICE,
        "num_samples": NUM_SAMPLES, "seed": Whole(least=0, most=10**12, optional=True),
        "blocks": Whole(most=1000, optional=True), "psi": Number(most=100), "temperature": Number(most=100),
        "data.resolution": Whole(most=4096, optional=True), "data.channels": Choice(of=(1, 3), optional=True),
    },
    "sample": {
        "checkpoint": Choice(of=("best", "last")), "seeds": Label(pattern="(?s).*", optional=True),
        "class": Label(optional=True), "sweep": Items(of=Number(most=100), example="[0.5,1]", optional=True),
        "frames": Whole(most=10_000), "fps": Whole(most=240), "space": Choice(of=("z", "w")),
        "psi": Number(most=100), "temperature": Number(most=100), **SAMPLER, "complete": PATH,
        "rows": Whole(most=4096, optional=True),
        "to": Choice(of=("png", "grid", "npz", "sheet", "gif", "mp4")),
        "columns": Whole(most=10**6, optional=True), "device": DEVICE,
        "latent": PATH,
    },
    "project": {
        "photo": PATH, "checkpoint": Choice(of=("best", "last")), "space": Choice(of=("z", "w"), optional=True),
        "class": Label(optional=True), "candidates": Whole(least=2, most=10**6), "starts": Whole(most=4096),
        "steps": Whole(least=0, most=10**6), "lr": Number(most=100, above=0), "newton": Whole(least=0, most=10_000),
        "device": DEVICE,
    },
    "export": {
        "to": Choice(of=("safetensors", "onnx", "torch", "web", "hub")), "checkpoint": Choice(of=("best", "last")),
        "weights": Choice(of=("ema", "raw")), "output": Choice(of=("uint8", "float")),
        "precision": Choice(of=("fp32", "fp16")), "opset": Whole(most=100, optional=True), "single": SWITCH,
        "runtime": PATH, "license": Label(optional=True), "data_license": Label(optional=True),
        "dataset": Text(optional=True), "push": Text(optional=True), "private": SWITCH,
    },
    "compare": {
        "run": Items(of=Location(), least=0, example="[runs/a,runs/b]"),
        "checkpoint": Choice(of=("last", "best")), "systems": Items(of=Text(), example="[gan,vae]", optional=True),
        "jobs": Whole(most=1024, optional=True), "num_samples": NUM_SAMPLES,
        "seed": Whole(least=0, most=10**12, optional=True), "blocks": Whole(most=1000, optional=True),
        "threads": Whole(most=256), "speed_images": Whole(most=10**5), "device": DEVICE,
    },
    "report": {
        "run": Items(of=Location(), least=0, example="[runs/a,runs/b]"),
        "checkpoint": Choice(of=("best", "last")), "neighbours": Whole(least=0, most=100), "device": DEVICE,
    },
    "data check": {
        "workers": WORKERS, "html": PATH, "json": PATH, "sheet": PATH, "images": Whole(most=1000), **PIXELS,
    },
    "data prepare": {
        "workers": WORKERS, "out": Location(), "crop": Choice(of=("center", "pad", "stretch", "entropy")),
        "format": Choice(of=("png", "webp")), "channels": Choice(of=(1, 3), optional=True),
    },
    "import-transgan": {
        "path": Location(), "data.path": PATH, "kimg": Number(),
        "architecture": Choice(of=("cifar10", "stl10", "church256", "celebahq256"), optional=True),
    },
}  # fmt: skip


@cache
def roots() -> frozenset[str]:
    """The first parts of the package's own keys: a user's groups and main configurations have others."""
    texts = [path.read_text(encoding="utf-8") for path in CONF.glob("*.yaml")]
    return frozenset(key for text in texts for key in re.findall(r"^(\w+):", text, re.MULTILINE)) | {
        folder.name for folder in CONF.iterdir() if folder.is_dir()
    }


RUN_NAMES = ("train", "summary", "import-transgan")


def declared(command: str, key: str, target: str | None = None) -> Kind | None:
    """What `key` takes, an argument of the class `target`; None where no line says so.

    Of arguments of others' classes only lines with more than the last word count.
    """
    if key.partition(".")[0] not in roots():
        return None
    if key in COMMANDS[command]:
        return COMMANDS[command][key]
    if key == "name" and command in RUN_NAMES:
        return KEYS["train.name"]
    parts = key.split(".")
    ends = [".".join(parts[i:]) for i in range(len(parts))]
    if parts[0] == "callbacks" and len(parts) == 2:
        return OBJECT  # null leaves it out
    if parts[0] == "suite":
        ends = [f"suite.{parts[-1]}"]
    if target and not target.startswith(("transgan.", "torch.", "pytorch_lightning.")):
        # a user's own class: only where a path stands, which is taken character by character
        return next((KEYS[end] for end in ends if end.startswith("_") or isinstance(KEYS.get(end), Location)), None)
    if target and not target.startswith("transgan."):
        ends = [end for end in ends if "." in end or end.startswith("_")]
    elif target:
        ends.insert(1, f"{target.split('.')[-1]}.{parts[-1]}")
    return next((KEYS[end] for end in ends if end in KEYS), None)
