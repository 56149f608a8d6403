"""to=hub: a folder for the Hugging Face Hub, and its upload."""

import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import jinja2
import yaml
from omegaconf import OmegaConf

from transgan import exported, files
from transgan.callbacks.samples import grid_facts, layout, save_grid
from transgan.config.command_line import quoted
from transgan.errors import UserError
from transgan.exporting import weights
from transgan.exporting.source import Source
from transgan.reporting.material import Material
from transgan.reporting.measured import Measured
from transgan.reporting.result import made, quality

COUNT = 64  # images of the grid
HUBS = {"Cifar10": "uoft-cs/cifar10", "FashionMNIST": "zalando-datasets/fashion_mnist", "MNIST": "ylecun/mnist"}
CONFIG, CARD, ADDRESS = "config.json", "README.md", "USER/NAME"  # ADDRESS: in a card that is not uploaded yet
WRITTEN = "card_sha256"  # in config.json: of the card as it was written, which tells whether it was edited
NAMES = {exported.MODEL, CONFIG, "samples.png", "training.yaml", CARD, ".eval_results"}
MEMORISATION = ("copy_rate", "copy_rate_p", "auth_pct")
NO_MEMORISATION = (
    "It was not measured. `transgan evaluate RUN metrics=paper` measures it, where images were held out of training."
)


@dataclass(frozen=True)
class Card:
    """What only the user knows. license: of the weights. data_license: of the images. dataset: USER/NAME of the Hub, or
    words, or None. repo: USER/NAME to upload to, or None."""

    license: str
    data_license: str
    dataset: str | None = None
    repo: str | None = None


def write(source: Source, out: Path, card: Card) -> list[str]:
    """Writes the folder, complete or absent -> what there is to say, in sentences.

    A card that was edited since it was written stays. Raises UserError where `out` holds anything that is not of such a
    folder, for it would be gone.
    """
    if out.is_dir() and (others := sorted({path.name for path in out.iterdir()} - NAMES)):
        raise UserError(f"{out} also holds {', '.join(others[:3])}; move that away, or give another out=")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{out.name}.", suffix=files.SUFFIX, dir=out.parent))
    try:
        said = fill(source, beside, card) + keep_edited(out, beside, card)
        if out.exists():
            shutil.rmtree(out)
        beside.chmod(0o755)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return said


def fill(source: Source, folder: Path, card: Card) -> list[str]:
    said = [weights.write(source, folder / exported.MODEL)]
    (folder / "model.json").rename(folder / CONFIG)
    sampler = source.sampler
    columns, labels = layout(COUNT, sampler.num_classes)
    images = sampler.generate(range(COUNT), labels)
    known = ("run", "kimg", "checkpoint", "checkpoint_sha256", "weights", "weights_sha256")
    made_by = {key: source.facts[key] for key in known} | source.run.sampler
    facts = grid_facts(made_by, sampler, list(range(COUNT)), labels, source.class_names, columns, COUNT)
    save_grid(images, folder / "samples.png", columns, facts)
    files.write_text(folder / "training.yaml", OmegaConf.to_yaml(OmegaConf.create(without_paths(source.run.config))))
    files.write_text(folder / CARD, card_of(source, card))
    config = files.read_json(folder / CONFIG)
    files.write_json(folder / CONFIG, config | {WRITTEN: files.sha256(folder / CARD)})
    dataset = hub_dataset(source, card)
    if source.measured is None:
        said.append("note: nothing was measured, so the card has no numbers; transgan evaluate RUN gives some")
    elif dataset is None:
        said.append("note: no .eval_results, which name a data set of the Hub; dataset=USER/NAME says which it is")
    else:
        results(source.measured, dataset, folder / ".eval_results" / "transgan.yaml")
    return said


def keep_edited(out: Path, beside: Path, card: Card) -> list[str]:
    """Brings an edited card of `out` to `beside`, with the address that it lacked -> a sentence that says so."""
    if not (out / CARD).is_file():
        return []
    edited, written = (out / CARD).read_bytes(), None
    with suppress(OSError, ValueError, AttributeError):
        written = files.read_json(out / CONFIG).get(WRITTEN)
    if files.hash_of(edited) == written or edited == (beside / CARD).read_bytes():
        return []
    if card.repo is not None:
        edited = edited.replace(f"hf://{ADDRESS}".encode(), f"hf://{card.repo}".encode())
    with files.replacing(beside / CARD) as file:
        file.write(edited)
    return [f"note: {CARD} was edited and stays as it is; delete it, and the same command writes it anew"]


def without_paths(node: Any) -> Any:
    """A configuration in which of every path of this machine the name is left: nobody else's business, or use."""
    if isinstance(node, dict):
        return {key: without_paths(value) for key, value in node.items()}
    if isinstance(node, list):
        return [without_paths(value) for value in node]
    return Path(node).name if isinstance(node, str) and Path(node).expanduser().is_absolute() else node


