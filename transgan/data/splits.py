"""The parts that folders named train, test, val and so on are: what to train on, and what to measure against."""

import torch

from transgan.data.dataset import ImageDataset
from transgan.data.file import File
from transgan.data.labels import OUTSIDE, after_prefix, shared, training_part


def training_files(files: list[File]) -> tuple[list[File], dict[str, list[File]]]:
    """The files to train on, and {folder: files} of the parts left out."""
    chosen, left = training_part([name for name, _, _ in files])
    return [files[i] for i in chosen], {folder: [files[i] for i in indices] for folder, indices in left.items()}


def part_to_test_on(left: dict[str, list[File]]) -> str | None:
    """The folder of the part to measure against: test, or else val or another; None if there is none."""
    named = [folder for folder in left if folder != OUTSIDE]
    short = {folder: name.lower() for folder, name in after_prefix(named).items()}
    order = {folder: [not name.startswith(kind) for kind in ("test", "val")] for folder, name in short.items()}
    return min(named, key=lambda name: (order[name], name), default=None)


def take_classes(part: ImageDataset, files: list[File], names: list[str]) -> bool:
    """Numbers the classes of a part, which has these files, as in the data set with classes of these names; False if it
    has others."""
    if names and not part.class_names:  # one class alone, or others that are not named alike
        part.class_names = list(shared([name for name, _, _ in files])[-1:])
    if not set(part.class_names) <= set(names) or names and not part.class_names:
        return False
    if part.class_names != names:
        part.labels = torch.tensor([names.index(name) for name in part.class_names])[part.labels]
        part.class_names = names
        forget(part)
    return True


def forget(dataset: ImageDataset) -> None:
    """Drops the fingerprints, after labels or files have changed."""
    for key in ("fingerprint", "earlier_fingerprint"):
        dataset.__dict__.pop(key, None)
