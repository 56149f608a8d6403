"""What a Hydra user types: its syntax of overrides, its options, and its search path."""

import shutil
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from transgan import extensions
from transgan.config.command_line import quoted, split
from transgan.config.compose import compose
from transgan.config.flags import Flags, separate
from transgan.config.types import parsed
from transgan.errors import UserError

PROJECT = Path(__file__).parents[1] / "own_project"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder is a project with classes and configurations of its own."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(inside, *arguments):
    """What --cfg prints, as a mapping."""
    code, out, err = inside(*arguments)
    assert code == 0, err
    return yaml.safe_load(out)


# Overrides.


@pytest.mark.parametrize(
    "arguments, key, value",
    [
        (["~algorithm.clip"], "algorithm.clip", None),
        (["~generator.mlp_ratio"], "generator.mlp_ratio", None),
        (["~logger"], "logger", None),
        (["logger=null"], "logger", None),
        (["~experiment", "batch_size=8"], "threads", None),
        (["+generator.transformer.drop_path=0.5"], "generator.transformer.drop_path", 0.5),
        (["++generator.transformer.drop_path=0.5"], "generator.transformer.drop_path", 0.5),
        (["++kimg=3"], "kimg", 3.0),
        (["+optimizer@second=adam"], "second._target_", "torch.optim.Adam"),
        (["+optimizer@algorithm.second=adam", "algorithm.second.eps=0.1"], "algorithm.second.eps", 0.1),
        (["name='a b'"], "name", "a b"),
        (['name="it\'s"'], "name", "it's"),
        (["name=a,b"], "name", "a,b"),
        (["generator.dim=[16, 8]"], "generator.dim", [16, 8]),
        (["algorithm.gamma={start: 3}"], "algorithm.gamma.start", 3.0),
        (["callbacks=[default,none]"], "callbacks.samples._target_", "transgan.callbacks.Samples"),
        (["~callbacks.samples"], "callbacks.samples", None),
        (["hydra.run.dir=out/first"], "runs", "out"),
        (["hydra.run.dir=out/first"], "name", "first"),
        (["hydra.run.dir=out/s${seed}", "seed=3"], "name", "s3"),
        (["hydra.run.dir=out/${hydra.job.name}"], "name", "transgan"),
        (["hydra.job.name=mine", "hydra.run.dir=${hydra.job.name}"], "name", "mine"),
    ],
)
def test_overrides_in_hydras_syntax(arguments, key, value):
    found = OmegaConf.select(compose("train", arguments), key)
    assert (OmegaConf.to_container(found) if OmegaConf.is_config(found) else found) == value


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["~kimg"], "~kimg: transgan train needs it; give it another value, kimg=VALUE"),
        (["~kimgs"], "~kimgs is not an option; did you mean kimg?"),
        (["~algorithm.clip=3"], "~algorithm.clip=3: its value is "),
        (["~algorithm._target_"], "transgan train needs it"),
        (["~data"], "~data: transgan train needs one; choose another data="),
        (["~generator"], "~generator: transgan train needs one; choose another generator="),
        (["seed=1,2"], "seed=1,2: it takes a whole number, 0 to 9,223,372,036,854,775,807; with -m there is one run"),
        (["kimg=range(1,3)"], "; with -m there is one run for each of them"),
        (["+logger=none"], "+logger=none: there is a choice of logger already; logger=[tensorboard,none] adds one"),
        (["optimizer@second=adam"], "Could not override 'optimizer@second'"),
        (
            ["optimizr@second=adam"],
            "optimizr is not a group, and only a group's choice has a package; did you mean opt",
        ),
        (["generator=[vitgan,vit]"], "generator=vit: there is no such generator; did you mean vitgan?"),
        (["generator.widht=3"], "(+generator.widht=3 gives its class a new argument)"),
        (["hydra.rum.dir=x"], "hydra.rum.dir is not an option; did you mean hydra.run.dir?"),
        (["hydra.run.dir=x", "name=y"], "hydra.run.dir=x and name=y both say where the run is kept"),
        (["hydra.run.dir=a/b=c"], "hydra.run.dir=a/b=c: "),
        (["hydra.sweep.dir=x"], "hydra.sweep.dir=x: it is for several runs; add -m"),
        (["hydra/launcher=basic"], "hydra/launcher=basic: it is for several runs; add -m"),
        (["hydra.job.chdir=true"], "hydra.job.chdir=true: leave it out: paths are relative to the folder"),
        (["hydra.verbose=true"], "hydra.verbose=true: give debug=true"),
        (["hydra.output_subdir=x"], "a run keeps its configuration and its log itself"),
        (["hydra.searchpath=mine"], "hydra.searchpath=mine: it takes a list of folders and packages"),
        (["hydra.searchpath=[file://nowhere]"], "hydra.searchpath: file://nowhere: there is no such folder"),
        (["hydra.searchpath=[pkg://nowhere.conf]"], "there is no package nowhere.conf here"),
        (["--config-dir", "nowhere"], "--config-dir nowhere: there is no such folder"),
        (["--config-dir"], "--config-dir needs a value after it, such as --config-dir conf"),
        (["-cn", "nowhere"], "has a nowhere.yaml; there are: compare, data_check, data_prepare, evaluate"),
        (["--cfg=jobs"], "--cfg=jobs: --cfg takes job, hydra or all"),
        (["--cfg", "-p", "generators"], "--package generators: there is no such package; there are: "),
        (["-m", "--run"], "--run and --multirun contradict each other"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(refused, arguments, sentence):
    assert sentence in refused("train", *arguments)


def test_a_run_folder_of_another_command(refused):
    assert "hydra.run.dir=x: transgan evaluate makes no run" in refused("evaluate", "runs/a", "hydra.run.dir=x")


@pytest.mark.parametrize("text", ["a b", "it's", "a\\", "\\'", "\\\\''\\", "", "[1", "${x", 'a"b', "a=b,c", "null"])
def test_any_text_can_be_quoted(text):
    assert parsed(quoted(text)) == text


def test_lightnings_checkpoint_in_the_current_folder_is_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "epoch=0-step=4.ckpt"
    assert split("sample", [name], []).values == [("epoch", "0-step=4.ckpt")]  # there is no such file
    Path(name).touch()
    assert split("sample", [name], []).values == [("run", name)]


def test_images_below_the_home_folder_are_no_deletion(tmp_path, monkeypatch, inside):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "images").mkdir()
    assert compose("train", ["~/images"]).data.path == "~/images"
    assert compose("train", ["data.path=~/images", "data=folder"]).data.path == "~/images"


