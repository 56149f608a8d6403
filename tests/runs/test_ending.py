"""Whatever ends a fit: what can be saved is saved, and the sentence says what happened, what is kept, and the way out.
One that is done says how good it is and what comes next."""

import errno
import json
import os
import re
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from transgan import files
from transgan.errors import is_out_of_memory
from transgan.runs import ending, stopping
from transgan.runs.proposals import measuring
from transgan.sampling import LatentSampler
from transgan.training.adversarial import Adversarial
from transgan.training.microbatches import MicroBatches

# What disks answer: full ones, forbidden ones, those that are gone, and some that nobody has thought of.
WRITING = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO, errno.ENOTCONN, errno.ESTALE,
           errno.ETIMEDOUT, errno.ENODEV, errno.EBADF, errno.ENXIO]  # fmt: skip


@pytest.fixture
def words(tiny):
    return ["train", *tiny, "data.limit=100", "kimg=0.256", "log_every=0.064", "checkpoint_every=0.064"]


def seen_of(run) -> int | None:
    path = run / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["images_seen"] if path.exists() else None


def assert_true(err: str, run) -> str:
    """One sentence, and what it says of the checkpoint is so."""
    assert err.count("\n") == 1 and "Traceback" not in err, err
    seen = seen_of(run)
    if seen is None:
        assert "nothing was saved yet; the same command begins anew" in err and "continues from" not in err
    else:
        assert f"the same command continues from runs/{run.name}/checkpoints/last.ckpt at {seen / 1000:g} kimg" in err
    return err


@pytest.mark.parametrize("number", WRITING, ids=errno.errorcode.get)
@pytest.mark.parametrize("place, saved", [("last.ckpt", None), ("stats.csv", None), ("stats.csv later", 128)])
def test_a_disk_that_fails(number, place, saved, inside, words, monkeypatch, tmp_path):
    name, late = place.split()[0], place != place.split()[0]
    calls = {"count": 0}

    def failing(real):
        def write(path, *arguments):
            if os.path.basename(path) == name:
                calls["count"] += 1
                if not late or calls["count"] == 4:
                    raise OSError(number, os.strerror(number), str(path))
            return real(path, *arguments)

        return write

    monkeypatch.setattr(files, "replacing", failing(files.replacing))
    monkeypatch.setattr("transgan.files.append_text", failing(files.append_text))
    code, out, err = inside(*words)
    run = tmp_path / "runs" / "digits"
    assert code == 2 and os.strerror(number) in err and name in err and seen_of(run) == saved
    assert re.search(r"training stopped at 0\.\d+ kimg: .*; .*; ", assert_true(err, run)), "a way out"
    assert not list(run.rglob("*.tmp"))


