"""Names of class folders that rather are of something else, and names that differ in next to nothing."""

import re
import unicodedata
from collections.abc import Callable, Iterable

from transgan.data.labels import is_split

COPY = r"([-_ ]?(v[-_ ]?)?\d{1,4}|[-_ ]?\(\d+\)|[-_ ]v\d\S*)?"  # images2, images_v2, images (2)
THING = re.compile(  # holds images, or what belongs to them, of whatever class
    rf"(?i)(datas?|data[-_ ]?sets?|images?|imgs?|photos|pic(ture)?s){COPY}"
    r"|annotations?|labels|bounding[-_ ]?boxes|bboxes|downloads?|node_modules|site-packages|dcim"
    r"|backups?|te?mp|cache|thumbnails?|results?|outputs?|unsorted|duplicates?|deleted|deprecated"
    r"|new folder( \(\d+\))?|untitled( folder)?.*|copy of .*|.* - copy( \(\d+\))?|.+[-_ .](backup|bak)|[@$_].*"
)
SPLITS = r"train(ing)?|test(ing)?|val(idation)?|eval(uation)?|held[-_ ]?out|hold[-_ ]?out"
PART = re.compile(  # train2017, test-A, "test set 2", Train_images
    rf"(?i)({SPLITS})([-_ ]?(set|data|images|imgs|split|part))?([-_ .]?\d+|[-_ ]?[a-d]|[-_ ]?\(\d+\)|[-_ .]v\d+)?"
)
VEHICLES = r"(air|aero)?planes?|bicycles?|bikes?|boats?|bus(es)?|cars?|motor(bikes?|cycles?)|ships?|trams?|trucks?"
KINSHIP = {  # a word that is a class, too: beside which classes it is one
    "train": VEHICLES,
    "test": "control|treatment|reference",
    "valid|val": "invalid|in_?val",
    "dev(elopment)?|extra|pred(ictions?)?|unlabel+ed": "",
    "camera": "",
    "fakes?|generated": r"(un)?real|original|genuine|authentic|live|true|natural|human",
    "trash|junk": r"cardboard|glass|metal|paper|plastic|recycl\w*|compost|organic|good|treasure|keep",
    "photo|pic(ture)?|image": r"art\w*|cartoon|sketch|drawing|painting|clip\w*|illustration|text|document|diagram",
    "thumbs?": "index|middle|ring|little|pinky|fist|palm",
    "masks": "",
    "samples?|files?": "",
}
MANY = 10  # other classes, beside which a word that may be a class is one


def suspicious(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Names of classes that are not of classes, and those that may be of one or not."""
    names = list(names)
    sure = [name for name in names if is_thing(name, names)]
    doubtful = [name for name in names if name in sure or any(re.fullmatch(f"(?i:{word})", name) for word in KINSHIP)]
    others = [name for name in names if name not in doubtful]
    left = []
    for name in doubtful:
        kin = next((kin for word, kin in KINSHIP.items() if re.fullmatch(f"(?i:{word})", name)), None)
        if kin is None:
            continue
        if any(kin and re.fullmatch(f"(?i:{kin})", each) for each in names):
            sure = [each for each in sure if each != name]
        elif name not in sure and len(others) < MANY:
            left.append(name)
    if sure:  # then the folder holds other things than classes
        return [name for name in names if name in sure or name in left], []
    return [], left


def is_thing(name: str, names: list[str]) -> bool:
    """Whether a name is that of a part, of a thing that holds images, or of a copy of another of the names."""
    if THING.fullmatch(name) or PART.fullmatch(name) and is_split(name):
        return True
    if found := re.fullmatch(r"(.+) \(\d{1,2}\)", name):  # a second download, and no series
        return sum(each.startswith(f"{found[1]} (") for each in names) == 1 or found[1] in names
    found = re.fullmatch(r"(?i)(.+)[-_ .](copy|old|orig(inal)?)", name)
    return found is not None and found[1].casefold() in {each.casefold() for each in names}


def encoded(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def joined(name: str) -> str:
    """Without separators; between numbers they tell names apart: 1.0 is not 10."""
    return re.sub(r"(?<!\d)[\s_.\-]+|[\s_.\-]+(?!\d)", "", name) or name


DIFFERENCES: dict[str, Callable[[str], str]] = {
    "how characters are encoded (NFC, NFD)": encoded,
    "case": str.casefold,
    "spaces, hyphens, dots or underscores": joined,
}


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of two or more names that differ only in case, separators or the encoding of accents."""
    folded: dict[str, list[str]] = {}
    for name in names:
        folded.setdefault(joined(encoded(encoded(name).casefold())), []).append(name)
    return [group for group in folded.values() if len(group) > 1]


def difference(group: list[str]) -> str:
    """In what names that are alike differ: in what makes them differ where all else is taken away."""
    said = []
    for what, form in DIFFERENCES.items():
        left = set(group)
        for other in DIFFERENCES.values():
            left = left if other is form else set(map(other, left))
        if len(left) > 1:
            said.append("a space at an end" if form is joined and len(set(map(str.strip, left))) == 1 else what)
    return "differ in " + " and in ".join(said)
