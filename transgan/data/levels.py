"""Which value is white. A file of more than eight bits may use fewer than it has, and one of floats does not state its
range: then all files of a set decide together, and where they are ambiguous the user is asked."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from transgan.data.samples import Samples

USED = (8, 10, 12, 14, 16)  # bit depths of cameras, microscopes and scanners
SLIGHT = 1e-4  # of white: negative values this small are rounding
ROUNDS = 255.5 / 255  # times white: anything below still rounds to 255


class Levels(NamedTuple):
    """The value of white where the file does not state it: for integers, for floats and for an alpha channel.

    None: not decided; a single image then uses 65535 for integers, and 1 or 255 for floats.
    """

    integer: float | None = None
    real: float | None = None
    alpha: float = 65535


class Facts(NamedTuple):
    """What a file of unknown white contributes to the decision. kind: integer or real."""

    kind: str
    high: float
    fraction: bool  # of floats: not all are integers
    alpha: int
    bits: int  # significant bits that the file states; 0 if it does not
    most: int = 65535  # white, if the full range is used


def facts(found: Samples) -> Facts | None:
    """Raises ValueError for values that no image has. None where the file states its white."""
    values = found.values
    colour = values[..., :-1] if found.bands in ("LA", "RGBA") else values
    low, high = colour.min(), colour.max()
    real = values.dtype.kind == "f"
    if real and not (np.isfinite(low) and np.isfinite(high)):  # the minimum of values with NaN is NaN
        raise ValueError(f"float values {low:g} to {high:g}, expected 0 to 1 or 0 to 255")
    if low < -SLIGHT * (max(high, 1) if real else 0):
        kind = "float" if real else "integer"
        raise ValueError(f"{kind} values {low:g} to {high:g}, expected 0 to {'1 or 0 to 255' if real else 65535}")
    if found.white is not None:
        return None
    alpha = int(values[..., -1].max()) if found.bands in ("LA", "RGBA") else 0
    return Facts(
        "real" if real else "integer",
        float(high),
        real and bool((colour % 1 != 0).any()),
        alpha,
        found.bits,
        found.most,
    )


def decided(found: Facts | None, levels: Levels | None) -> bool:
    """Whether the values of a file can be scaled."""
    return found is None or levels is not None and getattr(levels, found.kind) is not None


def within(found: Facts) -> None:
    """Raises ValueError where only the user can know what is white."""
    if found.kind == "real" and found.high >= 255 * ROUNDS:
        raise ValueError(
            f"float values to {found.high:g}, expected 0 to 1 or 0 to 255; data.white=NUMBER says what is white"
        )
    if found.kind == "integer" and found.high > 65535:
        raise ValueError(
            f"integer values to {found.high:.0f}, expected 0 to 65535; data.white=NUMBER says what is white"
        )


def decide(every: Iterable[Facts]) -> tuple[Levels, list[str], list[str]]:
    """The levels of all files of a set, and sentences on what was assumed and on what the user must say."""
    every = list(every)
    levels = Levels()
    assumed: list[str] = []
    asked: list[str] = []
    if integers := [each for each in every if each.kind == "integer"]:
        high, named = max(each.high for each in integers), max(each.bits for each in integers)
        bits = next(bits for bits in USED if high < 2**bits)
        if named and high < 2**named:
            bits = named
        most = max(each.most for each in integers)
        white = min(2**bits - 1, most) if high else most
        alpha = max(each.alpha for each in integers)
        levels = levels._replace(integer=white, alpha=white if alpha <= white else 65535)
        count = f"{len(integers):,} file{'s' if len(integers) != 1 else ''} of more than 8 bits"
        if high == 1:
            asked.append(f"{count} hold only 0 and 1: say what is white by data.white=1, or 255, or 65535")
        elif white != most:
            assumed.append(f"{count} use {bits} (up to {high:.0f}): white is {white}; data.white={most} for all bits")
    if reals := [each for each in every if each.kind == "real"]:
        high, fraction = max(each.high for each in reals), any(each.fraction for each in reals)
        count = f"{len(reals):,} file{'s' if len(reals) != 1 else ''} of floats"
        white = 1 if fraction and high < ROUNDS else 255
        levels = levels._replace(real=white)
        if fraction and ROUNDS <= high < 128 or not fraction and high == 1:
            asked.append(
                f"{count} go up to {high:g}, which is neither 0 to 1 nor 0 to 255 for certain: say what is "
                "white by data.white=1, or 255, or another number"
            )
        elif high:
            other = 255 if white == 1 else 1
            assumed.append(f"{count} go up to {high:g}: white is {white}; data.white={other} for another")
    return levels, assumed, asked


def decide_with(own: list[Facts], others: list[Facts]) -> tuple[Levels, list[str], list[str]]:
    """As `decide`, of files to train on and others to measure against: those to train on decide for both, and the
    others only where there is nothing of their kind."""
    if not own:
        return decide(others)
    levels, assumed, asked = decide(own)
    more, also, further = decide(each for each in others if getattr(levels, each.kind) is None)
    known = {kind: white for kind in ("integer", "real") if (white := getattr(more, kind)) is not None}
    return levels._replace(**known), [*assumed, *also], [*asked, *further]


def scaled(found: Samples, levels: Levels) -> Image.Image:
    """An image of mode L, LA, RGB or RGBA with eight bits per sample, rounded to nearest and never clipped."""
    values, bands = found.values, found.bands
    alpha = None
    if bands in ("LA", "RGBA"):
        values, alpha = values[..., :-1], values[..., -1]
        values, bands = (values[..., 0], "L") if bands == "LA" else (values, "RGB")
    pixels = eight_bits(values, white_of(found, levels))
    result = Image.fromarray(255 - pixels if found.inverted else pixels)  # of mode L or RGB, by its shape
    transparent = found.transparent
    if alpha is not None:
        result.putalpha(Image.fromarray(eight_bits(alpha, opaque(found, alpha.max(), levels))))
    elif isinstance(transparent, int) and bands == "L" or isinstance(transparent, tuple) and bands == "RGB":
        same = values == transparent if bands == "L" else (values == np.array(transparent)).all(-1)
        result.putalpha(Image.fromarray(np.where(same, 0, 255).astype(np.uint8)))
    return result


def opaque(found: Samples, most: float, levels: Levels) -> float:
    """The opaque value of an alpha channel that goes up to `most`."""
    if found.white is not None:
        return found.white
    if found.values.dtype.kind == "f":
        return 1 if most <= 1 else white_of(found, levels)
    return max(levels.alpha, most)


def white_of(found: Samples, levels: Levels) -> float:
    if found.white is not None:
        return found.white
    if found.values.dtype.kind != "f":
        return levels.integer or 65535
    return levels.real or (1 if found.values.max() <= 1 else 255)


def eight_bits(values: np.ndarray, white: float) -> np.ndarray:
    """Raises ValueError for values that would be clipped."""
    if values.dtype.kind == "f" or white != int(white):
        result = np.rint(values * (255 / white))
    else:
        white = int(white)
        result = (values.astype(np.int64) * 510 + white) // (2 * white)
    low, high = result.min(), result.max()
    if not (low >= 0 and high <= 255) or values.dtype.kind != "f" and values.max() > white:
        raise ValueError(f"values {values.min():g} to {values.max():g}, expected 0 to {white:g}, which is white")
    return result.astype(np.uint8)
