"""Transformers that generate images and Transformers that discriminate them.

    import transgan
    images = transgan.load("runs/digits").generate([0, 1, 2])       # uint8, N x C x H x W

What is named here is imported when it is first used, so that `import transgan` costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public names -> the modules that define them.
PUBLIC = {
    "load": "transgan.loading",
}
__all__ = ["__version__", *PUBLIC]  # noqa: PLE0604

if TYPE_CHECKING:
    from transgan.loading import load as load


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'transgan' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
