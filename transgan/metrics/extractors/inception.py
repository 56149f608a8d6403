"""The standard Inception network of FID: torch-fidelity's port of the TensorFlow weights of 2015, and no other."""

import io
import os

import torch
from torch import Tensor, nn

from transgan import files
from transgan.metrics.extractors import sources
from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.sampling import ImageData

FILE = "weights-inception-2015-12-05-6726825d.pth"
ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
BYTES = 95_628_359


class Inception(Extractor):
    """Inception v3 as FID defines it: pooled features and logits from one pass, images resized as TensorFlow 1 did.

    The weights come from the first of: `weights`, the environment variable TRANSGAN_INCEPTION, torch hub's cache,
    and, if `download`, the internet (into that cache). They are used only if their SHA-256 is the known one; with
    `check=False` any file of the same network is taken, and then nothing that follows is called FID.
    """

    num_features = 2048
    preprocessing = "TensorFlow 1 bilinear to 299 px without antialias, grey repeated to RGB"
    cpu_chunk = 8

    def __init__(self, weights: str | None = None, download: bool = False, check: bool = True):
        if not check and not weights:
            raise ValueError("Inception(check=False) needs weights=PATH: it takes a file of yours as it is.")
        self.weights, self.download, self.check = weights, download, check
        self.name = "inception" if check else "inception_unchecked"
        self.standard = bool(check)

    def load(self, dataset: ImageData) -> nn.Module:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        named = [("extractor.weights", self.weights), ("TRANSGAN_INCEPTION", os.environ.get("TRANSGAN_INCEPTION"))]
        cache = sources.torch_hub(FILE)
        path = sources.find(named, [cache], self.download, lambda: sources.fetch(ADDRESS, cache, _verify), _missing)
        content = path.read_bytes()  # read once, so that what was hashed is what is loaded
        self.hash = files.hash_of(content)
        if self.check:
            _verify(path, len(content), self.hash)
        with sources.loading(path, "torch-fidelity's inception-v3-compat network"):
            if not self.check:
                torch.load(io.BytesIO(content), weights_only=True)  # torch-fidelity itself would unpickle anything
            return FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=io.BytesIO(content)
            )

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(images)  # features N x 2048, logits N x 1008


def on_this_machine() -> bool:
    """Whether the weights are where they are looked for, without a name or a download."""
    named = os.environ.get("TRANSGAN_INCEPTION")
    return (files.expanded(named) if named else sources.torch_hub(FILE)).is_file()


def _missing(what: str) -> str:
    return (
        f"Inception: {what}; get {FILE} (SHA-256 {SHA256}) from {ADDRESS} and put it at {sources.torch_hub(FILE)}, "
        f"or name another place with extractor=inception extractor.weights=PATH, or let it be fetched with "
        f"extractor=inception extractor.download=true; extractor=classifier needs no download."
    )


def _verify(path: object, size: int, digest: str) -> None:
    if digest != SHA256:
        raise ValueError(
            f"{path} is not the standard Inception: it has {size:,} bytes and SHA-256 {digest}, expected "
            f"are {BYTES:,} bytes and {SHA256}; replace it from {ADDRESS}, or use extractor=classifier."
        )
