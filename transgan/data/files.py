"""The user's own images: every image file in a folder or a zip archive, in any format that Pillow reads."""

import copy
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import get_worker_info

from transgan.data import own
from transgan.data.checking import Remembered, check_all, quiet, remember, why
from transgan.data.dataset import ImageDataset
from transgan.data.decode import Seen, decode, form
from transgan.data.file import File, NothingThere, UnreadableFile, UnreadableImages
from transgan.data.free_memory import fits
from transgan.data.labels import Classes, after_prefix, classes, read_table, shared, training_part, without_images
from transgan.data.levels import Levels
from transgan.data.listing import image_suffixes, is_image, kinds
from transgan.data.prepared import RECORD, Kept, hash_of_files, plain_pixels, read_record
from transgan.files import expanded

MANY = 5_000  # images that were prepared are not all read before training begins, if they are so many
Zipped = "zip archive"


class Files(ImageDataset):
    """Base class of sources that are files. A subclass defines `find` and `read`.

    resolution=None takes the images as they are: squares of one size, never resized.
    channels=None: 1 if the first image is grey, else 3. limit: number of images to take, balanced over the classes.
    white: the value of white in files of more than 8 bits that do not state it; None: decided from all of them.
    labels: "folders" or "none", whether folders are classes; None decides by their names.
    """

    kind = ""
    files: list[File]

    def __init__(
        self,
        path: str | Path,
        resolution: int | None = None,
        channels: int | None = None,
        on_error: str = "raise",
        in_memory: bool | Literal["auto"] = "auto",
        limit: int | None = None,
        white: float | Levels | None = None,
        labels: str | None = None,
    ) -> None:
        self.path = expanded(path)
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error={on_error} is not possible: give raise or skip.")
        if in_memory not in ("auto", True, False):
            raise ValueError(f"in_memory={in_memory} is not possible: give auto, true or false.")
        if labels not in (None, "folders", "none"):
            raise ValueError(f"data.labels={labels} is not possible: give folders or none, or null for what they say.")
        number = isinstance(white, (int, float)) and not isinstance(white, bool)
        if not (white is None or isinstance(white, Levels) or number and 0 < white < float("inf")):
            raise ValueError(f"data.white={white} is not possible: give the number that is white, or null.")
        if not str(path).strip() or not self.path.exists():
            what = f"There is nothing at '{path}': "
            ways = {
                "data.path": f"give the {self.kind} with your images, data.path=<path>",
                "against": "put the images back, or compare with others, against=PATH",
                "complete": "give complete=PATH",
            }
            raise NothingThere(what, ways)
        if refusal := own.refusal(self.path):
            raise ValueError(refusal)
        self.on_error, self.labelling, self.white = on_error, labels, white
        self.folders: list[str] = []  # all of them
        self.system: set[str] = set()  # names of those left out because a storage system keeps them
        self.hidden: set[str] = set()  # names of folders that are hidden
        self.again: list[str] = []  # links to folders that are already read
        self.table: dict[str, int | str] | None = None
        self.record: dict[str, Any] | None = None  # of images that `transgan data prepare` has written
        self.kept: Kept | None = None
        self.left: dict[str, list[File]] = {}  # by part, such as test
        notes: list[str] = []
        files = self._without_own(sorted(self.find(), key=lambda file: file[0]), notes)
        self.files = self.images_among(files)
        if not self.files:
            others = kinds(name for name, _, _ in files)
            others = f", only {len(files):,} other files ({others})" if files else ": it is empty"
            others = f" ({'; '.join(notes)}){others if files else ''}" if notes else others
            raise ValueError(f"No image in {self.path}{others}; give a {self.kind} with png, jpg, webp... files.")
        as_they_are = resolution is None
        if resolution is None or channels is None:
            width, grey = self._first()
            resolution, channels = (width if resolution is None else resolution), channels or (1 if grey else 3)
        super().__init__(self.path.resolve().stem, resolution, channels, limit)
        self.notes += notes
        self._read_record(files)
        self._leave_out_others(files)
        if labels is None:
            self._take_training_part()
        if limit is not None:
            self.files = [self.files[i] for i in self.chosen(self._classes_of(self.files).labels)]
        size = len(self.files) * self.channels * self.resolution**2
        if in_memory == "auto" and len(self.files) >= MANY and self._as_prepared():
            self._load(keep=False)
            self.kept = Kept(len(self), self.channels, self.resolution) if fits(size) else None
        else:
            self._load(keep=fits(size) if in_memory == "auto" else in_memory)
        if as_they_are:
            self._require_one_size()

    def find(self) -> list[File]:
        """All files that are not hidden. May fill `folders`, `system`, `hidden` and `again`."""
        raise NotImplementedError(f"{type(self).__name__} defines no find()")

    def read(self, place: Any) -> bytes:
        """The content of a file."""
        raise NotImplementedError(f"{type(self).__name__} defines no read(place)")

    def images_among(self, files: list[File]) -> list[File]:
        suffixes = image_suffixes()
        return [file for file in files if is_image(file[0], suffixes)]

    def _without_own(self, files: list[File], notes: list[str]) -> list[File]:
        """The files without transgan's own outputs among them."""
        places = {name: place for name, place, _ in files}
        found = own.own_folders(places, lambda name: self.read(places[name]))
        if found.get("") in ("run", "comparison"):
            raise ValueError(f"{self.path} is a {found['']} written by transgan, not images: give other images.")
        within = [folder for folder in found if folder]
        drawn = [folder for folder in within if found[folder] == "samples"]

        def outside(folders: list[str]) -> list[File]:
            return [file for file in files if not file[0].startswith(tuple(f"{folder}/" for folder in folders))]

        if drawn and not self.images_among(outside(within)):  # generated images and nothing else: intended
            within = [folder for folder in within if folder not in drawn]
        if within:
            rest = f" and {len(within) - 3:,} more" if len(within) > 3 else ""
            notes.append(f"Left out {', '.join(within[:3])}{rest}: written by transgan.")
        self.folders = [
            folder for folder in self.folders
            if not any(folder == each or own.contains(folder, each) or own.contains(each, folder) for each in within)
        ]  # fmt: skip
        return outside(within) if within else files

    def _leave_out_others(self, files: list[File]) -> None:
        """Notes which files are not images and which folders have none; reads the labels of a dataset.json."""
        taken = {name for name, _, _ in self.files}
        others = [name for name, _, _ in files if name not in taken]
        if self.record is not None:
            others.remove(RECORD)
        before = "/".join(shared(list(taken)))
        for folder in dict.fromkeys(("", before)):
            name = f"{folder}/dataset.json" if folder else "dataset.json"
            if name in others and self.labelling is None:
                place = next(place for other, place, _ in files if other == name)
                if self.record is not None and self.record["labels"] == "folders":
                    others.remove(name)  # says the same as the folders, for other programs
                    continue
                self.table = read_table(sorted(taken), self.read(place), folder)
                others = [other for other in others if other != name or self.table is None]
        self.ignored, self.others = len(others), kinds(others)
        if self.system:
            self.notes.append(f"Left out {', '.join(sorted(self.system))}: folders of the operating or storage system.")
        if self.again:
            self.notes.append(f"Left out {', '.join(sorted(self.again)[:5])}: links to folders that are already read.")
        folders = [folder for folder in self.folders if folder not in self.again]
        if self.table is None and self.labelling != "none" and (empty := without_images(sorted(taken), folders)):
            more = f" and {len(empty) - 5:,} more" if len(empty) > 5 else ""
            self.notes.append(f"No image in {', '.join(empty[:5])}{more}.")

    def _read_record(self, files: list[File]) -> None:
        """Reads what `transgan data prepare` has written, where it has."""
        place = next((file.place for file in files if file.name == RECORD), None)
        self.record = None if place is None else read_record(self.read(place))

    def _as_prepared(self) -> bool:
        """Whether all images are stored as training wants them, in an archive with checksums, read back when it was
        made: then they are read when they are used."""
        return self.record is not None and self.kind == Zipped and self.record["resolution"] == self.resolution

    def _take_training_part(self) -> None:
        """Of folders named train, test and so on, takes those to train on."""
        if self.table is not None:
            return
        chosen, left = training_part([name for name, _, _ in self.files])
        self.left = {folder: [self.files[i] for i in indices] for folder, indices in left.items()}
        if left:
            named = ", ".join(f"{folder} {len(indices):,}" for folder, indices in left.items())
            self.notes.append(f"Left out {named}: not parts to train on.")
            self.hints.append(f"data.path={self.path}/... takes another part, data.labels=folders all of them.")
        self.files = [self.files[i] for i in chosen]

    def _test_part(self) -> str | None:
        """The folder of the part to measure against: test, or else val or another; None if there is none."""
        named = [folder for folder in self.left if folder != "outside of them"]
        short = {folder: name.lower() for folder, name in after_prefix(named).items()}
        order = {folder: [not name.startswith(kind) for kind in ("test", "val")] for folder, name in short.items()}
        return min(named, key=lambda name: (order[name], name), default=None)

    def _classes_of(self, files: list[File]) -> Classes:
        found = classes([name for name, _, _ in files], self.labelling, self.table)
        if self.record is not None and self.table and self.labelling is None:
            names = self.record["class_names"]
            found = found._replace(names=[names[int(number)] for number in found.names])
        return found

    def _first(self) -> tuple[int, bool]:
        """The width of the first image, and whether it is grey."""
        name, place, _ = self.files[0]
        try:
            with quiet():
                return form(self.read(place))
        except Exception as error:  # noqa: BLE001 - of many kinds, as in checking.py
            raise ValueError(f"{name} in {self.path} cannot be read: {why(error)}; repair or remove it.") from error

    def _require_one_size(self) -> None:
        other = (self.sizes != self.resolution).any(1).nonzero().flatten().tolist()
        if other:
            width, height = self.sizes[other[0]].tolist()
            raise ValueError(
                f"{len(other):,} of {len(self):,} images in {self.path} are not {self.resolution}x{self.resolution} "
                f"(the first is {self.files[other[0]][0]}, {width}x{height}): images are measured as they are, squares "
                "of one size; save them all at the size they were generated at."
            )

    def _load(self, keep: bool) -> None:
        if not keep and self._as_prepared():
            return self._trust_record()
        names = [name for name, _, _ in self.files]
        given = self.white if self.white is None or isinstance(self.white, Levels) else Levels(*[self.white] * 3)
        memory = None if keep else Remembered((self.identity(), self.version(), given and tuple(given)))
        digest = None if keep else self.begun(self._classes_of(self.files).labels)
        checked, complete = check_all(
            len(names),
            lambda i: self.read(self.files[i].place),
            self.resolution,
            self.channels,
            keep,
            levels=given,
            memory=memory,
            digest=digest,
        )
        reasons, seen = checked.reasons, checked.seen
        self.skipped = [(names[i], reasons[i]) for i in sorted(reasons)]
        if len(reasons) == len(names) or (reasons and self.on_error == "raise"):
            raise self._complaint(everything=len(reasons) == len(names))
        self.levels, images = checked.levels, checked.images
        if self.levels is None and given is not None and not isinstance(self.white, Levels):
            raise ValueError(f"data.white={self.white:g} has no effect: every file says what is white; leave it out.")
        self.hints += checked.assumed
        if reasons:
            good = [i for i in range(len(names)) if i not in reasons]
            self.files, seen = [self.files[i] for i in good], [seen[i] for i in good]
            images = None if images is None else images[good]
        found_in = [each for each in seen if each is not None]
        self._note_pages(found_in)
        found = self._classes_of(self.files)
        self.notes += [found.note] if found.note else []
        if self.labelling is None:
            self.labelled = found.how
        if self.labelled == "by folder":
            self.hints.append("data.labels=none for no classes.")
        self.hold(images, found.labels, found.names, [each.size for each in found_in])
        if complete and digest is not None:
            self.fingerprint = digest.hexdigest()
            remember(self.fingerprint_identity(), self.fingerprint)

    def _trust_record(self) -> None:
        """Takes sizes, labels and the fingerprint from the record, where it is of these very images."""
        assert self.record is not None
        found = self._classes_of(self.files)
        self.notes += [found.note] if found.note else []
        self.labelled = found.how if self.labelling is None else self.labelled
        self.hold(None, found.labels, found.names, torch.full((len(self.files), 2), self.resolution))
        known = self.record["fingerprints"].get(self.begun().hexdigest())
        if known and known["files"] == hash_of_files([(name, stamp) for name, _, stamp in self.files]):
            self.fingerprint = known["fingerprint"]

    @property
    def streaming(self) -> str:
        return "streamed from disk" if self.kept is None else "kept in memory once read"

    def _note_pages(self, seen: list[Seen]) -> None:
        several = [(each.frames, name) for each, (name, _, _) in zip(seen, self.files, strict=True) if each.frames > 1]
        if several:
            most, name = max(several)
            left = sum(count for count, _ in several) - len(several)
            files = f"{len(several):,} file{'s' if len(several) > 1 else ''}"
            self.notes.append(
                f"{files} of several pages or frames ({name} {most:,}): the first of each is used, {left:,} are not."
            )

    def _complaint(self, everything: bool) -> UnreadableImages:
        listed = "\n".join(f"  {name}: {reason}" for name, reason in self.skipped[:20])
        more = f"\n  and {len(self.skipped) - 20:,} more" if len(self.skipped) > 20 else ""
        what = f"{len(self.skipped):,} of {len(self.files):,} images in {self.path} cannot be read:\n{listed}{more}\n"
        ways = {"": "repair or remove them", "data.on_error": "go on without them: data.on_error=skip"}
        if everything:
            ways = {"": "there is nothing to train on."}
        return UnreadableImages(what, ways)

    def identity(self) -> object | None:
        return [(name, stamp) for name, _, stamp in self.files]

    def version(self) -> object | None:
        return ()

    def decode(self, index: int) -> torch.Tensor:
        name, place, _ = self.files[index]
        here = self.kept if get_worker_info() is None else None  # each reading process would have its own
        if here is not None and (pixels := here.get(index)) is not None:
            return pixels
        try:
            pixels = plain_pixels(self.read(place), self.resolution, self.channels) if self.record else None
            if pixels is not None:
                if here is not None:
                    here.put(index, pixels)
                return pixels
            with quiet():
                return decode(self.read(place), self.resolution, self.channels, self.levels)[0]
        except Exception as error:
            raise UnreadableFile(f"{name} in {self.path} can no longer be read: {why(error)}") from error

    def heldout(self) -> ImageDataset | None:
        """The part named test, or else val or another, of a data set with such parts, under the classes of this one;
        None if its classes differ."""
        folder = self._test_part()
        if folder is None:
            return None
        part = copy.copy(self)
        forget(part)
        part.files, part.left, part.name = self.left[folder], {}, f"{self.name} {folder}"
        part.skipped, part.ignored, part.notes, part.hints, part.kept = [], 0, [], [], None
        part.white = self.levels or part.white
        part._load(keep=self.in_memory)
        if self.class_names and not part.class_names:  # one class alone, or others that are not named alike
            part.class_names = list(shared([name for name, _, _ in part.files])[-1:])
        if not set(part.class_names) <= set(self.class_names) or self.class_names and not part.class_names:
            return None
        if part.class_names != self.class_names:
            part.labels = torch.tensor([self.class_names.index(name) for name in part.class_names])[part.labels]
            part.class_names = self.class_names
            forget(part)
        return part


def forget(dataset: ImageDataset) -> None:
    """Drops the fingerprints, after labels or files have changed."""
    for key in ("fingerprint", "earlier_fingerprint"):
        dataset.__dict__.pop(key, None)
