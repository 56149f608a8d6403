"""Any network that timm knows, with its published weights, as a feature extractor: pooled features, no logits."""

import difflib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transgan import files
from transgan.metrics.extractors import sources
from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.extractors.resize import Resize
from transgan.metrics.sampling import ImageData

SUFFIXES = (".safetensors", ".pth", ".pt")


class Backbone(Extractor):
    """timm's `model_name`, such as resnet50 or vit_base_patch16_224.augreg_in1k, without its classifier.

    The weights come from the first of: `weights` (a safetensors or torch file), the folder $TRANSGAN_WEIGHTS (as
    <model_name>.safetensors, .pth or .pt), the Hugging Face cache, and, if `download`, the Hugging Face hub. Images are
    resized, not cropped, to the size that timm notes for these weights.
    """

    cpu_chunk = 8

    def __init__(self, model_name: str, weights: str | None = None, download: bool = False):
        self.model_name, self.weights, self.download = model_name, weights, download
        self.name = "timm_" + model_name.replace(".", "_").replace("/", "_")

    def load(self, dataset: ImageData) -> nn.Module:
        import timm

        published = self._published()
        path = self._find(published)
        self.hash = files.sha256(path)
        with sources.loading(path, f"timm's {self.model_name}"):
            network = self._network(path, published)
        facts = timm.data.resolve_model_data_config(network)
        self.resize = Resize(facts["input_size"][1:], facts["interpolation"], facts["mean"], facts["std"])
        self.preprocessing = str(self.resize)
        return network

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(self.resize(images)), None

    def _published(self) -> Any:
        """What timm notes about the model and its weights; ValueError with near names if it knows no such model."""
        import timm

        try:
            published = timm.models.get_pretrained_cfg(self.model_name) if timm.is_model(self.model_name) else None
        except RuntimeError:  # the model exists, but not with these weights (the part after the dot)
            published = None
        if published is None:
            known = timm.list_models() + timm.list_pretrained()
            near = difflib.get_close_matches(self.model_name, known, 3) or ["timm.list_models() lists them"]
            raise ValueError(
                f"extractor.model_name={self.model_name}: timm {timm.__version__} knows no such model; "
                f"the nearest: {', '.join(near)}."
            )
        return published

    def _find(self, published: Any) -> Path:
        files = [self.model_name + suffix for suffix in SUFFIXES]
        repository, file = published.hf_hub_id, published.hf_hub_filename or "model.safetensors"
        hub = f"{repository}/{file}" if repository else "nothing, for timm names no place there,"

        def cached() -> Iterator[Path]:
            yield from sources.folder(*files)
            if repository:
                yield from sources.hugging_face(repository, file)

        def fetch() -> str:
            if not repository:
                raise OSError("timm names no place on the Hugging Face hub")
            from huggingface_hub import hf_hub_download

            return hf_hub_download(repository, file)

        def missing(what: str) -> str:
            return (
                f"Backbone {self.model_name}: {what}; looked for {', '.join(files)} in $TRANSGAN_WEIGHTS and for "
                f"{hub} in the Hugging Face cache: name a file with extractor=timm:{self.model_name} "
                f"extractor.weights=PATH, or let it be fetched with extractor.download=true there."
            )

        return sources.find([("extractor.weights", self.weights)], cached(), self.download, fetch, missing)

    def _network(self, path: Path, published: Any) -> nn.Module:
        """Loaded by timm, which knows every format its models were published in, with whatever head; then beheaded.

        timm loads strictly only if the file has as many classes as it expects, so it is given what the file has. No
        head under its own name means that it was cut off, or that the format is another one.
        """
        import timm

        state = timm.models.load_state_dict(str(path), weights_only=True)
        heads = [published.classifier] if isinstance(published.classifier, str) else published.classifier or []
        rows = [len(state[f"{head}.weight"]) for head in heads if f"{head}.weight" in state]
        if not rows:
            with suppress(RuntimeError):
                return self._loaded(path, published.num_classes)
        return self._loaded(path, rows[0] if rows else 0)

    def _loaded(self, path: Path, classes: int) -> nn.Module:
        """A few families, such as DLA, are never loaded strictly; but what is not in the file differs between seeds."""
        import timm

        overlay = {"file": str(path), "custom_load": False, "num_classes": classes}
        twins: list[Any] = []
        for seed in (0, 1):
            torch.random.default_generator.manual_seed(seed)
            twins.append(timm.create_model(self.model_name, pretrained=True, pretrained_cfg_overlay=overlay))
            twins[-1].reset_classifier(0)
        for (name, one), other in zip(twins[0].state_dict().items(), twins[1].state_dict().values(), strict=True):
            if not torch.equal(one, other):
                raise ValueError(f"there is no {name} in it")
        return twins[0]
