"""`transgan export` as a user types it, and what the files are for other programs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import transgan
from hub_stand_in import TOKEN, Hub
from transgan.exporting import onnx as of_onnx
from transgan.exporting.checks import Difference
from transgan.exporting.network import ImagesFromLatents
from transgan.runs.run import Run

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
SLOW = ("torch", "onnx", "web")
LICENCES = ["license=cc0-1.0", "data_license=bsd-3-clause"]


@pytest.fixture
def run(digits_run):
    return digits_run[0]


@pytest.fixture
def module(run):
    return transgan.load(run)


@pytest.fixture
def export(inside, run):
    """export(*words) -> (the file or folder, what was printed)."""

    def call(*words, run=run):
        code, out, err = inside("export", run, *words)
        assert code == 0, out + err
        return Path(re.search(r"^wrote   (.+) \(", out, re.MULTILINE)[1]), out

    return call


def test_safetensors(export, run, module, tmp_path):
    path, out = export("to=safetensors", "license=cc0-1.0")
    assert path.parent == run / "exports" and re.fullmatch(r"digits-[\d.]+kimg\.safetensors", path.name)
    call = re.search(r"^takes   (.+)$", out, re.MULTILINE)[1]
    assert torch.equal(eval(call, {"transgan": transgan}), module.generate([0, 1, 2]))
    facts = json.loads(path.with_suffix(".json").read_text())
    assert facts == transgan.load(path).facts
    assert facts["license"] == "cc0-1.0" and facts["checkpoint_sha256"] == Run(run).sha256
    assert facts["metric"] == "fd_classifier" and facts["protocol"].startswith(facts["protocol_id"])
    raw, _ = export("to=safetensors", "weights=raw", "checkpoint=last", "out=raw.safetensors")
    own = transgan.load(run, which="last").generator.state_dict()
    assert all(torch.equal(own[name], value) for name, value in transgan.load(raw).network.state_dict().items())


@pytest.fixture(scope="module")
def file(digits_run, tmp_path_factory):
    """The ONNX file of the run."""
    out = tmp_path_factory.mktemp("onnx") / "digits.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out.parent)
        return transgan.export(digits_run[0], to="onnx", out=out, license="cc0-1.0")


@pytest.mark.parametrize("name", ["a.safetensors", "a.onnx", "a.pt2"])
def test_what_needs_a_run_says_what_an_export_is(refused, name, tmp_path):
    (tmp_path / name).write_bytes(b"weights")
    for words in (["summary", name], ["report", name], ["train", f"init_from={name}", "metrics=none", "name=new"]):
        found = refused(*words)
        assert f"{name} is an export, which holds no" in found and "give the" in found and found.count("\n") == 1


@pytest.mark.slow
def test_onnx_for_any_number_of_images(file, module, run):
    import onnx

    model = onnx.load(file)
    weights = sum(value.numel() * 4 for value in module.generator.parameters())
    assert file.stat().st_size < 1.15 * weights + 30_000  # what the graph is of
    shapes = {
        each.name: [size.dim_param or size.dim_value for size in each.type.tensor_type.shape.dim]
        for each in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"latent": ["N", 32], "label": ["N"], "psi": [], "images": ["N", 1, 8, 8]}
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert facts["run"] == "digits" and facts["license"] == "cc0-1.0" and facts["resolution"] == "8"
    assert json.loads(facts["class_names"]) == [str(i) for i in range(10)] and len(facts["protocol_id"]) == 8
    assert facts["checkpoint_sha256"] == Run(run).sha256
    session = onnxruntime.InferenceSession(file)
    for seeds, psi in (([7], 1.0), (list(range(100, 123)), 1.0), ([1, 2, 3], 0.3), ([4, 5], 0.0)):
        feed = {
            "latent": module.latents_of(seeds).numpy(), "label": module.labels_of(seeds).numpy(),
            "psi": torch.tensor(psi).numpy(),
        }  # fmt: skip
        (images,) = session.run(None, feed)
        apart = torch.from_numpy(images).int() - module.generate(seeds, truncation=psi).int()
        assert images.dtype == "uint8" and apart.abs().max() <= 1


@pytest.mark.slow
def test_onnx_in_half_precision_and_as_floats(export, file, module):
    half, out = export("to=onnx", "precision=fp16", "out=half.onnx")
    assert half.stat().st_size < file.stat().st_size - 15_000 and "allowed 5e-02" in out
    seeds = [0, 1, 2]
    floats, out = export("to=onnx", "output=float", "opset=18", "out=float.onnx")
    assert "images (N, 1, 8, 8) float32 in [-1, 1]" in out
    feed = {"latent": module.latents_of(seeds).numpy(), "label": module.labels_of(seeds).numpy()}
    (images,) = onnxruntime.InferenceSession(floats).run(None, feed | {"psi": torch.tensor(1.0).numpy()})
    assert images.dtype == "float32" and abs(images).max() <= 1
    assert torch.equal(((torch.from_numpy(images) + 1) * 127.5).round().to(torch.uint8), module.generate(seeds))


@pytest.mark.slow
def test_a_program_of_torch_needs_nothing_of_ours(export, module, tmp_path):
    path, out = export("to=torch", "out=a.pt2")
    assert re.search(r"largest difference \d\.\de-0[5-9]", out)
    feed = {"latent": module.latents_of([3]), "label": module.labels_of([3]), "psi": torch.tensor(0.5)}
    torch.save(feed, tmp_path / "feed.pt")
    code = (
        "import sys, torch; sys.modules['transgan'] = None; program = torch.export.load('a.pt2').module();"
        "print(program(**torch.load('feed.pt')).flatten().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = torch.tensor(json.loads(done.stdout)) - module.generate([3], truncation=0.5).flatten()
    assert made.abs().max() <= 1


def test_what_makes_other_images_is_not_written(refused, run, monkeypatch, tmp_path):
    wrong = Difference(0.5, 128, 0.1, 1e-5)
    assert "largest difference 5.0e-01 in [-1, 1], allowed 1e-05; 10 % of the uint8 values differ, by 128" in wrong.said
    means = ImagesFromLatents.means
    monkeypatch.setattr(ImagesFromLatents, "means", lambda self: means(self) + 0.5)  # with psi 0.7 it matters
    assert "makes other images" in refused("export", run, "to=torch", "out=a.pt2")
    assert not list(tmp_path.glob("a.pt2*"))


def test_what_goes_wrong_is_a_sentence(refused, run, tmp_path, monkeypatch):
    assert "a format is needed: to=safetensors, onnx, torch, web or hub" in refused("export", run)
    assert refused("export", run, "to=onxx").count("\n") == 1
    found = refused("export", run, "to=hub", "push=me", "single=true", "output=float")
    for part in ("single=true: it is for to=web, and this is to=hub", "output=float: it is for to=onnx or to=torch",
                 "the licence of the weights: give license=", "give data_license=", "push=me: write USER/NAME"):  # fmt: skip
        assert part in found
    assert "opset=9: give 18 to 24" in refused("export", run, "to=onnx", "opset=9")
    assert "out=a.png: its name must end in .onnx" in refused("export", run, "to=onnx", "out=a.png")
    assert "private=false: nothing is uploaded" in refused("export", run, "to=hub", *LICENCES, "private=false")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("")
    assert "there are other files in this folder" in refused("export", run, "to=hub", *LICENCES, "out=full")
    transgan.export(run, to="hub", out=tmp_path / "mine", license="mit", data_license="mit")
    (tmp_path / "mine" / "paper.pdf").write_text("")
    assert "mine also holds paper.pdf; move that away" in refused("export", run, "to=hub", *LICENCES, "out=mine")
    assert (tmp_path / "mine" / "paper.pdf").exists()
    monkeypatch.setattr(of_onnx, "find_spec", lambda name: None if name == "onnxscript" else True)
    assert "to=onnx: onnxscript is not installed; pip install 'transgan[onnx]'" in refused("export", run, "to=onnx")


@pytest.fixture
def full():
    """Inside, no file takes more than 10 kB, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="this system has no limits of this kind")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("to", ["safetensors", "hub", *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW)])
