"""A user's mistake ends in a sentence with the way out, exit code 2, and nothing half-written."""

import os
import shutil
import subprocess
import threading
import zipfile

import pytest
import torch

from transgan import checkpoint


@pytest.fixture(scope="module")
def done(digits_run):
    return digits_run[0]


@pytest.fixture
def run(done, tmp_path):
    """A copy of a trained run that a test may spoil: runs/digits below tmp_path, the folder `inside` works in."""
    return shutil.copytree(done, tmp_path / "runs" / "digits")


# What is given as images.


def test_missing_folder(refused, tiny_folder):
    assert "nowhere is neither an option (key=value) nor a folder or zip" in refused("train", "nowhere", *tiny_folder)
    assert "nowhere" in refused("train", "experiment=folder", "data.path=nowhere", *tiny_folder)
    assert "data.path is needed" in refused("train", "experiment=folder", *tiny_folder)


def test_empty_folder(refused, tiny_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "No image in empty: it is empty" in refused("train", "empty", *tiny_folder)


def test_zip_without_images(refused, tiny_folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "notes.zip", "w") as archive:
        archive.writestr("notes.txt", "no image")
    err = refused("train", "notes.zip", *tiny_folder)
    assert "No image in notes.zip, only 1 other files (.txt 1)" in err


def test_file_that_is_no_zip(refused, tiny_folder, tmp_path):
    (tmp_path / "cats.txt").write_text("cats")
    assert "cats.txt is not a zip archive" in refused("train", "cats.txt", *tiny_folder)


@pytest.fixture
def broken(pictures, tmp_path):
    """Sixteen good pictures, a JPEG cut in half, and a text called .png."""
    folder = pictures(tmp_path / "pictures", suffix="jpg")
    whole = (folder / "a" / "0.jpg").read_bytes()
    (folder / "a" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "b" / "letter.png").write_text("Dear Sir or Madam")
    return folder


def test_broken_pictures_are_all_named(refused, broken, tiny_folder):
    err = refused("train", broken, *tiny_folder)
    assert "2 of 18 images" in err and "a/cut.jpg: " in err and "b/letter.png: not an image" in err
    assert "data.on_error=skip" in err


def test_broken_pictures_can_be_left_out(inside, broken, tiny_folder, tmp_path):
    code, out, err = inside("train", broken, *tiny_folder, "data.on_error=skip")
    assert code == 0, err
    assert "16 images" in out and "skipped 2 unreadable" in out
    assert (tmp_path / "runs/folder/checkpoints/last.ckpt").exists()


def test_classes_asked_for_where_there_are_none(refused, pictures, tiny_folder, tmp_path):
    pictures(tmp_path / "flat", classes=["."])
    err = refused("train", "flat", "conditional=true", *tiny_folder)
    assert "conditional=true needs classes" in err


def test_metrics_that_need_classes(refused, pictures, tiny_folder, tmp_path):
    pictures(tmp_path / "flat", classes=["."])
    assert "metrics=none" in refused("train", "flat", *tiny_folder, "metrics=fast", "extractor=classifier")


def test_inception_without_weights_or_network(refused, pictures, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    pictures(tmp_path / "mine")
    words = [word for word in tiny_folder if word != "metrics=none"]
    err = refused("train", "mine", *words, "metrics=fast", "extractor=inception")
    assert err.count("\n") == 1
    assert "the weights are not on this machine" in err
    assert "extractor.weights=PATH" in err and "extractor=classifier" in err
    assert not (tmp_path / "runs/folder/stats.csv").exists()


# What is written on the command line.


def test_resolution_that_the_patches_do_not_fill(refused, tiny):
    err = refused("train", *tiny, "resolution=9")
    assert err.count("\n") == 1
    assert "9" in err and "patch" in err


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["trian"], "trian is not a command; did you mean train?"),
        (["train", "experiment=digit"], "experiment=digit: there is no such experiment; did you mean digits?"),
        (
            ["train", "experiment=xyz"],
            "There are: cifar10, cifar10_minutes, cifar10_tiny, digits, digits_drifting, digits_flow",
        ),
        (["train", "kimgs=3"], "kimgs is not an option; did you mean kimg?"),
        (["train", "algorithm.generator_lr.strat=1"], "did you mean algorithm.generator_lr.start?"),
        (["train", "patch_size=4"], "patch_size is not an option; did you mean generator.patch_size?"),
        (["train", "kimg=long"], "kimg=long: it takes a number"),
        (["train", "batch_size=2.5"], "batch_size=2.5: it takes a whole number"),
        (["train", "mirror=7"], "mirror=7: it takes true or false"),
        (["train", "generator.dim=16"], "generator.dim=16: it takes a list"),
        (["train", "generator.dim=wide"], "generator.dim=wide: it takes a list"),
        (["train", "pretraining=[experiment=digits_flow]"], "such as \"['experiment=digits_flow']\""),
        (["train", "--quick"], "--quick is not an option"),
        (
            ["train", "precision=16-mixed"],
            "precision=16-mixed: it takes 32-true or bf16-mixed; others are not for training",
        ),
        (["train", "conditional=perhaps"], "conditional=perhaps: it takes auto, true or false"),
        (["train", "kimg=0"], "kimg=0: it takes a number above 0"),
        (["train", "log_every=0"], "log_every=0: it takes a number above 0"),
        (["train", "algorithm.n_critic=0"], "algorithm.n_critic=0: it takes a whole number, 1 to 1,000"),
        (["train", "name=lr=3"], "name=lr=3: a run's name cannot hold an equal sign"),
        (["train", "config=nowhere.yaml"], "config=nowhere.yaml cannot be read"),
        (["train", "init_from=nowhere"], "there is no run folder or checkpoint at nowhere"),
        (["evaluate"], "a run is needed"),
        (["sample"], "a run is needed"),
        (["evaluate", "runs/none"], "there is no run folder, checkpoint, folder or zip of images at runs/none"),
        (["sample", "runs/none"], "there is no run folder or checkpoint at runs/none"),
    ],
)
def test_words(refused, words, sentence):
    err = refused(*words)
    assert sentence in err
    assert err.count("\n") == 1


