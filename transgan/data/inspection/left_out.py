"""Files and folders that training does not take for images, and which of them are images after all."""

from pathlib import PurePosixPath

from transgan.data.contents import image_in, is_archive
from transgan.data.file import File
from transgan.data.inspection.finding import Finding
from transgan.data.inspection.wording import finding
from transgan.data.listed import Listed, suffixes
from transgan.data.listing import WAYS
from transgan.files import in_shell, is_unicode

MOST = 1_000  # files whose first bytes are read
UNFINISHED = {".crdownload", ".part", ".partial", ".download", ".opdownload", ".aria2", ".!ut", ".!qb", ".filepart"}
BACKUPS = {".bak", ".orig", ".old"}
ARCHIVES = {".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"}


def of_left_out(source: Listed) -> list[Finding]:
    """Folders and files that training leaves out, by what they are."""
    said, others = [], {file.name: file for file in source.other_files()}
    found: dict[str, dict[str, str]] = {kind: {} for kind in ("unnamed", "unfinished", "archives", "empty_others")}
    there = {file.name for file in source.every}
    for name in sampled(list(others)):
        kind, what = kind_of(name, others[name], source, there)
        if kind:
            found[kind][name] = what
    for kind, files in found.items():
        if files:
            said.append(finding(kind, files, why=files if kind == "unnamed" else {}))
    known = suffixes(name for name in others if all(name not in files for files in found.values()))
    for way, kinds in WAYS.items():
        if names := [name for suffix in sorted(kinds & set(known)) for name in known.pop(suffix)]:
            kind = "heic_unread" if ".heic" in kinds else "video" if way == "video" else "other_formats"
            said.append(finding(kind, names, reason=way))
    rest = [name for names in known.values() for name in names]
    for kind, names in (
        ("other_files", rest),
        ("system_folders", sorted(source.system)),
        ("hidden_folders", sorted(source.hidden)),
        ("hidden_files", sorted(source.hidden_images)),
    ):
        if names:
            said.append(finding(kind, names))
    used = [file.name for file in [*source.files, *(file for part in source.left.values() for file in part)]]
    if odd := [name for name in used if not is_unicode(name)]:
        said.append(finding("not_unicode", odd))
    if source.locked:
        way = f"chmod -R u+rX {in_shell(source.path)}"
        said.append(finding("locked_folders", source.locked, why=source.locked, reason=way))
    return said


def sampled(names: list[str]) -> list[str]:
    """At most MOST names, some of every suffix."""
    ranked = [(i, name) for same in suffixes(names).values() for i, name in enumerate(same)]
    return [name for _, name in sorted(ranked)[:MOST]]


def kind_of(name: str, file: File, source: Listed, there: set[str]) -> tuple[str, str]:
    """The kind of finding that a file is by its content and name, and what it is; empty where there is none. there: the
    names of all files."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in UNFINISHED:
        return "unfinished", ""
    if (suffix in BACKUPS or name.endswith("~")) and name.rstrip("~").removesuffix(suffix) in there:
        return "", ""  # a program's copy of another file
    try:
        head = source.head(file.place)
    except Exception:  # noqa: BLE001 - of zip archives many kinds, and training leaves it out
        return "", ""
    if not head:
        return ("empty_others", "") if any(suffix in each for each in WAYS.values()) else ("", "")
    if suffix in ARCHIVES or not suffix and is_archive(head):
        return "archives", ""
    form = image_in(head)
    if form is None or form[1] == suffix or any(suffix in each for each in WAYS.values()) and suffix != ".heic":
        return "", ""  # raw photographs are TIFF to begin with
    return ("", "") if form[1] in (".heic", ".avif") and suffix == ".heic" else ("unnamed", f"{form[0]}: {form[1]}")