def test_a_full_disk_leaves_nothing(to, refused, run, tmp_path, full):
    if to == "web" and not os.environ.get("TRANSGAN_ORT_WEB"):
        pytest.skip("TRANSGAN_ORT_WEB does not say where onnxruntime-web is")
    suffix = {"torch": ".pt2", "safetensors": ".safetensors", "onnx": ".onnx"}.get(to, "")
    found = refused("export", run, f"to={to}", f"out=a{suffix}", *(LICENCES if to == "hub" else []))
    assert found.count("\n") == 1 and "out=PATH" in found and "File too large" in found
    assert not list(tmp_path.iterdir())


def test_a_likelihood_model_is_exported_as_what_it_is(inside, refused, tmp_path):
    words = ["experiment=digits_gpt", "trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.032",
             "grid=4", "algorithm.network.dim=16", "algorithm.network.depth=1", "algorithm.network.num_heads=2"]  # fmt: skip
    assert inside("train", *words)[0] == 0
    found = refused("export", "runs/digits_gpt", "to=onnx")
    assert "makes images token by token, and a graph" in found and "to=safetensors exports what it is" in found
    code, out, err = inside("export", "runs/digits_gpt", "to=safetensors", "out=gpt.safetensors")
    assert code == 0, out + err
    assert torch.equal(transgan.load("gpt.safetensors").generate([1]), transgan.load("runs/digits_gpt").generate([1]))