def out_of_memory_errors():
    return [
        MemoryError("Unable to allocate 3.00 GiB for an array"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of ..."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
                     "to allocate 1228800000 bytes. Error code 12 (Cannot allocate memory)"),
        RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. "),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ]  # fmt: skip


@pytest.mark.parametrize("error", out_of_memory_errors(), ids=lambda error: f"{type(error).__name__} {str(error)[:12]}")
@pytest.mark.parametrize("saved", [None, 128])
def test_out_of_memory(error, saved, inside, words, monkeypatch, tmp_path):
    real = Adversarial.training_step

    def step(self, *arguments):
        if self.images_seen == (saved or 0):
            raise error
        return real(self, *arguments)

    monkeypatch.setattr(Adversarial, "training_step", step)
    code, out, err = inside(*words)
    run = tmp_path / "runs" / "digits"
    assert code == 2 and seen_of(run) == saved
    assert re.search(r"out of memory, after a peak of [\d,]+ MiB of the process", assert_true(err, run))
    for way in (
        "with micro_batch=16 or less (32 images went through the networks at once), ",
        "generator.transformer.checkpointing=true",
        "precision=bf16-mixed",
    ):
        assert way in err
    assert "data.in_memory" not in err and "batch_size=" not in err


@pytest.mark.parametrize("size, obstacle, way", [
    (None, None, "micro_batch=15 or less (30 images went through the networks at once)"),
    (9, None, "micro_batch=4 or less (9 images"), (1, None, "smaller networks or a lower resolution= (images went"),
    (None, "the loss is one of all", "a smaller batch_size= (it is 30)"),
])  # fmt: skip
def test_the_way_out_of_a_lack_of_memory_is_one_that_the_algorithm_has(size, obstacle, way):
    config = OmegaConf.create({"batch_size": 30, "precision": "bf16-mixed", "data": {}})
    module = SimpleNamespace(parts=MicroBatches(size))
    module.parts.obstacle = lambda: obstacle
    assert f"it needs less with {way}" in stopping.out_of_memory(config, module=module)
    assert "a smaller batch_size= (it is 30)" in stopping.out_of_memory(config, began=False)


def test_a_run_with_memory_for_eight_images_at_once_makes_the_same(inside, words, monkeypatch, tmp_path):
    """Grids, evaluations and health are in parts, without a word; with memory for none they are left out."""
    more = ["metrics=fast", "extractor=pixels", "metrics.num_samples=20", "evaluate_every=0.128", "evaluate_share=1",
            "sample_every=0.128", "grid=16"]  # fmt: skip
    words = [word for word in words if not word.startswith("metrics")] + more
    real, most = LatentSampler.images, 64

    def limited(self, seeds, *arguments):
        if len(seeds) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return real(self, seeds, *arguments)

    monkeypatch.setattr(LatentSampler, "images", limited)
    monkeypatch.setattr("transgan.at_once.give_back", lambda: None)  # it takes its time amid all tests
    found = {}
    for most in (64, 8, 4):
        code, out, err = inside(*words, f"name=most{most}")
        run = tmp_path / "runs" / f"most{most}"
        assert code == 0 and seen_of(run) == 256, err
        grids = {path.name: Image.open(path).tobytes() for path in (run / "samples").glob("0*.png")}
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        found[most] = grids, [line["metrics"]["fd_pixels"] for line in lines if "flags" in line["protocol"]]
    assert found[8] == found[64] and len(found[8][0]) >= 2
    assert not found[4][0] and set(found[4][1]) == {None}


@pytest.mark.parametrize("words, way", [
    (["train", "kimg=0.032"], "batch_size="), (["train", "kimg=0.032", "precision=bf16-mixed"], "batch_size="),
])  # fmt: skip
def test_out_of_memory_while_setting_up(words, way, inside, tiny, monkeypatch, tmp_path):
    def too_large(*arguments):
        raise MemoryError("Unable to allocate 300 GiB")

    monkeypatch.setattr("transgan.runs.training.training_data", too_large)
    code, out, err = inside(words[0], *tiny, *words[1:])
    assert code == 2 and err.startswith("transgan: out of memory") and way in err and err.count("\n") == 1
    assert ("precision=bf16-mixed" in err) == (len(words) == 2)


def test_a_wrapped_error_is_out_of_memory_too():
    try:
        try:
            raise MemoryError("no")
        except MemoryError as error:
            raise RuntimeError("in a callback") from error
    except RuntimeError as error:
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes do not match")) and not is_out_of_memory(None)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_goes_while_training(workers, inside, tiny_folder, pictures, tmp_path, monkeypatch):
    """It is noticed between two steps: everything until there is saved, and goes on once the picture is back."""
    folder = pictures(tmp_path / "p")
    words = [
        "train", folder, *tiny_folder, "data.in_memory=false", "kimg=0.64", "checkpoint_every=100", "log_every=0.032",
        f"num_workers={workers}", "batch_size=16",
    ]  # fmt: skip
    picture = folder / "a" / "3.png"
    content, real = picture.read_bytes(), Adversarial.training_step

    def step(self, *arguments):
        if self.images_seen == 160:
            picture.unlink()
        return real(self, *arguments)

    monkeypatch.setattr(Adversarial, "training_step", step)
    code, out, err = inside(*words)
    monkeypatch.setattr(Adversarial, "training_step", real)
    run = tmp_path / "runs" / "folder"
    assert code == 2 and "a/3.png in" in assert_true(err, run) and seen_of(run) >= 176
    picture.write_bytes(content)
    os.utime(picture, (0, 0))
    code, out, err = inside(*words)
    assert code == 0 and ", from " in out, err


class Gone:
    """A standard output whose reader goes after some lines."""

    def __init__(self, real, lines, error):
        self.real, self.left, self.error = real, lines, error

    def write(self, text):
        self.left -= text.count("\n")
        if self.left < 0:
            raise self.error
        return len(text)

    def __getattr__(self, name):
        return getattr(self.real, name)


@pytest.mark.parametrize("error, why", [
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), "nobody reads the output any more"),
    (OSError(errno.EIO, "Input/output error"), "Input/output error"),               # a terminal that was closed
    (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),  # > FILE, on a full disk
    (ValueError("I/O operation on closed file"), "closed file"),
])  # fmt: skip
@pytest.mark.parametrize("lines", [0, 3])
def test_a_reader_of_the_output_that_goes(error, why, lines, inside, words, monkeypatch, tmp_path, capsys):
    import transgan.runs.folder as module
    from transgan.runs.output import bearing

    monkeypatch.setattr(module, "bearing", lambda stream: stopped_output(stream, lines, error))
    code, out, err = inside(*words)
    run = tmp_path / "runs" / "digits"
    seen = seen_of(run)
    assert code == 141 and why in err and f"stopped at {seen / 1000:g} kimg and saved" in err and err.count("\n") == 1
    assert 0 < seen < 256
    monkeypatch.setattr(module, "bearing", bearing)
    code, out, err = inside(*words)
    assert code == 0 and f"from {seen / 1000:g}" in out, err


