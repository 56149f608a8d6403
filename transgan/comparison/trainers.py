"""On what the runs of a suite are trained: the trainer among their arguments."""

import torch


def with_trainer(arguments: list[str], trainer: str | None) -> list[str]:
    """The arguments with trainer=`trainer` in the place of theirs, or after them; None leaves them."""
    if trainer is None:
        return arguments
    word = f"trainer={trainer}"
    if any(each.startswith("trainer=") for each in arguments):
        return [word if each.startswith("trainer=") else each for each in arguments]
    return [*arguments, word]


def asks_for_gpu(arguments: list[str]) -> bool:
    """Whether runs of these arguments are trained on a GPU; without a word about it where this machine has one."""
    given = dict(each.split("=", 1) for each in arguments if "=" in each)
    kind = given.get("trainer", "auto")
    kind = given.get("trainer.accelerator", kind if kind in ("cpu", "gpu") else "auto")
    return kind in ("gpu", "cuda") or kind == "auto" and torch.cuda.is_available()
