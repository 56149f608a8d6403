"""Near duplicates: what is one, what is not, and that the resolution of a run changes neither."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from transgan.data.inspection.alignment import aligned
from transgan.data.inspection.duplicates import near
from transgan.data.inspection.traits import inspect

SIZE = 128


def photo(seed, size=SIZE):
    """Sharp shapes over what falls off with frequency, as photographs do, in colours."""
    random = np.random.default_rng(seed)
    across = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    across[0, 0] = 1
    layers = np.real(np.fft.ifft2(np.fft.fft2(random.normal(size=(3, size, size))) / across))
    values = 128 + 45 * layers / layers.std((1, 2), keepdims=True)
    image = Image.fromarray(values.clip(0, 255).astype(np.uint8).transpose(1, 2, 0).copy())
    draw = ImageDraw.Draw(image)
    for left, top, width in random.integers(0, [size, size, size // 3], (6, 3)).tolist():
        draw.ellipse([left, top, left + width, top + width], fill=tuple(random.integers(0, 255, 3).tolist()))
    return image


def signature(seed):
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (300, 200), "white")
    path = np.cumsum(random.normal(0, 12, (14, 2)), 0) + [150, 100]
    ImageDraw.Draw(image).line([tuple(each) for each in path], fill=(20, 20, 90))
    return image


def fog(seed):
    return photo(seed).point(lambda value: int(value * 0.1 + 180))


def pencil(seed):
    return Image.blend(photo(seed).convert("L"), Image.new("L", (SIZE, SIZE), 255), 0.88)


def page(seed):
    """Blank, with the noise of a scanner, and darker to its edges."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    noise = np.random.default_rng(seed).normal(0, 3, (SIZE, SIZE))
    return Image.fromarray((235 - 40 * (x**2 + y**2) - 10 * x + noise).clip(0, 255).astype(np.uint8))


def moved(image, right, down):
    return Image.fromarray(np.roll(np.asarray(image), (down, right), (0, 1)))


def again(image, quality=60):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue()))


def pairs(images, resolution=32):
    files = []
    for image in images:
        files.append(io.BytesIO())
        image.save(files[-1], "PNG")
    thumbs = [np.frombuffer(inspect(file.getvalue(), resolution).thumb, np.uint8) for file in files]
    return near(np.stack(thumbs))[0]


COPIES = {
    "moved": lambda image: moved(image, 1, 0), "moved further": lambda image: moved(image, 2, 2),
    "cropped": lambda image: image.crop((3, 3, SIZE - 3, SIZE - 3)), "cropped at a corner":
    lambda image: image.crop((0, 0, SIZE - 4, SIZE - 4)), "grey": lambda image: image.convert("L"),
    "grey and moved": lambda image: moved(image.convert("L"), 0, 2), "small": lambda image: image.resize((48, 48)),
}  # fmt: skip


@pytest.mark.parametrize("resolution", [16, 128])
@pytest.mark.parametrize("copy", COPIES)
def test_copies_that_are_moved_cropped_or_grey(copy, resolution):
    images = [photo(seed) for seed in range(12)]
    assert pairs(images, resolution) == []
    assert pairs([*images, COPIES[copy](images[5])], resolution) == [(5, 12)]


@pytest.mark.parametrize("kind", [signature, fog, pencil])
def test_copies_of_what_is_faint(kind):
    images = [kind(seed) for seed in range(20)]
    assert pairs(images) == []
    assert pairs([*images, again(images[3])]) == [(3, 20)]


def test_blank_pages_are_no_near_duplicates():
    assert pairs([again(page(seed), 90) for seed in range(20)]) == []
    assert pairs([Image.new("L", (SIZE, SIZE), 200 + seed) for seed in range(20)]) == []


def test_other_colours_are_no_near_duplicates():
    image = photo(0)
    other = Image.merge("RGB", image.split()[1:] + image.split()[:1])
    assert pairs([image, other, *(photo(seed) for seed in range(1, 12))]) == []


def test_where_all_look_alike_moves_find_no_more():
    """Shirts, say: outlines of one kind, each a little wider or higher than the last."""
    images = []
    for i in range(40):
        image = Image.new("L", (28, 28))
        ImageDraw.Draw(image).rectangle([6 - i % 5, 3 + i // 5 % 4, 21 + i % 3, 25 - i // 20], fill=200)
        images.append(image)
    distinct = {image.tobytes(): image for image in images}
    assert len(distinct) > 30 and pairs(distinct.values()) == []


def test_alignment_undoes_what_it_may_and_no_more():
    image = np.asarray(photo(1).convert("L"), np.float32).reshape(32, 4, 32, 4).mean((1, 3))[None]
    near_one = np.asarray(moved(photo(1), 2, 1).convert("L"), np.float32).reshape(32, 4, 32, 4).mean((1, 3))[None]
    far = np.roll(image, 3, 2)
    assert aligned(image, image)[0] < 1e-3 and aligned(image, near_one)[0] < 0.1 and aligned(image, far)[0] > 0.4
    assert aligned(image, 300 - image / 2)[0] > 1.9