def stopped_output(stream, lines, error):
    from transgan.runs.output import Output

    output = Output(Gone(stream, lines, error))
    output.stream.fileno = lambda: -1  # pytest's own output is not to be silenced
    return output


def test_a_fault_of_ours_is_reported_as_one(inside, words, monkeypatch, tmp_path):
    def step(self, *arguments):
        raise KeyError("a bug")

    monkeypatch.setattr(Adversarial, "training_step", step)
    with pytest.raises(KeyError, match="a bug"):
        inside(*words)


@pytest.mark.parametrize("value, bounds, said", [
    (0.25, {"floor": 0.02, "ceiling": 5.1}, "; real images against each other 0.02, untrained 5.1: 95.5 % of the way, "
                                            "12 times the real ones' own"),
    (0.0201, {"floor": 0.02, "ceiling": 500}, "; real images against each other 0.02, untrained 500: 99.9 % of the way, "
                                              "1 times the real ones' own"),
    (3.3, {"floor": 0.02, "ceiling": 5.1}, "; real images against each other 0.02, untrained 5.1: 35.4 % of the way, "
                                           "165 times the real ones' own"),
    (0.02, {"floor": 0.02, "ceiling": 5.1}, "; real images against each other 0.02, untrained 5.1: no farther from real "
                                            "images than these from each other"),
    (84, {"floor": 112, "ceiling": 96.4, "floor_num": 8}, "; real images against each other 112 (8 of them), untrained "
                                                          "96.4: too few real images to say how near"),
    (256, {"floor": 259, "ceiling": 330, "floor_num": 15}, "; real images against each other 259 (15 of them), untrained "
                                                           "330: too few real images to say how near"),
    (6, {"floor": 0.02, "ceiling": 5.1}, "; real images against each other 0.02, untrained 5.1: no nearer to real images "
                                         "than untrained"),
    (6, {"floor": 0.02}, "; real images against each other 0.02"), (6, {}, ""),
    (0.4, {"floor": 0.02, "begun": 0.6}, "; real images against each other 0.02, as it began 0.6"),
    (1, {"floor": 0.0, "ceiling": 2}, "; real images against each other 0, untrained 2: 50 % of the way"),
])  # fmt: skip
def test_how_good_it_is_in_words(value, bounds, said):
    assert ending.place(value, bounds) == said


@pytest.mark.parametrize("target, classes, more", [
    ("Classifier", True, []), ("Classifier", False, ["extractor=masked"]), ("Inception", True, ["extractor=masked"]),
    ("Masked", False, []), ("Pixels", False, []), ("EfficientNetLite0", False, []), ("DINOv2", True, ["extractor=masked"]),
])  # fmt: skip
def test_a_run_without_an_evaluation_is_measured_by_what_needs_no_weights(target, classes, more):
    config = {"extractor": {"_target_": f"transgan.metrics.extractors.{target}"}, "metrics": {}}
    assert measuring(config, classes) == ["metrics=fast", *more]
    assert measuring(config | {"metrics": {"extractor": 1}}, classes) == []


@pytest.mark.parametrize("at_start, share, known", [(True, 0.0, True), (False, 1.0, True), (False, 0.0, False)])
def test_the_ceiling_is_measured_where_it_is_known_or_cheap(
    at_start, share, known, inside, tiny, monkeypatch, tmp_path
):
    monkeypatch.setattr(ending, "CHEAP", share)
    code, out, err = inside(
        "train", *tiny, "metrics=fast", "extractor=pixels", "metrics.num_samples=20", "data.limit=100", "kimg=0.064",
        "log_every=0.064", "evaluate_every=0.064", f"evaluate_at_start={at_start}", "runs=my runs", "explain=true",
    )  # fmt: skip
    assert code == 0, err
    done, good, *explained, following = out.splitlines()[-2 - out.count("explain ") - 1 :]
    assert re.fullmatch(r"done    0.064 kimg in 0m\d\ds; look at my runs/digits/samples/000000_064.png", done)
    assert good.startswith("good    fd_pixels ") and "; real images against each other " in good
    assert ("untrained" in good) == known
    assert len(explained) > 3 and explained[0].startswith("explain fd_pixels ")
    assert (" and the ceiling is " in explained[0]) == known
    places = "'my runs/digits'"
    assert following == (
        f"next    transgan sample {places} to=grid · transgan evaluate {places} · transgan report {places}"
    )
