"""`transgan <command> [key=value ...]`. Imports no torch, so that --help and typing errors answer at once."""

import difflib
import importlib
import importlib.metadata
import os
import re
import signal
import sys
from collections.abc import Sequence

from transgan import __version__
from transgan.cores import keep_to_cores
from transgan.errors import OFFERED, UserError, describe, is_out_of_memory
from transgan.launched import launched

COMMANDS = (
    "train", "evaluate", "sample", "project", "export", "compare", "report", "summary", "data check", "data prepare",
    "import-transgan",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit code: 0 done, 2 the user's mistake, 130 and 143 stopped by a signal."""
    show_anything()
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # when another process is gone, a sentence of ours says so
    command, rest = separated(arguments)
    try:
        return start(command, rest)
    except UserError as error:
        if "debug=true" in rest:
            raise
        for finding in () if error.said else error.findings:
            print(f"transgan: {finding}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return 128 + 13
        if "debug=true" in rest or not is_out_of_memory(error):
            raise
        less = "batch_size=" if command in ("train", "sample") else "num_samples="
        less = "workers=" if command.startswith("data") else "starts=" if command == "project" else less
        print(
            f"transgan: out of memory ({' '.join(str(error).split())[:120]}); it needs less with a smaller {less}",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("transgan: stopped", file=sys.stderr)
        return 130


def separated(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command, of one word or of two as in `data check`, and what follows it."""
    if not arguments:
        return "--help", []
    if arguments[0] != "data":
        return arguments[0], list(arguments[1:])
    second = arguments[1] if len(arguments) > 1 else "--help"
    return "data --help" if second in ("-h", "--help", "help") else f"data {second}", list(arguments[2:])


def start(command: str, arguments: list[str]) -> int:
    """Does what the first argument says. Returns the exit code; raises UserError."""
    if command == "--version":
        print(f"transgan {__version__}")
        return 0
    from transgan.config import flags as command_flags
    from transgan.config import help, own

    if command in ("-h", "--help", "help"):
        print(help.overview(), end="")
        return 0
    if command == "data --help":
        print(help.of_data(), end="")
        return 0
    if command not in COMMANDS:
        raise UserError(unknown_command(command))
    flags, arguments = command_flags.separate(arguments)
    with own.allowed(arguments):
        if flags.help:
            print(help.of(command, arguments), end="")
            return 0
        if flags.multirun:
            return importlib.import_module("transgan.sweep").main(command, arguments, flags)
        if flags.shows:
            from transgan.config import show

            return show.main(command, arguments, flags)
        return run(command, arguments)


def run(command: str, arguments: list[str]) -> int:
    """Composes the configuration of a command and calls it."""
    from transgan.config.compose import compose, keys_of

    config = compose(command, arguments)
    OFFERED.set(frozenset(keys_of(config)))
    try:
        processes = launched()
    except ValueError as error:
        raise UserError(str(error)) from error
    if processes.outside and processes.rank > 0 and command not in ("train", "evaluate"):
        return 0  # one process does it
    if command == "train" and not processes.by:
        torch = importlib.metadata.version("torch")  # importing it, and more, takes seconds
        print(f"transgan {__version__} · torch {torch} · run {config.runs}/{config.name}", flush=True)
    module = importlib.import_module(f"transgan.commands.{re.sub('[- ]', '_', command)}")
    keep_to_cores()
    return module.main(config, arguments)


def show_anything() -> None:
    """From now on what a terminal, a file or a pipe has no characters for is replaced, as by a question mark; what has
    no stream at all is dropped."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed; a file that is opened must not become it
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))
    for stream, how in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):  # not in a notebook, and not where there is no output
            stream.reconfigure(errors=how)


def script() -> int:
    """`main` as a process of its own: once it is stopped, pressing Ctrl-C again does not change its exit code."""
    show_anything()
    output = importlib.import_module("transgan.runs.output")
    out = sys.stdout = output.Output(sys.stdout)
    code = main()
    out.flush()
    if code == 0 and out.gone and not isinstance(out.gone, BrokenPipeError):  # `| head` has read what it wanted
        output.complain(f"the output cannot be written: {describe(out.gone)}")
        return 2
    if code > 128:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
    return code


def unknown_command(name: str) -> str:
    near = difflib.get_close_matches(name, COMMANDS, 1)
    if name.startswith("data ") and not near:
        return f"{name} is not a command; there are data check and data prepare"
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(COMMANDS)}"
    return f"{name} is not a command; {hint}"
