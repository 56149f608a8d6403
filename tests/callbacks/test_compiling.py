"""When compiling pays, what is said of it, and what is remembered."""

import os
from types import SimpleNamespace

import pytest
import torch

from transgan.callbacks import Compiling, Session
from transgan.callbacks.compiling import STEPS, WARM
from transgan.errors import UserError


class Module:
    networks, objectives = ("network",), ("objective",)
    network = torch.nn.Linear(2, 2)
    device = torch.device("cpu")
    images_in_step = 10

    def __init__(self):
        self.images_seen, self.compiled = 0, []

    def compile_objectives(self, backend):
        self.compiled.append(backend)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Steps of a run of `kimg`: their seconds, of which the first compiled ones are given."""
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # to be as before in the end
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr(torch, "compile", lambda function, backend: function)

    def begin(backend, kimg, eager=0.1, compiled=0.04, compiling=30.0, steps=40, module=None, described="it"):
        said, module = [], module or Module()
        console = SimpleNamespace(print=said.append)
        session = Session(tmp_path, kimg, console=console)
        strategy = SimpleNamespace(broadcast=lambda value: value, reduce_boolean_decision=lambda value, all: value)
        trainer = SimpleNamespace(callbacks=[session], strategy=strategy)
        callback = Compiling(backend, described)
        callback.setup(trainer, module, "fit")
        callback.on_train_start(trainer, module)
        since = 0 if backend == "inductor" else None
        for step in range(steps):
            since = step if since is None and module.compiled else since
            seconds = eager if since is None else compiling if step == since else compiled
            session.clock.training += seconds
            module.images_seen += module.images_in_step
            callback.on_train_batch_end(trainer, module, None, None, step)
        return said, module

    return begin


def test_auto_compiles_a_long_run_and_remembers(run):
    said, module = run("auto", kimg=100)
    assert module.compiled == ["inductor"]
    assert said == [
        "compile inductor: 9,988 steps of 0.1 s are 17 minutes, or 13 minutes with 5 s to compile",
        "compile a step takes 0.04 s now, 0.40 of before",
    ]
    said, _ = run("auto", kimg=100)  # what it took, a share of it as the kernels are kept, and what it brought
    assert said[0] == "compile inductor: 9,988 steps of 0.1 s are 17 minutes, or 7 minutes with 3 s to compile"
    said, _ = run("auto", kimg=100, compiling=2.0)
    said, _ = run("auto", kimg=100)
    assert said[0].endswith("with 2 s to compile")
    said, _ = run("auto", kimg=100, described="another")
    assert said[0].endswith("with 5 s to compile")


def test_auto_leaves_a_short_run_alone(run):
    run("auto", kimg=100, compiling=1000.0)
    said, module = run("auto", kimg=2)
    assert not module.compiled
    assert said == ["compile not: 188 steps of 0.1 s are 19 s, or 2 minutes with 100 s to compile"]


def test_a_run_without_it_says_what_it_would_bring(run):
    said, module = run(None, kimg=100)
    assert not module.compiled
    assert said == [
        "compile 9,988 steps of 0.1 s are 17 minutes, or 13 minutes with 5 s to compile: compile=auto would"
    ]
    run("auto", kimg=100, compiling=1000.0)
    assert run(None, kimg=2)[0] == []


def test_a_backend_that_was_asked_for_is_announced_and_remembered(run):
    said, module = run("inductor", kimg=1)
    assert said == ["compile inductor, in about 5 s before the second step"] and not module.compiled
    said, _ = run("inductor", kimg=1)
    assert said == ["compile inductor, in about 3 s before the second step"]


def test_what_cannot_be_compiled_says_so(run):
    module = Module()
    module.objectives = ()
    assert run("auto", kimg=100, module=module)[0] == ["compile nothing of this algorithm is compiled"]
    module = Module()
    module.device = torch.device("mps")
    said, module = run("auto", kimg=100, module=module)
    assert said == ["compile compile=auto leaves the step as it is: nothing is known of mps"] and not module.compiled


def test_without_a_compiler_auto_leaves_the_step_as_it_is_and_a_backend_is_refused(run, monkeypatch):
    def compile(function, backend):
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nin a trace")

    monkeypatch.setattr(torch, "compile", compile)
    said, module = run("auto", kimg=100)
    assert not module.compiled
    assert len(said) == 1 and said[0].startswith("compile not: 9,988 steps of 0.1 s are 17 minutes, or 13 minutes with")
    assert "no step can be compiled on this machine: " in said[0] and "No working C++ compiler found" in said[0]
    assert run("auto", kimg=2)[0] == ["compile not: 188 steps of 0.1 s are 19 s, or 19 s with 5 s to compile"]
    with pytest.raises(UserError, match="compile=inductor does not work on this machine: .*; leave it out"):
        run("inductor", kimg=1)


def test_kernels_are_kept_in_the_cache_folder_and_a_file_that_is_broken_is_none(run, tmp_path, monkeypatch):
    run(None, kimg=1)
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
    run("auto", kimg=100)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "cache" / "inductor")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    (path,) = (tmp_path / "cache" / "compiled").glob("*.json")
    path.write_text("[1")
    assert run("auto", kimg=100)[0][0].endswith("with 5 s to compile")
    assert WARM < STEPS