def test_all_mistakes_at_once(refused, tmp_path):
    err = refused("train", "kimgs=3", "seed=x", "generator=style", "nowhere", "mirror=maybe")
    assert len(err.splitlines()) == 5
    for each in ("kimgs", "seed=x", "generator=style", "nowhere", "mirror=maybe"):
        assert each in err
    assert not (tmp_path / "runs").exists()
    err = refused("train", "precision=16-mixed", "conditional=perhaps", "kimg=0")
    assert len(err.splitlines()) == 3


def test_debug_shows_the_traceback(inside):
    from transgan.errors import UserError

    with pytest.raises(UserError):
        inside("train", "kimgs=3", "debug=true")


def test_gpu_where_there_is_none(refused, tiny, run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "trainer=cpu" in refused("train", *tiny, "name=other", "trainer=gpu")
    for command in ("sample", "evaluate"):
        assert "this machine has no GPU that torch can use; use device=cpu" in refused(command, run, "device=cuda")
        assert "device=tpu: it takes auto, cpu or cuda" in refused(command, run, "device=tpu")


def test_more_processes_than_share_a_batch(refused, tiny):
    words = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "batch_size=33"]
    assert "batch_size=33 cannot be shared by 2 processes" in refused("train", *tiny, *words)


# What is in the runs folder.


def test_checkpoint_cut_in_half(refused, run, tiny):
    last = run / "checkpoints" / "last.ckpt"
    (run / "checkpoints" / "best.ckpt").unlink()
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    start_from = ["train", *tiny, "name=other", f"init_from={run}"]
    for words in (["train", *tiny, "kimg=2.56"], start_from, ["evaluate", run], ["sample", run]):
        err = refused(*words)
        assert err.count("\n") == 1
        assert "last.ckpt is damaged or not a checkpoint" in err and "restore it from a copy" in err
    assert last.stat().st_size == len(whole) // 2
    last.write_bytes(b"")
    assert "0 bytes" in refused("sample", run)


