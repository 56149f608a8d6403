"""The same findings in a few sentences for the beginning of training, from what is in memory: no file is read."""

import numpy as np
from PIL import Image

from transgan.data.dataset import ImageDataset
from transgan.data.inspection import class_rules, duplicates, rules
from transgan.data.inspection.finding import SPOILS, in_groups
from transgan.data.inspection.leaks import also_trained_on, digest, leaks
from transgan.data.inspection.traits import Traits, light_of, thumb_of

MOST = 4_000  # images looked at; duplicates are looked for among all of them, up to TWINS
TWINS = 100_000


def short(dataset: ImageDataset, heldout: ImageDataset | None = None) -> list[str]:
    """Sentences about images that spoil training: duplicates also of the held-out images or the set's own part to
    measure against, dark, blurred and blank ones, extreme shapes, and classes. Of images that are not in memory only
    sizes and classes are known, and files of the own part that are also there to train on.

    Looks at no more than MOST images, evenly spaced, and takes less than a second; `transgan data check` looks at all.
    """
    found = [f"{said} (of {MOST:,} looked at)" if len(dataset) > MOST else said for said in of_sample(dataset)]
    known: set[bytes] = set()
    if dataset.images is not None and len(dataset) <= TWINS:
        digests = [digest(each) for each in dataset.images]
        known, groups = set(digests), seen_several_times(dataset, digests)
        if groups:
            count = numbered(sum(map(len, groups)))
            found.insert(0, f"duplicates at {dataset.resolution} px: {count}{in_groups(len(groups))}")
        if heldout is not None and heldout.images is not None and len(heldout) <= TWINS:
            if both := sum(digest(each) in known for each in heldout.images):
                found.insert(0, also_trained_on(both, len(heldout), "held-out images"))
    return (leaks(dataset, known) if heldout is None else []) + found


def seen_several_times(dataset: ImageDataset, digests: list[bytes]) -> list[list[int]]:
    """Groups of images that are the same at this resolution, if there is anything to be seen in them."""
    groups = duplicates.exact(digests)
    if not groups:
        return []
    thumbs = np.stack([np.frombuffer(thumb_of(grey(dataset, group[0])), np.uint8) for group in groups])
    return [group for group, seen in zip(groups, duplicates.visible(thumbs), strict=True) if seen]


def numbered(count: int) -> str:
    return f"{count:,} image{'s' * (count != 1)}"


def of_sample(dataset: ImageDataset) -> list[str]:
    chosen = np.linspace(0, len(dataset) - 1, min(MOST, len(dataset))).astype(int).tolist()
    images = rules.Set(
        [str(i) for i in chosen], [traits(dataset, i) for i in chosen], dataset.labels[chosen].numpy(),
        dataset.class_names, [rules.TRAINED] * len(chosen),
    )  # fmt: skip
    findings = rules.of_size(images, dataset.resolution)
    if dataset.images is not None:
        findings = rules.of_content(images, dataset.resolution) + findings
    every = rules.Set([], [], dataset.labels.numpy(), dataset.class_names, [rules.TRAINED] * len(dataset))
    said = [f"{each.title}: {numbered(each.count)}" for each in findings if each.level == SPOILS]
    named = [each for each in class_rules.of_classes(every) if each.level == SPOILS]
    return said + [f"{each.title}: {', '.join(each.named())}" for each in named]


def traits(dataset: ImageDataset, index: int) -> Traits:
    """Of an image in memory, without what tells duplicates; of others the size alone."""
    width, height = dataset.sizes[index].tolist()
    light = (255.0, 255.0, float("inf"))
    if dataset.images is not None:
        light = light_of(np.asarray(grey(dataset, index), np.float32))
    return Traits((width, height), 1, "", "", 1, False, False, None, b"", *light, False, b"")


def grey(dataset: ImageDataset, index: int) -> Image.Image:
    """An image in memory without its colours, not larger than it was before it was enlarged."""
    assert dataset.images is not None
    pixels = dataset.images[index].permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels[..., 0] if dataset.channels == 1 else pixels).convert("L")
    side = min(*dataset.sizes[index].tolist(), dataset.resolution)
    return image.resize((side, side), Image.Resampling.BOX) if side < dataset.resolution else image
