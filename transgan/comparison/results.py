"""What `transgan compare` leaves: comparison.csv, comparison.md, figures/ and samples/."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from transgan import files
from transgan.callbacks.samples import grid_facts, layout, real_images, save_grid
from transgan.comparison import figures, tables
from transgan.comparison.claims import check_claims
from transgan.comparison.record import Record
from transgan.metrics.meanings import meaning
from transgan.provenance import weights_hash

BITS = "bits_per_dim_heldout"


class Results:
    """Everything known of a comparison, and its files in `out`.

    Args:
        records: evaluated runs. title, says: how a system and a budget are called. claims: those of a suite, or none.
        primary: the name of the Frechet distance. line: the protocol in a sentence.
        speeds, sizes: of each system, {"images_per_second", ...} and {network: parameters}. notes: sentences to add.
    """

    def __init__(
        self,
        out: Path,
        records: list[Record],
        title: Callable[[str], str],
        says: Callable[[str], str],
        claims: dict,
        primary: str,
        line: str,
        speeds: dict,
        sizes: dict,
        notes: list[str],
    ) -> None:
        self.out, self.records, self.title, self.says, self.claims = out, records, title, says, claims
        self.primary, self.line, self.speeds, self.sizes, self.notes = primary, line, speeds, sizes, notes
        self.budgets = {
            budget: {
                name: [r for r in records if (r.system, r.budget) == (name, budget)]
                for name in dict.fromkeys(r.system for r in records if r.budget == budget)
            }
            for budget in dict.fromkeys(r.budget for r in records)
        }
        self.found = check_claims(
            claims, lambda system, budget, metric: tables.values(self.budgets.get(budget, {}).get(system, []), metric)
        )
        self.shown: list[tuple[str, str]] = []  # (file, what it shows)

    @property
    def quality(self) -> str:
        """The metric that figures show: against held-out images where there are some."""
        heldout = f"{self.primary}_heldout"
        return heldout if any(heldout in record.metrics for record in self.records) else self.primary

    def draw(self) -> None:
        """The figures of numbers."""
        speeds = {name: each["images_per_second"] for name, each in self.speeds.items()}
        sizes = {name: next(iter(each.values())) for name, each in self.sizes.items()}
        for budget, groups in self.budgets.items():
            place = partial(self.figure, budget)
            for metric in (self.primary, BITS):
                if metric == self.primary and len(figures.protocols_of(groups, metric)) > 1:
                    self.notes.append(
                        f"no curves of {metric} ({self.says(budget)}): the runs measured it by different "
                        "protocols while training"
                    )
                    continue
                axes = {"kimg": "images", "seconds": "seconds"}
                if any(r.before and r.curve(metric) for group in groups.values() for r in group):
                    axes["own_kimg"] = "own_images"
                for against, word in axes.items():
                    place(
                        f"{metric}_against_{word}",
                        f"{metric} against {word.replace('_', ' ')}",
                        partial(figures.curves, groups=groups, metric=metric, against=against),
                    )
            scatter = partial(figures.scatter, groups=groups, metric=self.quality, numbers=tables.values)
            for x, label, word in ((speeds, "sampled images per second", "speed"), (sizes, "parameters", "size")):
                place(f"quality_against_{word}", f"{self.quality} against {label}", partial(scatter, x=x, label=label))
        figures.bars(self.out / "figures" / "parameters.png", self.title, self.sizes)
        self.shown.append(("figures/parameters.png", "parameters"))

    def figure(self, budget: str, name: str, text: str, make: Callable[..., Any]) -> None:
        """One figure of a budget, unless there is nothing to show."""
        path = self.out / "figures" / f"{file_name(f'{name}_{budget}')}.png"
        if make(path, titles=self.title, title=self.says(budget)):
            self.shown.append((f"figures/{path.name}", f"{text}, {self.says(budget)}"))

    def grids(self, modules: dict[str, Any], real: Any) -> None:
        """samples/: 100 images of each system and real ones, the same classes in the same columns; and one figure."""
        columns, labels = layout(100, next(iter(modules.values())).num_classes)
        grids: dict[str, Any] = {}
        taken: set[str] = set()
        for name, module in [("real", None), *modules.items()]:
            images = real_images(real, labels, 100) if module is None else torch.cat([
                module.generate(list(range(i, i + 50)), None if labels is None else labels[i : i + 50]).cpu()
                for i in (0, 50)
            ])  # fmt: skip
            facts = None if module is None else self.grid_facts(name, module, labels, columns)
            path = self.out / "samples" / f"{file_name(name, taken)}.png"
            save_grid(images, path, columns, facts)
            with Image.open(path) as file:
                title = "real images" if module is None else self.title(name)
                grids[title if title not in grids else f"{title} ({name})"] = file.convert("RGB").copy()
        figures.side_by_side(self.out / "figures" / "samples.png", grids)
        self.shown.append(("figures/samples.png", "samples, the same classes in the same columns"))

    def grid_facts(self, name: str, module: Any, labels: Any, columns: int) -> dict[str, Any]:
        """Where a system's grid comes from: its first run."""
        run = next(record.run for record in self.records if record.system == name)
        made_by = {
            "run": run.name, "kimg": run.kimg, "checkpoint": run.path.name, "checkpoint_sha256": run.sha256,
            "weights": "ema", "weights_sha256": weights_hash(module.ema.state_dict()), **getattr(module, "sampler", {}),
        }  # fmt: skip
        return grid_facts(made_by, module, list(range(100)), labels, run.class_names, columns, 50)

    def write(self) -> None:
        """comparison.csv and comparison.md."""
        lines = ["# Comparison", "", f"Protocol {self.line}", ""]
        for budget, groups in self.budgets.items():
            lines += [f"## {tables.cell(self.says(budget).capitalize())}", ""]
            lines += tables.budget_table(groups, self.title, self.primary, self.speeds, self.sizes) + [""]
        count = max(len(group) for groups in self.budgets.values() for group in groups.values())
        lines += [f"Means ± standard deviations over {count} seeds of the training." if count > 1 else "One seed.", ""]
        lines += [f"- {tables.cell(note)}" for note in self.notes] + [""]
        if self.found:
            lines += [
                "## Claims",
                "",
                *tables.claims_table(self.found, self.claims, self.title),
                "",
                "A test holds, or fails, where Welch's 95 % interval of the difference of means is on one side "
                "of 0. A bound on bits per dimension may be loose: the true number is that or less.",
                "",
            ]
        shown = (f"![{tables.cell(text).replace(']', '')}]({file})" for file, text in self.shown)
        lines += ["## Figures", "", *shown, ""]
        lines += ["## Where every number is from", "", *tables.sources(self.records, self.out), ""]
        self.out.mkdir(parents=True, exist_ok=True)
        tables.write_csv(self.out / "comparison.csv", self.records, self.speeds, self.sizes, self.out)
        files.write_text(self.out / "comparison.md", "\n".join(lines))

    def show(self, console: Console, explain: bool = False) -> None:
        """The short of it. explain: with a sentence on what each number is."""
        for budget, groups in self.budgets.items():
            seconds = tables.seconds_of([record for group in groups.values() for record in group])
            table = Table("", self.quality, "bits/dim held out", "kimg", seconds, "sampled images/s", box=None)
            for name, group in groups.items():
                table.add_row(
                    self.title(name),
                    *(tables.spread(tables.values(group, key)) for key in (self.quality, BITS, "kimg", "seconds")),
                    tables.speed(self.speeds[name]["images_per_second"]),
                )
            console.print(f"\n{self.says(budget)}")
            console.print(table)
        for name in (self.quality, BITS) if explain else ():
            if any(tables.values(group, name) for groups in self.budgets.values() for group in groups.values()):
                console.print(f"explain {name}: {meaning(name)}")
        for note in self.notes:
            console.print(f"note    {note}")
        for name, each in self.found.items():
            console.print(f"claim   {self.claims[name]['says']}: {each[0]}.")
            for sentence in tables.sentences(each, self.title):
                console.print(f"        - {sentence}")
        console.print(f"protocol {self.line}")


def file_name(name: str, taken: set[str] | None = None) -> str:
    """A file name: without separators and characters that file systems refuse, and unlike those of `taken`, to which it
    is added, also where the file system ignores case."""
    plain = found = re.sub(r"[\x00-\x20/\\:*?\"<>|()]+", "_", name).lstrip(".")[:150] or "_"
    taken = set() if taken is None else taken
    count = 1
    while found.lower() in taken:
        count += 1
        found = f"{plain}_{count}"
    taken.add(found.lower())
    return found
