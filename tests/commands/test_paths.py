"""Names may hold any character that a file system takes."""

import shutil

import pytest

from transgan.config.compose import compose

NAMES = [
    "two words", "[b]", "(p)", "a=b", "#1", "it's", 'say "x"', "a,b", "${x}", "Bücher 图片", "{c}", "a:b;c", "100%",
    "a\\b", "~tilde",
]  # fmt: skip
TOGETHER = [
    "it's [1], (a) #2",
    'say "x";y',
    "${x} Bücher 图片 {c}",
    "~a\\b:c 100%",
]  # the same characters, with fewer runs
WAYS = {
    "the argument": lambda path: [path],
    "a key": lambda path: ["experiment=folder", f"data.path={path}"],
    "an option": lambda path: ["--experiment=folder", f"--data.path={path}"],
    "a key of a zip": lambda path: ["experiment=folder", "data=zip", f"data.path={path}"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_taken_as_it_is(tmp_path, name, way):
    (tmp_path / name).mkdir()
    assert compose("train", WAYS[way](f"{tmp_path}/{name}")).data.path == f"{tmp_path}/{name}"


@pytest.mark.parametrize(
    "name, way", list(zip([*TOGETHER, "a=b"], ["the argument", "a key", "an option"] * 2, strict=False))
)
def test_folder(inside, pictures, tiny_folder, tmp_path, name, way):
    pictures(tmp_path / name / "in")
    code, out, err = inside("train", *WAYS[way](f"{tmp_path}/{name}/in"), *tiny_folder, "kimg=0.032", "--name=it")
    assert code == 0, err
    assert "16 images" in out and "2 classes (a 8, b 8)" in out


def test_relative_folder_with_an_equal_sign_needs_a_path(inside, pictures, tiny_folder, tmp_path):
    """What looks like key=value is one; ./ tells that it is a path."""
    pictures(tmp_path / "a=b")
    assert inside("train", "a=b", *tiny_folder, "kimg=0.032")[0] == 2
    code, out, err = inside("train", "./a=b", *tiny_folder, "kimg=0.032")
    assert code == 0, err


@pytest.mark.parametrize(
    "name, way", list(zip([*TOGETHER, "a=b"], ["the argument", "a key of a zip"] * 3, strict=False))
)
def test_zip(inside, pictures, tiny_folder, tmp_path, name, way):
    pictures(tmp_path / "in" / "it's [1], 図")
    archive = shutil.make_archive(str(tmp_path / name), "zip", tmp_path / "in")
    code, out, err = inside("train", *WAYS[way](archive), *tiny_folder, "kimg=0.032")
    assert code == 0, err
    assert "16 images" in out


@pytest.mark.parametrize("name", TOGETHER)
def test_run(inside, pictures, tiny_folder, tmp_path, name):
    """A run with such a name, from such a folder: trained, continued, repeated, evaluated, drawn from."""
    pictures(tmp_path / name, count=4)
    words = [name, *tiny_folder, "kimg=0.032", "batch_size=16", f"name={name}", f"runs={name} runs"]
    run = f"{name} runs/{name}"
    code, out, err = inside("train", *words)
    assert code == 0, err
    code, out, err = inside("train", *words)
    assert code == 0 and "is finished" in out, err
    code, out, err = inside("train", *words, "kimg=0.048")
    assert code == 0 and "from 0.032" in out, err
    code, out, err = inside("train", f"config={run}/config.yaml", "name=again", f"runs={name} runs")
    assert code == 0, err
    code, out, err = inside("train", *words, "name=after", f"init_from={run}")
    assert code == 0 and "start   from the weights of" in out, err

    code, out, err = inside("evaluate", run, "metrics=fast", "extractor=classifier", "extractor.steps=2", "device=cpu")
    assert code == 0 and "fd_classifier" in out, err
    assert (tmp_path / run / "metrics.jsonl").read_text().count("\n") == 1
    code, out, err = inside("sample", f"run={run}", "to=grid", f"out={name} out/{name}.png", "seeds=0-3", "device=cpu")
    assert code == 0, err
    assert f"{run}/checkpoints/last.ckpt (" in out and f"{name} out/{name}.png\nspeed   " in out
    assert (tmp_path / f"{name} out" / f"{name}.png").exists()


def test_run_with_an_equal_sign_in_a_parent(inside, tiny, tmp_path):
    code, out, err = inside("train", *tiny, "kimg=0.032", "runs=lr=3/runs")
    assert code == 0, err
    code, out, err = inside("sample", "run=lr=3/runs/digits", "seeds=1", "device=cpu")
    assert code == 0, err
    assert (tmp_path / "lr=3/runs/digits/generated/seed00000001-0.032kimg.png").exists()


def test_class_names(inside, pictures, tiny_folder, tmp_path):
    pictures(tmp_path / "mine", classes=["it's", "a,b", "[c]", "d=e", "图", "7"], count=4)
    code, out, err = inside("train", "mine", *tiny_folder, "kimg=0.032")
    assert code == 0, err
    for name in ("it's", "a,b", "[c]", "d=e", "图", "7"):
        code, out, err = inside("sample", "runs/folder", f"class={name}", "seeds=0", "device=cpu")
        assert code == 0, err


@pytest.mark.slow
def test_in_a_process_of_its_own(transgan_process, pictures, tiny_folder, tmp_path):
    name = "it's [1], (a) #2 ${x} é"
    pictures(tmp_path / name)
    done = transgan_process("train", name, *tiny_folder, f"name={name}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = transgan_process("sample", f"runs/{name}", "to=npz", "seeds=0-3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / name / "generated-0.64kimg-seeds0-3.npz").exists()
