"""The result in plain sentences: what was made, how far it came, how good it is, and what to mind."""

from pathlib import Path

from transgan.callbacks.interval import moment
from transgan.numerals import number
from transgan.reporting.chart import brief
from transgan.reporting.material import Material
from transgan.reporting.measured import Measured, finite

KINDS = {  # of training: what is said of the network, or of both
    "Adversarial": "A GAN: {0} generates, {1} discriminates",
    "TransGANOfficial": "A GAN with the step of TransGAN's published code: {0} generates, {1} discriminates",
    "Autoregressive": "A model that predicts images value by value: {0}",
    "Masked": "A masked model, which fills in what is hidden: {0}",
    "Variational": "A variational autoencoder: {0}",
    "Flow": "A flow, which carries noise to images in steps: {0}",
    "Student": "A generator of one step, the student of a flow: {0}",
    "Drifting": "A generator of one step, trained by drifting: {0}",
}
SMALL = 2048  # images; below it a Fréchet distance is mostly bias
MESH, COLLAPSE = 4.0, 0.4  # where a grid is visible, and where classes have collapsed


def last(target: object) -> str:
    """The name of a class without its module."""
    return str(target).rpartition(".")[2]


def networks_of(material: Material) -> dict[str, str]:
    """generator: StyleTransformer, ... of the configuration."""
    parts = {name: material.algorithm.get(name) for name in ("generator", "discriminator", "network")}
    return {
        name: last(part["_target_"]) for name, part in parts.items() if isinstance(part, dict) and "_target_" in part
    }


def made(material: Material) -> str:
    """What was trained on what."""
    config, names = material.config, list(networks_of(material).values())
    if not config:
        return "The configuration of this run cannot be read."
    kind = last(material.algorithm.get("_target_", ""))
    text = KINDS.get(kind, f"{kind}: {' and '.join(names)}" if names else kind)
    said = text.format(*names) if text.count("{") <= len(names) else kind
    data = config.get("data") or {}
    source = Path(data["path"]).name if data.get("path") else last(data.get("_target_", "images"))  # it is given away
    parts = [f"{said}, trained on {source}"] if data else [said]
    if "resolution" in config:
        colour = "grey" if config.get("channels") == 1 else "in colour"
        parts.append(f"{config['resolution']} px, {colour}")
    if material.class_names:
        count = len(material.class_names)
        parts.append(f"{count:,} classes" if config.get("num_classes") else f"{count:,} classes it is not given")
    elif material.run is not None:
        parts.append("without classes")
    return "; ".join(parts) + "."


def progress(material: Material) -> str:
    """How far the run has come, and whether it goes on."""
    so_far = number(material.kimg, 4)
    of = f" of {number(material.planned, 4)}" if material.planned is not None else ""
    if (owner := material.owner) is not None:
        who = f"process {owner['pid']} on {owner['host']}, since {owner['since']}" if owner else "another process"
        return f"It is still being trained, by {who}: {so_far}{of} thousand images so far. All numbers are of now."
    if material.finished:
        return f"Training is finished: {so_far} thousand images were shown."
    if material.run is None:
        return f"Training was interrupted after {so_far}{of} thousand images, before the first checkpoint."
    if (why := material.out_of_patience) is not None:
        return (
            f"Training ended after {so_far}{of} thousand images, as {why}; the command below trains it on, regardless."
        )
    return f"Training was interrupted after {so_far}{of} thousand images; the command below continues it."


def quality(first: Measured | None) -> list[str]:
    """How good the images are by the primary distance, between floor and ceiling."""
    if first is None or first.primary is None or first.value is None:
        return []
    name, value, bounds = first.primary, first.value, first.bounds
    floor, ceiling, begun = bounds.get("floor"), bounds.get("ceiling"), bounds.get("begun")
    if first.kimg == 0:
        return [f"It was measured only before the first step, when {name} was {brief(value)}."]
    said = f"{name} is {brief(value)} (lower is better), measured at {number(first.kimg, 4)} kimg."
    if floor and floor > 0:
        of = bounds.get("floor_of", "real images")
        said += f" Real images against real ones ({of}) have {brief(floor)}: {times(value / floor)} that floor."
    if ceiling and ceiling > 0:
        share = ceiling / value if value > 0 else float("inf")
        below = f"1/{share:.0f} of that" if share >= 3 else f"{100 * value / ceiling:.0f} % of that"
        said += f" An untrained generator has {brief(ceiling)}, the ceiling: this is {below}."
    if begun is not None:
        said += f" As it began, with weights of another run, it had {brief(begun)}."
    return [said, *reading(value, floor, ceiling, begun)]


def times(factor: float) -> str:
    return f"the value is {number(factor, 2)} times"