# Options.


def test_options_are_found_anywhere_among_the_overrides():
    assert separate(["a=1", "--cfg", "b=2", "-p", "generator", "--resolve"]) == (
        Flags(cfg="job", package="generator", resolve=True),
        ["a=1", "b=2"],
    )
    assert separate(["--cfg", "all", "-cd", "x=y", "--config-name=z"]) == (
        Flags(cfg="all"),
        ["--config-dir=x=y", "--config-name=z"],
    )
    assert separate(["--info", "a=1"]) == (Flags(info="all"), ["a=1"])
    assert separate(["-i", "searchpath", "-h", "--hydra-help", "-r"]) == (
        Flags(info="searchpath", help=True, hydra_help=True, run=True),
        [],
    )
    assert separate(["hydra.mode=MULTIRUN", "a=1,2"]) == separate(["a=1,2", "-m"]) == (Flags(multirun=True), ["a=1,2"])
    assert separate(["--kimg=3", "-x"])[1] == ["--kimg=3", "-x"]


def test_cfg_prints_what_hydra_prints(inside):
    job = shown(inside, "train", "--cfg", "job", "kimg=3")
    assert job == shown(inside, "train", "--cfg", "kimg=3") and job["kimg"] == 3 and "hydra" not in job
    assert job["generator"]["img_size"] == "${resolution}"
    assert shown(inside, "train", "--cfg", "--resolve")["generator"]["img_size"] == 8
    hydra = shown(inside, "train", "-c", "hydra", "kimg=3")
    assert list(hydra) == ["hydra"] and hydra["hydra"]["run"]["dir"] == "${runs}/${name}"
    assert hydra["hydra"]["overrides"]["task"] == ["kimg=3"] and hydra["hydra"]["job"]["override_dirname"] == "kimg=3"
    assert shown(inside, "train", "--cfg", "all", "kimg=3").keys() == {"hydra", *job}
    assert shown(inside, "train", "--cfg", "--package", "generator") == job["generator"]
    assert inside("train", "--cfg", "-p", "generator")[1].startswith("# @package generator\n")
    assert shown(inside, "train", "--cfg", "hydra", "--resolve", "-p", "hydra.run", "name=a") == {"dir": "runs/a"}
    assert inside("train", "--cfg", "-p", "kimg")[1] == "30.0\n"


