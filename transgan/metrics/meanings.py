"""What every number is, in a sentence for a newcomer: what it measures, which way is better, and what is good."""

from collections.abc import Mapping
from typing import Any

from transgan.numerals import number

FLOOR = "good is near the floor, what real images have between them; the ceiling is without any learning"
# By the beginning of a number's name, the longest that fits; the extractor's name and others stand at its end.
MEANINGS = {
    "fid": f"Fréchet distance to the training images by the standard Inception network, as papers report it: how far "
    f"the generated images as a whole are from real ones; lower is better, {FLOOR}",
    "fid_heldout": f"the same distance to held-out real images, which training has not shown; lower is better, {FLOOR}",
    "fid_infinity": "the same distance as it would be of infinitely many images; lower is better, 0 is perfect",
    "fd_": f"Fréchet distance between the features of generated and real images: how far all of them together are from "
    f"real ones, to the eyes of one network; lower is better, {FLOOR}; it compares only with values of the same "
    "protocol",
    "kid": "kernel distance by the standard Inception network: the same question as FID's, fair to few images; lower "
    "is better, 0 is perfect, and a little below 0 is luck",
    "kd_": "kernel distance between the features of generated and real images: the same question as the Fréchet "
    "distance's, fair to few images; lower is better, 0 is perfect, and a little below 0 is luck",
    "is": "Inception Score: how sure a network is of what each image shows, and how varied all of them are; higher is "
    "better, 1 is the worst, and good is what real images have",
    "cs_": "score of the classifier: how sure it is of each image, and how varied all of them are; higher is better, 1 "
    "is the worst, and with k even classes k is the best",
    "accuracy": "share of generated images that a classifier recognises as the class asked for; higher is better, good "
    "is what real images have, and guessing has 1 over the number of classes",
    "accuracy_real": "the same share of the training images: what generated ones can reach",
    "accuracy_heldout": "the same share of held-out images: what generated ones can reach",
    "mesh": "how far a grid of patches stands out, over the same of real images; lower is better, 1 is as in real "
    "images, and from 4 on it is visible",
    "spread": "how far images of a class lie apart, over the same of real images; 1 is as varied as these, and 0.4 is "
    "mode collapse: images of a class look alike",
    "spread_features": "how far features of images of a class lie apart, over the same of real images; 1 is as varied "
    "as these, and well below it images of a class look alike",
    "precision": "share of generated images that lie among the real ones, so look like one; higher is better, 1 is the "
    "most, and good is what held-out images have",
    "recall": "share of real images that lie among the generated ones, so could be made; higher is better, 1 is the "
    "most, and good is what held-out images have",
    "density": "how closely generated images lie among the real ones; higher is better, 1 is as these themselves",
    "coverage": "share of real images that have a generated one beside them; higher is better, 1 is the most, and "
    "of two sets of real images it is about 0.97",
    "copy_rate": "share of images as near to a training image as the nearest 1 % of held-out ones; lower is better, "
    "0.01 is as in new real images, and much more is copying",
    "copy_rate_p": "probability that a generator without copies shows as many near ones; below 0.01 is a sign of "
    "copies",
    "auth_pct": "percentage of images whose nearest training image has a nearer one itself; low is copying, and good "
    "is what held-out images have",
    "c_t": "nearness to training images against that of held-out ones; 0 is good, well below it is copying, and well "
    "above it images are far from real ones",
    "bits_per_dim": "bits that the model needs for each value of an image, on average: how well it predicts images; "
    "lower is better, and 8 is knowing nothing of images of 256 levels",
    "bits_per_dim_heldout": "bits that the model needs for each value of a held-out image, on average: how well it "
    "predicts new ones; lower is better, and 8 is knowing nothing of images of 256 levels",
}


def meaning(name: str) -> str:
    """What a number is and how it is to be read; "" for one that is not ours."""
    fits = [start for start in MEANINGS if name == start or name.startswith(start if start[-1] == "_" else f"{start}_")]
    if not fits:
        return ""
    found = MEANINGS[max(fits, key=len)]
    of_heldout = name.endswith("_heldout") or "_heldout_" in name
    return found + (" (of, or to, held-out images)" if of_heldout and "held-out" not in found else "")


def explained(numbers: Mapping[str, float], primary: str = "", bounds: Mapping[str, Any] | None = None) -> list[str]:
    """`name value: what it is` for every number but deviations, with the floor and ceiling of the primary one."""
    found = []
    for name, value in numbers.items():
        if name.endswith("_std") or not (text := meaning(name)):
            continue
        said = f"{name} {number(value, 4)}: {text}"
        if name == primary and bounds:
            known = [
                f"the {end} is {number(bounds[end], 4)}" for end in ("floor", "ceiling") if bounds.get(end) is not None
            ]
            said += f"; here {' and '.join(known)}" if known else ""
        found.append(said)
    return found
