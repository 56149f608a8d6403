"""Every mode and format, one by one, with the exact colour it must give."""

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from transgan.data.decode import decode, to_image


def colour(image, channels=3):
    """The one colour of a 4x4 image, as a tuple."""
    pixels = to_image(image, 4, channels)
    assert pixels.shape == (channels, 4, 4) and pixels.dtype == torch.uint8
    assert (pixels == pixels[:, :1, :1]).all()
    return tuple(pixels[:, 0, 0].tolist())


def saved(image, form, **options):
    """Through a file and back."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return Image.open(io.BytesIO(file.getvalue()))


def premultiplied(mode, pixel):
    return Image.new(mode, (4, 4), pixel).convert({"LA": "La", "RGBA": "RGBa"}[mode])


@pytest.mark.parametrize(
    "mode, pixel, rgb, gray",
    [
        ("1", 1, (255, 255, 255), 255),
        ("L", 90, (90, 90, 90), 90),
        ("LA", (90, 255), (90, 90, 90), 90),
        ("LA", (90, 0), (255, 255, 255), 255),
        ("LA", (0, 51), (204, 204, 204), 204),
        ("RGB", (200, 100, 50), (200, 100, 50), 124),
        ("RGBA", (200, 100, 50, 255), (200, 100, 50), 124),
        ("RGBA", (200, 100, 50, 0), (255, 255, 255), 255),
        ("RGBA", (255, 0, 0, 51), (255, 204, 204), 219),
        ("RGBX", (200, 100, 50, 0), (200, 100, 50), 124),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255), 179),
        ("YCbCr", (90, 128, 128), (90, 90, 90), 90),
        ("HSV", (0, 255, 255), (255, 0, 0), 76),
        ("LAB", (98, 128, 128), (90, 90, 90), 90),
        ("I", 65535, (255, 255, 255), 255),
        ("I", 25700, (100, 100, 100), 100),
        ("I;16", 25700, (100, 100, 100), 100),
        ("I;16", 300, (1, 1, 1), 1),
        ("I;16B", 25700, (100, 100, 100), 100),
        ("I;16L", 25700, (100, 100, 100), 100),
        ("F", 0.2, (51, 51, 51), 51),
        ("F", 99.6, (100, 100, 100), 100),
    ],
)
def test_mode(mode, pixel, rgb, gray):
    image = Image.new(mode, (4, 4), pixel)
    assert colour(image) == rgb
    assert colour(image, channels=1) == (gray,)


def test_lab_red():
    red, green, blue = colour(Image.new("LAB", (4, 4), (138, 209, 198)))  # 8 bits of LAB hold red only roughly
    assert red > 245 and green < 10 and blue < 10


def test_premultiplied_modes():
    assert colour(premultiplied("RGBA", (255, 0, 0, 51))) == (255, 204, 204)
    assert colour(premultiplied("LA", (0, 51))) == (204, 204, 204)


@pytest.mark.parametrize(
    "mode, pixel", [("I", -1), ("I", 65536), ("F", -0.5), ("F", 256.0), ("F", float("nan")), ("F", float("inf"))]
)
def test_values_out_of_range_are_refused(mode, pixel):
    with pytest.raises(ValueError, match="expected 0 to"):
        to_image(Image.new(mode, (4, 4), pixel), 4, 3)


def test_palette_gives_colours_and_not_indices():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert colour(image) == (10, 200, 30)
    assert colour(saved(image, "PNG")) == (10, 200, 30)


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_transparent_palette_entry_is_white(transparency):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image = saved(image, "PNG", transparency=transparency)
    assert image.mode == "P"
    assert colour(image) == (255, 255, 255)


def test_palette_with_its_own_alpha():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 255, 0, 0, 51], "RGBA")
    assert colour(image) == (255, 204, 204)
    pa = Image.new("RGBA", (4, 4), (255, 0, 0, 0)).convert("PA")
    pa.putalpha(0)
    assert colour(pa) == (255, 255, 255)


@pytest.mark.parametrize("mode, pixel", [("L", 90), ("RGB", (9, 8, 7)), ("I;16", 25700)])
def test_colour_declared_transparent_is_white(mode, pixel):
    image = saved(Image.new(mode, (4, 4), pixel), "PNG", transparency=pixel)
    assert colour(image) == (255, 255, 255)


def test_16_bit_png_is_scaled_where_a_conversion_clips():
    values = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    image = saved(Image.fromarray(values), "PNG")
    expected = np.rint(values / 257).astype(np.uint8)
    assert np.array_equal(to_image(image, 4, 1)[0].numpy(), expected)
    assert len(np.unique(expected)) == 16


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    """Orientation says where the stored top left corner belongs; 6: the stored row 0 is the right-hand column."""
    stored = Image.new("RGB", (16, 16), (0, 0, 0))
    stored.paste((255, 255, 255), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = to_image(saved(stored, "JPEG", exif=exif, quality=100), 16, 1)[0]
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    means = pixels.float().reshape(2, 8, 2, 8).mean((1, 3))
    assert divmod(int(means.argmax()), 2) == corner and means.max() > 250 and means.sum() < 265


def test_exif_rotation_swaps_the_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.new("RGB", (20, 10)).save(file, "JPEG", exif=exif)
    assert decode(file.getvalue(), 4, 3)[1] == (10, 20)


def test_cmyk_jpeg():
    red, green, blue = colour(saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "JPEG", quality=100))
    assert red > 250 and green < 5 and blue < 5


def test_webp_with_alpha():
    assert colour(saved(Image.new("RGBA", (4, 4), (255, 0, 0, 51)), "WEBP", lossless=True)) == (255, 204, 204)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "lime", "blue")]
    image = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert image.n_frames == 3
    assert colour(image) == (255, 0, 0)


def test_image_of_the_right_size_is_untouched():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(to_image(Image.fromarray(pixels), 32, 3).permute(1, 2, 0).numpy(), pixels)


@pytest.mark.parametrize("width, height, box", [(41, 32, (4, 0, 36, 32)), (32, 37, (0, 2, 32, 34))])
def test_short_side_that_fits_is_cut_and_not_resampled(width, height, box):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))
    assert np.array_equal(to_image(image, 32, 3).permute(1, 2, 0).numpy(), np.asarray(image.crop(box)))


def test_resize_is_lanczos_of_the_centre():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8))
    expected = image.crop((20, 0, 80, 60)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(to_image(image, 16, 3).permute(1, 2, 0).numpy(), np.asarray(expected))


def test_transparent_pixels_do_not_bleed_their_hidden_colour():
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))  # black under full transparency
    assert (to_image(image, 16, 3) == 255).all()


def test_result_is_writable_and_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch warns about memory it must not write to
        pixels = to_image(Image.new("L", (4, 4), 7), 4, 3)
        pixels += 1
    assert pixels.is_contiguous() and (pixels == 8).all()


def test_empty_bytes():
    with pytest.raises(ValueError, match="0 bytes"):
        decode(b"", 4, 3)


def coded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


CODED = {
    "jpeg": ("JPEG", {}), "progressive jpeg": ("JPEG", {"progressive": True}), "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}), "webp with exif before it": ("WEBP", {"icc_profile": b"a" * 500}),
    "avif": ("AVIF", {}), "gif": ("GIF", {}), "png": ("PNG", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CODED)
def test_zeros_for_the_rest_of_a_file(name):
    """A download that reserved its size, and did not end: most decoders read the zeros, and make an image of them."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    kind, options = CODED[name]
    data = coded(Image.fromarray(noise).resize((200, 150), Image.Resampling.BICUBIC), kind, **options)
    for whole in (data, data + bytes(500)):  # some cameras fill up a block
        assert decode(whole, 8, 3)[1] == (200, 150)
    for share in (0.1, 0.5):
        zeros = int(len(data) * share)
        with pytest.raises(
            (ValueError, OSError), match="truncated file, its last [0-9,]+ bytes are zeros|damaged|truncated"
        ):
            decode(data[:-zeros] + bytes(zeros), 8, 3)


def test_a_black_image_is_whole():
    for kind in ("JPEG", "WEBP", "AVIF", "BMP", "TGA", "GIF", "PNG"):
        assert decode(coded(Image.new("RGB", (300, 200)), kind), 8, 3)[0].max() == 0