def test_file_that_is_no_checkpoint(refused, tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    assert "other.pt is not a checkpoint of transgan: it lacks config" in refused("sample", "other.pt")


def test_folder_without_checkpoint(refused, tmp_path):
    (tmp_path / "runs" / "young").mkdir(parents=True)
    assert "runs/young holds no checkpoints/last.ckpt; train it first" in refused("sample", "runs/young")


def test_checkpoint_of_another_architecture(refused, run, digits_words):
    err = refused("train", *digits_words, "generator.dim=[24]", "discriminator.patch_size=4")
    assert "another architecture" in err and "name=" in err
    assert "generator.dim: [16] -> [24]" in err and "discriminator.patch_size: 2 -> 4" in err
    # not even by force
    assert "another architecture" in refused("train", *digits_words, "generator.dim=[24]", "force=true")
    err = refused("train", *digits_words, "generator.dim=[24]", "name=other", f"init_from={run}")
    assert "of another architecture" in err and " in the checkpoint and " in err and "generator" in err


def test_changed_settings_need_force(inside, refused, run, digits_words):
    before = (run / "config.yaml").read_bytes()
    err = refused("train", *digits_words, "kimg=1.6", "algorithm.generator_lr.start=7.0e-4", "seed=1")
    assert "algorithm.generator_lr.start: 0.0015 -> 0.0007" in err and "seed: 0 -> 1" in err and "force=true" in err
    assert (run / "config.yaml").read_bytes() == before
    words = [*digits_words, "kimg=1.6", "algorithm.generator_lr.start=7.0e-4", "seed=1", "force=true"]
    code, out, err = inside("train", *words)
    assert code == 0, err
    assert "from 1.28" in out


def test_other_images_are_refused(refused, run, digits_words, pictures, tmp_path):
    pictures(tmp_path / "mine", classes="0123456789")
    words = ["data=folder", f"data.path={tmp_path / 'mine'}"]
    assert "(other images)" in refused("train", *digits_words, *words, "kimg=2.56")


@pytest.fixture
def digits_words(tiny):
    """What continues the `evaluated` run, apart from its length."""
    return [
        *tiny, "metrics=fast", "evaluate_share=1", "extractor.steps=50", "metrics.num_samples=128", "kimg=2.56",
        "sample_every=0.64", "evaluate_every=0.64", "checkpoint_every=0.64", "log_every=0.32",
    ]  # fmt: skip


def test_run_trained_without_metrics(refused, run):
    last = run / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    saved["config"]["metrics"] = {}
    torch.save(saved, last)
    err = refused("evaluate", run, "checkpoint=last")
    assert "trained with metrics=none" in err and "metrics=fast or metrics=paper" in err


def test_checkpoint_that_would_run_something_else(refused, run):
    last = run / "checkpoints" / "last.ckpt"
    saved = torch.load(last, weights_only=True)
    saved["config"]["algorithm"]["loss"] = {"_target_": "os.system", "command": "touch owned"}
    torch.save(saved, last)
    err = refused("sample", run, "checkpoint=last")
    assert "the checkpoint asks to run os.system" in err
    assert not os.path.exists("owned")


@pytest.mark.parametrize("seeds", ["x", "9-1", "", "1,,2", "-3", "1.5"])
def test_bad_seeds(refused, run, seeds):
    before = sorted(run.rglob("*"))
    err = refused("sample", run, f"seeds={seeds}")
    assert f"seeds={seeds}: write 7, 0-63 or 1,5,9-12" in err
    assert sorted(run.rglob("*")) == before


def test_bad_choices_of_sample(refused, run):
    for word in ("class=11", "class=cats"):
        err = refused("sample", run, word)
        assert f"{word}: there is no such class; give 0 to 9, or one of 0, 1, 2" in err
    assert "to=tiff: it takes png, grid, npz, sheet, gif or mp4" in refused("sample", run, "to=tiff")
    assert "checkpoint=first: it takes best or last" in refused("sample", run, "checkpoint=first")


# Where it is written.


def test_runs_is_a_file(refused, tiny, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in refused("train", *tiny, "runs=file")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").write_text("")
    err = refused("train", *tiny)
    assert "runs/digits" in err and "a part of this path is a file" in err


@pytest.fixture
def mount(tmp_path):
    """Mounts a disk in memory: mount(options) -> its folder. Skips where that is not permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = []

    def make(options: str):
        try:
            command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command here")
        if done.returncode:
            pytest.skip(f"mounting a small disk is not permitted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for each in mounted:
        subprocess.run(["umount", "-l", each], check=True)


def test_disk_too_small(refused, tiny, mount):
    disk = mount("size=64k")
    err = refused("train", *tiny, f"runs={disk}")
    assert "MiB free and the checkpoints of this run need" in err and "runs=PATH" in err
    assert not list(disk.rglob("*.ckpt")) and not list(disk.rglob("*.tmp"))


@pytest.mark.slow
def test_disk_that_fills_up(transgan_process, tiny, mount, tmp_path):
    disk = mount("size=12m")
    process = transgan_process.start(
        "train", *tiny, f"runs={disk}", "kimg=1000", "checkpoint_every=0.32", "log_every=0.32", cwd=tmp_path,
        errors=subprocess.PIPE,
    )  # fmt: skip
    killer = threading.Timer(120, process.kill)
    killer.start()
    for line in process.stdout:
        if line.startswith("kimg") and list(disk.rglob("last.ckpt")):
            break
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                pass
        except OSError:
            pass
    _, err = process.communicate()
    killer.cancel()
    assert process.returncode == 2, err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert "No space left on device" in err and str(disk) in err
    assert "the same command continues from" in err and "runs=PATH on another disk" in err
    assert not list(disk.rglob("*.tmp"))
    assert checkpoint.read(disk / "digits" / "checkpoints" / "last.ckpt")["images_seen"] > 0


def test_disk_that_may_only_be_read(refused, tiny, mount):
    disk = mount("ro,size=1m")
    err = refused("train", *tiny, f"runs={disk}")
    assert str(disk) in err and "Read-only file system" in err and "runs=PATH" in err


def test_no_permission(refused, tiny, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; see test_disk_that_may_only_be_read")
    (tmp_path / "closed").mkdir(mode=0o500)
    err = refused("train", *tiny, "runs=closed")
    assert "closed" in err and "Permission denied" in err


# The same in processes of their own.


@pytest.mark.slow
def test_exit_codes_of_real_processes(transgan_process, tmp_path):
    for words in (["train", "kimgs=3"], ["evaluate", "runs/none"], ["sample", "runs/none"]):
        done = transgan_process(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stdout == "" and done.stderr.startswith("transgan: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