def test_images_are_sampled_from_an_export(inside, export, refused, module, run, tmp_path):
    path, _ = export("to=safetensors", "out=a.safetensors")
    code, out, err = inside("sample", path, "seeds=5-7", "psi=0.7", "to=npz", "out=a.npz")
    assert code == 0 and "3 images of a.safetensors (" in out, err
    made = torch.from_numpy(np.load("a.npz")["images"]).permute(0, 3, 1, 2)
    assert torch.equal(made, module.generate([5, 6, 7], truncation=0.7))
    for words in (["to=grid", "class=3"], ["to=sheet"], ["to=gif", "frames=2"], ["seeds=1"]):
        code, out, err = inside("sample", path, *words)
        assert code == 0, out + err
    code, out, err = inside(
        "project", path, next((tmp_path / "generated").glob("*.png")), "newton=2", "steps=4", "starts=2"
    )
    assert code == 0, out + err
    assert "temperature=0.5" in refused("sample", path, "temperature=0.5")
    assert "makes images at once from a latent, and this is for a flow" in refused("sample", path, "steps=3")
    assert "there is no file b.safetensors" in refused("sample", "b.safetensors")
    assert "write hf://USER/NAME" in refused("sample", "hf://me")


def test_a_checkpoint_of_ones_own_trainer_says_enough(inside, adversarial, tmp_path):
    from pytorch_lightning import Trainer
    from torch.utils.data import DataLoader, TensorDataset

    module, images = adversarial(), torch.randint(0, 256, (8, 1, 8, 8)).to(torch.uint8)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(images, torch.arange(8) % 3), batch_size=4))
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    for words in (["to=safetensors", "out=a.safetensors"], ["to=hub", *LICENCES, "out=hub"]):
        code, out, err = inside("export", "own.ckpt", *words)
        assert code == 0, out + err
    found = transgan.load("hub")
    assert torch.equal(found.generate([3, 4]), module.generate([3, 4]))
    assert found.facts["resolution"] == 8 and found.facts["class_names"] == ["0", "1", "2"]
    assert "None" not in Path("hub/README.md").read_text()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A stand-in of the Hub, which commands of other processes reach."""
    with Hub() as found:
        for name, value in (("HF_ENDPOINT", found.address), ("HF_TOKEN", TOKEN), ("HF_HOME", str(tmp_path / "hf")),
                            ("HF_HUB_DISABLE_TELEMETRY", "1"), ("HF_HUB_DISABLE_XET", "1")):  # fmt: skip
            monkeypatch.setenv(name, value)
        yield found


def process(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "transgan", *map(str, words)], cwd=cwd, capture_output=True, text=True, env=os.environ
    )


@pytest.mark.slow
def test_to_the_hub_and_back(hub, run, module, tmp_path):
    done = process("export", run, "to=hub", *LICENCES, "dataset=me/digits", "push=me/it", "out=folder", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"pushed  {hub.address}/me/it" in done.stdout and hub.private == {"me/it": True}
    names = {path.relative_to(tmp_path / "folder").as_posix() for path in (tmp_path / "folder").rglob("*.*")}
    names -= {".eval_results"}
    assert names == {"README.md", "model.safetensors", "config.json", "samples.png", "training.yaml",
                     ".eval_results/transgan.yaml"}  # fmt: skip
    assert set(hub.repos["me/it"]) == names | ({".gitattributes"} & set(hub.repos["me/it"]))
    code = "import transgan; print(transgan.load('hf://me/it').generate([7, 8]).flatten().tolist())"
    back = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout) == module.generate([7, 8]).flatten().tolist()
    code = code.replace("me/it", "me/other")
    back = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "ExportError: hf://me/other: the Hub has no such model" in back.stderr


def test_a_card_has_no_empty_field(export, run):
    folder, out = export("to=hub", *LICENCES, "out=folder")
    assert "no .eval_results, which name a data set of the Hub" in out and not (folder / ".eval_results").exists()
    text = (folder / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    facts = yaml.safe_load(header)
    assert facts["license"] == "cc0-1.0" and facts["pipeline_tag"] == "unconditional-image-generation"
    assert all(facts.values()) and "ore information needed" not in text and "None" not in text
    assert not re.search(r"\|\s*\|\s*$|: *$", body.replace("| | |\n", ""), re.MULTILINE)
    assert f"SHA-256 {Run(run).sha256}" in body and "Licence of the images: bsd-3-clause" in body
    assert "It was not measured. `transgan evaluate RUN metrics=paper`" in body
    assert not re.search(r"^[^#]*: /", (folder / "training.yaml").read_text(), re.MULTILINE)


@pytest.mark.slow
def test_what_is_given_away_names_no_path_of_this_machine(inside, tiny_folder, pictures, export, tmp_path):
    images = pictures(tmp_path / "someones-home" / "cats")
    words = (*tiny_folder, "kimg=0.064", "name=cats", "metrics=fast", "extractor=pixels", "metrics.num_samples=16")
    code, out, err = inside("train", images, *words)
    assert code == 0, out + err
    for words in (["to=safetensors"], ["to=onnx"], ["to=torch"], ["to=hub", *LICENCES]):
        path, _ = export(*words, run=tmp_path / "runs" / "cats")
        for file in [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file()):
            found = file.read_bytes()
            assert b"someones-home" not in found and os.fsencode(tmp_path) not in found, file
            assert os.fsencode(Path(transgan.__file__).parents[1]) not in found, file
    assert "trained on cats;" in (path / "README.md").read_text()


def test_an_edited_card_is_what_is_uploaded(inside_hub, export, run, tmp_path):
    words = ("to=hub", *LICENCES, "out=folder")
    folder, out = export(*words)
    assert "edit it; the same command with push=USER/NAME uploads it" in out
    card = folder / "README.md"
    assert "was edited" not in export(*words)[1]  # the same again
    ours = card.read_text()
    card.write_text(ours.replace("## Intended use", "Drawn by hand in 1998.\n\n## Intended use"))
    _, out = export(*words, "push=me/it")
    assert "README.md was edited and stays as it is" in out
    uploaded = inside_hub.repos["me/it"]["README.md"].decode()
    assert uploaded == card.read_text() and "Drawn by hand" in uploaded
    assert 'transgan.load("hf://me/it")' in uploaded and "USER/NAME" not in uploaded
    assert "was edited" in export(*words)[1] and "Drawn by hand" in card.read_text()  # as often as one likes
    card.unlink()
    assert "was edited" not in export(*words)[1] and card.read_text() == ours


def test_published_data_has_a_name_on_the_hub(run, monkeypatch, tmp_path):
    facts = Run(run).facts
    data = facts["config"]["data"] | {"_target_": "transgan.data.Cifar10"}
    monkeypatch.setattr(Run, "facts", facts | {"config": facts["config"] | {"data": data}})
    folder = transgan.export(run, to="hub", out=tmp_path / "a", license="mit", data_license="unknown")
    (first, *_), header = (
        yaml.safe_load((folder / ".eval_results/transgan.yaml").read_text()),
        yaml.safe_load((folder / "README.md").read_text().split("---\n")[1]),
    )
    assert first["dataset"]["id"] == "uoft-cs/cifar10" == header["datasets"][0] and first["value"] > 0
    assert first["dataset"]["task_id"] == "fd_classifier" and "generated" in first["notes"]


@pytest.fixture
def inside_hub(hub, monkeypatch):
    """The same for this process."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    return hub


def test_a_token_is_asked_for(inside_hub, refused, run, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    found = refused("export", run, "to=hub", *LICENCES, "push=me/it", "out=folder")
    assert "the Hub wants a token" in found and "the folder is complete: folder" in found and found.count("\n") == 1
    assert (tmp_path / "folder" / "README.md").exists() and not inside_hub.repos
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert "the Hub cannot be reached" in refused("export", run, "to=hub", *LICENCES, "push=me/it", "out=folder")
