"""Which curves a run has: of stats.csv and metrics.jsonl, those that belong together in one chart."""

from collections import Counter

from transgan.reporting.chart import Chart, Series, chart
from transgan.reporting.material import Material
from transgan.reporting.measured import Measured, finite

# Columns of stats.csv by the beginnings of their names; title, how to read it, and whether
# factors between its values matter.
GROUPS = (
    (("loss", "bits", "bound", "reconstruction", "divergence"), "Losses", "What training minimises.", False),
    (("d_",), "Output of the discriminator",
     "Means of its logits for real and generated images: the further apart, the better it tells them apart.", False),
    (("discriminator_",), "Accuracy of the discriminator",
     "Share of the pairs of a real and a generated image that it orders right; the gap is the share of the pairs of a "
     "training and a held-out image in which it ranks the training image above, 0.5 where there is none.", False),
    (("grid_",), "Images of the same seeds",
     "Their variety within the classes and their distance to the nearest training image, over what real images have, "
     "and how much they have changed.", False),
    (("grad_norm_",), "Gradient norms", "Of each network, before any clipping.", True),
    (("r1", "r2", "gp", "penalty", "matching", "consistency"), "Penalties and added terms", "", True),
    (("images_per_",), "Speed", "Training images per second, and per second that its threads spent on CPUs, without "
     "evaluations, samples and checkpoints.", False),
)  # fmt: skip
HIDDEN = ("kimg", "seconds", "memory_mib", "skipped_")


def points(material: Material, name: str) -> list[tuple[float, float]]:
    """(kimg, value) of a column of stats.csv."""
    return [(row["kimg"], row[name]) for row in material.stats if name in row]


def measured(material: Material, name: str, protocol: str | None = None) -> list[tuple[float, float]]:
    """(kimg, value) of a number that was measured while training, by one protocol: the given one, or the commonest."""
    found: list[tuple[str, float, float]] = []
    for line in material.lines:
        value = finite(line["metrics"]).get(name)
        if value is not None and "checkpoint" not in line["protocol"]:
            found.append((str(line["protocol"].get("id")), line["kimg"], value))
    if not found:
        return []
    ids = Counter(each[0] for each in found)
    chosen = protocol if protocol in ids else ids.most_common(1)[0][0]
    return sorted({kimg: value for id, kimg, value in found if id == chosen}.items())


def distances(materials: list[Material], firsts: list[Measured | None]) -> list[Chart]:
    """The primary distances of all runs along training, a chart for each of them and for their held-out twins."""
    primary = dict.fromkeys(first.primary for first in firsts if first is not None and first.primary)
    charts = []
    for name in [each for one in primary for each in (one, f"{one}_heldout")] + ["bits_per_dim_heldout"]:
        lines = [Series(material.name, measured(material, name)) for material in materials]
        what = "Lower is better." if len(materials) == 1 else "Lower is better. Only one protocol's numbers compare."
        if found := chart(name, lines, what):
            charts.append(found)
    return charts


def signals(material: Material) -> tuple[list[Chart], list[Chart]]:
    """-> (charts of what the training step logged, those of the schedules and everything else)."""
    columns = dict.fromkeys(name for row in material.stats for name in row)
    left = [name for name in columns if not name.startswith(HIDDEN)]
    main: list[Chart] = []
    for starts, title, note, magnitudes in GROUPS:
        names = [name for name in left if name.startswith(starts)]
        left = [name for name in left if name not in names]
        if found := chart(title, [Series(name, points(material, name)) for name in names], note, magnitudes):
            main.append(found)
    others = [chart(name, [Series(name, points(material, name))]) for name in left]
    return main, [each for each in others if each is not None and varies(each)]


def varies(found: Chart) -> bool:
    """Whether a chart shows more than a constant."""
    return len({row[1] for row in found.rows[1:]}) > 1
