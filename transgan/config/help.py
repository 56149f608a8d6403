"""What --help prints for all commands, and for each of them with the choices that there are."""

from collections.abc import Sequence

from transgan import __version__
from transgan.config.command_help import COMMANDS
from transgan.config.search import groups

HELP = """\
transgan {version}: Transformers that generate images, trained against Transformers

  transgan train [IMAGES] [key=value ...]       train, or continue the same command
  transgan evaluate RUN [key=value ...]         measure a run, or any program's images: FID and more
  transgan sample RUN [key=value ...]           generate images
  transgan project RUN PHOTO [key=value ...]    the nearest image to a photo, and its latent
  transgan export RUN to=FORMAT [key=value ...] safetensors, ONNX, torch.export, a web page, a model for the Hub
  transgan compare RUN RUN ... [key=value ...]  several runs, or suite=digits: tables, figures, results
  transgan report RUN [RUN ...] [key=value ...] one HTML file: result, curves, images, configuration
  transgan summary [RUN] [key=value ...]        size and cost of the networks, without making them
  transgan data check IMAGES [key=value ...]    what training would stumble over: damage, duplicates, blur and more
  transgan data prepare IMAGES OUT.zip [...]    bring images to their size once, in a zip that trains at once
  transgan import-transgan PATH [key=value ...] a run from a checkpoint of TransGAN's published code

Start here, on any computer, without a download:
  transgan train                                hand-written digits, a minute or two
  transgan sample runs/digits to=grid
  transgan train ~/pictures                     your own images; sub-folders are classes

transgan COMMAND --help says more about a command. Hydra's syntax and options work with all of them: +key=value, ~key,
group@package=choice, -m, --config-dir, --cfg, --info.
"""


def overview() -> str:
    """The help of `transgan` without a command."""
    return HELP.format(version=__version__)


def of_data() -> str:
    """The help of `transgan data`."""
    heads = [COMMANDS[command].partition("\n\n") for command in ("data check", "data prepare")]
    said = [f"{head}\n{text.partition(chr(10) * 2)[0]}\n" for head, _, text in heads]
    return "\n".join(said) + "\ntransgan data check --help and transgan data prepare --help say more.\n"


def of(command: str, arguments: Sequence[str] = ()) -> str:
    """The help of one command, with all choices of its groups, the user's own among them."""
    return COMMANDS[command].format(**{group: listed(names) for group, names in groups(arguments).items()})


def listed(names: list[str]) -> str:
    """a|b|c, in lines of at most 100 characters."""
    lines = [""]
    for i, name in enumerate(names):
        word = name + "|" * (i + 1 < len(names))
        if len(lines[-1] + word) > 100:
            lines.append(" " * 6)
        lines[-1] += word
    return "\n".join(lines)
