"""The classes that the folders of a data set name, and the folders that are something else: training and test splits,
shards of a large set, a camera's folders. Reads only names, and dataset.json."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeGuard

from transgan.data.dataset import printable

TRAIN = r"train(ing)?"
SPLIT = (
    r"(train(ing)?|test(ing)?|val(id(ation)?)?|dev(elopment)?|eval(uation)?|held[-_ ]?out|hold[-_ ]?out"
    r"|pred(ict(ion)?s?)?|unlabel+ed|extra)"
)
OUTSIDE = "outside of them"  # instead of a folder: of images beside those of the parts
STRAY = 0.2  # of the images: so many outside of the folders may be a mistake
AFTER = (  # trainset, "test set 2", val2017, test_512, trainA
    r"((?i:[-_ ]?(set|data|images|imgs))([-_ .]?\d\S*)?|[-_ .]?\d\S*|[-_ .]\S+|[AB])?"
)


class Classes(NamedTuple):
    """labels: one number per image, all 0 without classes; names: of the classes; how: where they come from."""

    labels: list[int]
    names: list[str]
    how: str = ""
    note: str | None = None


def classes(names: Sequence[str], labels: str | None = None, table: dict[str, int | str] | None = None) -> Classes:
    """The classes of images with these paths.

    labels: None, "folders" or "none", as the user said. table: from dataset.json, see `read_table`.
    Below the folders that all images share, the first folder is the class, if every image has one.
    """
    unlabelled = Classes([0] * len(names), [])
    if labels == "none":
        return unlabelled
    if labels is None and table is not None:
        if not table:
            return unlabelled._replace(note="No labels: dataset.json names no classes.")
        found = [table[name] for name in names]
        numbers = sorted(set(found))
        return Classes([numbers.index(each) for each in found], [str(each) for each in numbers], "by dataset.json")
    depth = len(shared(names))
    folders = [parts[depth] for name in names if len(parts := folders_of(name)) > depth]
    if not folders:
        return unlabelled
    if len(folders) < len(names):
        outside, within = outsiders(names, labels)
        said = (
            f"{len(folders):,} of {len(names):,} images lie in sub-folders and the others do not; "
            "for classes, put every image into a sub-folder."
        )
        said = lost_to(outside, len(within.names)) if outside else said
        return unlabelled._replace(note=f"No labels: {said}")
    if labels is None and (what := no_classes(names, folders)):
        return unlabelled._replace(note=f"No labels: {what}; data.labels=folders takes the folders as classes.")
    class_names = sorted(set(folders))
    number = {name: i for i, name in enumerate(class_names)}
    return Classes([number[folder] for folder in folders], class_names, "by folder")


def outsiders(names: Sequence[str], labels: str | None = None) -> tuple[list[str], Classes]:
    """The few images outside of the class folders, and the classes that the others would have without them; none where
    the others have no classes either."""
    rest = list(names)
    outside: list[str] = []
    while rest and len(outside) <= STRAY * len(names):
        depth = len(shared(rest))
        within = [name for name in rest if len(folders_of(name)) > depth]
        if not within or len(within) == len(rest):
            break
        outside += [name for name in rest if len(folders_of(name)) <= depth]
        rest = within
    found = Classes([0] * len(rest), []) if len(outside) > STRAY * len(names) else classes(rest, labels)
    return (outside, found) if outside and len(found.names) > 1 else ([], found._replace(names=[]))


def lost_to(outside: Sequence[str], count: int) -> str:
    """outside: images outside of the class folders, of which there are `count`."""
    some = ", ".join(map(printable, outside[:3])) + (", ..." if len(outside) > 3 else "")
    images, them = ("image", "it") if len(outside) == 1 else ("images", "them")
    return (
        f"{len(outside):,} {images} outside the class folders ({some}): all {count:,} classes are lost; "
        f"move or remove {them}."
    )


def folders_of(name: str) -> tuple[str, ...]:
    return tuple(name.split("/")[:-1])


def shared(names: Sequence[str]) -> tuple[str, ...]:
    """The leading folders that all paths have in common."""
    parents = [folders_of(name) for name in names]
    first, last = min(parents), max(parents)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def no_classes(names: Sequence[str], folders: Sequence[str]) -> str | None:
    """What the folders of all images are, if their names say that they are not classes; else None."""
    distinct = set(folders)
    if all(re.fullmatch(r"\d{5}", folder) for folder in distinct):
        stems = [name.rsplit("/", 1)[-1].rsplit(".", 1)[0] for name in names]
        pairs = zip(folders, stems, strict=True)
        if all(re.fullmatch(r"img\d{8}", stem) for stem in stems):
            return "the folders are shards of a set in StyleGAN's format"
        if all(re.fullmatch(r"\d{5,}", stem) and int(folder) == int(stem) // 1000 * 1000 for folder, stem in pairs):
            return "the folders hold a thousand numbered images each"
    if len(distinct) > 1 and all(is_split(folder) and not is_split(folder, TRAIN) for folder in distinct):
        return f"the folders ({', '.join(sorted(distinct))}) are parts to test on"
    if all(re.fullmatch(r"[1-9]\d\d[A-Z0-9_]{5}", folder) for folder in distinct):
        return "the folders are those that a camera makes when one is full"
    return None


def is_split(name: str, kind: str = SPLIT) -> bool:
    return re.fullmatch(f"(?i:{kind}){AFTER}", name) is not None


def after_prefix(folders: Iterable[str]) -> dict[str, str]:
    """Each folder without the common prefix up to a separator: seg_train and seg_test become train and test."""
    folders = list(folders)
    before = os.path.commonprefix(folders)
    before = before[: max(before.rfind(sign) for sign in "-_ .") + 1] if len(folders) > 1 else ""
    return {folder: folder[len(before) :] for folder in folders}


def training_part(names: Sequence[str]) -> tuple[list[int], dict[str, list[int]]]:
    """The indices of the images to train on, and {folder: indices} of the parts left out.

    Where folders are named train and test, val and so on, only those to train on are taken. They may be siblings, or
    within every class.
    """
    everything = list(range(len(names)))
    paths = [folders_of(name) for name in names]
    start = len(shared(names))
    for level in (start, start + 1):
        folders = [path[level] if len(path) > level else None for path in paths]
        present = after_prefix({folder for folder in folders if folder is not None})
        if level > start and None in folders or not all(is_split(name) for name in present.values()):
            continue
        chosen = {folder for folder, name in present.items() if is_split(name, TRAIN)}
        if not chosen or len(chosen) == len(present):
            continue
        left: dict[str, list[int]] = {}
        for i, folder in enumerate(folders):
            if folder not in chosen:
                left.setdefault(folder or OUTSIDE, []).append(i)
        return [i for i in everything if folders[i] in chosen], left
    return everything, {}


class Pairs(dict[str, Any]):
    """An object of a JSON file, and all pairs that are written there, of which several may have one key."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def read_table(names: Sequence[str], data: bytes, folder: str) -> tuple[dict[str, int | str] | None, list[str]]:
    """Reads a dataset.json in StyleGAN's format. -> ({name: label}, the images that it labels in several ways)

    A label is a number or a name; {} if the labels are not classes, None if it is another file. names: of all images;
    folder: that of the file, "" or "a/b". Raises ValueError if it has labels but none for one of the images, or numbers
    for some and names for others, or is damaged.
    """
    try:
        content = json.loads(data, object_pairs_hook=Pairs)
    except (ValueError, RecursionError) as error:  # also where it is not UTF-8, or nested too deeply
        if b'"labels"' in data:
            raise ValueError(
                f"dataset.json is damaged ({error}): repair it, or take no labels: data.labels=none"
            ) from error
        return None, []
    try:
        labels = content["labels"]
        pairs = [(posix(name), label) for name, label in (labels.pairs if isinstance(labels, Pairs) else labels or ())]
    except (ValueError, TypeError, KeyError):
        return None, []
    if not pairs:
        return {}, []
    before = f"{folder}/" if folder else ""
    table = {before + name: label for name, label in pairs}
    found = [(name, table.get(name)) for name in names]
    numbered = [name for name, label in found if is_whole(label) and label >= 0]
    named = [name for name, label in found if isinstance(label, str) and label]
    without = [name for name in names if name not in table]
    if numbered or named:  # then null and -1 stand for no class
        without = [name for name, label in found if label is None or label == "" or is_whole(label) and label < 0]
    if without:
        raise ValueError(
            f"dataset.json names no label for {len(without):,} of {len(names):,} images (the first is {without[0]}); "
            "add them, or take no labels: data.labels=none"
        )
    if numbered and named:
        raise ValueError(
            f"dataset.json has a number for some images (the first is {numbered[0]}) and a name for others (the first "
            f"is {named[0]}); give all of them one or the other, or take no labels: data.labels=none"
        )
    several = {before + name for name, label in pairs if label != table[before + name]} & set(names)
    return (table if len(numbered or named) == len(names) else {}), sorted(several)


def is_whole(label: object) -> TypeGuard[int]:
    return isinstance(label, int) and not isinstance(label, bool)


def posix(name: object) -> str:
    return "/".join(part for part in str(name).replace("\\", "/").split("/") if part not in ("", "."))


def lost(found: Classes, readable: Sequence[bool]) -> list[str]:
    """The classes of which no image can be read. found: of all images."""
    left = {label for label, good in zip(found.labels, readable, strict=True) if good}
    return [name for number, name in enumerate(found.names) if number not in left]


def without_images(names: Sequence[str], folders: Iterable[str]) -> list[str]:
    """The folders without an image that would otherwise be classes, or are siblings of the common leading folders."""
    common = shared(names)
    with_images = {folders_of(name) for name in names}
    taken = {"/".join(parts[: i + 1]) for parts in with_images for i in range(len(parts))}
    deepest = any(len(parts) > len(common) for parts in with_images)
    found = []
    for folder in sorted(folders):
        parts = tuple(folder.split("/"))
        depth = len(parts) - 1
        if folder not in taken and parts[:depth] == common[:depth] and depth < len(common) + deepest:
            found.append(folder)
    return found
