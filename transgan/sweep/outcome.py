"""What a run has come to, read from its folder."""

from pathlib import Path

from transgan import checkpoint, files
from transgan.comparison.record import Record
from transgan.sweep.records import JobRecord, signature

LIKELIHOOD = "bits_per_dim_heldout"


def fill_in(record: JobRecord, run: Path) -> None:
    """Sets how far the run of a job is, what it has cost, and its primary number."""
    lines = files.read_json_lines(run / "metrics.jsonl")
    record.metric = primary(lines)
    during = [line for line in lines if "checkpoint" not in line["protocol"]]
    again = [line for line in lines if "selection" in line["protocol"]]
    record.last = newest(during, record.metric)
    record.value = newest(again, record.metric) if again else record.last
    try:
        saved = Record(run, "", "", 0)
        record.kimg, record.seconds = saved.own_kimg, round(saved.seconds_at(saved.own_kimg), 3)
    except (OSError, ValueError):
        return
    record.checkpoint = signature(run)


def primary(lines: list[dict]) -> str | None:
    """The Frechet distance by the run's extractor; without one the likelihood of held-out images."""
    names = list(dict.fromkeys(name for line in lines for name in line["metrics"]))
    distances = [name for name in names if name == "fid" or name.startswith("fd_") and "_heldout" not in name]
    return (distances or [name for name in names if name == LIKELIHOOD] or [None])[0]


def newest(lines: list[dict], name: str | None) -> float | None:
    values = [line["metrics"][name] for line in lines if name in line["metrics"]]
    return values[-1] if values else None


def is_finished(run: Path) -> bool:
    """Whether a run is at its own length, which minutes= may have chosen."""
    try:
        saved = checkpoint.read(run / "checkpoints" / "last.ckpt")
        return bool(saved["images_seen"] >= 1000 * saved["config"]["kimg"])
    except (OSError, ValueError, KeyError):
        return False
