"""The configurations of a sweep, for Hydra's sweepers and launchers: composed and checked as those of a single run."""

import copy
from functools import cached_property
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf, flag_override

from transgan.config import own, search
from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.sweep.naming import folder_name
from transgan.sweep.words import as_typed


class JobLoader(ConfigLoaderImpl):
    """Hydra's loader, but for the configuration of a job: that is the one of `transgan command *common *overrides`."""

    def __init__(self, command: str, common: list[str]) -> None:
        super().__init__(search.loader(common).get_search_path())
        self.command, self.common = command, common

    @cached_property
    def composed(self) -> dict[tuple[str, ...], DictConfig | UserError]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "composed"}

    def words_of(self, overrides: list[str] | tuple[str, ...]) -> list[str]:
        """All arguments of a job but for the place of its run."""
        return [*self.common, *map(as_typed, overrides)]

    def job(self, overrides: list[str] | tuple[str, ...]) -> DictConfig:
        """The job's configuration. Raises UserError."""
        key = tuple(overrides)
        if key not in self.composed:
            words = self.words_of(overrides)
            try:
                with own.allowed(words):
                    self.composed[key] = compose(self.command, words)
            except UserError as error:
                self.composed[key] = error
        found = self.composed[key]
        if isinstance(found, UserError):
            raise found
        return found

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """What a launcher hands to the job; of one that cannot be composed the job itself says why."""
        config = copy.deepcopy(master_config)
        naming = config.hydra.job.config.override_dirname
        OmegaConf.set_readonly(config.hydra, False)  # launchers write the job's number and id there
        with flag_override(config, ["struct", "readonly"], [False, False]):
            try:
                job = OmegaConf.to_container(self.job(sweep_overrides), resolve=False)
            except UserError:
                job = None
            if isinstance(job, dict):
                for key in [key for key in config if key != "hydra"]:
                    del config[key]
                for key, value in job.items():
                    config[key] = value
            config.hydra.overrides.task = list(sweep_overrides)
            config.hydra.job.override_dirname = folder_name(
                list(map(as_typed, sweep_overrides)),
                between=naming.kv_sep.replace("=", "-"),
                after=naming.item_sep,
                leave_out=naming.exclude_keys,
            )
        return config
