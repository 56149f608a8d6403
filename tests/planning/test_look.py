"""A look at images before training."""

import numpy as np
import pytest
from PIL import Image

from transgan.planning.look import COLOURS, facts_of
from transgan.planning.settings import channels


@pytest.mark.parametrize(("count", "mode", "said"), [
    (COLOURS, "RGB", "all images are grey"), (COLOURS + 30, "L", "all images are grey"),
    (COLOURS + 30, "RGB", f"the {COLOURS} images looked at are grey; channels=3 if others are not"),
])  # fmt: skip
def test_it_says_how_many_images_were_looked_at(tmp_path, count, mode, said):
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"{i:03d}.png")
    chosen = channels(facts_of(tmp_path, None, None, 0.0, "cpu", None))
    assert (chosen.value, chosen.why) == (1, said)


@pytest.mark.parametrize("place", [0, 31, 63])
def test_one_image_in_colour_among_few_is_enough(tmp_path, place):
    for i in range(COLOURS):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        pixels[...] = pixels if i == place else pixels[..., :1]
        Image.fromarray(pixels).save(tmp_path / f"{i:03d}.png")
    assert channels(facts_of(tmp_path, None, None, 0.0, "cpu", None)).value == 3
