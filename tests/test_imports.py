"""Arrows run one way. Which part may import which, and what the command line may not import at all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "transgan"
HEAVY = {"torch", "torchvision", "pytorch_lightning", "lightning", "timm", "torchmetrics"}
QUICK = {
    "cli",
    "config",
    "errors",
    "extensions",
    "files",
    "launched",
    "trust",
    "instantiation",
    "migration",
    "__init__",
    "__main__",
}  # for an answer to a typing error
FUNCTIONS = {
    "losses",
    "matching",
    "drifting",
    "penalties",
    "consistency",
    "supervision",
    "augmentation",
    "ema",
    "ode",
    "schedules",
}
OURS = {  # part: the parts of ours that it may import
    "layers": {"layers"},
    "describing": set(),  # the standard library alone
    "models": {"models", "layers", "describing"},
    "protocols": set(),
    "gathering": set(),
    "at_once": {"errors"},
    **{name: {"protocols", "gathering"} for name in FUNCTIONS},
    "loadable": {"checkpoint", "describing"},
    "loading": {"checkpoint", "exported"},
    "projection": {"sampling"},
    "provenance": {"__init__"},
    "exported": {"describing", "files", "sampling", "trust"},
    "sampling": {"sampling", "at_once", "ode"},
    "training": {"training", "at_once", "errors", "layers", "loadable", "migration", "protocols", "gathering", "sampling", *FUNCTIONS},
    **{name: {name, "protocols"} for name in ("augmentation", "penalties")},
    "data": {"data", "cores", "files", "launched", "numerals"},
    "metrics": {"metrics", "at_once", "files", "numerals"},
    "cores": set(),
    "callbacks": {"callbacks", "at_once", "errors", "files", "numerals", "provenance"},
    "numerals": set(),  # the standard library alone
    "files": set(),  # the standard library alone
    "errors": set(),
    "launched": set(),  # the standard library alone, too
    "extensions": set(),  # the standard library alone
    "trust": {"extensions"},
    "instantiation": {"trust"},
    "migration": set(),  # the standard library alone, too
    "config": {"config", "errors", "extensions", "files", "instantiation", "migration", "trust", "__init__"},
    "cli": {"config", "cores", "errors", "launched", "runs", "__init__"},  # commands by name, through importlib
    "checkpoint": {"files", "instantiation", "migration", "trust"},
    "warm_start": {"warm_start", "checkpoint", "errors", "files", "instantiation"},
    "official": set(),
    "comparison": {"comparison", "numerals", "callbacks", "provenance", "checkpoint", "errors", "files", "instantiation", "launched", "metrics", "runs"},
    "__init__": {"api", "loading", "data"},  # when it is first used
    "__main__": {"cli"},
    "api": {"checkpoint", "commands", "config", "errors", "files"},
    "planning": {"planning", "cores", "numerals", "data", "metrics"},
    "runs": {
        "runs", "at_once", "cores", "numerals", "planning", "sampling", "checkpoint", "files", "provenance", "launched", "warm_start", "errors", "config", "callbacks", "data",
        "instantiation", "metrics", "projection", "exported", "ode", "schedules", "training", "trust", "__init__",
    },
    "reporting": {
        "reporting", "numerals", "runs", "sampling", "checkpoint", "files", "errors", "config", "callbacks", "data", "instantiation", "metrics",
    },
    "exporting": {
        "exporting", "numerals", "reporting", "runs", "callbacks", "provenance", "config", "sampling", "describing", "exported", "errors", "files", "__init__",
    },
    "sweep": {"sweep", "cores", "numerals", "runs", "comparison", "checkpoint", "files", "launched", "errors", "config", "trust", "__init__"},
    "commands": {
        "commands", "cores", "numerals", "reporting", "exporting", "provenance", "sampling", "extensions", "sweep", "runs", "comparison", "checkpoint", "files", "launched", "warm_start", "official", "errors", "config",
        "callbacks", "data", "instantiation", "metrics", "schedules", "training", "trust", "__init__",
    },
}  # fmt: skip


ALSO = {  # file: what it may import besides
    "models/backbone_discriminator.py": {"timm", "huggingface_hub", "difflib", "os", "pathlib"},
}


def imported(source: str, package: list[str]) -> set[str]:
    """Every module a source in `package` imports, in functions too; `from a import b` counts as a and as a.b."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def violations(part: str, source: str, also: set[str] = frozenset()) -> set[str]:
    names = imported(source, ["transgan", part])
    parts = {path.stem for path in ROOT.iterdir()}
    bad = {n for n in names if n.startswith("transgan.") and n.split(".")[1] in parts - OURS[part]}
    outside = {n.split(".")[0] for n in names} - {"transgan"}
    if part in ("layers", "models"):
        bad |= outside - {"torch", "collections", "functools", "math", "typing"} - also
    if part in QUICK:
        bad |= outside & HEAVY
    return bad


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_arrows_run_one_way(path):
    place = path.relative_to(ROOT)
    assert not violations(place.parts[0].removesuffix(".py"), path.read_text(), ALSO.get(place.as_posix(), set()))


@pytest.mark.parametrize(
    "part, source",
    [
        ("layers", "from transgan.models import style_transformer"),
        ("layers", "import pytorch_lightning"),
        ("models", "def f():\n    from transgan.training.adversarial import Adversarial"),
        ("models", "import timm"),
        ("training", "import transgan.models.vit_discriminator"),
        ("training", "from transgan import checkpoint"),
        ("losses", "from transgan import penalties"),
        ("callbacks", "from transgan.metrics import Evaluator"),
        ("data", "import transgan.callbacks.stats as s"),
        ("data", "from ..metrics import Evaluator"),
        ("cli", "from transgan.commands.train import main"),
        ("config", "def f():\n    import torch.nn"),
        ("errors", "from torch import Tensor"),
        ("checkpoint", "from transgan.commands import train"),
    ],
)
def test_a_violation_would_be_seen(part, source):
    assert violations(part, source)
