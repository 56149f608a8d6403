"""The callbacks that a configuration composes, as objects."""

from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import Callback

from transgan.callbacks import Session
from transgan.errors import UserError
from transgan.instantiation import make
from transgan.training.generative import Generative


def callbacks_of(config: DictConfig, session: Session, module: Generative) -> list[Callback]:
    """Those of `config.callbacks` that are not null, in their order, and that apply to this run.

    A callback with a method `applies(session, module)` says so itself: there is no likelihood of a GAN. Raises
    UserError.
    """
    made, found = [], []
    for name, node in (config.get("callbacks") or {}).items():
        if not node:
            continue
        callback: Any = make(node)
        if not isinstance(callback, Callback):
            found.append(f"callbacks.{name}: {node.get('_target_')} is not a pytorch_lightning.Callback")
        elif not hasattr(callback, "applies") or callback.applies(session, module):
            made.append(callback)
    if found:
        raise UserError(*found)
    return made
