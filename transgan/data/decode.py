"""One picture as any program may have saved it -> one uint8 tensor of the size and channels a network wants."""

import io

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps


def to_image(image, resolution, channels):
    """Pillow image of any mode -> uint8 (channels, resolution, resolution); of an animation, the frame it stands at."""
    return square(flatten(upright(image), channels), resolution)


def decode(data, resolution, channels):
    """The bytes of an image file -> uint8 (channels, resolution, resolution) and its own upright (width, height)."""
    if not data:
        raise ValueError("empty file, 0 bytes")
    with Image.open(io.BytesIO(data)) as image:
        image = upright(image)
        return square(flatten(image, channels), resolution), image.size


def upright(image):
    """Turns or mirrors the image as its EXIF or XMP orientation says."""
    image.load()  # raises here if the file is cut short; TIFF turns itself while loading
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image


def flatten(image, channels):
    """Any mode -> mode L (channels=1) or RGB (channels=3), 8 bit, transparency over white.

    Colour profiles are not applied: numbers stay what the file holds.
    """
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = eight_bit(image)
    if image.mode == "La":  # premultiplied gray: Pillow converts it to LA and to nothing else
        image = image.convert("LA")
    if has_alpha(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels == 1 and image.mode in ("1", "L"):
        return image.convert("L")
    image = image.convert("RGB")  # also on the way to gray: HSV, LAB and palettes have no direct road
    return image.convert("L") if channels == 1 else image


def has_alpha(image):
    palette = image.palette.mode if image.mode == "P" and image.palette else ""
    return image.mode in ("LA", "PA", "RGBA", "RGBa") or palette.endswith("A") or "transparency" in image.info


def eight_bit(image):
    """16-bit, 32-bit and float gray -> L, or LA where one value is declared transparent. Scaled, never clipped."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if image.mode == "F":
        if not (low >= 0 and high <= 255):  # written so that NaN fails too
            raise ValueError(f"float values {low:g} to {high:g}, expected 0 to 1 or 0 to 255")
        gray = np.rint(values * (255.0 if high <= 1 else 1.0))
    else:
        if low < 0 or high > 65535:
            raise ValueError(f"integer values {low} to {high}, expected 0 to 65535")
        gray = (values.astype(np.int64) + 128) // 257  # 65535 = 255 * 257; rounded to nearest
    result = Image.fromarray(gray.astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        result.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return result


def square(image, resolution):
    """L or RGB image -> uint8 (1 or 3, resolution, resolution): centre crop, then Lanczos; whole pixels, so that
    an image whose short side already fits is cut but not resampled."""
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if width != height:
        image = image.crop((left, top, left + side, top + side))
    if side != resolution:
        image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    pixels = np.array(image)  # a copy: torch must own writable memory
    return torch.from_numpy(pixels.reshape(resolution, resolution, -1)).permute(2, 0, 1).contiguous()
