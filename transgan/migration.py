"""What earlier versions of transgan wrote, under today's names: configurations, checkpoints and metrics.

Everything that reads a saved file passes it through here before anything else looks at it, so that the rest of the
program knows today's names alone. All functions return new containers, and what is up to date as it is. To rename a
class, an argument, a weight or a metric, add a line to its table; for what a table cannot say, add a rule.
"""

from collections.abc import Callable, Iterator
from typing import Any

FORMAT = 2  # of a checkpoint, under "format"; those of format 1 have no number

# Names of classes, as a `_target_` has them. None: the class is gone, and null has taken the part's place.
TARGETS: dict[str, str | None] = {
    "transgan.metrics.Judge": "transgan.metrics.Evaluator",
    "transgan.metrics.judge.Judge": "transgan.metrics.evaluator.Evaluator",
    "transgan.metrics.Copies": "transgan.metrics.Memorisation",
    "transgan.metrics.measures.Copies": "transgan.metrics.measures.Memorisation",
    "transgan.penalties.Lazily": "transgan.penalties.Lazy",
    "transgan.penalties.sparse.Lazily": "transgan.penalties.sparse.Lazy",
    "transgan.penalties.OnPart": "transgan.penalties.Subsampled",
    "transgan.penalties.sparse.OnPart": "transgan.penalties.sparse.Subsampled",
    "transgan.training.copied.Copied": "transgan.training.pretrained.Pretrained",
    "transgan.training.copied.Fresh": None,
    "transgan.penalties.ZeroCentered": "transgan.penalties.R1R2",
    "transgan.penalties.exact.ZeroCentered": "transgan.penalties.exact.R1R2",
    "transgan.penalties.Interpolated": "transgan.penalties.WGANGP",
    "transgan.penalties.exact.Interpolated": "transgan.penalties.exact.WGANGP",
    "transgan.penalties.JacobianVector": "transgan.penalties.R1R2JVP",
    "transgan.penalties.directional.JacobianVector": "transgan.penalties.directional.R1R2JVP",
    "transgan.penalties.FiniteDifference": "transgan.penalties.R1R2FiniteDifference",
    "transgan.penalties.directional.FiniteDifference": "transgan.penalties.directional.R1R2FiniteDifference",
    "transgan.penalties.CentralDifference": "transgan.penalties.R1R2CentralDifference",
    "transgan.penalties.directional.CentralDifference": "transgan.penalties.directional.R1R2CentralDifference",
    "transgan.penalties.critic.NoPenalty": "transgan.penalties.base.NoPenalty",
    "transgan.augmentation.InOrder": "transgan.augmentation.Compose",
    "transgan.augmentation.inorder.InOrder": "transgan.augmentation.compose.Compose",
    "transgan.augmentation.inorder.NoAugmentation": "transgan.augmentation.compose.NoAugmentation",
    "transgan.augmentation.GivenStrength": None,
    "transgan.augmentation.adaptive.GivenStrength": None,
    "transgan.consistency.NoConsistency": None,
    "transgan.losses.WassersteinMeanDrift": "transgan.training.transgan_official.WassersteinMeanDrift",
    "transgan.training.leak.NoLeak": None,
}
# Arguments of a class of today: {old: new}.
ARGUMENTS: dict[str, dict[str, str]] = {
    "transgan.models.style_transformer.StyleTransformer": {"enter": "embed_style"},
    "transgan.training.adversarial.Adversarial": {
        "generator_start": "generator_pretrained",
        "discriminator_start": "discriminator_pretrained",
    },
    "transgan.training.variational.Variational": {"bound_draws": "bound_samples", "draw_pixels": "sample_pixels"},
    **{
        f"transgan.supervision.{name}": {"levels": "num_outputs"}
        for name in ("FinalImage", "NoiseGuidance", "ScaleWise")
    },
}
# Keys of a configuration outside of any class, from its top.
KEYS: dict[str, str] = {}
# Modules inside our networks (transgan.models): parts of the names of weights.
WEIGHTS: dict[str, str] = {"enter": "embed", "enters": "embeds"}
# Names of numbers in metrics.jsonl and evaluations.
METRICS: dict[str, str] = {}
# Lightning's callbacks and what they save: {callback: {old: new}}, and names of callbacks themselves.
CALLBACKS: dict[str, str] = {}
CALLBACK_STATE: dict[str, dict[str, str]] = {"Evaluation": {"judge": "evaluator"}}

Node = dict[str, Any]


def released_transgan(node: Node) -> Node:
    """`leak` and `generator_batch_size` are arguments of the released TransGAN's training step alone."""
    if node["_target_"] != "transgan.training.adversarial.Adversarial":
        return node
    leak, size = node.pop("leak", None), node.pop("generator_batch_size", None)
    if leak is None and size in (None, node.get("batch_size")):
        return node
    own = {"generator_batch_size": size, "leak": leak is not None}
    return node | {"_target_": "transgan.training.transgan_official.TransGANOfficial"} | own


# What a table cannot say: functions of a part of a configuration with a `_target_` of today -> that part, or None.
RULES: tuple[Callable[[Node], Node | None], ...] = (released_transgan,)


def config(old: Node) -> Node:
    """A configuration, or any part of one, under today's names."""
    new = part(old)
    if not isinstance(new, dict):
        return old
    for before, after in KEYS.items():
        move(new, before.split("."), after.split("."))
    return new


def part(node: Any) -> Any:
    """Nested containers under today's names."""
    if isinstance(node, list | tuple):
        return [part(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {key: part(value) for key, value in node.items()}
    if not isinstance(node.get("_target_"), str):
        return node
    target = TARGETS.get(node["_target_"], node["_target_"])
    if target is None:
        return None
    names = ARGUMENTS.get(target, {})
    found: Node | None = {names.get(key, key): value for key, value in (node | {"_target_": target}).items()}
    for rule in RULES:
        found = None if found is None else rule(found)
    return found


def move(node: Node, before: list[str], after: list[str]) -> None:
    """Moves a key to another place in nested groups of keys, unless something stands there."""
    *groups, last = before
    for group in groups:
        node = node.get(group) if isinstance(node, dict) else None
    if not isinstance(node, dict) or last not in node:
        return
    node.setdefault(after[-1], node.pop(last))


def checkpoint(saved: dict) -> dict:
    """A checkpoint under today's names. One of this format, or of another program, comes back as it is."""
    if not isinstance(saved, dict) or not isinstance(saved.get("config"), dict) or saved.get("format", 1) >= FORMAT:
        return saved
    new = saved | {"config": config(saved["config"]), "format": FORMAT}
    ours = list(networks_of_ours(new["config"].get("algorithm")))
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
            CALLBACKS.get(name, name): renamed(state, CALLBACK_STATE.get(name, {}))
            for name, state in saved["callbacks"].items()
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


def metrics(numbers: dict[str, Any]) -> dict[str, Any]:
    """Numbers by the names of today's metrics."""
    return renamed(numbers, METRICS)


def renamed(entries: Any, names: dict[str, str]) -> Any:
    return {names.get(key, key): value for key, value in entries.items()} if isinstance(entries, dict) else entries
