"""The words of every kind of finding: title, level, what training does with such files, and the way out."""

from collections.abc import Iterable
from typing import NamedTuple

from transgan.data.inspection.finding import CHANGES, SAYS, SPOILS, STOPS, Finding


class Words(NamedTuple):
    """Texts with {fields}."""

    title: str
    level: str
    training: str
    way: str


SKIP = "stops and names them; data.on_error=skip goes on without them"
MEASURED = "shows images that are there to measure against"
CUT = "takes the centre, and cuts more than half of each away"
NONE = "nothing to do"
ONE_KIND = "channels=1 for all, or remove the fewer"
LIMIT = "data.limit=N takes less of them, or add images to the others"
KINDS = {
    "empty": Words("empty, 0 bytes", STOPS, SKIP, "copy them again"),
    "truncated": Words("truncated", STOPS, SKIP, "copy or download them again"),
    "unreadable": Words("unreadable", STOPS, SKIP, "repair or remove them"),
    "locked": Words("without permission", STOPS, SKIP, "allow reading them: chmod u+r"),
    "locked_folders": Words("folders without permission", STOPS, "stops", "{reason}"),
    "heic_named": Words("HEIC under another name", STOPS, SKIP, "pip install pillow-heif reads them"),
    "unnamed": Words("images by content", STOPS, "leaves them out: their names do not say so", "rename them"),
    "unfinished": Words("unfinished downloads", STOPS, "leaves them out", "download them again"),
    "archives": Words("archives", SAYS, "leaves them out", "unpack them if they hold images"),
    "empty_others": Words("empty, 0 bytes", SAYS, "leaves them out", "copy them again"),
    "labels": Words("dataset.json", STOPS, "stops", "{reason}"),
    "white": Words("white unknown", STOPS, "stops", "{reason}"),
    "heic_unread": Words("HEIC", STOPS, "leaves them out: it cannot read them", "{reason}"),
    "other_formats": Words("other image formats", STOPS, "leaves them out: it cannot read them", "{reason}"),
    "video": Words("video", STOPS, "leaves them out: it takes images", "take frames out of it"),
    "exact_duplicates": Words("exact duplicates", SPOILS, "takes each as often as it is there", "keep one of each"),
    "near_duplicates": Words("near duplicates", SPOILS, "shows each, and memorises them sooner", "keep one of each"),
    "across_classes": Words("in several classes", SPOILS, "takes one for several classes", "keep it in one class"),
    "across_holdout": Words("trained on and held out", SPOILS, MEASURED, "keep one of each, or all on one side"),
    "across_parts": Words("in several parts", SAYS, "shows none of them", "keep one of each"),
    "blank": Words("one colour", SPOILS, "learns to generate empty images", "remove them"),
    "dark": Words("dark", SPOILS, "learns to generate such images", "remove or brighten them"),
    "blurred": Words("blurred", SPOILS, "learns to generate blurred images", "remove them: blurred even at {size} px"),
    "all_blurred": Words("most are blurred", SAYS, "sees no more at {size} px", "resolution={fits} shows as much"),
    "tiny": Words("tiny", SPOILS, "enlarges them to {size} px, more than twice", "remove them"),
    "small": Words("below {size} px", CHANGES, "enlarges them to {size} px", "{reason}"),
    "extreme": Words("extreme shape", SPOILS, CUT, "remove or crop them; or data prepare with crop=entropy or pad"),
    "grey": Words("grey among colours", SPOILS, "generates grey images, too", "remove them, or channels=1 for all"),
    "coloured": Words("colours among grey", SPOILS, "generates both: {grey} are grey, {colours} in colour", ONE_KIND),
    "all_grey": Words("all are grey", SAYS, "learns three equal channels", "channels=1 costs less"),
    "animated": Words("several frames", CHANGES, "takes the first frame or page", "save frames as single files"),
    "alpha": Words("transparent", CHANGES, "puts them over white", "save them over another background"),
    "palette": Words("palette", CHANGES, "takes the palette's colours", NONE),
    "deep": Words("more than 8 bits", CHANGES, "rounds to 8 bits", "nothing to do; data.white=NUMBER sets white"),
    "cmyk": Words("CMYK", CHANGES, "converts to RGB without a profile", "convert them with their profile"),
    "rotated": Words("turned by EXIF", CHANGES, "turns them upright", NONE),
    "heic": Words("HEIC", CHANGES, "reads them by pillow-heif", NONE),
    "class_names": Words("suspicious classes", SPOILS, "takes each for a class", "rename, or data.labels=none"),
    "similar_classes": Words("classes alike in name", SPOILS, "takes them for several classes", "rename them"),
    "doubtful_names": Words("class names", SAYS, "takes each for a class", "if it is none, rename it"),
    "outside": Words("outside class folders", SPOILS, "loses all {number} classes", "move or remove {them}"),
    "balance": Words("rare classes", SPOILS, "shows {most} {ratio} as often", "add images, or data.limit=N"),
    "large_classes": Words("large classes", SPOILS, "shows them {ratio} as often as a class of {middle}", LIMIT),
    "small_classes": Words("small classes", SAYS, "sees less than {least} of each", "add images, or conditional=false"),
    "not_unicode": Words("names not in UTF-8", SAYS, "takes them; data prepare cannot", "rename them"),
    "other_files": Words("no images", SAYS, "leaves them out", NONE),
    "system_folders": Words("system's folders", SAYS, "leaves them out", NONE),
    "hidden_folders": Words("hidden folders", SAYS, "leaves them out", NONE),
    "hidden_files": Words("hidden images", SAYS, "leaves them out", "rename those that you want, without the dot"),
}  # fmt: skip


def finding(
    kind: str,
    files: Iterable[str] = (),
    groups: list[list[str]] | None = None,
    why: dict[str, str] | None = None,
    count: int = 0,
    **fields: object,
) -> Finding:
    """A finding of a kind, its {fields} filled in."""
    title, level, training, way = (text.format(**fields) for text in KINDS[kind])
    return Finding(kind, title, level, training, way, list(files), groups or [], why or {}, count)
