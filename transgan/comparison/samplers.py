"""Whether systems of a suite can be sampled as their `sample:` says, before anything is trained."""

from collections.abc import Callable
from typing import Any

from transgan.comparison.suite import Suite
from transgan.errors import UserError

KEYS = ("steps", "solver", "guidance")


def check_samplers(suite: Suite, compose: Callable[[list[str]], Any]) -> None:
    """Raises UserError with all that is wrong. compose: the configuration of `transgan train` with these words."""
    found = []
    for name, system in suite.systems.items():
        for sentence in wrong(suite, system.get("like") or name, system.get("sample") or {}, compose):
            found.append(f"suite.systems.{name}.sample: {sentence}")
    if found:
        raise UserError(*found)


def wrong(suite: Suite, base: str, sample: Any, compose: Callable[[list[str]], Any]) -> list[str]:
    """Sentences about one `sample:`, of images of the runs of `base`."""
    if not sample:
        return []
    if not isinstance(sample, dict):
        return [f"it takes keys, such as {{steps: 4}}, and not {sample}"]
    if unknown := [key for key in sample if key not in KEYS]:
        return [f"there is no {key}; it takes {', '.join(KEYS)}" for key in unknown]
    arguments = list(suite.job_of(base, suite.budgets[0], suite.config["seeds"][0], 1.0, measured=True).arguments)
    try:
        config = compose(arguments)
    except UserError:
        return []  # its training says what is wrong, with its log
    if "likelihood_steps" not in config["algorithm"]:
        return [f"{base} is no flow, and makes images in no steps; leave it out"]
    try:
        config = compose([*arguments, *(f"algorithm.{key}={value}" for key, value in sample.items())])
    except UserError as error:
        return list(error.findings)
    guidance, classes = sample.get("guidance", 1), config.get("num_classes")
    if guidance != 1 and (not config["algorithm"].get("label_dropout") or classes == 0):
        return [
            f"guidance={guidance:g} needs a flow that knows images without a class too; train {base} with classes and "
            "algorithm.label_dropout=0.1"
        ]
    return []