def reading(value: float, floor: float | None, ceiling: float | None, begun: float | None = None) -> list[str]:
    """What a place between floor and ceiling means. How much was learned is said only where the ceiling is known."""
    if begun is not None and value >= begun:
        return ["So training has not brought it nearer to real images than it began."]
    if ceiling and value > 0.5 * ceiling:
        return ["So it has learned little yet: it is nearer to an untrained generator than to real images."]
    if floor and floor > 0:
        if value <= 1.5 * floor:
            return ["So these features hardly distinguish its images from real ones."]
        if value <= 4 * floor:
            return ["So these features find it near real images, with a difference that can be measured."]
        if not ceiling:
            return ["So these features clearly distinguish its images from real ones."]
        return ["So it has learned much of the data, and these features still distinguish its images from real ones."]
    return []


def notes(material: Material, first: Measured | None) -> list[str]:
    """What the numbers warn of, and how the distance went on."""
    found = []
    if first is not None and first.kimg > 0:
        numbers = first.numbers
        mesh = numbers.get("mesh")
        spread = numbers.get("spread")
        accuracy = next((name for name in numbers if name == f"accuracy_{first.protocol.get('extractor')}"), None)
        real = numbers.get(f"accuracy_real_{first.protocol.get('extractor')}")
        if accuracy and real is not None:
            found.append(
                f"A classifier recognises {number(100 * numbers[accuracy])} % of its images as the class asked for, "
                f"and {number(100 * real)} % of the training images."
            )
        if mesh is not None and mesh >= MESH:
            found.append(f"mesh is {number(mesh)}: the grid of its patches is visible in the images.")
        if spread is not None and spread <= COLLAPSE:
            begun = first.value is None or first.value <= 0.5 * first.bounds.get("ceiling", 0.0)
            why = "which is mode collapse" if begun else "by mode collapse, or because training has hardly begun"
            found.append(f"spread is {number(spread, 2)}: images of a class look alike, {why}.")
        if (rate := numbers.get("copy_rate_p")) is not None and rate < 0.01:
            found.append("More of its images lie next to training images than chance allows: look at the neighbours.")
        counts = [first.protocol.get(key) for key in ("num_generated", "num_real")]
        if few := [count for count in counts if isinstance(count, int) and count < SMALL]:
            found.append(
                f"The numbers are of few images ({min(few):,}), for which the floor is high, too: compare them only "
                "with others of this very protocol."
            )
        found += [f"{text[:1].upper()}{text[1:]}." for flag, text in first.flags.items() if flag != "small_sample"]
        found += chosen_by_it(material, first) + trend(material, first)
    word, reason, remedy = material.health
    if reason:
        found.append(f"How it went, at the last checkpoint: {word}. {sentence(reason)}{sentence(remedy, ' ')}")
    skipped = {name: value for row in material.stats[-1:] for name, value in row.items() if name.startswith("skipped_")}
    for name, count in skipped.items():
        if count:
            found.append(f"{count:,.0f} steps of the {name.removeprefix('skipped_')} were skipped: not finite.")
    return found


def sentence(text: str, before: str = "") -> str:
    """With a capital and a full stop; nothing of nothing."""
    return f"{before}{text[:1].upper()}{text[1:]}." if text else ""


def chosen_by_it(material: Material, first: Measured) -> list[str]:
    """A sentence where the checkpoint was chosen by the seeds of this number, with the number by other seeds."""
    again = [line for line in material.lines if "selection" in line["protocol"] and line["kimg"] == first.kimg]
    training = {line["protocol"].get("seed") for line in material.lines if "checkpoint" not in line["protocol"]}
    if not again or first.protocol.get("seed") not in training or "selection" in first.protocol:
        return []
    value = finite(again[-1]["metrics"]).get(first.primary or "")
    if value is None or again[-1]["protocol"].get("id") != first.id:
        return []
    return [
        f"This checkpoint was the best of several by these very seeds, which flatters it: others give {brief(value)}."
    ]


def trend(material: Material, first: Measured) -> list[str]:
    """Whether the distance was still falling at the end."""
    name = first.primary or ""
    lines = [line for line in material.lines if "checkpoint" not in line["protocol"] and line["kimg"] > 0]
    points = [(line["kimg"], finite(line["metrics"])[name]) for line in lines if name in finite(line["metrics"])]
    if len(points) < 2:
        return []
    best, end = min(points, key=lambda point: point[1]), points[-1]
    if best == end and material.out_of_patience is not None:
        return ["The last evaluation while training was the best one, but by less than patience= counts as better."]
    if best == end:
        return ["The last evaluation while training was the best one: with more images it may become better."]
    if end[1] > 1.2 * best[1]:
        return [
            f"The distance was lowest at {number(best[0], 4)} kimg ({brief(best[1])}) and rose to {brief(end[1])} by "
            f"{number(end[0], 4)} kimg; best.ckpt is of the former."
        ]
    return []


def grid_caption(kimg: float) -> str:
    return f"after {round(1000 * kimg):,} images" if moment(round(1000 * kimg)) != "000000" else "before training"
