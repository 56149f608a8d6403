"""A person's own images: every image file in a folder or a zip archive, in any format Pillow reads."""

import io
import os
import zipfile
from pathlib import Path, PurePosixPath

from PIL import Image

from .checking import check_all, decode_all, fits, quiet, why
from .dataset import ImageDataset
from .decode import decode
from .listing import classes, image_suffixes, is_hidden, is_image, kinds


class Files(ImageDataset):
    """What Folder and Zip share. They define `find()` -> [(relative posix name, place, stamp)] of all files that are
    not hidden, where `stamp` changes when the file does, and `read(place)` -> bytes.

    resolution=None takes the images as they are: squares of one size, which no resizing has touched.
    channels=None: 1 if the first image is gray, else 3. limit: how many images to take, of every class equally many.
    """

    kind = ""

    def __init__(self, path, resolution, channels, on_error="raise", in_memory="auto", limit=None):
        self.path = Path(path).expanduser()
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error={on_error} is not possible: give raise or skip.")
        if in_memory not in ("auto", True, False):
            raise ValueError(f"in_memory={in_memory} is not possible: give auto, true or false.")
        if not str(path).strip() or not self.path.exists():
            what = f"There is nothing at '{path}': "
            ways = {"data.path": f"give the {self.kind} with your images, data.path=<path>"}
            error = FileNotFoundError(what + ways["data.path"])
            error.what, error.ways = what, ways | {
                "against": "put the images back, or compare with others, against=PATH", "complete": "give complete=PATH"
            }
            raise error
        files = sorted(self.find(), key=lambda file: file[0])
        self.files = self.images_among(files)
        if not self.files:
            others = kinds(name for name, _, _ in files)
            others = f", only {len(files):,} other files ({others})" if files else ": it is empty"
            raise ValueError(f"No image in {self.path}{others}; give a {self.kind} with png, jpg, webp... files.")
        as_they_are = resolution is None
        if as_they_are or channels is None:
            width, gray = self._first()
            resolution, channels = (width if as_they_are else resolution), channels or (1 if gray else 3)
        super().__init__(self.path.resolve().stem, resolution, channels, limit)
        self.ignored = len(files) - len(self.files)
        if limit is not None:
            self.files = [self.files[i] for i in self.chosen(classes([name for name, _, _ in self.files])[0])]
        size = len(self.files) * self.channels * self.resolution**2
        self._load(on_error, keep=fits(size) if in_memory == "auto" else in_memory)
        if as_they_are:
            self._require_one_size()

    def images_among(self, files):
        suffixes = image_suffixes()
        return [file for file in files if is_image(file[0], suffixes)]

    def _first(self):
        """-> width of the first image, whether it is gray"""
        name, place, _ = self.files[0]
        try:
            with quiet(), Image.open(io.BytesIO(self.read(place))) as image:
                return image.size[0], image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
        except Exception as error:  # noqa: BLE001 - of many kinds, as in checking.py
            raise ValueError(f"{name} in {self.path} cannot be read: {why(error)}; repair or remove it.") from error

    def _require_one_size(self):
        other = (self.sizes != self.resolution).any(1).nonzero().flatten().tolist()
        if other:
            width, height = self.sizes[other[0]].tolist()
            raise ValueError(
                f"{len(other):,} of {len(self):,} images in {self.path} are not {self.resolution}x{self.resolution} "
                f"(the first is {self.files[other[0]][0]}, {width}x{height}): images are measured as they are, squares "
                "of one size; save them all at the size they were generated at."
            )

    def _load(self, on_error, keep):
        names = [name for name, _, _ in self.files]
        read, images = (lambda i: self.read(self.files[i][1])), None
        if keep:
            images, sizes, reasons = decode_all(names, read, self.resolution, self.channels, keep=True)
        else:
            sizes, reasons = check_all(names, (self.identity(), self.version()), read, self.resolution, self.channels)
        self.skipped = [(names[i], reasons[i]) for i in sorted(reasons)]
        if len(reasons) == len(names) or (reasons and on_error == "raise"):
            raise self._complaint(everything=len(reasons) == len(names))
        good = [i for i in range(len(names)) if i not in reasons]
        if reasons:
            self.files = [self.files[i] for i in good]
            images = images[good] if keep else None
        labels, class_names, note = classes([names[i] for i in good])
        self.notes += [note] if note else []
        self.hold(images, labels, class_names, [sizes[i] for i in good])

    def _complaint(self, everything):
        """A ValueError with `what` is wrong, and `ways` out by the key that each needs: a command may not have it."""
        listed = "\n".join(f"  {name}: {reason}" for name, reason in self.skipped[:20])
        more = f"\n  and {len(self.skipped) - 20:,} more" if len(self.skipped) > 20 else ""
        what = f"{len(self.skipped):,} of {len(self.files):,} images in {self.path} cannot be read:\n{listed}{more}\n"
        ways = {"": "repair or remove them", "data.on_error": "go on without them: data.on_error=skip"}
        if everything:
            ways = {"": "there is nothing to train on."}
        error = ValueError(what + ", or ".join(ways.values()))
        error.what, error.ways = what, ways
        return error

    def identity(self):
        return [(name, stamp) for name, _, stamp in self.files]

    def version(self):
        """Whatever else must be unchanged for the files to count as checked."""
        return ()

    def decode(self, index):
        name, place, _ = self.files[index]
        try:
            with quiet():
                return decode(self.read(place), self.resolution, self.channels)[0]
        except Exception as error:
            raise OSError(f"{name} in {self.path} cannot be read any more: {why(error)}") from error


