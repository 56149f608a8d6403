"""The user's own images: every image file in a folder or a zip archive, in any format that Pillow reads."""

import copy
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import get_worker_info

from transgan.data import own, remarks
from transgan.data.checking import Remembered, check_all, quiet, remember, why
from transgan.data.contents import HEAD, image_in
from transgan.data.dataset import ImageDataset
from transgan.data.decode import decode, form
from transgan.data.file import File, UnreadableFile
from transgan.data.free_memory import fits
from transgan.data.labels import Classes, classes, lost, read_table, shared, without_images
from transgan.data.levels import Levels
from transgan.data.listing import image_suffixes, is_image, kinds
from transgan.data.prepared import RECORD, Kept, hash_of_files, plain_pixels, read_record
from transgan.data.splits import forget, part_to_test_on, take_classes, training_files
from transgan.files import expanded

LOOKED_AT = 100  # files whose first bytes are read where no name is that of an image
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
    held = False  # whether these are the images to measure against
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
        if sentence := remarks.impossible(on_error, in_memory, labels, white):
            raise ValueError(sentence)
        if not str(path).strip() or not self.path.exists():
            raise remarks.nothing_at(path, self.kind)
        if refusal := own.refusal(self.path):
            raise ValueError(refusal)
        self.on_error, self.labelling, self.white = on_error, labels, white
        self.folders: list[str] = []  # all of them
        self.system: set[str] = set()  # names of those left out because a storage system keeps them
        self.hidden: set[str] = set()  # names of folders that are hidden
        self.hidden_images: list[str] = []
        self.locked: dict[str, str] = {}  # folders that may not be read, and why
        self.again: list[str] = []  # links to folders that are already read
        self.repeated: list[str] = []  # names that an archive holds several times
        self.table: dict[str, int | str] | None = None
        self.record: dict[str, Any] | None = None  # of images that `transgan data prepare` has written
        self.kept: Kept | None = None
        self.left: dict[str, list[File]] = {}  # by part, such as test
        every = sorted(self.find(), key=lambda file: file[0])
        files, within = own.without_own(self.path, every, self.read, self.images_among)
        self.folders = own.outside(self.folders, within)
        notes = [remarks.own_outputs(within)] if within else []
        self.files = self.images_among(files)
        if not self.files and self.locked:
            raise remarks.locked(self.path, self.locked)
        if not self.files:
            raise remarks.no_image(self.path, self.kind, files, [*notes, *self._images_by_content(files)])
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
        if as_they_are and (other := (self.sizes != self.resolution).any(1).nonzero().flatten().tolist()):
            first, (width, height) = self.files[other[0]].name, self.sizes[other[0]].tolist()
            raise remarks.other_sizes(self.path, self.resolution, len(other), len(self), f"{first}, {width}x{height}")

    def find(self) -> list[File]:
        """All files that are not hidden. May fill `folders`, `system`, `hidden`, `locked` and so on."""
        raise NotImplementedError(f"{type(self).__name__} defines no find()")

    def read(self, place: Any) -> bytes:
        """The content of a file."""
        raise NotImplementedError(f"{type(self).__name__} defines no read(place)")

    def head(self, place: Any) -> bytes:
        """The first bytes of a file, which tell what it is."""
        return self.read(place)[:HEAD]

    def images_among(self, files: list[File]) -> list[File]:
        suffixes = image_suffixes()
        return [file for file in files if is_image(file[0], suffixes)]

    def _images_by_content(self, files: list[File]) -> list[str]:
        """At most one sentence, on files that are images but for their names."""
        found = []
        for file in files[:LOOKED_AT]:
            with suppress(Exception):  # of zip archives of many kinds; the sentence is only a help
                if known := image_in(self.head(file.place)):
                    found.append((file.name, *known))
        return [remarks.by_content(found)] if found else []

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
                self.table, several = read_table(sorted(taken), self.read(place), folder)
                if several:
                    self.notes.append(remarks.several_labels(several))
                others = [other for other in others if other != name or self.table is None]
                if absent := set(self.table or ()) - {file.name for file in files}:
                    self.notes.append(remarks.absent_images(sorted(absent)))
        self.ignored, self.others = len(others), kinds(others)
        if self.system:
            self.notes.append(remarks.system_folders(self.system))
        if self.again:
            self.notes.append(remarks.repeated_folders(self.again))
        if self.repeated:
            self.notes.append(remarks.repeated_names(self.repeated))
        folders = [folder for folder in self.folders if folder not in self.again and folder not in self.locked]
        if self.table is None and self.labelling != "none" and (empty := without_images(sorted(taken), folders)):
            self.notes.append(remarks.empty_folders(empty))

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
        self.files, self.left = training_files(self.files)
        if self.left:
            self._note_parts()
            self.hints.append(f"data.path={self.path}/... takes another part, data.labels=folders all of them.")

    def _note_parts(self) -> None:
        self.notes.append(remarks.other_parts(self.left))

    def test_part(self) -> str | None:
        """The folder of the part to measure against; None if there is none."""
        return part_to_test_on(self.left)

    def _classes_of(self, files: list[File]) -> Classes:
        found = classes([name for name, _, _ in files], self.labelling, self.table)
        if self.record is not None and self.table and self.labelling is None:
            known = {str(number): name for number, name in enumerate(self.record["class_names"])}
            found = found._replace(names=[known.get(number, number) for number in found.names])
        return found

    def _first(self) -> tuple[int, bool]:
        """The width of the first image, and whether it is grey."""
        name, place, _ = self.files[0]
        try:
            with quiet():
                return form(self.read(place))
        except Exception as error:  # noqa: BLE001 - of many kinds, as in checking.py
            raise ValueError(f"{name} in {self.path} cannot be read: {why(error)}; repair or remove it.") from error

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
            raise remarks.unreadable(self.path, self.skipped, len(names), self.held)
        self.levels, images = checked.levels, checked.images
        if self.levels is None and given is not None and not isinstance(self.white, Levels):
            raise ValueError(f"data.white={self.white:g} has no effect: every file says what is white; leave it out.")
        self.hints += checked.assumed
        if reasons:
            everything = self._classes_of(self.files)
            if names_lost := lost(everything, [i not in reasons for i in range(len(names))]):
                self.notes.append(remarks.unreadable_classes(names_lost, self.held))
            good = [i for i in range(len(names)) if i not in reasons]
            self.files, seen = [self.files[i] for i in good], [seen[i] for i in good]
            images = None if images is None else images[good]
        found_in = [each for each in seen if each is not None]
        pages = [(each.frames, file.name) for each, file in zip(found_in, self.files, strict=True)]
        self.notes += remarks.several_pages(pages)
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
        folder = self.test_part()
        if folder is None:
            return None
        part = copy.copy(self)
        forget(part)
        part.files, part.left, part.name, part.held = self.left[folder], {}, f"{self.name} {folder}", True
        part.skipped, part.ignored, part.notes, part.hints, part.kept = [], 0, [], [], None
        part.white = self.levels or part.white
        part._load(keep=self.in_memory)
        return part if take_classes(part, part.files, self.class_names) else None
