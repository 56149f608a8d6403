"""What keys take on the command line, what they do together, and what is said where an object cannot be made."""

import pytest
from omegaconf import OmegaConf

from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.runs import machine


@pytest.mark.parametrize(
    "words, key, value",
    [
        (["threads=null"], "threads", None), (["threads=2"], "threads", 2),
        (["trainer.devices=[1]"], "trainer.devices", [1]), (["trainer.devices=auto"], "trainer.devices", "auto"),
        (["trainer.devices=-1"], "trainer.devices", -1), (["+trainer.devices=2"], "trainer.devices", 2),
        (["trainer.deterministic=warn"], "trainer.deterministic", "warn"), (["trainer.strategy=ddp"], "trainer.strategy", "ddp"),
        (["experiment=folder", "data.path=x", "algorithm.clip=null"], "algorithm.clip", None),
        (["algorithm.clip=None"], "algorithm.clip", None), (["compile=None"], "compile", None),
        (["algorithm.beta2=null"], "algorithm.beta2", None), (["algorithm.gamma=3"], "algorithm.gamma", 3.0),
        (["algorithm.augment={_target_: transgan.schedules.Linear, start: 0, end: 1, kimg: 2}"], "algorithm.augment.end", 1),
        (["algorithm.gamma={_target_: transgan.schedules.Linear, start: 0, end: 1, kimg: 2}"], "algorithm.gamma",
         {"_target_": "transgan.schedules.Linear", "start": 0, "end": 1, "kimg": 2}),
        (["generator.window_size=[4]"], "generator.window_size", [4]), (["algorithm.gamma.kimg=${kimg}"], "algorithm.gamma.kimg", 30.0),
        (["resolution=${batch_size}"], "generator.img_size", 64), (["+generator.transformer.drop_path=0.5"], "generator.transformer.drop_path", 0.5),
        (["+trainer.max_time=00:00:01:00"], "trainer.max_time", "00:00:01:00"),
        (["discriminator.weight_norm={_target_: transgan.layers.spectral.SpectralNorm}"], "discriminator.weight_norm._target_",
         "transgan.layers.spectral.SpectralNorm"),
    ],
)  # fmt: skip
def test_taken(words, key, value):
    found = OmegaConf.select(compose("train", words), key)
    assert (OmegaConf.to_container(found) if OmegaConf.is_config(found) else found) == value


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["train", "kimg=nan"], "kimg=nan: it takes a number above 0"),
        (["train", "algorithm.gamma=nan"], "algorithm.gamma=nan: it takes a number"),
        (["train", "algorithm.gamma.start=inf"], "algorithm.gamma.start=inf: it takes a number"),
        (["train", f"seed={2**64}"], "it takes a whole number, 0 to 9,223,372,036,854,775,807"),
        (["train", "+kimg=nan"], "kimg=nan: it takes"), (["train", "+kimgs=3"], "kimgs is not an option; did you mean kimg?"),
        (["train", "epochs=3"], "epochs is not an option; here it is kimg (thousands of images shown in training)"),
        (["train", "lr=1e-3"], "here it is algorithm.generator_lr.start and algorithm.discriminator_lr.start"),
        (["train", "algorithm=image_gpt", "tokens=pixels", "learning_rate=1"], "here it is algorithm.lr.start"),
        (["train", "img_size=64", "Batch-Size=3"], "img_size is not an option; here it is resolution"),
        (["train", "dataset=x"], "here it is data.path, with data=folder or zip; or give the folder or zip alone: `transgan train"),
        (["sample", "x", "num_images=9"], "here it is seeds (an image each)"), (["sample", "x", "trunc=1"], "here it is psi"),
        (["evaluate", "x", "dataset=y"], "here it is against"), (["evaluate", "x", "lr=1"], "lr is not an option; "),
        (["train", "early_stopping=5"], "here it is patience"), (["sample", "x", "n=9"], "n is not an option; here it is seeds"),
        (["train", "e=5"], "e is not an option; --cfg shows all keys"),
        (["train", "+=3"], " is not an option"), (["train", "+data.path.x=3"], "is not an option"),
        (["train", "kimg=${kimg}"], "kimg=${kimg}: it refers to nothing here, or to itself"),
        (["train", "grid=${oc.env:HOME}"], "grid=${oc.env:HOME}: it takes a whole number"),
        (["train", "resolution=${seed}"], "resolution=${seed}: it takes a whole number, 1 to"),
        (["train", "algorithm.gamma={start: nan}"], "algorithm.gamma.start=nan: it takes a number"),
        (["train", "algorithm.augment={a: 1}"], "algorithm.augment={a: 1}: it takes a number from 0 to 1, or keys of"),
        (["train", "algorithm.gamma={strat: 1}"], "there is no strat in it; it has _target_, start, end, kimg, warmup"),
        (["train", "name="], "name=: a run's name cannot be empty"), (["train", "name=.."], "name=..: a run's name has no place for"),
        (["train", "name=/tmp/x"], "cannot begin with a slash"), (["train", "name=a/../../b"], "has no place for empty parts or parts of dots"),
        (["import-transgan", "x", "name=.."], "name=..: a run's name has no place"),
        (["train", "runs="], "runs=: it takes a path, and not an empty one"), (["train", "init_from="], "init_from=: it takes a path"),
        (["sample", "x", "out="], "out=: it takes a path"),
        (["train", "trainer.devices=0"], "trainer.devices=0: it takes auto"),
        (["train", "trainer=cpu", "trainer.devices=[0]"], "trainer.devices=[0]: a CPU's processes have no numbers"),
        (["train", "trainer.devices=[1]"], "trainer.devices=[1]: a CPU's processes have no numbers"),
        (["train", "+trainer.max_time=soon"], "trainer.max_time=soon: it takes a time as DD:HH:MM:SS"),
        (["train", "trainer.num_nodes=2"], "trainer.num_nodes=2: nothing says where the other machines are"),
        (["train", "compile=fast"], "compile=fast: torch has no such backend here; there are"),
        (["train", "suite=digits"], "suite=digits: transgan train has no suite"),
        (["sample", "x", "generator=vit"], "generator=vit: there is no such generator"),
        (["sample", "x", "metrics=fast"], "metrics=fast: transgan sample has no metrics; leave it out"),
        (["evaluate", "x", "data.on_error=skip"], "data.on_error is not an option"),
        (["compare", "x", "y", "jobs=2"], "jobs=2: it is for the runs that a suite= trains"),
        (["sample", "x", "columns=2.5"], "columns=2.5: it takes a whole number"),
        (["sample", "x", "columns=3"], "columns=3: to=png has no columns"), (["sample", "x", "rows=3"], "rows=3: it says how much"),
        (["sample", "x", "seeds=0-99999999999"], "more than 10,000,000 images at once"), (["sample", "x", "seeds=٣"], "write 7, 0-63"),
        (["sample", "x", f"seeds={2**63}"], "a seed is at most"),
        (["summary", "x", "generator.dim=[8]"], "generator.dim=: the configuration is that of x"),
        (["train", "+trainer.precision=16", "+trainer.callbacks=[]"], "give precision="),
    ],
)  # fmt: skip
def test_refused(refused, words, sentence, monkeypatch):
    for name in ("MASTER_ADDR", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    assert sentence in refused(*words)


@pytest.mark.parametrize(
    "word, sentence",
    [
        ("+loss.drift=1", "loss.drift: Relativistic takes no drift"),
        ("+trainer.fast=true", "trainer.fast: Trainer takes no fast; it takes"),
        ("+generator.transformer.depht=1", "generator.transformer.depht: Transformer takes no depht"),
        ("loss._target_=transgan.losses.Hinges", "loss._target_=transgan.losses.Hinges: there is no such class here"),
        ("algorithm.generator_lr={_target_: nowhere.Rate}", "there is no such class here (No module named 'nowhere')"),
        ("optimizer._target_=torch.optim.SGD", "SGD takes no betas"),
        ("penalty._target_=transgan.penalties.Subsampled", "penalty: Subsampled needs penalty"),
        ("trainer.strategy=quick", "trainer.strategy=quick: Lightning has no such strategy; there are auto, ddp"),
        ("trainer.accelerator=tpu", "trainer.accelerator=tpu: this machine has none that torch can use"),
    ],
)  # fmt: skip
def test_what_cannot_be_made(refused, tiny, word, sentence):
    assert sentence in refused("train", *tiny, "penalty=r1_r2", word)


def test_all_that_cannot_be_made_at_once(refused, tiny):
    err = refused("train", *tiny, "+loss.drift=1", "+trainer.fast=true", "penalty._target_=a.b", "trainer.num_nodes=2")
    assert err.count("\n") >= 4


@pytest.mark.parametrize("error", [TypeError("no"), AttributeError("no"), ZeroDivisionError("no"), RuntimeError("no")])
def test_whatever_a_constructor_raises(refused, inside, tiny, monkeypatch, error):
    """Is a sentence with the class and the place; debug=true has the traceback."""

    def broken(self, *args, **kwargs):
        raise error

    monkeypatch.setattr("transgan.models.vit_discriminator.ViTDiscriminator.__init__", broken)
    err = refused("train", *tiny)
    assert f"discriminator: ViTDiscriminator cannot be made with these settings ({type(error).__name__}: no)" in err
    with pytest.raises(UserError):
        inside("train", *tiny, "debug=true")


def test_networks_larger_than_memory(refused, tiny, monkeypatch):
    err = refused("train", *tiny, "generator.dim=[60000]", "generator.num_heads=[4]")
    assert "training these networks takes" in err and "GiB of memory at least (generator" in err
    assert "the pixels of one batch take" in refused("train", *tiny, "batch_size=1000000", "resolution=4096")
    monkeypatch.setattr(machine, "memory", lambda: 10_000)
    assert "give a smaller dim, depth or resolution" in refused("train", *tiny)


def test_a_run_of_its_own_configuration(inside, tiny, tmp_path):
    """config=: a key given anew changes everything that followed it, and keys that came later have their defaults."""
    assert inside("train", *tiny, "kimg=0.032", "matching=energy")[0] == 0
    path = tmp_path / "runs" / "digits" / "config.yaml"
    config = compose(
        "train",
        [f"config={path}", "seed=5", "batch_size=16", "kimg=9", "generator.dim=[8]", "resolution=16", "mirror=true"],
    )
    assert config.algorithm.seed == 5 and config.algorithm.batch_size == 16 and config.algorithm.mirror is True
    assert config.algorithm.generator.dim == [8]
    for schedule in (config.algorithm.gamma, config.algorithm.beta2, config.matching.weight):
        assert schedule.kimg == 9
    assert config.generator.img_size == config.algorithm.discriminator.img_size == config.data.resolution == 16
    plain = OmegaConf.to_container(compose("train", [f"config={path}"]), resolve=True)
    assert plain == OmegaConf.to_container(OmegaConf.load(path))
    old = OmegaConf.load(path)
    del old["evaluate_share"]
    path.write_text(OmegaConf.to_yaml(old))
    assert compose("train", [f"config={path}"]).evaluate_share == 0.25


@pytest.mark.parametrize(
    "text, sentence",
    [
        *((text, "this file is not a configuration; give the config.yaml of a run") for text in ("a: [", "", "- 1", "words")),
        ("kimg: 3", "this file is not a configuration; give the config.yaml of a run"),
        (b"a: \xff", "is not written in UTF-8"), ("{kimg: .nan, algorithm: {}}", "kimg=nan: it takes a number"),
        ("{name: .., algorithm: {}}", "name=..: a run's name"), ("{algorithm: {clip: -1}}", "algorithm.clip=-1: it takes a number"),
    ],
)  # fmt: skip
def test_configuration_files(refused, tmp_path, text, sentence):
    (tmp_path / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert sentence in refused("train", "config=config.yaml")


def test_advice_is_for_the_command_that_gives_it(refused, inside, pictures, tiny_folder, tmp_path):
    """data.on_error=skip is a way out of train, and of evaluate for data= alone."""
    broken = pictures(tmp_path / "broken")
    (broken / "a" / "cut.png").write_bytes(b"cut")
    whole = pictures(tmp_path / "whole")
    assert "repair or remove them, or go on without them: data.on_error=skip" in refused("train", broken, *tiny_folder)
    measured = ["metrics=fast", "extractor=pixels", "device=cpu"]
    for words in (
        [broken, f"against={whole}"],
        [whole, f"against={broken}"],
        [whole, f"against={whole}", f"heldout={broken}"],
        [whole, "data=folder", f"data.path={whole}", f"heldout={broken}"],
    ):
        err = refused("evaluate", *words, *measured)
        assert "cut.png" in err and "repair or remove them" in err and "data." not in err
    err = refused("evaluate", whole, "data=folder", f"data.path={broken}", *measured)
    assert "repair or remove them, or go on without them: data.on_error=skip" in err


def test_advice_about_the_extractor(refused, pictures, tiny_folder, tmp_path):
    flat = pictures(tmp_path / "flat", classes=["."])
    words = [word for word in tiny_folder if word != "metrics=none"]
    assert "train with metrics=none" in refused("train", flat, *words, "metrics=fast", "extractor=classifier")
    err = refused("evaluate", flat, f"against={flat}", "metrics=fast", "extractor=classifier", "device=cpu")
    assert "extractor=inception" in err and "metrics=none" not in err
