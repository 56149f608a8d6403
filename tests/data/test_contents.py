"""What a file is by its first bytes."""

import io

import pytest
from PIL import Image

from transgan.data.contents import HEAD, image_in, is_archive, is_heif

FORMS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF"]


@pytest.mark.parametrize("form", FORMS)
def test_images_are_known_by_their_first_bytes(form):
    file = io.BytesIO()
    Image.init()
    if form not in Image.SAVE:
        pytest.skip("this Pillow does not write it")
    Image.new("RGB", (8, 8), "red").save(file, form)
    found = image_in(file.getvalue()[:HEAD])
    assert found is not None and found[0].replace(" ", "").upper() == form
    assert Image.registered_extensions()[found[1]] == form
    assert not is_heif(file.getvalue()[:HEAD]) and not is_archive(file.getvalue()[:HEAD])


@pytest.mark.parametrize(
    "data", [b"", b"BM", b"BMW and Audi, a list of cars", b"{}", b"a cat", b"\0" * 64, b"II", b"GIF"]
)
def test_others_are_none(data):
    assert image_in(data) is None and not is_archive(data)


@pytest.mark.parametrize(("head", "heif"), [
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", True), (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", True),
    (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", False), (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", False),
    (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", False),
])  # fmt: skip
def test_heic_is_not_taken_for_avif_or_video(head, heif):
    assert is_heif(head) == heif
