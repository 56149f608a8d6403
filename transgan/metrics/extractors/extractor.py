"""What every feature extractor is: a frozen network that turns uint8 images into features and perhaps logits."""

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from transgan.metrics.exact import exact

if TYPE_CHECKING:
    from transgan.metrics.sampling import ImageData


class FeatureExtractor(Protocol):
    """What metrics and the evaluator ask of an extractor; `Extractor` says what each of these is."""

    @property
    def name(self) -> str: ...

    @property
    def standard(self) -> bool: ...

    @property
    def num_features(self) -> int | None: ...

    @property
    def hash(self) -> str | None: ...

    @property
    def class_names(self) -> list[str] | None: ...

    @property
    def preprocessing(self) -> str: ...

    def prepare(self, dataset: "ImageData", /) -> None: ...

    def to(self, device: Any, /) -> Any: ...

    def __call__(self, images: Tensor, /) -> tuple[Tensor, Tensor | None]: ...


class Extractor:
    """Base class. A subclass defines `load(dataset)` and `extract(images)`, and fills in what it says about itself:

    name             what the numbers are called by, as in fd_<name>
    standard         whether a distance by these features is the FID that papers print
    num_features     D; None: measured on two images of the data by prepare()
    hash             hex SHA-256 of the weights, known after prepare()
    class_names      names of the logits' columns, where they are classes that data can have; else None
    preprocessing    one line on what is done to the images first, known after prepare()
    rgb              whether the network wants three channels: then grey is repeated
    cpu_chunk        images at a time on a CPU, whatever the batch; None: all. 8 images of 224 px take half the time
                     per image that 32 do, whose activations the system has to map anew for every layer

    A plain object, not a module: frozen weights have no place in the parameters, the modes and the checkpoints of
    what is trained, and BatchNorm inside must not follow the training mode of an owner.
    """

    name: str = ""
    standard: bool = False
    num_features: int | None = None
    hash: str | None = None
    class_names: list[str] | None = None
    preprocessing: str = ""
    rgb: ClassVar[bool] = True
    cpu_chunk: ClassVar[int | None] = None
    network: Any = None  # a module, whose methods differ
    device = torch.device("cpu")

    def load(self, dataset: "ImageData") -> nn.Module:
        """The network, on the CPU; sets `hash`. ValueError in one sentence with the way out if it cannot be had."""
        raise NotImplementedError  # for subclasses

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """uint8 N x C x H x W on the device, C = 3 if `rgb` -> features N x D, logits N x K or None"""
        raise NotImplementedError  # for subclasses

    def prepare(self, dataset: "ImageData") -> None:
        """Load the network for images like those of `dataset`. Twice is the same as once; no random state moves."""
        if dataset.channels not in (1, 3):
            raise ValueError(
                f"The extractor {self.name} looks at grey or RGB images, and these have "
                f"{dataset.channels} channels: give data with channels=1 or channels=3."
            )
        if self.network is None:
            with torch.random.fork_rng(devices=[]), exact("cpu"):  # a network begins with random weights
                network = self.load(dataset)
            self.network = network.eval().requires_grad_(False).to(self.device)
        if self.num_features is None:
            self.num_features = self(dataset.__getitems__(range(min(2, len(dataset))))[0])[0].shape[1]

    def to(self, device: torch.device | str) -> "Extractor":
        self.device = torch.device(device)
        if self.network is not None:
            self.network.to(self.device)
        return self

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """uint8 N x C x H x W with C 1 or 3 -> features float32 N x D, logits float32 N x K or None

        Anything else is refused: a float image has no agreed range, and a guess would be a number like any other.
        """
        assert self.network is not None, "prepare() comes first"
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(
                f"The extractor {self.name} takes uint8 images N x C x H x W with 1 or 3 channels, and "
                f"got {images.dtype} of shape {tuple(images.shape)}: round them to 0..255 first."
            )
        with exact(self.device):
            images = images.to(self.device)
            images = images.expand(-1, 3, -1, -1) if self.rgb else images
            chunks = images.split(self.cpu_chunk) if self.cpu_chunk and self.device.type == "cpu" else [images]
            parts = [self.extract(chunk) for chunk in chunks]
            features = torch.cat([features for features, _ in parts]).float()
            logits = [logits for _, logits in parts if logits is not None]
            return features, torch.cat(logits).float() if logits else None


def state_hash(network: nn.Module, first: str = "") -> str:
    """Hex SHA-256 of all weights and buffers, in the order of their names, after the text `first`."""
    digest = hashlib.sha256(first.encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
        digest.update(tensor.cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