class Folder(Files):
    """Every image below a folder."""

    kind = "folder"

    def find(self):
        if not self.path.is_dir():
            hint = "it is a zip archive, use data=zip" if zipfile.is_zipfile(self.path) else "it is a file"
            raise NotADirectoryError(f"{self.path} is not a folder: {hint}, or give the folder with your images.")

        def stop(error):  # os.walk would pass over a folder it may not read
            raise error

        result, seen = [], set()
        for folder, below, names in os.walk(self.path, followlinks=True, onerror=stop):
            real = os.path.realpath(folder)
            below[:] = [] if real in seen else sorted(name for name in below if not is_hidden(name))
            if real in seen:  # a link back to a folder already visited
                continue
            seen.add(real)
            for name in names:
                if not is_hidden(name):
                    place = os.path.join(folder, name)
                    result.append((Path(place).relative_to(self.path).as_posix(), place, stamp(place)))
        return result

    def read(self, place):
        return Path(place).read_bytes()


def stamp(place):
    try:
        status = os.stat(place)
    except OSError:  # a link to nowhere; reading it will say so
        return None
    return status.st_size, status.st_mtime_ns


class Zip(Files):
    """Every image in a zip archive, read in place. Each process opens the archive for itself: processes that share
    one file position read each other's bytes."""

    kind = "zip archive"

    def find(self):
        self._archive, self._process = None, None
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder, not a zip archive: use data=folder.")
        if not zipfile.is_zipfile(self.path):
            raise ValueError(
                f"{self.path} is not a zip archive, or it is cut short: give one, or a folder: data=folder."
            )
        result, locked = [], []
        try:
            members = self._open().NameToInfo
        except zipfile.BadZipFile as error:
            raise ValueError(f"{self.path} is a damaged zip archive ({why(error)}): make or fetch it again.") from error
        for member in members.values():  # of a name stored twice, the last one
            name = PurePosixPath(*(part for part in PurePosixPath(member.filename).parts if part not in ("/", "..")))
            if member.is_dir() or is_hidden(name):
                continue
            result.append((name.as_posix(), member.filename, (member.file_size, member.CRC)))
            if member.flag_bits & 1:
                locked.append(member.filename)
        if locked:
            raise ValueError(
                f"{self.path} holds {len(locked):,} files locked with a password (the first is {locked[0]}): "
                "unpack it and give the folder, or pack it again without a password."
            )
        return result

    def version(self):
        return stamp(self.path)  # a damaged copy lists the same names and checksums as the archive it came from

    def read(self, place):
        return self._open().read(place)

    def _open(self):
        if self._archive is None or self._process != os.getpid():
            self._archive, self._process = zipfile.ZipFile(self.path), os.getpid()
        return self._archive

    def __getstate__(self):
        return {**self.__dict__, "_archive": None}
