"""How to train on so many images of this kind: sentences, with the command."""

from transgan.data.inspection.finding import Finding
from transgan.data.inspection.rules import Set, limits
from transgan.data.proposal import proposal
from transgan.data.sides import ENLARGED, fitting

FEW, SOME, ENOUGH = 200, 2_000, 20_000
LARGE = 4  # times the resolution: reading such images takes longer than training on them


def advice(
    path: str, images: Set, resolution: int, channels: int, findings: list[Finding], keys: dict[str, object]
) -> list[str]:
    """By the number of images to train on, their sizes, and what was found. keys: those that the command was given
    beside them, which the next one needs too."""
    count, side = int((~images.held).sum()), limits(images)["side"]
    said = []
    if count < FEW:
        said.append(f"{count:,} images are too few to learn from: a network repeats them; collect a few hundred more.")
    elif count < SOME:
        said.append(
            f"{count:,} images are few: augment as much as the discriminator overfits, augmentation=ada "
            "adaptive=heldout_gap holdout=0.1 algorithm.augment=0.6, and look at memorisation in `transgan evaluate`."
        )
    elif count < ENOUGH:
        said.append(f"{count:,} images suffice with augmentation, which is on by default.")
    else:
        said.append(f"{count:,} images are many: less augmentation may do, algorithm.augment=0.3.")
    if count < ENOUGH:
        said.append("mirror=true doubles them where left and right do not matter: not for writing, numbers or logos.")
    kinds = {each.kind for each in findings}
    if "across_holdout" not in kinds and kinds & {"exact_duplicates", "near_duplicates"}:
        said.append("Remove duplicates before holding images out: both sides would have them.")
    size = resolution if side >= ENLARGED * resolution else min(resolution, fitting(side))
    needed = keys | {"resolution": size}
    if channels == 1 or "all_grey" in kinds:
        needed["channels"] = 1
    if "labels" in kinds:
        needed["data.labels"] = "none"
    if "white" in kinds:
        needed["data.white"] = "NUMBER"
    if kinds & {"empty", "truncated", "unreadable", "locked", "heic_named"}:
        needed["data.on_error"] = "skip"
    if side >= LARGE * resolution and count >= 500 or count >= 50_000:
        said.append(
            f"Bring them to their size once: {proposal('data prepare', path, 'images.zip', given=needed)}; "
            "training reads that in place of the originals."
        )
    said.append(f"Then: {proposal('train', path, given=needed)}")
    return said
