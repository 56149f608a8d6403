"""A folder of images with one file of every defect that `transgan data check` knows."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from transgan.data.listing import image_suffixes

SIDE = 48


def good(seed: int, side: int = SIDE) -> Image.Image:
    """A sharp image with colours, unlike any other: blocks and a little noise."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(blocks).resize((side, side), Image.Resampling.NEAREST)).astype(int)
    return Image.fromarray((image + random.integers(-8, 9, image.shape)).clip(0, 255).astype(np.uint8))


def spoiled(root: Path) -> tuple[Path, dict[str, set[str]]]:
    """Fills a folder -> (the folder, {kind of finding: names of files})."""
    for name, seeds in {"cats": range(25), "dogs": range(25, 50), "Dataset": [50]}.items():
        (root / name).mkdir(parents=True)
        for seed in seeds:
            good(seed).save(root / name / f"{seed}.png")
    for folder in ("@eaDir", ".thumbnails", "__MACOSX"):
        (root / folder).mkdir()
        good(0).save(root / folder / "0.png")
    cats, dogs = root / "cats", root / "dogs"
    (cats / "empty.png").write_bytes(b"")
    (cats / "letter.png").write_text("Dear Sir or Madam")
    good(60).save(cats / "cut.jpg", quality=95)
    good(61).save(cats / "cut.png")
    for path in (cats / "cut.jpg", cats / "cut.png"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    good(62).save(cats / "moving.gif", save_all=True, append_images=[good(63)])
    good(64).convert("L").save(cats / "grey.png")
    good(65).convert("L").convert("RGB").save(cats / "hidden_grey.png")
    glass = good(66).convert("RGBA")
    glass.putalpha(Image.fromarray(np.tile(np.array([[60, 255]], np.uint8).repeat(SIDE // 2, 1), (SIDE, 1))))
    glass.save(cats / "glass.png")
    good(67).convert("RGBA").save(cats / "opaque.png")  # nothing of it is transparent
    good(68).quantize(64).save(cats / "palette.png")
    Image.fromarray(np.asarray(good(69).convert("L")).astype(np.uint16) * 257).save(cats / "deep.png")
    good(70).convert("CMYK").save(cats / "print.jpg", quality=95)
    exif = Image.Exif()
    exif[0x112] = 6
    good(71).save(cats / "turned.jpg", exif=exif, quality=95)
    (cats / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    good(72).resize((10, 10)).save(dogs / "tiny.png")
    good(73).resize((24, 24), Image.Resampling.NEAREST).save(dogs / "small.png")
    good(74).resize((130, SIDE), Image.Resampling.NEAREST).save(dogs / "wide.png")
    Image.fromarray(np.asarray(good(75)) // 8).save(dogs / "night.png")
    good(76).filter(ImageFilter.GaussianBlur(4)).save(dogs / "soft.png")
    Image.new("RGB", (SIDE, SIDE), (200, 120, 40)).save(dogs / "plain.png")
    good(1).save(dogs / "copy.bmp")
    good(26).resize((64, 64), Image.Resampling.BICUBIC).save(dogs / "again.jpg", quality=80)
    (root / "notes.txt").write_text("nothing")
    heic = "unreadable" if ".heic" in image_suffixes() else "heic_unread"
    expected = {
        "empty": {"cats/empty.png"}, "unreadable": {"cats/letter.png"}, "truncated": {"cats/cut.jpg", "cats/cut.png"},
        "animated": {"cats/moving.gif"}, "palette": {"cats/moving.gif", "cats/palette.png"},
        "grey": {"cats/grey.png", "cats/hidden_grey.png", "cats/deep.png"}, "alpha": {"cats/glass.png"},
        "deep": {"cats/deep.png"}, "cmyk": {"cats/print.jpg"}, "rotated": {"cats/turned.jpg"},
        "tiny": {"dogs/tiny.png"}, "small": {"dogs/small.png"}, "extreme": {"dogs/wide.png"}, "dark": {"dogs/night.png"},
        "blurred": {"dogs/soft.png"}, "blank": {"dogs/plain.png"},
        "exact_duplicates": {"cats/1.png", "dogs/copy.bmp"}, "across_classes": {"cats/1.png", "dogs/copy.bmp"},
        "near_duplicates": {"dogs/26.png", "dogs/again.jpg"}, "class_names": {"Dataset"}, "balance": {"Dataset"},
        "small_classes": {"cats", "dogs"}, "other_files": {"notes.txt"}, "hidden_folders": {".thumbnails"},
        "system_folders": {"@eaDir", "__MACOSX"},
    }  # fmt: skip
    expected[heic] = expected.get(heic, set()) | {"cats/phone.heic"}
    return root, expected


def in_parts(root: Path, **parts: dict[str, Iterable[int]]) -> Path:
    """Fills a folder with images by their seeds, {part: {class: seeds}}."""
    for part, classes in parts.items():
        for name, seeds in classes.items():
            (root / part / name).mkdir(parents=True)
            for seed in seeds:
                good(seed).save(root / part / name / f"{seed}.png")
    return root
