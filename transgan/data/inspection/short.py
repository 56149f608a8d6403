"""The same findings in a few sentences for the beginning of training, from what is in memory: no file is read."""

import hashlib

import numpy as np
import torch
from PIL import Image

from transgan.data.dataset import ImageDataset
from transgan.data.inspection import class_rules, rules
from transgan.data.inspection.finding import SPOILS
from transgan.data.inspection.traits import Traits, light_of, thumb_of

MOST = 4_000  # images looked at; duplicates are looked for among all of them, up to TWINS
TWINS = 100_000


def short(dataset: ImageDataset, heldout: ImageDataset | None = None) -> list[str]:
    """Sentences about images that spoil training: duplicates also of the held-out images, dark, blurred and blank ones,
    extreme shapes, and classes. Of images that are not in memory only sizes and classes are known.

    Looks at no more than MOST images, evenly spaced, and takes less than a second; `transgan data check` looks at all.
    """
    found = [f"{said} (of {MOST:,} looked at)" if len(dataset) > MOST else said for said in of_sample(dataset)]
    if dataset.images is not None and len(dataset) <= TWINS:
        digests = [digest(each) for each in dataset.images]
        if copies := len(digests) - len(set(digests)):
            found.insert(0, f"exact duplicates: {numbered(copies)}")
        if heldout is not None and heldout.images is not None and len(heldout) <= TWINS:
            known = set(digests)
            if both := sum(digest(each) in known for each in heldout.images):
                found.insert(0, f"{both:,} of {len(heldout):,} held-out images are also trained on")
    return found


def numbered(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"


def digest(image: torch.Tensor) -> bytes:
    return hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest()


def of_sample(dataset: ImageDataset) -> list[str]:
    chosen = np.linspace(0, len(dataset) - 1, min(MOST, len(dataset))).astype(int).tolist()
    images = rules.Set(
        [str(i) for i in chosen], [traits(dataset, i) for i in chosen], dataset.labels[chosen].numpy(),
        dataset.class_names, np.zeros(len(chosen), bool),
    )  # fmt: skip
    findings = rules.of_size(images, dataset.resolution)
    if dataset.images is not None:
        findings = rules.of_content(images, dataset.resolution) + findings
    every = rules.Set([], [], dataset.labels.numpy(), dataset.class_names, np.zeros(len(dataset), bool))
    said = [f"{each.title}: {numbered(each.count)}" for each in findings if each.level == SPOILS]
    named = [each for each in class_rules.of_classes(every) if each.level == SPOILS]
    return said + [f"{each.title}: {', '.join(each.named())}" for each in named]


def traits(dataset: ImageDataset, index: int) -> Traits:
    """Of an image in memory; of others the size alone."""
    width, height = dataset.sizes[index].tolist()
    light, thumb = (255.0, 255.0, float("inf")), b""
    if dataset.images is not None:
        pixels = dataset.images[index].permute(1, 2, 0).numpy()
        image = Image.fromarray(pixels[..., 0] if dataset.channels == 1 else pixels).convert("L")
        side = min(width, height, dataset.resolution)
        image = image.resize((side, side), Image.Resampling.BOX) if side < dataset.resolution else image
        light, thumb = light_of(np.asarray(image, np.float32)), thumb_of(image)
    return Traits((width, height), 1, "", "", 1, False, False, None, b"", *light, False, thumb)
