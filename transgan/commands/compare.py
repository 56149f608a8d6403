"""`transgan compare`: several runs by one protocol; or a suite, whose runs are trained first where they are missing."""

import json
import os
import statistics
import time
from pathlib import Path

import torch
from omegaconf import OmegaConf

from transgan import checkpoint, files
from transgan.commands.evaluate import device_named, evaluator_config
from transgan.comparison.record import Record, mixed
from transgan.comparison.results import Results
from transgan.comparison.suite import Suite
from transgan.errors import UserError, setting_up
from transgan.instantiation import literal, make
from transgan.runs.folder import differences, open_console
from transgan.runs.images import is_run
from transgan.runs.names import earlier_evaluation_file, evaluation_file, wrong_folder
from transgan.runs.report import latex_row, protocol_line
from transgan.runs.targets import Run
from transgan.sweep.folder import runs_in

ROUNDS = 5  # of the sampling speed, each over all systems
LONG = 15.0  # seconds after which a system's sampling speed is measured no more


def main(config, arguments: list[str]) -> int:
    """Trains what is missing, measures, writes. Returns the exit code."""
    start = time.monotonic()
    with setting_up():
        config.run = [literal(str(run)) for given in config.run for run in runs_in(files.expanded(given)) or [given]]
        check(config)
        console = open_console()
        torch.set_num_threads(config.threads)
        out = files.expanded(config.out or f"comparisons/{config.suite.name if config.suite else 'runs'}")
        notes: list[str] = []
        if config.suite is not None:
            only = None if config.systems is None else list(config.systems)
            suite = Suite(OmegaConf.to_container(config.suite, resolve=True), out, only)
            jobs = config.jobs or os.cpu_count()
            suite.train(jobs, lambda text: console.print(text))
            records, title, says = suite.records(), suite.title, suite.says
            claims = suite.config["claims"]
            notes += [f"{jobs} runs trained at a time", *suite.missed(records)]
        else:
            records, notes = runs(config)
            title, says, claims = str, str, {}
        if found := mixed(records):
            raise UserError(*(f"{each}; they cannot stand in one table, compare each kind by itself" for each in found))
        console.print(f"runs    {len(records)} of {len({r.system for r in records})} systems")
        evaluator, real, line = measure(config, records, console, arguments)
        modules = {name: module_of(records, name, config.device) for name in dict.fromkeys(r.system for r in records)}
        sizes = {
            name: {part: sum(p.numel() for p in getattr(module, part).parameters()) for part in module.networks}
            for name, module in modules.items()
        }
        with console.status("sampling speed"):
            speeds = sampling_speeds(modules, config.speed_images)
        notes.append(
            f"sampling speed: medians of up to {ROUNDS} rounds over all systems, {config.speed_images} images "
            f"at once, {config.threads} thread(s), {config.device}"
        )
        results = Results(out, records, title, says, claims, evaluator.primary, line, speeds, sizes, notes)
        with console.status("pictures"):
            results.draw()
            results.grids(modules, real)
        results.write()
    results.show(console)
    console.print(f"look    {out / 'comparison.md'} ({time.monotonic() - start:.0f} s)")
    return 0


def check(config) -> None:
    """What can be said to be wrong before anything heavy begins; all of it at once."""
    found = []
    if config.suite is None and not config.run:
        found.append("say what to compare: run folders, or suite=digits")
    if config.systems is not None and config.suite is None:
        found.append(f"systems={list(config.systems)}: it names systems of a suite=; give that, or leave it out")
    if config.suite is not None and config.run:
        found.append("suite= trains its own runs; leave the run folders out, or compare them without suite=")
    if len(config.run) == 1:
        found.append(f"{config.run[0]} alone compares with nothing; give two run folders or more")
    for run in config.run:
        if not files.expanded(run).exists():
            found.append(f"there is no run folder at {run}; `ls runs` shows the runs there are")
        elif not is_run(run):
            found.append(f"{run} holds images and not a run; `transgan evaluate {run} against=...` measures images")
    if len(set(map(str, config.run))) < len(config.run):
        found.append("a run is given twice; give each once")
    found += wrong_folder("out", config.out, ".md", ".csv", ".json", ".png", ".html", ".pdf", ".txt")
    if config.jobs is not None and config.suite is None:
        found.append(f"jobs={config.jobs}: it is for the runs that a suite= trains; leave it out")
    try:
        config.device = device_named(config.device)
    except UserError as error:
        found += error.findings
    if found:
        raise UserError(*found)


def runs(config) -> tuple[list[Record], list[str]]:
    """-> (the runs given, those that differ in seed and name alone as one system; what must be said of them)"""
    records, notes, kinds = [], [], []
    for given in config.run:
        record = Record(files.expanded(given), "", "as they are", 0, config.checkpoint)
        record.seed = record.config["seed"]
        start = record.config.get("warm_start") or {}
        if start.get("source"):
            before = Path(start["source"]).parent.parent
            if (before / "stats.csv").exists():
                record.before = Record(before, "pre-training", "as they are", 0)
                record.before.seed = record.before.config["seed"]
            else:
                notes.append(f"{given} began with {start['source']}, which is gone: its cost is not counted")
        if record.config.get("init_from"):
            notes.append(f"{given} began with the weights of {record.config['init_from']}, whose cost is not counted")
        records.append(record)
        same = next((kind for kind in kinds if alike(kind[0], record)), None)
        kinds.append([record]) if same is None else same.append(record)
    taken: set[str] = set()
    for kind in kinds:
        names = [record.folder.name for record in kind]
        name = stem(names) if len(kind) > 1 else names[0]
        name = name if name and name not in taken else names[0]
        name = name if name not in taken else str(kind[0].folder)
        taken.add(name)
        for record in kind:
            record.system = name
    extractors = {json.dumps(r.config.get("extractor"), sort_keys=True): r for r in records}
    if len(extractors) > 1 and config.extractor is None:
        raise UserError(
            "the runs were trained with different extractors; say by which one to compare them, such as "
            "extractor=classifier"
        )
    return records, notes


