"""What the distances of several extractors do when real images are spoiled, more and more.

    python benchmarks/spoiled.py DATA [--images 5000] [EXTRACTOR[=WEIGHTS] ...]

DATA is what `transgan train` takes, with classes. Half of its images are what is compared with; of the others, as many
as said are spoiled. Each line is a defect; a column is the distance over that of as many untouched images, so that 1
says that the extractor does not see it. At the end of a column, how many of the steps within the defects rise.
"""

import argparse
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from transgan.config.compose import compose
from transgan.instantiation import make
from transgan.metrics.frechet import frechet_distance
from transgan.metrics.moments import Moments, MomentSums
from transgan.runs.images import training_data


def jpeg(images: Tensor, quality: int) -> Tensor:
    found = []
    for image in images:
        file = io.BytesIO()
        array = image.permute(1, 2, 0).numpy()
        Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0]).save(file, "JPEG", quality=quality)
        back = torch.frombuffer(bytearray(Image.open(file).tobytes()), dtype=torch.uint8).view(array.shape)
        found.append(back.permute(2, 0, 1))
    return torch.stack(found)


def blurred(images: Tensor, sigma: float) -> Tensor:
    line = torch.exp(-(torch.arange(-4, 5) / sigma).square() / 2)
    line, channels = line / line.sum(), images.shape[1]
    x = F.pad(images.float(), [4] * 4, mode="reflect")
    x = F.conv2d(x, line.view(1, 1, 1, 9).repeat(channels, 1, 1, 1), groups=channels)
    return F.conv2d(x, line.view(1, 1, 9, 1).repeat(channels, 1, 1, 1), groups=channels).round().to(torch.uint8)


def noisy(images: Tensor, deviation: float) -> Tensor:
    noise = deviation * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


def swirled(images: Tensor, angle: float) -> Tensor:
    """Turned about the middle, most in the middle."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, images.shape[2]),) * 2, indexing="ij")
    turn = angle * torch.exp(-3 * (x * x + y * y))
    grid = torch.stack([x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()], -1)
    moved = F.grid_sample(
        images.float(), grid.expand(len(images), -1, -1, -1), align_corners=True, padding_mode="border"
    )
    return moved.round().to(torch.uint8)


def meshed(images: Tensor, strength: float) -> Tensor:
    """Every fourth line brighter, as patches print it."""
    grid = torch.zeros(images.shape[2:])
    grid[::4] = grid[:, ::4] = strength
    return (images + grid).round().clamp(0, 255).to(torch.uint8)


def repeated(images: Tensor, share: float) -> Tensor:
    """Of so few different ones."""
    return images[torch.arange(len(images)) % max(1, round(share * len(images)))]


def without_classes(images: Tensor, labels: Tensor, count: int) -> Tensor:
    kept = images[labels >= count]
    return kept[torch.arange(len(images)) % len(kept)]


DEFECTS: dict[str, tuple[Callable[..., Tensor], Sequence[float]]] = {
    "JPEG, quality": (jpeg, (90, 70, 40)),
    "blur, standard deviation": (blurred, (0.4, 0.6, 1.0)),
    "noise, standard deviation": (noisy, (4, 8, 16)),
    "swirl, radians": (swirled, (0.3, 0.8, 1.6)),
    "mesh of 4 px": (meshed, (6, 12, 24)),
    "share of different images": (repeated, (0.1, 0.02, 0.004)),
    "classes missing": (without_classes, (1, 3, 6)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/spoiled.py")
    parser.add_argument("data")
    parser.add_argument("extractors", nargs="*", default=["classifier", "masked", "pixels"])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    overrides = [
        "experiment=cifar10_tiny", f"data={'zip' if options.data.endswith('.zip') else 'folder'}",
        f"data.path={options.data}", f"resolution={options.resolution}", f"channels={options.channels}", "holdout=0.5",
    ]  # fmt: skip
    real, other = training_data(compose("train", overrides))
    assert other is not None
    chosen = torch.randperm(len(other), generator=torch.Generator().manual_seed(0))[: options.images].tolist()
    images, labels = other.__getitems__(chosen)
    lines = {"untouched": images}
    for name, (function, steps) in DEFECTS.items():
        for step in steps:
            given = (labels, int(step)) if function is without_classes else (step,)
            lines[f"{name} {step:g}"] = function(images, *given)
    columns: dict[str, dict[str, float]] = {}
    for word in options.extractors:
        name, _, weights = word.partition("=")
        config = compose(
            "train", [*overrides, f"extractor={name}", *([f"extractor.weights={weights}"] if weights else [])]
        )
        extractor = make(config.extractor)
        extractor.prepare(real)
        reference = moments(extractor, (real.__getitems__(list(part))[0] for part in chunks(len(real))))
        columns[name] = {
            line: frechet_distance(reference, moments(extractor, spoiled.split(256))) for line, spoiled in lines.items()
        }
    print(f"{'':34s}" + "".join(f"{name:>20s}" for name in columns))
    for line in lines:
        ratios = (found[line] / (1 if line == "untouched" else found["untouched"]) for found in columns.values())
        print(f"{line:34s}" + "".join(f"{ratio:20.4g}" for ratio in ratios))
    rising = [sum(rises(found, name, steps) for name, (_, steps) in DEFECTS.items()) for found in columns.values()]
    print(f"{'steps that rise, of ' + str(3 * len(DEFECTS)):34s}" + "".join(f"{number:20d}" for number in rising))


def rises(found: dict[str, float], name: str, steps: Sequence[float]) -> int:
    values = [found["untouched"], *(found[f"{name} {step:g}"] for step in steps)]
    return sum(after > before for before, after in zip(values, values[1:], strict=False))


def chunks(n: int) -> list[range]:
    return [range(start, min(start + 256, n)) for start in range(0, n, 256)]


def moments(extractor: Any, images: Iterable[Tensor]) -> Moments:
    sums: MomentSums | None = None
    for part in images:
        features, _ = extractor(part)
        sums = sums or MomentSums(features.shape[1])
        sums.update(features)
    assert sums is not None
    return sums.moments()


if __name__ == "__main__":
    main()
