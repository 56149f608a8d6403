"""One file of a source of images, and what can be wrong with files."""

from typing import Any, NamedTuple


class File(NamedTuple):
    """One file of a source. name: relative, with slashes; place: what `read` takes; stamp: changes with the content."""

    name: str
    place: Any
    stamp: object


class NothingThere(FileNotFoundError):
    """`what` is wrong, and the `ways` out, each under the key that a command must have for it."""

    def __init__(self, what: str, ways: dict[str, str]) -> None:
        super().__init__(what + ways["data.path"])
        self.what, self.ways = what, ways


class UnreadableImages(ValueError):
    """`what` is wrong, and the `ways` out, each under the key that a command must have for it."""

    def __init__(self, what: str, ways: dict[str, str]) -> None:
        super().__init__(what + ", or ".join(ways.values()))
        self.what, self.ways = what, ways


class UnreadableFile(OSError):
    """A file that could be read when training began and no longer can. Its message is one sentence, also when it comes
    from a DataLoader worker, which wraps it in a traceback."""

    def __init__(self, sentence: object) -> None:
        lines = str(sentence).strip().splitlines()
        named = [line for line in lines if line.startswith(f"{__name__}.{type(self).__name__}: ")]
        super().__init__(named[-1].split(": ", 1)[1] if named else str(sentence))
