"""Modules whose checkpoints say how they were built, and Lightning's `load_from_checkpoint` for them.

It reads what `transgan train` has written and what ModelCheckpoint writes for one's own Trainer, and runs nothing that
the file names unless it is a class of transgan or the user has said so.
"""

import inspect
from pathlib import Path
from typing import IO, Any, Self

from pytorch_lightning import LightningModule

from transgan import checkpoint
from transgan.describing import Indescribable, describe


class Loadable(LightningModule):
    """Base of the modules: what one was constructed with travels in its checkpoints, in plain values.

    Arguments that no plain values describe, such as networks of a user's own, are left out; `load_from_checkpoint`
    takes them.
    """

    description: dict[str, Any]
    undescribed: list[str]

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        self = super().__new__(cls)
        self.__dict__["description"] = {"_target_": f"{cls.__module__}.{cls.__qualname__}"}
        self.__dict__["undescribed"] = []
        try:
            given = inspect.signature(cls).bind(*arguments, **keywords).arguments
        except TypeError:  # the constructor says what is wrong
            return self
        for name, value in given.items():
            try:
                self.description[name] = describe(value)
            except Indescribable:
                self.undescribed.append(name)
        return self

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: str | Path | IO,
        map_location: Any = None,
        hparams_file: str | Path | None = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **parts: Any,
    ) -> Self:
        """The module of a checkpoint or run folder, to train or to use; on the CPU unless `map_location` is given.

        `parts` are arguments of the constructor that take the place of those in the checkpoint, such as
        generator=MyGenerator(...) of a class that the checkpoint does not know. Nothing runs that the file names unless
        it is a class of transgan or one that $TRANSGAN_TRUST names. Raises CheckpointError.
        """
        if hparams_file is not None:
            raise ValueError("hparams_file: a checkpoint of transgan says itself how its module is built; leave it out")
        if weights_only is False:
            raise ValueError("weights_only=False would run code from the file; leave it out")
        if not isinstance(checkpoint_path, str | Path):
            raise TypeError("checkpoint_path: give the path of a checkpoint or a run folder")
        path = checkpoint.find(checkpoint_path)
        saved = checkpoint.read(path, parts, cls)
        if lacking := [name for name in saved.get("undescribed", ()) if name not in parts]:
            raise checkpoint.lacks(path, lacking, cls.__name__)
        module = checkpoint.rebuild(path, checkpoint.without_weights(saved["config"])["algorithm"], parts, cls)
        if not isinstance(module, cls):
            raise checkpoint.CheckpointError(
                f"{path} is of {type(module).__name__}, not of {cls.__name__}; use "
                f"{type(module).__name__}.load_from_checkpoint, or transgan.load for any"
            )
        if strict is False:
            module.load_state_dict(saved["state_dict"], strict=False)
        else:
            checkpoint.load_weights(module, saved, path)
        module.on_load_checkpoint(saved)
        return module if map_location is None else module.to(map_location)
