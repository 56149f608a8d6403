"""How numbers were measured, and which may be compared."""

import hashlib
import json


def protocol_id(protocol: dict) -> str:
    """Eight hex digits that are equal where numbers compare: everything of the protocol but the seed."""
    fixed = {key: value for key, value in protocol.items() if key not in ("seed", "id")}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]


def incomparable(one: dict, other: dict) -> list[str]:
    """The parts of two protocols for which their numbers do not compare, `key: one and other`; empty if they do."""
    keys = [key for key in one | other if key not in ("seed", "id") and one.get(key) != other.get(key)]
    return [f"{key}: {one.get(key)} and {other.get(key)}" for key in keys]


def ranking(results: list[tuple[str, dict, dict]], primary: str) -> list[str]:
    """Names in the order of `primary`, best first, of (name, numbers, protocol). Raises ValueError unless all were
    measured by one protocol."""
    for name, _, protocol in results[1:]:
        if found := incomparable(results[0][2], protocol):
            raise ValueError(
                f"{results[0][0]} and {name} were not measured alike ({'; '.join(found)}); measure both by one protocol"
            )
    return [name for name, numbers, _ in sorted(results, key=lambda each: each[1][primary])]
