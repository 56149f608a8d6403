"""A study of optuna that goes on where it was stopped: its trials are kept in the sweep's folder."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, flag_override

from transgan import files

FILE = "optuna.db"


@contextmanager
def hushed() -> Iterator[None]:
    """Optuna without its own lines on standard error."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def settle(settings: DictConfig, sweep: Path, words: Iterable[str], one_at_a_time: bool) -> None:
    """Gives the study a storage and a name where the user has given none. The same words are the same study."""
    sweeper = settings.sweeper
    with flag_override(settings, ["struct", "readonly"], [False, False]):
        if sweeper.storage is None:
            sweeper.storage = f"sqlite:///{(sweep / FILE).absolute().as_posix()}"
        if sweeper.study_name is None:
            known = files.hash_of("\n".join(sorted(words)))
            sweeper.study_name = f"transgan-{known[:8]}"
        if one_at_a_time:
            sweeper.n_jobs = 1  # the next trial knows all of those before it


def resume(settings: DictConfig) -> int:
    """Readies the study of an earlier sweep to be continued. Returns how many of its trials are done.

    Trials that had not ended, and those that failed, are asked for again by the same values, so that their runs go on;
    n_trials becomes the number of those that are left.
    """
    import optuna

    sweeper = settings.sweeper
    states = optuna.trial.TrialState
    storage: Any = sweeper.storage
    if not isinstance(storage, str):
        return 0
    try:
        study = optuna.load_study(study_name=sweeper.study_name, storage=storage)
    except KeyError:
        return 0
    trials = study.get_trials(deepcopy=False)
    done = [trial.params for trial in trials if trial.state == states.COMPLETE]
    waiting = [trial.system_attrs.get("fixed_params") for trial in trials if trial.state == states.WAITING]
    for trial in trials:
        if trial.state == states.RUNNING:
            study.tell(trial.number, state=states.FAIL)
        if trial.state in (states.RUNNING, states.FAIL) and trial.params and trial.params not in done + waiting:
            study.enqueue_trial(trial.params)
            waiting.append(trial.params)
    with flag_override(settings, ["struct", "readonly"], [False, False]):
        sweeper.n_trials = max(0, sweeper.n_trials - len(done))
        sampler = OmegaConf.select(sweeper, "sampler.seed")
        if sampler is not None and trials:
            sweeper.sampler.seed = sampler + len(trials)  # else it would begin with the same trials again
    return len(done)


def is_finished(settings: DictConfig) -> bool:
    return settings.sweeper.n_trials == 0


def best(settings: DictConfig) -> dict[str, Any] | None:
    """The values of the best trial; None if none is done, or if there are several goals."""
    import optuna

    if not isinstance(settings.sweeper.storage, str):
        return None
    try:
        study = optuna.load_study(study_name=settings.sweeper.study_name, storage=settings.sweeper.storage)
        return dict(study.best_trial.params)
    except (KeyError, ValueError, RuntimeError):
        return None
