"""`transgan sample`: images by seed, as files, one grid, or arrays."""

import time
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from transgan import files
from transgan.callbacks.samples import FORMATS
from transgan.errors import UserError, setting_up
from transgan.extensions import CONF
from transgan.instantiation import literal
from transgan.numerals import number
from transgan.provenance import CARRYING
from transgan.runs import films, projected, redrawing
from transgan.runs.folder import open_console
from transgan.runs.machine import device_findings
from transgan.runs.names import wrong_folder, wrong_suffix
from transgan.runs.sample_files import others, write
from transgan.runs.sampling import Drawn, draw, seeds_of
from transgan.sampling.walk import require

OWN = {"sweep": ("sheet",), "frames": ("gif", "mp4"), "fps": ("gif", "mp4"), "space": ("gif", "mp4")}


def main(config: DictConfig, arguments: list[str]) -> int:
    """Draws and writes. Returns the exit code."""
    start = time.monotonic()
    with setting_up("out=PATH"):
        console = open_console()
        drawn, out = sample(config)
        compared = redrawing.compared(out, config.like) if config.like else ""
    seconds, count = time.monotonic() - start, how_many(drawn, config)
    said = drawn.said_of(config.sweep) if config.sweep else drawn.said
    facts = f"{drawn.run.kimg:g} kimg, {said}"
    console.print(f"{count:,} image{'s' * (count != 1)} of {drawn.run.path} ({facts}) -> {out}")
    console.print(f"speed   {number(seconds)} s with loading and writing, {number(count / seconds)} images/s")
    if compared:
        console.print(f"like    {compared}")
    if count := others(drawn, config, out):
        console.print(
            f"note    {out} also holds {count:,} image{'s' * (count > 1)} of other commands, as index.json says; "
            "out=FOLDER keeps these apart"
        )
    if not config.provenance and config.to != "npz":
        console.print("note    provenance=false: nothing in these images says that a model made them")
    elif config.to == "grid" and FORMATS[out.suffix.lower()][0] not in CARRYING:
        console.print(f"note    {out.suffix} has no place for where an image came from; .png has")
    return 0


def how_many(drawn: Drawn, config: DictConfig) -> int:
    """How many images were made."""
    if config.latent is not None:
        return len(drawn.images)
    if config.to in ("gif", "mp4"):
        return len(drawn.seeds) * config.frames
    if config.to == "sheet":
        return len(drawn.seeds) * (len(config.sweep) if config.sweep else len(drawn.run.class_names))
    return len(drawn.seeds)


def sample(config: DictConfig) -> tuple[Drawn, Path]:
    """The images and where they were written."""
    if config.latent is not None:
        found = of_latent(config)
        return found, projected.write(config, found)
    if config.like is None:
        check(config)
        drawn = draw(config)
        refuse_what_it_cannot(drawn, config)
        return drawn, write(config, drawn)
    facts = redrawing.asked_for(config, defaults())
    check(config)
    drawn = draw(config, redrawing.labels_of(facts))
    out = files.expanded(config.out) if config.out else redrawing.default_out(config, drawn.run)
    config.out = literal(str(out))
    return drawn, write(config, drawn)


def refuse_what_it_cannot(drawn: Drawn, config: DictConfig) -> None:
    """Raises UserError for sheets and films that the run has none of."""
    if config.to == "sheet" and not config.sweep and not drawn.run.module.num_classes:
        raise UserError("to=sheet: this run has no classes to be rows; give sweep=[0.3,0.5,0.7,1]: a row for each psi")
    if config.to == "sheet" and not config.sweep and config["class"] is not None:
        raise UserError(
            f"class={config['class']}: the rows of this sheet are all classes; leave it out, or give sweep="
        )
    if config.to in ("gif", "mp4"):
        require(drawn.run.module.sampler_of_images(), config.space)


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
    seeds = seeds_of(config)
    if config.to == "png" and len(seeds) == 1 and str(config.out).lower().endswith(".png"):
        found += wrong_suffix("out", config.out, ".png")
    elif config.to == "png" and (wrong := wrong_folder("out", config.out, *FORMATS, ".npz", ".zip", ".gif")):
        found += [f"{each}, or write one image of all with to=grid" for each in wrong]
    elif config.to in ("gif", "mp4"):
        found += wrong_suffix("out", config.out, f".{config.to}")
        found += films.missing() if config.to == "mp4" else []
    elif config.to in ("grid", "sheet"):
        found += wrong_suffix("out", config.out, *FORMATS)
    elif config.to == "npz":
        found += wrong_suffix("out", config.out, ".npz")
    if config.columns is not None and config.to != "grid":
        found.append(f"columns={config.columns}: to={config.to} has no columns; add to=grid, or leave it out")
    otherwise = defaults()
    for key, kinds in OWN.items():
        if config[key] != otherwise[key] and config.to not in kinds:
            found.append(f"{key}={config[key]}: it is for to={' or to='.join(kinds)}; leave it out, or give that")
    if config.sweep is not None and config.like is None:
        found += [
            f"{key}={config[key]:g}: sweep= gives the strength of each row; leave one of them out"
            for key in ("psi", "temperature")
            if config[key] != otherwise[key]
        ]
    if config.complete is not None and config.to in ("sheet", "gif", "mp4"):
        found.append(f"complete={config.complete}: to={config.to} has no images that go on; give to=png or to=grid")
    if config.rows is not None and config.complete is None:
        found.append(f"rows={config.rows}: it says how much of an image complete= keeps; add that, or leave it out")
    if config.out is not None and config.to != "png" and files.expanded(config.out).is_dir():
        found.append(f"out={config.out}: there is a folder of this name; give the file to write")
    found += device_findings(config.device)
    if found:
        raise UserError(*found)
