"""Every run of a comparison evaluated by one protocol, and the speed at which every system samples."""

import statistics
import time
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from transgan.comparison.record import Record
from transgan.instantiation import literal, make
from transgan.numerals import number
from transgan.runs.evaluating import evaluator_config
from transgan.runs.report import latex_row, protocol_line
from transgan.runs.run import Run
from transgan.runs.targets import RunTarget

ROUNDS = 5  # of the sampling speed, each over all systems
LONG = 15.0  # seconds after which a system's sampling speed is measured no more
WANTED = {
    "against": None, "heldout": None, "resolution": None, "channels": None, "psi": 1.0, "temperature": 1.0,
    "steps": None, "solver": None, "guidance": None,
}  # fmt: skip


def measure(config: DictConfig, records: list[Record], console: Console, arguments: list[str]) -> tuple[Any, Any, str]:
    """Every run by one evaluator, unless that is done. -> (evaluator, real images, line about the protocol)"""
    wanted = OmegaConf.create({**WANTED, "run": literal(str(records[0].path)), "out": None})

    def target_of(record: Record) -> RunTarget:
        own: Any = OmegaConf.merge(wanted, record.sampler)
        return RunTarget(Run(record.path, device=config.device), own)

    first = target_of(records[0])
    evaluator = make(evaluator_config(config, first.trained))
    real, heldout, _ = first.reals(wanted, evaluator)
    with console.status("features of all real images"):
        evaluator.prepare(real, heldout, config.device, conditional=first.takes_classes_of(real))
    for count, record in enumerate(records, 1):
        protocol = evaluator.protocol("ema") | record.sampled
        known = record.run.evaluated(protocol)
        if known is None:
            begin, target = time.monotonic(), target_of(record)
            target.heldout = first.heldout
            with console.status(f"evaluating {record.folder.name}"):
                result = evaluator(target.generate)
                likelihood = target.likelihood()
            target.write(wanted, {
                "name": record.folder.name, "kimg": target.kimg, "metrics": result.numbers, "spread": result.spread,
                "details": result.details, "likelihood": likelihood, "flags": result.flags, "protocol": protocol,
                "protocol_line": protocol_line(protocol), "latex": latex_row(record.folder.name, result),
                "seconds": round(time.monotonic() - begin, 3), "command": ["transgan", "compare", *arguments],
            })  # fmt: skip
            known = record.run.evaluated(protocol)
            assert known is not None
            console.print(
                f"        {count}/{len(records)} evaluated {record.folder.name}: {evaluator.primary} "
                f"{number(result.numbers[evaluator.primary], 4)}, {time.monotonic() - begin:.0f} s"
            )
        file, saved = known
        record.metrics = {name: value for name, value in saved["metrics"].items() if value is not None}
        record.evaluation = {"file": file, "protocol": saved["protocol"], "likelihood": saved["likelihood"]}
    return evaluator, real, protocol_line(evaluator.protocol("ema"))


def sampling_speeds(modules: dict[str, Any], count: int) -> dict[str, dict[str, float]]:
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


def sizes_of(modules: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The parameters of each network of each system."""
    return {
        name: {part: sum(p.numel() for p in getattr(module, part).parameters()) for part in module.networks}
        for name, module in modules.items()
    }
