"""What a kind of value takes, keeps and refuses; and what is refused for having no effect."""

import pytest

from transgan.config.no_effect import TRAINER, instead
from transgan.config.texts import Label, Location, Name, Text
from transgan.config.types import Choice, Either, Items, Number, Scheduled, Switch, Whole

RATE = Scheduled(of=Number(most=1))


@pytest.mark.parametrize(
    "kind, word, value",
    [
        (Whole(), "64", 64), (Whole(), "1_000", 1000), (Whole(optional=True), "null", None), (Whole(optional=True), "None", None),
        (Whole(literals=("auto",)), "auto", "auto"),
        (Number(), "3", 3.0), (Number(), "1e-4", 1e-4), (Number(optional=True), "none", None),
        (Switch(), "true", True), (Switch(), "False", False), (Switch(literals=("warn",)), "warn", "warn"),
        (Choice(of=(1, 3)), "3", 3), (Choice(of=("a", "b")), "b", "b"), (Choice(of=("none", "a")), "none", "none"),
        (Items(of=Whole()), "[1,2]", [1, 2]), (Items(of=Whole(optional=True)), "[null,8]", [None, 8]),
        (Items(of=Number(), count=2), "[0,0.9]", [0.0, 0.9]),
        (Either(of=(Whole(), Items(of=Whole(least=0)))), "4", 4), (Either(of=(Whole(), Items(of=Whole(least=0)))), "[0]", [0]),
        (RATE, "0.5", 0.5), (RATE, "{_target_: a.b}", {"_target_": "a.b"}),
        (Text(), "a,b", "a,b"), (Text(), "[1]", "[1]"), (Text(), "${x}", "\\${x}"), (Text(optional=True), "none", None),
        (Label(optional=True), "none", "none"), (Label(optional=True), "null", None),
        (Location(), "a=b", "a=b"), (Location(optional=True), "None", None), (Location(optional=True), "none", "none"),
        (Name(), "a/b", "a/b"), (Name(), "it's [1], 図", "it's [1], 図"), (Name(), ".hidden", ".hidden"),
    ],
)  # fmt: skip
def test_taken(kind, word, value):
    read = kind.read(word)
    assert read == value and type(read) is type(value)
    if not isinstance(value, str):
        assert kind.check(value) == value


@pytest.mark.parametrize(
    "kind, words",
    [
        (Whole(most=9), ["0", "-1", "10", "1.0", "1.5", "nan", "inf", "true", "null", "one", "", "[1]", "٣", str(2**64), "9" * 5000]),
        (Number(most=9, above=0), ["0", "-1", "9.1", "nan", "inf", "-inf", "1e309", "true", "null", "", "[1]", "9" * 5000]),
        (Number(most=1, below=1), ["1", "-0.1", "nan"]),
        (Switch(), ["1", "0", "yes", "null", "", "[true]", "warn"]),
        (Choice(of=(1, 3)), ["2", "1.0", "true", "null", "", "[1]"]),
        (Items(of=Whole(), count=2), ["[1]", "[1,2,3]", "1", "[]", "[1,nan]", "[1,null]", "[[1],2]", "{a:1}", "1,2", "["]),
        (Either(of=(Whole(), Items(of=Whole()))), ["0", "[0]", "a", "[]", "null"]),
        (RATE, ["2", "nan", "[1]", "null", "fast"]),
        (Text(), [""]), (Text(pattern="a|b"), ["c", "", "a\n"]),
        (Location(), ["", "null", "None"]),
        (Name(), ["", " ", "..", ".", "...", "../a", "a/../b", "/a", "a/", "a//b", "a.", "a ", " a", "a\nb", "a\x00b", "\x7f",
                  "a\u2028b", "a=b", "ä" * 101, "\udcff" * 201]),
    ],
)  # fmt: skip
def test_refused(kind, words):
    for word in words:
        with pytest.raises(ValueError, match="it takes|a run's name|group of keys"):
            kind.read(word)


def test_values_are_not_shared():
    """A list that was read is one's own, however often the word is read."""
    kind = Items(of=Whole())
    kind.read("[1,2]").append(3)
    assert kind.read("[1,2]") == [1, 2]


@pytest.mark.parametrize(
    "command, key, word, default, said",
    [
        ("train", "trainer.max_steps", "9", None, "kimg=N"),
        ("summary", "trainer.gradient_clip_val", "9", None, "algorithm.clip="),
        ("train", "trainer.limit_train_batches", "9", None, "data.limit="),
        ("train", "num_classes", "3", None, "conditional=false"),
        ("train", "generator.img_size", "9", "${resolution}", "give resolution="),
        ("train", "discriminator.in_chans", "9", "${product:${channels},${supervision.num_outputs}}", "give channels="),
        ("train", "algorithm.batch_size", "9", "${batch_size}", "give batch_size="),
        ("train", "algorithm.loss", "{_target_: x.y}", "${loss}", "loss="),
        ("train", "algorithm.network", "{a: 1}", "${autoencoder}", "autoencoder"),
        ("train", "discriminator.num_classes", "3", "${num_classes}", "it takes 0"),
        ("train", "optimizer.lr", "1", None, "algorithm.generator_lr="),
        ("train", "algorithm.optimizer.lr", "1", None, "algorithm.lr="),
        ("train", "warm_start.source", "x", None, "checkpoint=RUN"),
    ],
)
def test_no_effect(command, key, word, default, said):
    assert said in instead(command, key, word, default)


@pytest.mark.parametrize(
    "command, key, word, default",
    [
        ("train", "algorithm.gamma.kimg", "9", "${kimg}"), ("train", "trainer.max_time", "00:01", None),
        ("train", "trainer.benchmark", "true", None), ("train", "trainer.profiler", "simple", None),
        ("train", "generator.image_heads", "2", "${supervision.num_outputs}"), ("train", "discriminator.num_classes", "0", "${num_classes}"),
        ("train", "augmentation.steps.cutout.batch", "null", "${batch_size}"), ("summary", "num_classes", "3", None),
        ("train", "discriminator.stem_dim", "8", "${discriminator.in_chans}"),
    ],
)  # fmt: skip
def test_has_an_effect(command, key, word, default):
    assert instead(command, key, word, default) is None


def test_every_argument_of_the_trainer_is_thought_of():
    """Those that train sets itself are refused; a new one of Lightning's is a decision to make."""
    import inspect

    from pytorch_lightning import Trainer

    fine = {
        "accelerator",
        "strategy",
        "devices",
        "num_nodes",
        "deterministic",
        "max_time",
        "benchmark",
        "profiler",
        "detect_anomaly",
        "sync_batchnorm",
    }
    assert set(inspect.signature(Trainer).parameters) <= fine | set(TRAINER)
