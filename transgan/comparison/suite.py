"""A suite: which systems to train, at two budgets, with several seeds; and the training of what is missing.

The runs of the first budget see as many images, those of the second train for as many seconds: the number of
images follows from the speed of the first ones, which were trained under the same conditions.
"""

import math
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

from transgan.comparison import lengths
from transgan.comparison.jobs import Job, ending_well, finished, run_all
from transgan.comparison.record import Record
from transgan.comparison.trainers import asks_for_gpu, with_trainer
from transgan.errors import UserError
from transgan.numerals import number
from transgan.runs.proposals import typed

IMAGES, SECONDS = "images", "seconds"
EVALUATION = ("metrics", "extractor", "patience")  # how the arguments of evaluations begin


class Suite:
    """Plans and trains the runs of `config` (conf/suite/*.yaml) in `folder`/runs.

    `only` names systems to take. Raises UserError with everything that makes no sense.
    """

    def __init__(self, config: dict, folder: Path, only: list[str] | None = None):
        self.config, self.folder = config, Path(folder)
        self.runs = self.folder / "runs"
        self.systems, self.pretraining = config["systems"], config.get("pretraining") or {}
        self.failed: dict[str, tuple[Job, str]] = {}  # by the names of runs: their training, and a sentence
        self.left_out: dict[str, None] = {}  # runs that depend on those
        self.beside: list[Record] = []  # of systems that the table has had before
        self.refuse(only or [])
        self.systems = {name: system for name, system in self.systems.items() if only is None or name in only}

    def refuse(self, only: list[str]) -> None:
        config = self.config
        found = [
            f"systems: there is no {name} in this suite; there are: {', '.join(self.systems)}"
            for name in only
            if name not in self.systems
        ]
        for key in ("kimg", "seconds", "scale"):
            if config.get(key, 1) <= 0:
                found.append(f"suite.{key}={config[key]}: it must be more than 0")
        if config["budgets"] not in ([IMAGES], [IMAGES, SECONDS]):
            found.append(
                f"suite.budgets={config['budgets']}: it takes [images], or [images,seconds], where the runs "
                "of equal images tell the speed of those of equal seconds"
            )
        if not config["seeds"]:
            found.append("suite.seeds=[]: give at least one seed, three for a result")
        if self.clock == "cpu" and self.on_gpu:
            found.append(
                "suite.clock=cpu: runs on a GPU spend few seconds on a CPU; give suite.clock=wall, which counts those "
                "that go by"
            )
        if config["points"] < 1:
            found.append(f"suite.points={config['points']}: it takes 1 or more")
        for group, members in (("systems", self.systems), ("pretraining", self.pretraining)):
            for name, system in members.items():
                first = system.get("begins_with")
                if first is not None and (why := self.impossible(first)):
                    found.append(f"suite.{group}.{name} begins with {first}, which {why}")
                like = system.get("like")
                if like is not None and (like not in self.systems or self.systems[like].get("like")):
                    found.append(f"suite.{group}.{name} is like {like}, which is not trained under suite.systems")
        if not found:
            found += [
                f"suite.systems.{name}: what it begins with takes {self.share(first):g} of a budget; leave it some"
                for name, system in self.systems.items()
                if (first := system.get("begins_with")) and self.share(first) >= 1
            ]
        known = set(self.systems)
        for name, claim in config["claims"].items():
            for test in claim["tests"]:
                for other in {test["ours"], *test["theirs"]} - known:
                    found.append(f"suite.claims.{name} speaks of {other}, which is not under suite.systems")
        if found:
            raise UserError(*found)

    def impossible(self, first: str) -> str | None:
        """Why nothing can begin with a run of pre-training: it is not there, or begins with itself."""
        seen = [first]
        while (earlier := self.pretraining.get(seen[-1], {}).get("begins_with")) is not None and earlier not in seen:
            seen.append(earlier)
        if earlier is not None:
            return "begins with itself"
        return None if first in self.pretraining else "is not under suite.pretraining"

    @property
    def budgets(self) -> list[str]:
        return self.config["budgets"]

    def title(self, name: str) -> str:
        """The title of a system."""
        return self.config["systems"][name].get("title", name)

    def says(self, budget: str) -> str:
        """How a budget is called."""
        return (
            f"equal images: {self.amount('kimg'):g} kimg"
            if budget == IMAGES
            else f"equal seconds: {self.amount('seconds'):g} {self.unit} of training"
        )

    @property
    def clock(self) -> str:
        """Of what the seconds are: "wall", or "cpu", which other work on the machine changes little."""
        if self.config.get("trainer") and self.on_gpu:
            return "wall"
        return str(self.config.get("clock", "wall"))

    @property
    def common(self) -> list[str]:
        """The arguments of every run, with the suite's trainer in the place of theirs."""
        return with_trainer(list(self.config["common"]), self.config.get("trainer"))

    @property
    def on_gpu(self) -> bool:
        return asks_for_gpu(self.common)

    @property
    def unit(self) -> str:
        return "CPU-seconds" if self.clock == "cpu" else "s"

    def share(self, first: str | None) -> float:
        """What pre-training takes of a budget: a run, and those that it begins with itself."""
        if first is None:
            return 0.0
        return self.pretraining[first]["share"] + self.share(self.pretraining[first].get("begins_with"))

    def amount(self, key: str) -> float:
        """kimg or seconds of a budget, at the suite's scale."""
        return self.config[key] * self.config.get("scale", 1)

    def job(self, name: str, train: list[str], budget: str, seed: int, kimg: float, measured: bool = True) -> Job:
        """measured: whether it is evaluated along the way; what others begin with is not, for that may take longer than
        the training."""
        points, common = self.config["points"] if measured else 1, self.common
        if not measured:
            common = [each for each in common if not each.startswith(EVALUATION)]
            common += ["metrics=none", "callbacks.likelihood=null"]
            train = [each for each in train if not each.startswith(EVALUATION)]
        run = f"{name}-{budget}-{seed}"
        images = [] if self.config.get("path") is None else [f"data.path={self.config['path']}"]
        arguments = [
            *common, *images, *train, f"runs={self.runs}", f"name={run}", f"seed={seed}",
            f"kimg={kimg:g}", f"log_every={kimg / 40:g}", f"evaluate_every={kimg / points:g}", f"sample_every={kimg:g}",
            f"checkpoint_every={kimg / points:g}", "evaluate_share=1", "evaluate_at_start=false",
        ]  # fmt: skip
        return Job(run, tuple(arguments), kimg)

    def speed(self, name: str) -> float:
        """Images per second of training that the runs of equal images had, the median over seeds."""
        found = [
            Record(self.runs / f"{name}-{IMAGES}-{seed}", name, IMAGES, seed, clock=self.clock)
            for seed in self.config["seeds"]
            if not self.out(f"{name}-{IMAGES}-{seed}")
        ]
        speeds = [speed for record in found if math.isfinite(speed := record.images_per_second)]
        if not speeds:
            raise UserError(
                f"{found[0].folder} does not tell how fast it was trained, so that runs of equal seconds "
                f"have no length; give {'suite.clock=wall' if self.clock == 'cpu' else 'suite.budgets=[images]'}"
            )
        return statistics.median(speeds)

    def length(self, name: str, share: float, budget: str) -> float:
        """Kimg of a run whose part of the budget is `share`; a whole number of hundreds of images."""
        if budget == IMAGES:
            return max(0.1, round(share * self.amount("kimg"), 1))
        return max(0.1, round(share * self.amount("seconds") * self.speed(name) / 1000, 1))

    def chosen(self, name: str, share: float, budget: str, job: Callable[..., Job]) -> float:
        """The length of the runs of a system or of pre-training, for every seed; job(seed, kimg) makes one of them."""
        if budget == IMAGES:
            return self.length(name, share, budget)
        settings = {"seconds": round(share * self.amount("seconds"), 3), "clock": self.clock}
        return lengths.kept(self.runs, f"{name}-{budget}", settings, partial(self.length, name, share, budget), job)

    def rounds(self) -> list[list[str]]:
        """The names of pre-training that is needed: those that begin with nothing, those that begin with them, ..."""
        found: dict[int, dict[str, None]] = {}
        for system in self.trained().values():
            chain, first = list[str](), system.get("begins_with")
            while first is not None:
                chain.insert(0, first)
                first = self.pretraining[first].get("begins_with")
            for depth, name in enumerate(chain):
                found.setdefault(depth, {})[name] = None
        return [sorted(found[depth]) for depth in sorted(found)]

    def trained(self) -> dict[str, dict]:
        """The systems that have runs of their own; of one that is like another, that one."""
        every = self.config["systems"]
        return {
            base: every[base] for name, system in self.systems.items() if (base := system.get("like") or name) in every
        }

    def jobs(self, budget: str, names: list[str] | None) -> list[Job]:
        """The runs of a budget: of these that others begin with, or of all systems."""
        found = []
        for seed in self.config["seeds"]:
            members = self.trained() if names is None else {name: self.pretraining[name] for name in names}
            for name, system in members.items():
                first = system.get("begins_with")
                share = 1 - self.share(first) if names is None else system["share"]
                make = partial(self.job_of, name, budget, measured=names is None)
                alike = [f"{name}-{IMAGES}-{each}" for each in self.config["seeds"]]
                if first and self.out(f"{first}-{budget}-{seed}") or budget == SECONDS and all(map(self.out, alike)):
                    self.left_out[f"{name}-{budget}-{seed}"] = None  # it begins with one that failed, or has no length
                    continue
                found.append(make(seed, self.chosen(name, share, budget, make)))
        return found

    def job_of(self, name: str, budget: str, seed: int, kimg: float, measured: bool) -> Job:
        """The run of a system, which is measured, or of pre-training."""
        system = (self.config["systems"] if measured else self.pretraining)[name]
        first = system.get("begins_with")
        start = [f"checkpoint={self.runs / f'{first}-{budget}-{seed}'}"] if first else []
        return self.job(name, system["train"] + start, budget, seed, kimg, measured)

    def missing(self, jobs: list[Job]) -> list[Job]:
        return [job for job in jobs if not finished(self.runs / job.name, job)]

    def train(self, count: int, say: Callable[[str], None]) -> list[str]:
        """Trains what is missing, `count` runs at a time, without what depends on a run that fails.

        Returns a sentence for each that failed. Raises UserError with them if no system has a run.
        """
        for budget in self.budgets:
            for names in (*self.rounds(), None):
                jobs = self.missing(self.jobs(budget, names))
                if jobs:
                    what = "to begin with" if names else self.says(budget)
                    say(f"train   {len(jobs)} runs, {what}, {count} at a time")
                    with ending_well(say):
                        for job, sentence in run_all(jobs, count, self.folder / "logs", say):
                            self.failed[job.name] = job, sentence
        found = [f"{sentence}; {self.way_out(job)}" for job, sentence in self.failed.values()]
        if found and all(map(self.lacks, self.planned())):
            raise UserError(*found)
        return found

    def way_out(self, job: Job) -> str:
        """Of a run that failed: its command, and the systems that need none that did."""
        broken = {record.system for record in self.planned() if self.lacks(record)}
        others = ",".join(name for name in self.systems if name not in broken)
        way = f"; systems=[{others}] compares the others" if others else ""
        return f"`{typed('transgan', 'train', *job.arguments)}` is its command{way}"

    def lacks(self, record: Record) -> bool:
        return any(self.out(each.folder.name) for each in record.chain)

    def out(self, run: str) -> bool:
        return run in self.failed or run in self.left_out

    def missed(self, records: list[Record]) -> list[str]:
        """Sentences about runs of equal seconds that took a tenth more or less, as where other work came in between."""
        budget = self.amount("seconds")
        return [
            f"{record.folder.name} trained for {number(record.seconds)} {self.unit} instead of {budget:g}"
            for record in records
            if record.budget == SECONDS and abs(record.seconds / budget - 1) > 0.1
        ]

    def records(self) -> list[Record]:
        """All runs that were trained, with what they began with, and those beside them."""
        found = [record for record in self.planned() + self.beside if not self.lacks(record)]
        order = list(self.config["systems"])
        return sorted(found, key=lambda record: (self.budgets.index(record.budget), order.index(record.system)))

    def planned(self) -> list[Record]:
        """All runs, with what they began with."""
        found = []
        for budget in self.budgets:
            for name, system in self.systems.items():
                base = system.get("like") or name
                for seed in self.config["seeds"]:
                    before = self.before(self.config["systems"][base].get("begins_with"), budget, seed)
                    folder, sampler = self.runs / f"{base}-{budget}-{seed}", dict(system.get("sample") or {})
                    found.append(Record(folder, name, budget, seed, before=before, sampler=sampler, clock=self.clock))
        return found

    def before(self, first: str | None, budget: str, seed: int) -> Record | None:
        """The run of pre-training, with those that it began with itself."""
        if first is None:
            return None
        earlier = self.before(self.pretraining[first].get("begins_with"), budget, seed)
        return Record(self.runs / f"{first}-{budget}-{seed}", first, budget, seed, before=earlier, clock=self.clock)
