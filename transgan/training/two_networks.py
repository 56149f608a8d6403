"""What training one network against another asks of the networks and of the Trainer."""

from collections.abc import Iterator
from contextlib import contextmanager

from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy
from torch import nn


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network's parameters get no gradient."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def latent_dim_of(generator: nn.Module) -> int:
    """The size of a generator's latents. Raises ValueError if it does not say."""
    size = getattr(generator, "latent_dim", None)
    if not isinstance(size, int):
        raise ValueError(
            f"{type(generator).__name__} has no latent_dim: give the generator an attribute of this name, the size of "
            "its latents"
        )
    return size


def require_trainer(trainer: Trainer) -> None:
    """Raises ValueError for a Trainer in which two networks with an optimizer each cannot be trained."""
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy) and not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise ValueError(
            "each step of a GAN trains one of its two networks, and this strategy expects gradients for both: "
            "give Trainer(strategy='ddp_find_unused_parameters_true')"
        )
    if trainer.precision == "16-mixed":
        raise ValueError("precision 16-mixed has one loss scale for two networks: give 'bf16-mixed' or '32-true'")
