"""A callback of one's own: any callback of Lightning's."""

from pathlib import Path

from pytorch_lightning import Callback, LightningModule, Trainer


class CountSteps(Callback):
    def __init__(self, path: str):
        self.path, self.steps = Path(path), 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        self.steps += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.path.write_text(f"{self.steps}\n", encoding="utf-8")
