"""`transgan sample`: images by seed, as files, one grid, or arrays."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from transgan import files
from transgan.callbacks.samples import FORMATS
from transgan.errors import UserError, setting_up
from transgan.extensions import CONF
from transgan.instantiation import literal
from transgan.provenance import CARRYING
from transgan.runs import projected, redrawing
from transgan.runs.folder import open_console
from transgan.runs.machine import device_findings
from transgan.runs.names import wrong_folder, wrong_suffix
from transgan.runs.sample_files import others, write
from transgan.runs.sampling import Drawn, draw, parse_seeds


def main(config: DictConfig, arguments: list[str]) -> int:
    """Draws and writes. Returns the exit code."""
    with setting_up():
        console = open_console()
        drawn, out = sample(config)
        compared = redrawing.compared(out, config.like) if config.like else ""
    facts = f"{drawn.run.kimg:g} kimg, {drawn.said}"
    console.print(f"{len(drawn.images)} images of {drawn.run.path} ({facts}) -> {out}")
    if compared:
        console.print(f"like    {compared}")
    if count := others(drawn, config, out):
        console.print(
            f"note    {out} also holds {count:,} image{'s' * (count > 1)} of other commands, as index.json says; "
            "out=FOLDER keeps these apart"
        )
    if not config.provenance and config.to != "npz":
        console.print("note    provenance=false: nothing in these pictures says that a model made them")
    elif config.to == "grid" and FORMATS[out.suffix.lower()][0] not in CARRYING:
        console.print(f"note    {out.suffix} has no place for where a picture came from; .png has")
    return 0


def sample(config: DictConfig) -> tuple[Drawn, Path]:
    """The images and where they were written."""
    if config.latent is not None:
        found = of_latent(config)
        return found, projected.write(config, found)
    if config.like is None:
        check(config)
        drawn = draw(config)
        return drawn, write(config, drawn)
    facts = redrawing.asked_for(config, defaults())
    check(config)
    drawn = draw(config, redrawing.labels_of(facts))
    out = files.expanded(config.out) if config.out else redrawing.default_out(config, drawn.run)
    config.out = literal(str(out))
    return drawn, write(config, drawn)


def of_latent(config: DictConfig) -> projected.FromLatent:
    """The image of the file that latent= names."""
    projected.asked_for(config, defaults())
    check(config)
    return projected.draw(config)


def defaults() -> DictConfig:
    """The keys of the command with the values that they have where none are given."""
    found = OmegaConf.load(CONF / "sample.yaml")
    assert isinstance(found, DictConfig)
    return found


def check(config: DictConfig) -> None:
    """What is wrong with where and how to write; all of it at once."""
    found = []
    if config.run is None:
        raise UserError("a run is needed: `transgan sample runs/NAME`; `ls runs` shows the runs there are")
    seeds = parse_seeds(config.seeds)
    if config.to == "png" and len(seeds) == 1 and str(config.out).lower().endswith(".png"):
        found += wrong_suffix("out", config.out, ".png")
    elif config.to == "png" and (wrong := wrong_folder("out", config.out, *FORMATS, ".npz", ".zip", ".gif")):
        found += [f"{each}, or write one image of all with to=grid" for each in wrong]
    elif config.to == "grid":
        found += wrong_suffix("out", config.out, *FORMATS)
    elif config.to == "npz":
        found += wrong_suffix("out", config.out, ".npz")
    if config.columns is not None and config.to != "grid":
        found.append(f"columns={config.columns}: to={config.to} has no columns; add to=grid, or leave it out")
    if config.rows is not None and config.complete is None:
        found.append(f"rows={config.rows}: it says how much of an image complete= keeps; add that, or leave it out")
    if config.out is not None and config.to != "png" and files.expanded(config.out).is_dir():
        found.append(f"out={config.out}: there is a folder of this name; give the file to write")
    found += device_findings(config.device)
    if found:
        raise UserError(*found)