@pytest.mark.parametrize(
    "kind, found",
    [
        ("searchpath", ["| main "]), ("defaults", ["Defaults List", "experiment/digits"]), ("plugins", ["ConfigSource"]),
        ("defaults-tree", ["Defaults Tree", "generator: vitgan"]), ("config", ["Config search path", "name: a b"]),
        ("all", ["Installed Hydra Plugins", "Defaults Tree", "name: a b"]),
    ],
)  # fmt: skip
def test_info_is_hydras_report(inside, kind, found):
    code, out, err = inside("train", "--info", kind, "name=a b", "generator=vitgan")
    assert code == 0, err
    assert all(each in out + err for each in found)


def test_info_answers_mistakes_first(refused):
    assert "did you mean kimg?" in refused("train", "--info", "defaults", "kimgs=3")


def test_hydra_help(inside):
    code, out, _ = inside("train", "--hydra-help")
    assert code == 0 and "--multirun" in out and "hydra/launcher" in out


@pytest.mark.parametrize("how", [["-m"], ["--multirun"], ["hydra.mode=MULTIRUN"]])
def test_several_runs_are_handed_over(inside, monkeypatch, how):
    called = []
    monkeypatch.setattr("transgan.sweep.main", lambda *arguments: called.append(arguments) or 0)
    assert inside("train", "seed=1,2", *how, "-cd", extensions.CONF)[0] == 0
    assert called == [("train", ["seed=1,2", f"--config-dir={extensions.CONF}"], Flags(multirun=True))]


# Where configurations are found.

OWN = ["experiment=mine", "generator=mine", "loss=mine", "data=mine", "metrics=mine", "callbacks=[default,mine]"]


def assert_own(arguments=()):
    for each in OWN:
        compose("train", [*arguments, each])
    config = compose("train", [*arguments, "experiment=mine"])
    assert config.generator._target_ == "my_generator.TwoLayers" and config.generator.width == 16
    assert config.callbacks.count_steps._target_ == "my_callback.CountSteps"


def test_conf_in_the_current_folder(project):
    assert_own()


@pytest.mark.parametrize(
    "how", [["--config-dir", "mine"], ["-cd=mine"], ["hydra.searchpath=[mine]"], ["hydra.searchpath=[file://mine]"],
            ["hydra.searchpath=[pkg://mine]"]],
)  # fmt: skip
def test_other_folders(project, monkeypatch, how):
    (project / "conf").rename(project / "mine")
    monkeypatch.syspath_prepend(project)
    assert_own(how)
    with pytest.raises(UserError, match="generator=mine: there is no such generator"):
        compose("train", ["generator=mine"])


