"""What is exported: a run's sampler, and what is known of it."""

from functools import cached_property
from typing import Any

from transgan import __version__, exported, provenance
from transgan.describing import Indescribable, describe, signature, target
from transgan.errors import UserError
from transgan.exporting.network import ImagesFromLatents
from transgan.reporting.material import Material
from transgan.reporting.measured import Measured, all_measured
from transgan.runs.run import Run
from transgan.sampling import LatentSampler, Sampler


class Source:
    """A checkpoint of a run, to be exported.

    Args:
        run: the checkpoint. given: the run as the user has named it. license: of the weights, None if not said.
    """

    def __init__(self, run: Run, given: str, license: str | None = None) -> None:
        self.run, self.given, self.license = run, given, license

    @cached_property
    def sampler(self) -> Sampler:
        """What makes images, on the CPU. Raises UserError for a module of the user's own that does not say."""
        module: Any = self.run.module
        try:
            return module.sampler_of_images().eval()
        except (AttributeError, NotImplementedError) as error:
            raise UserError(
                f"{self.run.path} is of {type(module).__name__}, which does not say how it makes images: give it a "
                "method sampler_of_images that returns a transgan.sampling.Sampler"
            ) from error

    @property
    def at_once(self) -> bool:
        """Whether images are made in one pass from latents."""
        return isinstance(self.sampler, LatentSampler)

    @property
    def has_psi(self) -> bool:
        """Whether there are styles to truncate."""
        return ImagesFromLatents.has_styles(self.sampler.network)

    def signature(self, output: str) -> str:
        """What a program takes and makes: latent (N, 32) float32, label (N,) int64 -> images (N, 1, 8, 8) uint8."""
        facts = self.facts
        inputs = [f"latent (N, {facts['latent_dim']}) float32"]
        inputs += ["label (N,) int64"] * bool(facts["num_classes"]) + ["psi () float32"] * self.has_psi
        kind = "uint8" if output == "uint8" else "float32 in [-1, 1]"
        side = facts["resolution"]
        return f"{', '.join(inputs)} -> images (N, {facts['channels']}, {side}, {side}) {kind}"

    @cached_property
    def description(self) -> dict[str, Any]:
        """The sampler as plain values. Raises UserError where its network cannot be described."""
        sampler = self.sampler
        try:
            network = describe(sampler.network)
        except Indescribable as reason:
            network = self.run.config["algorithm"].get(self.run.module.networks[0])
            if not isinstance(network, dict):
                raise UserError(
                    f"{self.run.path}: its network cannot be described in a file ({reason}); let the class inherit "
                    "from transgan.describing.Described"
                ) from reason
        others = [name for name in signature(type(sampler)).parameters if name != "network"]
        options = {name: describe(getattr(sampler, name)) for name in others}
        return {"_target_": target(type(sampler)), "network": network, **options}

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Channels and side of the images, which a checkpoint of one's own Trainer does not say."""
        config = self.run.config
        if "resolution" in config and "channels" in config:
            return config["channels"], config["resolution"]
        image = self.sampler.generate([0])
        return image.shape[1], image.shape[2]

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, or their numbers; none without classes."""
        names, count = self.run.class_names, self.sampler.num_classes
        return [names[i] if i < len(names) else str(i) for i in range(count)]

    @cached_property
    def measured(self) -> Measured | None:
        """The evaluation that stands for this checkpoint; None where nothing was measured."""
        found = all_measured(Material(self.given, "best" if self.run.path.stem == "best" else "last"))
        return next((each for each in found if each.primary and each.kimg == self.run.kimg), None)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What an exported file says of itself, as plain values."""
        measured, (channels, side) = self.measured, self.shape
        return {
            "format": exported.FORMAT,
            "version": __version__,
            "sampler": self.description,
            "run": self.run.name,
            "kimg": self.run.kimg,
            "checkpoint": self.run.path.name,
            "checkpoint_sha256": self.run.sha256,
            "weights": "ema" if self.run.ema else "raw",
            "weights_sha256": provenance.weights_hash(self.sampler.network.state_dict()),
            "resolution": side,
            "channels": channels,
            "latent_dim": getattr(self.sampler.network, "latent_dim", None),
            "num_classes": self.sampler.num_classes,
            "class_names": self.class_names,
            "parameters": sum(each.numel() for each in self.sampler.network.parameters()),
            "metric": measured.primary if measured else None,
            "value": measured.value if measured else None,
            "floor": measured.bounds.get("floor") if measured else None,
            "protocol_id": measured.id if measured else None,
            "protocol": measured.line if measured else None,
            "license": self.license,
        }
