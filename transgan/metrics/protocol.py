"""How numbers were measured, and which may be compared."""

import json
from typing import TYPE_CHECKING, Any

from torchmetrics import Metric

from transgan import files

if TYPE_CHECKING:
    from transgan.metrics.evaluator import Evaluator

VERSION = 1  # of the way numbers are made: counts up when the same images would give others
# Names of metrics in protocols and flags of all versions, whose ids must stay the same.
EARLIER = {"memorisation": "copies", "prdc": "manifold"}


def protocol_of(evaluator: "Evaluator", weights: str, truncation: float | None) -> dict[str, Any]:
    """How the numbers of a prepared evaluator are measured, as plain values. `id` is short for all but the seed."""
    assert evaluator.reference is not None, "prepare() comes first"
    extractor, stated, heldout = evaluator.extractor, evaluator.reference.facts, evaluator.heldout
    measures = {EARLIER.get(name, name): facts_of(metric) for name, metric in evaluator.metrics.items()}
    unstated = {name for name, metric in evaluator.metrics.items() if getattr(metric, "unstated", False)}
    measures = {name: facts for name, facts in measures.items() if facts or name not in unstated}
    protocol = {
        "extractor": extractor.name, "extractor_sha256": extractor.hash, "preprocessing": extractor.preprocessing,
        "comparable_to_published": extractor.standard, "num_generated": evaluator.num_samples,
        "blocks": evaluator.blocks, **evaluator.facts, "reference": stated, "num_real": stated["num_real"],
        "split": stated["split"], "num_heldout": None if heldout is None else heldout.facts["num_real"],
        "heldout": None if heldout is None else heldout.facts["dataset"], "weights": weights,
        "truncation": truncation, "measures": measures, "version": VERSION,
    }  # fmt: skip
    return protocol | {"seed": evaluator.seed, "id": protocol_id(protocol)}


def facts_of(metric: Metric) -> dict[str, Any]:
    """The settings of a metric; of one that does not state them, its class."""
    facts = getattr(metric, "facts", None)
    return {"metric": type(metric).__name__} if facts is None else facts()


def protocol_id(protocol: dict[str, Any]) -> str:
    """Eight hex digits that are equal where numbers compare: everything of the protocol but the seed."""
    fixed = {key: value for key, value in protocol.items() if key not in ("seed", "id")}
    return files.hash_of(json.dumps(fixed, sort_keys=True))[:8]


def incomparable(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The parts of two protocols for which their numbers do not compare, `key: one and other`; empty if they do."""
    keys = [key for key in one | other if key not in ("seed", "id") and one.get(key) != other.get(key)]
    return [f"{key}: {one.get(key)} and {other.get(key)}" for key in keys]


def ranking(results: list[tuple[str, dict[str, float], dict[str, Any]]], primary: str) -> list[str]:
    """Names in the order of `primary`, best first, of (name, numbers, protocol). Raises ValueError unless all were
    measured by one protocol."""
    for name, _, protocol in results[1:]:
        if found := incomparable(results[0][2], protocol):
            raise ValueError(
                f"{results[0][0]} and {name} were not measured alike ({'; '.join(found)}); measure both by one protocol"
            )
    return [name for name, numbers, _ in sorted(results, key=lambda each: each[1][primary])]