def results(measured: Measured, dataset: str, path: Path) -> None:
    """An entry for each number, as the Hub reads them."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = [
        EvalResultEntry(dataset_id=dataset, task_id=name, value=value, notes=measured.line or None)
        for name, value in measured.numbers.items() if not name.endswith("_std")
    ]  # fmt: skip
    files.write_text(path, yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True))


def hub_dataset(source: Source, card: Card) -> str | None:
    """USER/NAME of the data set on the Hub, as given or as published ones have it."""
    if card.dataset is not None:
        return card.dataset if is_hub_name(card.dataset) else None
    return HUBS.get(str((source.run.config.get("data") or {}).get("_target_", "")).rpartition(".")[2])


def is_hub_name(text: str) -> bool:
    """Whether a text is USER/NAME."""
    return re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", text, re.ASCII) is not None


def card_of(source: Source, card: Card) -> str:
    """README.md, with the Hub's metadata at its head."""
    facts, measured = source.facts, source.measured
    material = Material(source.given)
    dataset = hub_dataset(source, card)
    header: dict[str, Any] = {
        "license": card.license,
        "library_name": "transgan",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["transgan", "gan", "image-generation", "safetensors"],
    }
    header |= {"datasets": [dataset]} if dataset else {}
    text = package_files("transgan.exporting").joinpath("templates/card.md.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True).from_string(text)
    return template.render(
        header=yaml.safe_dump(header, sort_keys=False, allow_unicode=True),
        facts=facts,
        repo=card.repo or ADDRESS,
        made=made(material),
        grid_count=COUNT,
        classes=", ".join(facts["class_names"]),
        table=table(source),
        data=data_said(source, card),
        data_license=card.data_license,
        quality=" ".join(quality(measured)) or "Nothing was measured.",
        numbers=[] if measured is None else measured.rows,
        memorisation=memorisation(measured),
        command=command(source),
    )


def table(source: Source) -> list[tuple[str, str]]:
    facts, sampler = source.facts, source.sampler
    colour = "grey" if facts["channels"] == 1 else "colour"
    found = [
        ("generator", type(sampler.network).__name__),
        ("parameters", f"{facts['parameters']:,}"),
        ("images", f"{facts['resolution']} x {facts['resolution']} px, {colour}"),
        ("shown in training", f"{facts['kimg']:,g} thousand images"),
        ("weights", "exponential moving average" if facts["weights"] == "ema" else "as trained, no average"),
        ("checkpoint", f"SHA-256 {facts['checkpoint_sha256']}"),
    ]
    if facts["latent_dim"]:
        found.insert(2, ("latent", f"{facts['latent_dim']} standard normal numbers"))
    return found


def data_said(source: Source, card: Card) -> str:
    """What the images were, how many, and of which classes."""
    data = source.run.config.get("data") or {}
    where = data.get("path") or str(data.get("_target_") or "images of its own").rpartition(".")[2]
    name = card.dataset or hub_dataset(source, card) or Path(str(where)).name
    linked = f"[{name}](https://huggingface.co/datasets/{name})" if is_hub_name(name) else name
    reference = {} if source.measured is None else source.measured.protocol.get("reference") or {}
    same = reference.get("dataset") == source.run.facts["data"] and isinstance(reference.get("num_real"), int)
    counted = f", {reference['num_real']:,} images" if same else ""
    names = source.run.class_names
    more = f" and {len(names) - 30:,} more" if len(names) > 30 else ""
    classes = f" Its classes: {', '.join(names[:30])}{more}." if names else ""
    return f"{linked}{counted}, brought to {source.facts['resolution']} px.{classes}"


def memorisation(measured: Measured | None) -> str:
    """The numbers that say whether training images are copied, or that there are none."""
    found = [] if measured is None else [row for row in measured.rows if row["name"] in MEMORISATION]
    if not found:
        return NO_MEMORISATION
    return " ".join(f"{row['name']} is {row['value']}: {row['meaning']}." for row in found)


def command(source: Source) -> str:
    name = source.run.name
    return f"transgan train config=training.yaml name={quoted(name) if not name.isidentifier() else name}"


def push(folder: Path, repo: str, private: bool) -> str:
    """Uploads a folder -> its address. Raises UserError with the way out."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    api = HfApi()
    try:
        made = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Export by transgan")
    except HFValidationError as error:
        raise UserError(f"push={repo}: write USER/NAME ({exported.summary(error)})") from error
    except (LocalTokenNotFoundError, HfHubHTTPError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403) or isinstance(error, LocalTokenNotFoundError):
            raise UserError(
                f"push={repo}: the Hub wants a token that may write there: hf auth login, or HF_TOKEN=...; the folder "
                f"is complete: {folder}"
            ) from error
        raise UserError(
            f"push={repo}: the Hub refuses ({exported.summary(error)}); the folder is complete: {folder}"
        ) from error
    except Exception as error:  # of the network, whose library is the Hub's own choice
        raise UserError(
            f"push={repo}: the Hub cannot be reached ({exported.summary(error)}); the folder is complete: {folder}; "
            "the same command tries again"
        ) from error
    return str(made)
