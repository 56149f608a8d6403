"""Which networks, of which size, and what they are measured by: chosen before a step was measured."""

from collections.abc import Collection, Iterator

from transgan.data.sides import fitting
from transgan.planning.choice import FIRST, Choice
from transgan.planning.facts import Facts

# Minutes up to which each recipe is the one. On one core with AVX-512 the recipe of an hour passes that of minutes
# between nine and eighteen (docs/results/recipes.md, one seed); the others are guesses, none was measured.
RECIPES = {
    "cpu": ((15.0, "minutes"), (480.0, "hour"), (float("inf"), "day")),
    "cuda": ((3.0, "hour"), (30.0, "day"), (float("inf"), "gpu")),
    "mps": ((10.0, "minutes"), (120.0, "hour"), (float("inf"), "day")),
}
LEAST, MOST = 16, 64  # pixels that the recipes are for
LARGE_ON_CPU = 180.0  # minutes from which a CPU is given 64 px
OF_CLASS = 20  # images of a class, at least, that teach a generator what is its own
LITE0, INCEPTION = 0.024, 0.3  # seconds of a CPU core for an image
READING = 0.05  # of the time of a run, at most, for the features of all real images
LEAST_BATCH = 4  # penalties are on a quarter of a batch
TRAINED = 1_000  # images, at least, to train a network on that measures the others


def choose(facts: Facts, given: Collection[str] = ()) -> list[Choice]:
    """The settings for these images on this machine, without those that the user has `given`, by key."""
    return [each for each in choices(facts, given) if each.key not in given and each.key in FIRST]


def choices(facts: Facts, given: Collection[str] = ()) -> Iterator[Choice]:
    """Those of the keys that are `given`, too. How long kimg= takes nobody knows before a step."""
    minutes, kind = facts.budget, facts.device
    limits = RECIPES.get(kind, RECIPES["cpu"])
    recipe = next(name for limit, name in limits if minutes <= limit)
    said = f"{in_words(minutes)} on {'a CPU' if kind == 'cpu' else kind}"
    if "kimg" in given and facts.minutes is None:
        said = f"that of {said}; how long kimg takes is measured later"
    yield Choice("recipe", recipe, said)
    yield resolution(facts)
    yield channels(facts)
    if (classes := conditional(facts)) is not None:
        yield classes
    yield (
        extractor(facts)
        if facts.count > 1
        else Choice("metrics", "none", "one image has no distribution to compare with")
    )
    yield from precision(facts, "gpu" if "recipe" in given else recipe)  # that may be meant for a GPU
    if (batch := fewer(facts, 256 if recipe == "gpu" else 64)) is not None:
        yield batch


def in_words(minutes: float) -> str:
    """A time in words: 1 minute, 20 minutes, 2 hours."""
    number, unit = (minutes, "minute") if minutes < 120 else (minutes / 60, "hour")
    return f"{number:g} {unit}{'s' * (number != 1)}"


def resolution(facts: Facts) -> Choice:
    """Of those that the recipes are for."""
    side = min(max(LEAST, fitting(facts.side)), MOST)
    why = f"short side {facts.side:,} px in the median"
    if side == 64 and facts.device == "cpu" and facts.budget < LARGE_ON_CPU:
        return Choice("resolution", 32, f"{why}; 64 takes four times as long")
    return Choice("resolution", side, why)


def channels(facts: Facts) -> Choice:
    """Grey where no image that was looked at has colours, with how many these were where they were not all."""
    if not facts.grey:
        return Choice("channels", 3, "in colour")
    some = f"the {facts.coloured:,} images looked at are grey; channels=3 if others are not"
    return Choice("channels", 1, some if facts.coloured else "all images are grey")


def conditional(facts: Facts) -> Choice | None:
    """Whether classes are learned. Nothing is chosen where there are none."""
    if len(facts.classes) < 2:
        return None
    usual = facts.usual_class
    if usual < OF_CLASS:
        return Choice(
            "conditional", False, f"{len(facts.classes):,} classes of {usual:,} images: too few to tell apart"
        )
    return Choice("conditional", True, f"{len(facts.classes):,} classes of {usual:,} images")


def extractor(facts: Facts) -> Choice:
    """What the distance is measured by: the standard network where it is and can be afforded, else one for CPUs that is
    installed, else one that is trained on these very images."""
    seconds = 60 * facts.budget * READING
    if facts.inception and (facts.device != "cpu" or facts.count * INCEPTION / facts.cores <= seconds):
        return Choice("extractor", "inception", "the standard network of FID is on this machine")
    affordable = facts.device != "cpu" or facts.count * LITE0 / facts.cores <= seconds
    lite = Choice("extractor", "efficientnet_lite0", "trained on ImageNet and installed; Inception is not here")
    if facts.inception:
        lite = Choice("extractor", "efficientnet_lite0", "trained on ImageNet; Inception would take too long")
    if facts.installed and (affordable or facts.count < TRAINED):
        return lite
    why = "ImageNet's would take too long" if facts.installed else "no network of ImageNet is here"
    if len(facts.classes) > 1 and facts.usual_class >= OF_CLASS:
        return Choice("extractor", "classifier", f"trained on these classes; {why}")
    return Choice("extractor", "masked", f"trained on these images; {why}")


def precision(facts: Facts, recipe: str) -> Iterator[Choice]:
    """Half precision and the compiler are for GPUs."""
    if facts.device == "cuda":
        why = "on cuda" if facts.half else "this GPU has no bfloat16 of its own"
        yield Choice("precision", "bf16-mixed" if facts.half else "32-true", why)
        yield Choice("compile", "auto", "where it pays")
        return
    if recipe == "gpu":
        yield Choice("precision", "32-true", f"on {facts.device}")
    yield Choice("compile", None, "for GPUs" if recipe == "gpu" else "short runs do not earn it back")


def fewer(facts: Facts, usual: int = 64) -> Choice | None:
    """A batch no larger than the set where the `usual` one is, if that has LEAST_BATCH images for every process."""
    if facts.count >= usual:
        return None
    size = LEAST_BATCH * facts.processes
    while 2 * size <= facts.count:
        size *= 2
    return Choice("batch_size", size, "there is 1 image" if facts.count == 1 else f"there are {facts.count:,} images")
