"""`transgan train`: trains or continues the run that a configuration describes."""

import multiprocessing

from omegaconf import DictConfig

from transgan.callbacks.stopping import Stop, Stopped
from transgan.errors import UserError, is_out_of_memory
from transgan.runs.findings import require_checkpoints
from transgan.runs.folder import folder_of
from transgan.runs.loggers import require_package
from transgan.runs.output import complain
from transgan.runs.parent import end_with_parent
from transgan.runs.planned import planned
from transgan.runs.pretraining import begun
from transgan.runs.stopping import kept, name_of, out_of_memory
from transgan.runs.timed import require_one_length
from transgan.runs.training import Training


def main(config: DictConfig, arguments: list[str]) -> int:
    """Trains or continues the run `runs/name`. Returns the exit code."""
    end_with_parent()
    require_package(config)
    require_checkpoints(config)
    require_one_length(config, arguments)
    config, arguments, code = begun(config, arguments)
    if code is not None:
        return code
    others = multiprocessing.active_children()  # of a program that calls this
    stop = Stop()
    stop.listen()
    try:
        config, arguments, plan = planned(config, arguments)
        training = Training(config, arguments, stop, plan)
        return training.run()
    except Stopped as end:
        when = end.when or ("after training" if stop.began else "before the first step")
        complain(f"stopped {when} by {name_of(end.number)}; {kept(folder_of(config))}")
        return 128 + end.number
    except (MemoryError, RuntimeError, OSError) as error:
        if stop.began or not is_out_of_memory(error):
            raise
        raise UserError(f"{out_of_memory(config, stop.began)}; {kept(folder_of(config))}") from error
    finally:
        for reader in multiprocessing.active_children():  # they hear no other signal
            if reader not in others:
                reader.kill()
        stop.restore()
