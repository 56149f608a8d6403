"""The standard Inception network of FID: torch-fidelity's port of the TensorFlow weights of 2015, and no other."""

import hashlib
import io
import os
import tempfile
import urllib.request
from pathlib import Path

import torch

from transgan.metrics.exact import exact

FILE = "weights-inception-2015-12-05-6726825d.pth"
ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
BYTES = 95_628_359


class Inception:
    """Inception v3 as FID defines it: pooled features and logits from one pass, images resized as TensorFlow 1 did.

    The weights come from the first of: `weights`, the environment variable TRANSGAN_INCEPTION, torch hub's cache,
    and, if `download`, the internet (into that cache). They are used only if their SHA-256 is the known one; with
    `check=False` any file of the same network is taken, and then nothing that follows is called FID.

    A plain object, not a module: 24 million frozen weights have no place in a training checkpoint.
    """

    num_features = 2048

    def __init__(self, weights=None, download=True, check=True):
        if not check and not weights:
            raise ValueError("Inception(check=False) needs weights=PATH: it takes a file of yours as it is.")
        self.weights, self.download, self.check = weights, download, check
        self.name = "inception" if check else "inception_unchecked"
        self.standard = bool(check)
        self.hash = None                      # known after prepare()
        self.device = torch.device("cpu")
        self.network = None

    def prepare(self, dataset):
        """Load the network; of the `dataset` only the number of channels matters. Twice is the same as once."""
        if dataset.channels not in (1, 3):
            raise ValueError(f"Inception looks at grey or RGB images, and these have {dataset.channels} channels.")
        if self.network is not None:
            return
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        path = self._find()
        content = path.read_bytes()           # read once, so that what was hashed is what is loaded
        self.hash = hashlib.sha256(content).hexdigest()
        if self.check:
            _verify(path, len(content), self.hash)
        try:
            if not self.check:
                torch.load(io.BytesIO(content), weights_only=True)   # torch-fidelity itself would unpickle anything
            self.network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=io.BytesIO(content))
        except Exception as error:            # of many kinds: zip, pickle, missing keys, shapes
            raise ValueError(f"{path} does not hold weights of torch-fidelity's inception-v3-compat network "
                             f"({type(error).__name__}).") from error
        self.network.to(self.device)

    def to(self, device):
        self.device = torch.device(device)
        if self.network is not None:
            self.network.to(self.device)
        return self

    def __call__(self, images):
        """uint8 N x C x H x W -> features float32 N x 2048, logits float32 N x 1008. Grey is repeated to RGB."""
        assert self.network is not None, "prepare() comes first"
        with exact(self.device):
            images = images.to(self.device)
            return self.network(images.expand(-1, 3, -1, -1))

    def _find(self):
        """The path of the weights, downloaded if need be."""
        for source, path in (("weights", self.weights), ("TRANSGAN_INCEPTION", os.environ.get("TRANSGAN_INCEPTION"))):
            if path:
                path = Path(path).expanduser().absolute()
                if not path.is_file():
                    raise ValueError(_missing(f"{source} names {path}, where there is no file"))
                return path
        path = _cache()
        if not path.is_file():
            if not self.download:
                raise ValueError(_missing("the weights are not on this machine, and download is off"))
            try:
                _download(path)
            except OSError as error:          # no network, no such host, a time-out, a full or read-only disk
                raise ValueError(_missing(f"the weights could not be downloaded: {error}")) from error
        return path


def _cache():
    return (Path(torch.hub.get_dir()) / "checkpoints" / FILE).absolute()


def _missing(what):
    return (f"Inception: {what}; get {FILE} (SHA-256 {SHA256}) from {ADDRESS} and put it at {_cache()}, "
            f"or name another place with metrics.extractor.weights=PATH; metrics=classifier needs no download.")


def _verify(path, size, digest):
    if digest != SHA256:
        raise ValueError(f"{path} is not the standard Inception: it has {size:,} bytes and SHA-256 {digest}, expected "
                         f"are {BYTES:,} bytes and {SHA256}; replace it from {ADDRESS}, or use metrics=classifier.")


def _download(path):
    """Fetch the weights to `path`; the name appears only when every byte is there and is the right one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f"{FILE}.", suffix=".part")
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(ADDRESS, timeout=30) as answer:
            while block := answer.read(1 << 20):
                file.write(block)
                digest.update(block)
                size += len(block)
        _verify(f"What came from {ADDRESS}", size, digest.hexdigest())
        os.chmod(part, 0o644)                 # mkstemp makes files that only their owner can read
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)
