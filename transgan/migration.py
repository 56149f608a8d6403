"""What earlier versions of transgan wrote, under today's names: configurations and checkpoints.

Everything that reads a saved file passes it through here before anything else looks at it, so that the rest of the
program knows today's names alone. All functions return new containers, and what is up to date as it is. To rename a
class, an argument or a weight, add a line to its table; for what a table cannot say, add a rule.
"""

from collections.abc import Callable, Iterator
from typing import Any

FORMAT = 2  # of a checkpoint, under "format"; those of format 1 have no number

# Classes, as a `_target_` names them -> the class of today, or the value that stands in the place of such a part.
TARGETS: dict[str, str | bool | None] = {
    "transgan.augmentation.GivenStrength": None,
    "transgan.augmentation.InOrder": "transgan.augmentation.Compose",
    "transgan.augmentation.adaptive.GivenStrength": None,
    "transgan.augmentation.inorder.InOrder": "transgan.augmentation.Compose",
    "transgan.augmentation.inorder.NoAugmentation": "transgan.augmentation.NoAugmentation",
    "transgan.consistency.NoConsistency": None,
    "transgan.losses.WassersteinMeanDrift": "transgan.training.transgan_official.WassersteinMeanDrift",
    "transgan.metrics.Accuracy": "transgan.metrics.ClassAccuracy",
    "transgan.metrics.Copies": "transgan.metrics.Memorisation",
    "transgan.metrics.Frechet": "transgan.metrics.FrechetDistance",
    "transgan.metrics.Judge": "transgan.metrics.Evaluator",
    "transgan.metrics.Kernel": "transgan.metrics.KernelDistance",
    "transgan.metrics.Manifold": "transgan.metrics.PRDC",
    "transgan.metrics.Score": "transgan.metrics.InceptionScore",
    "transgan.metrics.judge.Judge": "transgan.metrics.evaluator.Evaluator",
    "transgan.metrics.measures.Accuracy": "transgan.metrics.ClassAccuracy",
    "transgan.metrics.measures.Copies": "transgan.metrics.Memorisation",
    "transgan.metrics.measures.Frechet": "transgan.metrics.FrechetDistance",
    "transgan.metrics.measures.Kernel": "transgan.metrics.KernelDistance",
    "transgan.metrics.measures.Score": "transgan.metrics.InceptionScore",
    "transgan.metrics.neighbours.Manifold": "transgan.metrics.PRDC",
    "transgan.metrics.neighbours.PrecisionRecall": "transgan.metrics.PrecisionRecall",
    "transgan.penalties.CentralDifference": "transgan.penalties.R1R2CentralDifference",
    "transgan.penalties.FiniteDifference": "transgan.penalties.R1R2FiniteDifference",
    "transgan.penalties.Interpolated": "transgan.penalties.WGANGP",
    "transgan.penalties.JacobianVector": "transgan.penalties.R1R2JVP",
    "transgan.penalties.Lazily": "transgan.penalties.Lazy",
    "transgan.penalties.OnPart": "transgan.penalties.Subsampled",
    "transgan.penalties.ZeroCentered": "transgan.penalties.R1R2",
    "transgan.penalties.critic.NoPenalty": "transgan.penalties.NoPenalty",
    "transgan.penalties.directional.CentralDifference": "transgan.penalties.R1R2CentralDifference",
    "transgan.penalties.directional.FiniteDifference": "transgan.penalties.R1R2FiniteDifference",
    "transgan.penalties.directional.JacobianVector": "transgan.penalties.R1R2JVP",
    "transgan.penalties.exact.Interpolated": "transgan.penalties.WGANGP",
    "transgan.penalties.exact.ZeroCentered": "transgan.penalties.R1R2",
    "transgan.penalties.sparse.Lazily": "transgan.penalties.Lazy",
    "transgan.penalties.sparse.OnPart": "transgan.penalties.Subsampled",
    "transgan.training.copied.Copied": "transgan.training.pretrained.Pretrained",
    "transgan.training.copied.Fresh": None,
    "transgan.training.leak.GradientLeak": True,
    "transgan.training.leak.NoLeak": False,
}
# Arguments of a class of today: {old: new}.
ARGUMENTS: dict[str, dict[str, str]] = {
    "transgan.models.style_transformer.StyleTransformer": {"enter": "embed_style"},
    "transgan.training.adversarial.Adversarial": {
        "generator_start": "generator_pretrained",
        "discriminator_start": "discriminator_pretrained",
    },
    "transgan.supervision.FinalImage": {"levels": "num_outputs"},
    "transgan.supervision.NoiseGuidance": {"levels": "num_outputs"},
    "transgan.supervision.ScaleWise": {"levels": "num_outputs"},
    "transgan.training.variational.Variational": {"bound_draws": "bound_samples", "draw_pixels": "sample_pixels"},
}
# Keys of a configuration outside of any class, from its top.
KEYS: dict[str, str] = {
    "metrics.measures.manifold": "metrics.measures.prdc",
    "metrics.measures.copies": "metrics.measures.memorisation",
}
# Modules inside our networks (transgan.models): parts of the names of weights.
WEIGHTS: dict[str, str] = {"enter": "embed", "enters": "embeds"}
# What Lightning's callbacks save: {callback: {old: new}}.
CALLBACK_STATE: dict[str, dict[str, str]] = {"Evaluation": {"judge": "evaluator"}}

