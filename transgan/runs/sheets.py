"""to=sheet: images in rows with a label each: a row for each class, or for each psi of a sweep."""

from collections.abc import Callable

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

SIDE = 64  # pixels that an image has at least
GAP = 2
MISSING = "\U0010fffe"  # no character: no font has it
GREY = (128, 128, 128)


def sheet(rows: list[tuple[str, Tensor]], above: list[str]) -> Tensor:
    """Rows of images, uint8 (columns, C, H, W), their labels at the left and those of the columns above: (3, H, W)."""
    rows = [(text.encode("utf-8", "replace").decode(), images) for text, images in rows]  # names of files are bytes
    factor = max(1, -(-SIDE // rows[0][1].shape[-1]))
    side = rows[0][1].shape[-1] * factor
    font = ImageFont.load_default(max(11, min(20, side // 5)))
    rows = [(text if drawable(text, font) else f"class {k}", images) for k, (text, images) in enumerate(rows)]
    left = max(measured(text, font)[0] for text, _ in rows) + 12
    top = max(measured(text, font)[1] for text in above) + 8
    step = side + GAP
    canvas = Image.new("RGB", (left + step * len(above) + GAP, top + step * len(rows) + GAP), "white")
    pen = ImageDraw.Draw(canvas)
    for i, text in enumerate(above):
        pen.text((left + i * step + side / 2, top - 4), shortened(text, side, font), "black", font, "mb")
    for k, (text, images) in enumerate(rows):
        middle = top + k * step + side / 2
        pen.text((left - 6, middle), text, "black", font, "rm")
        for i, image in enumerate(images.expand(-1, 3, -1, -1)):
            pixels = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
            canvas.paste(pixels.resize((side, side), Image.Resampling.NEAREST), (left + i * step, top + k * step))
    return torch.frombuffer(bytearray(canvas.tobytes()), dtype=torch.uint8).view(*canvas.size[::-1], 3).permute(2, 0, 1)


def measured(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    """Width and height of a text in pixels."""
    left, top, right, bottom = font.getbbox(text or " ")
    return round(right - left), round(bottom - top)


def drawable(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> bool:
    """Whether the font has every character, which Pillow's own, the same on every machine, has of Latin scripts."""
    missing = bytes(font.getmask(MISSING))
    return all(bytes(font.getmask(each)) != missing for each in text if not each.isspace())


def shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """As much of a text as has room."""
    while len(text) > 1 and measured(text, font)[0] > width:
        text = text[:-1]
    return text


def rows_of(
    generate: Callable[[list[int], Tensor | None, float], Tensor], seeds: list[int], labels: Tensor | None,
    class_names: list[str], sweep: list[float] | None, strength: float, name: str,
) -> list[tuple[str, Tensor]]:  # fmt: skip
    """The rows of a sheet: of a sweep one for each strength, else one for each class.

    labels: the class of each column, for a sweep. name: of the strength, psi or temperature.
    """
    if sweep:
        return [(f"{name} {value:g}", generate(seeds, labels, value).cpu()) for value in sweep]
    return [(text, generate(seeds, torch.full((len(seeds),), k), strength).cpu()) for k, text in enumerate(class_names)]