def test_a_main_configuration_of_ones_own(project):
    text = "defaults: [train, _self_, {override generator: mine}]\nkimg: 7.0\nhydra: {run: {dir: 'out/${name}'}}\n"
    (project / "conf" / "first.yaml").write_text(text)
    for how in (["--config-name", "first"], ["-cn=first.yaml"], ["-cp", "conf", "-cn", "first"]):
        config = compose("train", [*how, "seed=3"])
        assert (config.kimg, config.seed, config.generator._target_) == (7.0, 3, "my_generator.TwoLayers")
    (project / "conf" / "first.yaml").rename(project / "conf" / "train.yaml")
    assert compose("train", []).kimg == 30  # nobody has asked for it


def test_a_part_of_ones_own_is_as_its_file_says(project):
    """An experiment of the package sets the width of its own generator, and not of another."""
    (project / "conf" / "generator" / "mine.yaml").write_text("_target_: my_generator.TwoLayers\ndim: 24\n")
    assert dict(compose("train", ["generator=mine"]).generator) == {"_target_": "my_generator.TwoLayers", "dim": 24}


def test_a_name_that_the_package_has_too(project, refused):
    path = project / "conf" / "generator" / "vitgan.yaml"
    shutil.copy(extensions.CONF / "generator" / "vitgan.yaml", path)
    compose("train", ["generator=vitgan"])
    path.write_text("_target_: my_generator.TwoLayers\n")
    err = refused("train", "generator=vitgan")
    assert f"generator=vitgan: {path} is not the package's own file of this name; rename it" in err
    config = compose("train", ["generator=vitgan", "--config-path", "conf"])
    assert config.generator._target_ == "my_generator.TwoLayers"


def test_groups_of_ones_own(project, refused):
    (project / "conf" / "model").mkdir()
    (project / "conf" / "model" / "small.yaml").write_text("width: 3\n")
    assert compose("train", ["+model=small", "model.width=4"]).model.width == 4
    assert "transgan train has no model; +model=small adds it" in refused("train", "model=small")


def test_ones_own_choices_are_offered(project, inside, refused):
    out = inside("train", "--help")[1]
    assert (
        "generator=dcgan|from_flow|from_gpt|hybrid|hybrid_large|hybrid_medium|hybrid_small|mine|" in out
        and "  data=" in out
    )
    assert "generator=mien: there is no such generator; did you mean mine?" in refused("train", "generator=mien")
    assert f"file://{project}/conf" in inside("train", "--info", "searchpath")[1]


@pytest.mark.parametrize(
    "argument, sentence",
    [
        ("generator.widht=3", "generator.widht is not an option; did you mean generator.width?"),
        ("generator.width=wide", "generator.width=wide: TwoLayers takes int there"),
        ("loss.scale=[1]", "loss.scale=[1]: Distance takes float there"),
        ("+generator.depht=3", "generator.depht: TwoLayers takes no depht; it takes img_size, in_chans"),
    ],
)
def test_arguments_of_ones_own_classes(project, refused, tiny, argument, sentence):
    assert sentence in refused("train", "experiment=mine", "trainer=cpu", argument)


def test_a_plugin_needs_no_environment_variable(tmp_path, monkeypatch, inside):
    """Installed packages with an entry point are on the search path, and trusted."""
    package = tmp_path / "site" / "a_plugin"
    (package / "conf" / "loss").mkdir(parents=True)
    (package / "__init__.py").write_text("from transgan.losses import Hinge\nclass Mine(Hinge): pass\n")
    (package / "conf" / "loss" / "plugged.yaml").write_text("_target_: a_plugin.Mine\n")
    described = tmp_path / "site" / "a_plugin-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[transgan.plugins]\nmine = a_plugin\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    extensions.plugins.cache_clear()
    try:
        assert compose("train", ["loss=plugged"]).loss._target_ == "a_plugin.Mine"
        assert "| plugin a_plugin " in inside("train", "--info", "searchpath")[1]
        assert "a_plugin" in extensions.named()
        assert "plugged" in inside("train", "--help")[1]
    finally:
        extensions.plugins.cache_clear()