Node = dict[str, Any]


def official(node: Node) -> Node:
    """What only the released code of TransGAN does left Adversarial for a module of its own."""
    if node["_target_"] != "transgan.training.adversarial.Adversarial":
        return node
    node = dict(node)
    leak, size = node.pop("leak", False), node.pop("generator_batch_size", None)
    if not leak and size in (None, node.get("batch_size")):
        return node
    target = "transgan.training.transgan_official.TransGANOfficial"
    return node | {"_target_": target, "generator_batch_size": size, "leak": leak}


# What a table cannot say: functions of a part of a configuration whose names are those of today.
RULES: tuple[Callable[[Node], Node], ...] = (official,)


def config(old: Node) -> Node:
    """A configuration, or any part of one, under today's names."""
    new = part(old)
    if not isinstance(new, dict):
        return old
    for before, after in KEYS.items():
        rename_key(new, before, after)
    return new


def part(node: Any) -> Any:
    """Nested containers under today's names."""
    if isinstance(node, list | tuple):
        return [part(each) for each in node]
    if not isinstance(node, dict):
        return node
    new = {key: part(value) for key, value in node.items()}
    if not isinstance(new.get("_target_"), str):
        return new
    target = TARGETS.get(new["_target_"], new["_target_"])
    if not isinstance(target, str):
        return target
    names = ARGUMENTS.get(target, {})
    new = {names.get(key, key): value for key, value in (new | {"_target_": target}).items()}
    for rule in RULES:
        new = rule(new)
    return new


def rename_key(config: Node, before: str, after: str) -> None:
    """Gives a dotted key another last word, unless something has that name already."""
    *groups, last = before.split(".")
    node: Any = config
    for group in groups:
        node = node.get(group) if isinstance(node, dict) else None
    if isinstance(node, dict) and last in node:
        node.setdefault(after.split(".")[-1], node.pop(last))


def checkpoint(saved: dict) -> dict:
    """A checkpoint under today's names. One of this format, or of another program, comes back as it is."""
    if not isinstance(saved, dict) or saved.get("format", 1) >= FORMAT:
        return saved
    parts = {name: config(saved[name]) for name in ("config", "algorithm") if isinstance(saved.get(name), dict)}
    if not parts:
        return saved
    new = saved | parts | {"format": FORMAT}
    ours = list(networks_of_ours(parts["config"].get("algorithm") if "config" in parts else parts["algorithm"]))
    state = saved.get("state_dict")
    if isinstance(state, dict):
        prefixes = tuple(f"{name}{suffix}." for name in ours for suffix in ("", "_ema"))
        new["state_dict"] = {
            weight(name) if str(name).startswith(prefixes) else name: value for name, value in state.items()
        }
    if isinstance(saved.get("leaked"), dict) and "discriminator" in ours:
        new["leaked"] = {weight(name): value for name, value in saved["leaked"].items()}
    if isinstance(saved.get("callbacks"), dict):
        new["callbacks"] = {
            name: renamed(state, CALLBACK_STATE.get(name, {})) for name, state in saved["callbacks"].items()
        }
    return new


def networks_of_ours(algorithm: Any) -> Iterator[str]:
    """The arguments of a module that are networks of this package."""
    for name, node in algorithm.items() if isinstance(algorithm, dict) else ():
        if isinstance(node, dict) and str(node.get("_target_", "")).startswith("transgan.models."):
            yield name


def weight(name: str) -> str:
    """The name of a weight of one of our networks."""
    return ".".join(WEIGHTS.get(word, word) for word in name.split("."))


def renamed(entries: Any, names: dict[str, str]) -> Any:
    return {names.get(key, key): value for key, value in entries.items()} if isinstance(entries, dict) else entries
