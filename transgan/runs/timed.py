"""The time that a command gives a run, by minutes= or hours=, and what it says beside kimg=."""

from collections.abc import Sequence

from omegaconf import DictConfig

from transgan.config.command_line import chosen_by_itself, read
from transgan.errors import UserError
from transgan.runs.folder import folder_of

TIME = ("minutes", "hours")


def minutes_of(config: DictConfig) -> float | None:
    """The time that the user gives the run. Raises UserError for two of them."""
    minutes, hours = config.get("minutes"), config.get("hours")
    if minutes is not None and hours is not None:
        raise UserError(f"minutes={minutes:g} and hours={hours:g}: give one of them")
    return 60 * hours if hours is not None else minutes


def both(config: DictConfig, arguments: Sequence[str]) -> str | None:
    """minutes=N or hours=N, where a command gives kimg= as well."""
    keys = {read(word).key for word in arguments} - chosen_by_itself(arguments)
    if minutes_of(config) is None or "kimg" not in keys:
        return None
    return next(f"{key}={config[key]:g}" for key in TIME if config.get(key) is not None)


def require_one_length(config: DictConfig, arguments: Sequence[str]) -> None:
    """Refuses time beside kimg= for a run that is not there. Raises UserError."""
    said = both(config, arguments)
    if said is not None and not (folder_of(config) / "checkpoints" / "last.ckpt").exists():
        raise UserError(
            f"{said} and kimg={config.kimg:g}: each of them says how long the run is; give one, or "
            f"{said.partition('=')[0]}=null beside kimg="
        )


def note(config: DictConfig, arguments: Sequence[str]) -> str | None:
    """Which of the two counts for a run that goes on."""
    said = both(config, arguments)
    return said and f"the run goes on to kimg={config.kimg:g}, whatever {said} says"


def recorded(arguments: Sequence[str]) -> list[str]:
    """The arguments that a run keeps: of time that has become kimg= nothing is left to say."""
    timed = any(read(word).key == "kimg" for word in arguments)
    return [word for word in arguments if not (timed and read(word).key in TIME)]


def within(arguments: Sequence[str], minutes: float, config: DictConfig) -> list[str]:
    """The arguments with another time. config: what they compose, with a time that may be an experiment's own."""
    others = [word for word in arguments if read(word).key not in TIME]
    given = len(others) < len(arguments)
    return [*others, *["hours=null"] * (config.get("hours") is not None and not given), f"minutes={minutes:g}"]
