"""to=gif and to=mp4: a walk through latents as a film."""

import errno
import os
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from torch import Tensor

from transgan import files

LEAST = 256  # pixels of a film's side; smaller images are enlarged by a whole factor
CRF = "14"  # of x264: hardly a loss that one sees


def missing() -> list[str]:
    """A sentence where a film cannot be written."""
    return [] if find_spec("av") else ["to=mp4: PyAV is not installed; pip install 'transgan[video]', or to=gif"]


def enlarged(images: Tensor) -> Tensor:
    """uint8 images (N, C, H, W) in colour, at least LEAST pixels wide, of an even size."""
    factor = max(1, -(-LEAST // images.shape[-1]))
    images = images.cpu().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    images = images.expand(-1, 3, -1, -1)
    return images[..., : images.shape[-2] // 2 * 2, : images.shape[-1] // 2 * 2]


def write(frames: Iterator[Tensor], path: Path, fps: int, title: str) -> int:
    """Writes batches of uint8 images (N, C, H, W) as a film that can be played in a loop -> how many frames."""
    shown = chain.from_iterable(enlarged(batch).permute(0, 2, 3, 1).numpy() for batch in frames)
    writer = {".gif": gif, ".mp4": mp4}[path.suffix.lower()]
    with files.replacing(path) as file:
        return writer(shown, file, fps, title)


def gif(shown: Iterator[np.ndarray], file: BinaryIO, fps: int, title: str) -> int:
    """A GIF with a palette of its own for each frame; its clock counts hundredths of a second."""
    images = [Image.fromarray(each).quantize(256, dither=Image.Dither.NONE) for each in shown]
    images[0].save(
        file, "GIF", save_all=True, append_images=images[1:], duration=max(20, round(100 / fps) * 10), loop=0,
        optimize=False, disposal=1, comment=title,
    )  # fmt: skip
    return len(images)


def mp4(shown: Iterator[np.ndarray], file: BinaryIO, fps: int, title: str) -> int:
    """H.264 in MP4, as browsers play it."""
    import av

    count = 0
    with av.open(file.name, "w", format="mp4", options={"movflags": "faststart"}) as container:  # reads it again
        container.metadata["comment"] = title
        stream: Any = None
        for each in shown:
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options={"crf": CRF, "preset": "medium"})
                stream.height, stream.width = each.shape[:2]
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(each), format="rgb24")))
            count += 1
        container.mux(stream.encode())
    with av.open(file.name) as container:  # a disk that is full may have gone unnoticed
        if sum(packet.size > 0 for packet in container.demux(video=0)) != count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return count