def stem(names: list[str]) -> str:
    """What the names of one system's runs begin with: gan of gan-0 and gan-1, seed of seed1 and seed12."""
    name = os.path.commonprefix(names)
    if any(each[len(name) : len(name) + 1].isdigit() or each == name for each in names):
        name = name.rstrip("0123456789")  # of a number that goes on
    return name.rstrip("-_. ")


def alike(one: Record, other: Record) -> bool:
    """Whether two runs differ in their seed and in what may change in a run alone, and so do those they began with."""
    found = [
        each
        for each in differences(one.config, other.config)
        if each.partition(":")[0].split(".")[-1] not in ("seed", "source", "sha256", "checkpoint")
    ]
    if one.before is None or other.before is None:
        sources = [(record.config.get("warm_start") or {}).get("source") for record in (one, other)]
        same_start = sources[0] == sources[1]
    else:
        same_start = alike(one.before, other.before)
    return not found and same_start and one.own_kimg == other.own_kimg


def measure(config, records: list[Record], console, arguments: list[str]):
    """Every run by one evaluator, unless that is done. -> (evaluator, real images, line about the protocol)"""
    wanted = OmegaConf.create({
        "checkpoint": config.checkpoint, "ema": True, "against": None, "heldout": None, "resolution": None,
        "channels": None, "psi": 1.0, "out": None,
    })  # fmt: skip

    def subject_of(record: Record) -> Run:
        return Run(OmegaConf.merge(wanted, {"run": literal(str(record.path))}), config.device)

    first = subject_of(records[0])
    evaluator = make(evaluator_config(config, first.trained))
    real, heldout, _ = first.reals(wanted, evaluator)
    with console.status("features of all real images"):
        evaluator.prepare(real, heldout, config.device, conditional=first.takes_classes_of(real))
    protocol = evaluator.protocol("ema")
    for count, record in enumerate(records, 1):
        place = record.folder, record.own_kimg, record.path, protocol
        file, earlier = evaluation_file(*place), earlier_evaluation_file(*place)
        saved = known(file, record.sha256, protocol)
        if saved is None and (saved := known(earlier, record.sha256, protocol)) is not None:
            file = earlier
        if saved is None:
            begin, subject = time.monotonic(), subject_of(record)
            subject.unseen = first.unseen
            with console.status(f"measuring {record.folder.name}"):
                result = evaluator(subject.generate)
                likelihood = subject.likelihood()
            subject.write(wanted, result, protocol, time.monotonic() - begin, {
                "name": record.folder.name, "kimg": subject.kimg, "metrics": result.numbers, "spread": result.spread,
                "details": result.details, "likelihood": likelihood, "flags": result.flags, "protocol": protocol,
                "protocol_line": protocol_line(protocol), "latex": latex_row(record.folder.name, result),
                "seconds": round(time.monotonic() - begin, 3), "command": ["transgan", "compare", *arguments],
            })  # fmt: skip
            saved = json.loads(files.read_text(file))
            console.print(
                f"        {count}/{len(records)} measured {record.folder.name}: {evaluator.primary} "
                f"{result.numbers[evaluator.primary]:.4g}, {time.monotonic() - begin:.0f} s"
            )
        record.metrics = {name: value for name, value in saved["metrics"].items() if value is not None}
        record.evaluation = {"file": file, "protocol": saved["protocol"], "likelihood": saved["likelihood"]}
    return evaluator, real, protocol_line(protocol)


def known(file: Path, sha256: str, protocol: dict) -> dict | None:
    """An evaluation of this very checkpoint by this protocol and seed."""
    if not file.exists():
        return None
    saved = json.loads(files.read_text(file))
    same = saved.get("checkpoint_sha256") == sha256 and saved["protocol"]["seed"] == protocol["seed"]
    return saved if same and "likelihood" in saved else None


def module_of(records: list[Record], name: str, device: str):
    record = next(record for record in records if record.system == name)
    return checkpoint.load(record.path)[0].to(device)


def sampling_speeds(modules: dict, count: int) -> dict[str, dict[str, float]]:
    """name -> images per second `count` at once, and seconds for one image; the systems take turns."""
    taken: dict[str, dict[str, list[float]]] = {name: {"many": [], "one": []} for name in modules}
    for turn in range(ROUNDS + 1):  # the first one warms up
        for name, module in modules.items():
            if turn > 1 and sum(taken[name]["many"]) > LONG:
                continue
            for key, seeds in (("many", list(range(count))), ("one", [turn])):
                begin = time.perf_counter()
                module.generate(seeds, module.labels_of(seeds)).cpu()
                if turn:
                    taken[name][key].append(time.perf_counter() - begin)
    return {
        name: {
            "images_per_second": float(f"{count / statistics.median(each['many']):.4g}"),
            "seconds_per_image": float(f"{statistics.median(each['one']):.4g}"),
        }
        for name, each in taken.items()
    }  # fmt: skip
