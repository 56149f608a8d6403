"""Names of the files that commands write: none overwrites another, and a suffix is honoured or refused."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from transgan.runs.names import earlier_evaluation_file, evaluation_file
from transgan.runs.report import latex_row
from transgan.runs.run import Run
from transgan.runs.sample_files import names


@pytest.fixture
def run(digits_run, tmp_path):
    """A copy that may be written to, without what other tests have made of the run."""
    others = shutil.ignore_patterns("evaluations", "generated*")
    return shutil.copytree(digits_run[0], tmp_path / "runs" / "digits", ignore=others)


@pytest.fixture
def sampled(inside, run, tmp_path):
    def sample(*words):
        code, out, err = inside("sample", run, "device=cpu", *words)
        assert code == 0, err
        return out

    return sample


FEW = ["metrics=fast", "extractor=pixels", "bounds=false", "device=cpu", "num_samples=16"]


def test_evaluations_of_other_seeds_protocols_and_checkpoints_stay(inside, run):
    for words in (
        [],
        ["seed=5"],
        ["seed=6"],
        ["psi=0.5"],
        ["ema=false"],
        ["checkpoint=last"],
        ["blocks=2"],
        ["seed=5"],
    ):
        code, out, err = inside("evaluate", run, *FEW, *words)
        assert code == 0, err
    found = [json.loads(path.read_text())["protocol"] for path in (run / "evaluations").iterdir()]
    assert len(found) == 7  # the last is the second again
    assert sorted(protocol["seed"] for protocol in found) == [0, 0, 0, 0, 0, 5, 6]


def test_evaluations_of_one_set_of_images_against_others_stay(inside, run, sampled, tmp_path):
    sampled("seeds=0-19", "to=npz", "out=made.npz")
    sampled("seeds=20-49", "to=npz", "out=one.npz")
    sampled("seeds=50-79", "to=npz", "out=other.npz")
    for against in ("one.npz", "other.npz", "one.npz"):
        assert inside("evaluate", "made.npz", f"against={against}", *FEW[1:4])[0] == 0
    files = list(tmp_path.glob("made.npz.*.evaluation.json"))
    assert len(files) == 2


@pytest.mark.parametrize("kimg", [0.5, 1.5, 2.5, 0.512, 0.64])
def test_no_rounding_in_the_name_of_an_evaluation(tmp_path, kimg):
    protocol = {"id": "0a1b2c3d", "seed": 3}
    file = evaluation_file(tmp_path, kimg, Path("last.ckpt"), protocol)
    assert file.name == f"{int(kimg):06d}_{round(1000 * kimg) % 1000:03d}-last-0a1b2c3d-seed3.json"
    assert evaluation_file(tmp_path, 50.0, Path("last.ckpt"), protocol).name == "000050-last-0a1b2c3d-seed3.json"
    earlier = earlier_evaluation_file(tmp_path, 50.0, Path("last.ckpt"), protocol)
    assert earlier.name == "000050-last-0a1b2c3d.json"


def at(run, which="best"):
    """How names say how far a checkpoint was."""
    return f"{Run(run, which).kimg:g}kimg"


def test_samples_of_other_classes_and_truncations_stay(sampled, run):
    for words in ([], ["class=3"], ["class=4"], ["psi=0.5"], ["class=3", "psi=0.5"], ["class=3"]):
        sampled("seeds=7", *words)
    folder, seed = run / "generated", f"seed00000007-{at(run)}"
    names = {path.name for path in folder.glob("*.png")}
    assert names == {
        f"{seed}.png",
        f"{seed}-class3.png",
        f"{seed}-class4.png",
        f"{seed}-psi0.5.png",
        f"{seed}-class3-psi0.5.png",
    }
    images = json.loads((folder / "index.json").read_text())["images"]
    assert set(images) == names and images[f"{seed}-class4.png"]["class"] == "4"
    assert images[f"{seed}-class3-psi0.5.png"]["psi"] == 0.5
    (folder / f"{seed}-psi0.5.png").unlink()
    assert "also holds 4 images of other commands" in sampled("seeds=8")
    index = json.loads((folder / "index.json").read_text())
    assert set(index["images"]) == names - {f"{seed}-psi0.5.png"} | {f"seed00000008-{at(run)}.png"}
    for spoiled in ("", "[]", "{}", '{"images": 3}', "{"):
        (folder / "index.json").write_text(spoiled)
        assert "also holds" not in sampled("seeds=9")
        assert list(json.loads((folder / "index.json").read_text())["images"]) == [f"seed00000009-{at(run)}.png"]


def test_no_command_overwrites_the_images_of_another(sampled, run):
    """Grids and arrays of other seeds, classes, truncations and moments lie beside each other; the same one stays one."""
    both = [[], ["class=3"], ["psi=0.5"], ["psi=0.50001"], ["class=3", "psi=0.5"]]
    asked = [[seeds, *words] for seeds in ("seeds=0-3", "seeds=1,2", f"seeds={','.join(map(str, range(30)))}")
             for words in both] + [["seeds=0-3", "columns=1"]]  # fmt: skip
    for words in asked:
        sampled("to=grid", *words)
    first = {path: path.read_bytes() for path in run.glob("generated-*.png")}
    assert len(first) == len(asked) and not any("=" in path.name for path in first)
    assert run / f"generated-{at(run)}-seeds1_2-class3-psi0.5.png" in first
    for words in asked:
        sampled("to=grid", *words)
    assert {path: path.read_bytes() for path in run.glob("generated-*.png")} == first
    saved = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    torch.save(saved | {"images_seen": saved["images_seen"] + 32}, run / "checkpoints" / "best.ckpt")  # trained on
    sampled("to=grid", "seeds=0-3")
    sampled("to=npz", "seeds=0-3")
    sampled("seeds=0")
    assert len(list(run.glob("generated-*.png"))) == len(first) + 1
    assert (run / f"generated-{at(run)}-seeds0-3.npz").exists()
    assert (run / "generated" / f"seed00000000-{at(run)}.png").exists()


def test_what_a_name_says_of_a_source_of_halves():
    """Two folders of one name in different places are two."""
    drawn = SimpleNamespace(
        run=SimpleNamespace(kimg=20.016, path=Path("top/step=3.ckpt"), has_likelihood=True), strength=0.9, labels=None,
        seeds=[3],
    )  # fmt: skip
    config = {"class": None, "top_k": 5, "rows": 2, "complete": "a/their photos"}
    config |= {"steps": None, "solver": None, "guidance": None, "to": "png", "sweep": None}
    one, other = (names(drawn, OmegaConf.create(config | {"complete": place})) for place in ("a/p h", "b/p h"))
    assert one != other and one[0].startswith("seed00000003-20.016kimg-step_3-temperature0.9-top5-of_p_h_")
    assert one[0].endswith("-rows2.png")
    (held,) = names(drawn, OmegaConf.create(config | {"complete": "heldout"}))
    assert held == "seed00000003-20.016kimg-step_3-temperature0.9-top5-of_heldout-rows2.png"


def test_suffixes_are_honoured(sampled, tmp_path):
    for name, kind in (("a.jpg", "JPEG"), ("b.PNG", "PNG"), ("c.webp", "WEBP"), ("d.tiff", "TIFF")):
        sampled("seeds=0-3", "to=grid", f"out={name}")
        with Image.open(tmp_path / name) as image:
            assert image.format == kind and image.size == (86, 86)
    sampled("seeds=7", "out=one.png")
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (8, 8)
    sampled("seeds=7", "to=npz", "out=x.NPZ")
    assert np.load(tmp_path / "x.NPZ")["class_names"].tolist() == [str(k) for k in range(10)]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["to=grid", "out=x.gif"], "out=x.gif: its name must end in .png (or .webp, "),
        (["to=grid", "out=x"], "out=x: its name must end in .png"),
        (["to=grid", "out=x.npz"], "must end in .png"),
        (["to=grid", "out=runs"], "out=runs: it is a folder, and this is for a file"),
        (["to=grid", "columns=0"], "columns=0: it takes a whole number, 1 to"),
        (["to=grid", "columns=-3"], "columns=-3: it takes a whole number"),
        (["to=npz", "out=x.png"], "out=x.png: its name must end in .npz"),
        (["to=npz", "out=x"], "out=x: its name must end in .npz"),
        (
            ["to=png", "out=x.png"],
            "out=x.png: this is for a folder of files, and the name is that of a file; leave .png out",
        ),
        (["to=png", "out=x.jpg", "seeds=7"], "leave .jpg out, or write one image of all with to=grid"),
        (["to=png", "out=runs/digits/config.yaml"], "it is a file, and this is for a folder"),
        (["to=jpg"], "to=jpg: it takes png, grid, npz, sheet, gif or mp4"),
    ],
)
def test_suffixes_are_refused(refused, run, words, sentence):
    assert sentence in refused("sample", run, "device=cpu", *words)


def test_suffixes_of_other_commands_are_refused(refused, run, tmp_path):
    err = refused("evaluate", run, *FEW, "out=numbers.csv", "export=real.json")
    assert "out=numbers.csv: its name must end in .json" in err and "export=real.json: its name must end in .npz" in err
    (tmp_path / "file").write_text("")
    other = shutil.copytree(run, tmp_path / "runs" / "other")
    for out, sentence in (("file", "out=file: it is a file, and this is for a folder"), ("a.md", "leave .md out")):
        assert sentence in refused("compare", run, other, f"out={out}")
    assert (tmp_path / "file").read_text() == ""


def rows(name, spread=None):
    numbers = {"fd_pixels": 1.25}
    return latex_row(name, SimpleNamespace(numbers=numbers, spread=spread or {}))


def test_a_latex_row_escapes_what_a_name_may_hold():
    name = "100% of R&D_#1 {a} ~b^2 \\c $x\nsecond line"
    row = rows(name)
    assert row == (
        r"100\% of R\&D\_\#1 \{a\} \textasciitilde{}b\textasciicircum{}2 \textbackslash{}c \$x second line & 1.25 \\  "
        "% fd_pixels"
    )
    assert rows("plain", {"fd_pixels": {"std": 0.5}}) == r"plain & 1.25 $\pm$ 0.5 \\  % fd_pixels"
    for sign in "&%$#_{}~^\\":  # each by itself, once, and nothing of it left over
        written = rows(f"a{sign}b").split(" & 1.25")[0]
        assert written not in (f"a{sign}b", "ab") and written.startswith("a\\") and written.endswith("b")


def test_a_folder_where_a_file_is_to_be_read(refused, tmp_path):
    (tmp_path / "photos").mkdir()
    assert refused("sample", "runs/x", "like=photos").count("like=photos: it is a folder; give one image") == 1
    assert "like=no.png: there is no such file; give one image" in refused("sample", "runs/x", "like=no.png")
    assert "latent=photos: it is a folder; give a latent.npz" in refused("sample", "runs/x", "latent=photos")
    assert "config=photos: it is a folder; give the config.yaml of a run" in refused("train", "config=photos")
