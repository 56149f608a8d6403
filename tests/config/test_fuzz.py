"""Any word on any key: a configuration, or a sentence that names the key; never a traceback.

First every key of every command takes every odd word, as far as the configuration. Then some of them go on to the end
of the setting up of a run.
"""

import signal
from contextlib import contextmanager
from copy import deepcopy
from random import Random

import pytest
from omegaconf import DictConfig, OmegaConf

from transgan.config import compose
from transgan.config.compose import from_groups, reported
from transgan.config.keys import COMMANDS, declared
from transgan.config.search import groups
from transgan.config.values import assign, flat, kind_of, mistaken, taken
from transgan.errors import UserError

ODD = [
    "", "nan", "inf", "-inf", "-1", "0", "1", "2", "1e309", "-1e309", "1e-320", str(2**63), str(2**64), "9" * 5000, "1.5",
    "1_000", "0x10", "١", "-0.0", "true", "false", "null", "None", "none", "auto", "[]", "[1]", "[null]", "[nan]",
    "[-1,2]", "[[1]]", "{}", "{a:1}", "{_target_: a.b}", "{_target_: 3}", "a b", "ä", "😀", "..", ".", "/", "/etc/passwd",
    "~nobody", "${x}", "${kimg}", "${oc.env:HOME}", "${oc.env:NO_SUCH}", "${product:a}", "${", "\\${x}", "a=b", "x" * 5000,
    "a\nb", "\t", "\x7f", "\udcff", "1,2", "a,b", "'", '"', "[", "]", "{", "}", ":", "#", "???", "@", "!!python/name:os.x",
    "range(1,3)", "int(nan)", "glob(*)", "[" * 500, "%s", "-", "--", "*", "\\",
]  # fmt: skip
APART = ("tokens", "autoencoder", "algorithm", "experiment", "suite")  # not parts of every run
OTHERS = [
    {"algorithm": "image_gpt", "tokens": "patches"}, {"algorithm": "vae", "autoencoder": "vit"},
    {"algorithm": "pixel_rnn", "tokens": "palette"}, {"algorithm": "vae"}, {"algorithm": "masked"},
    {"algorithm": "transgan_official"}, {"experiment": "transgan_cifar10"},
]  # fmt: skip


@pytest.fixture(scope="module")
def configurations():
    """(command, configuration) of every command, with every choice of every group in one of them."""
    made = [(command, {}) for command in COMMANDS] + [("compare", {"suite": "digits"})]
    made += [("train", choices) for choices in OTHERS]
    parts = {group: names for group, names in groups().items() if group not in APART}
    for i in range(max(map(len, parts.values()))):
        made.append(("train", {group: names[i % len(names)] for group, names in parts.items()}))
    return [(command, from_groups(command, choices, [])) for command, choices in made]


def test_every_key_is_declared(configurations):
    """And takes what conf/ says. A new key is given a line in transgan/config/keys.py."""
    for command, config in configurations:
        keys = flat(OmegaConf.to_container(config, resolve=False))
        for key, value in keys.items():
            kind = declared(command, key, keys.get(key.rpartition(".")[0], {}).get("_target_"))
            assert kind or isinstance(value, dict) or key in groups(), f"transgan/config/keys.py has no line for {key}"
            if kind is not None and value != "???" and "${" not in str(value):
                kind.check(value)


def test_every_word_on_every_key(configurations):
    accepted, refused, known = 0, 0, set(groups())
    seen, tried = set(), set()
    for command, config in configurations:
        before = OmegaConf.to_container(config, resolve=False)
        keys = flat(before)
        for key in keys:
            kind = str(kind_of(command, key, keys[key], keys.get(key.rpartition(".")[0])))
            if (command, key, kind) in seen or key in known:  # those are for choices
                continue
            seen.add((command, key, kind))
            for word in ODD:
                try:
                    value = taken(command, keys, key, word, known)
                except ValueError as error:
                    refused += 1
                    assert f"{key}={word}"[:60] in str(error), (command, key, word)
                    continue
                accepted += 1
                sort = kind.partition("(")[0], isinstance(keys[key], dict), word
                if (isinstance(value, dict | list) or "${" in word) and sort not in tried:
                    tried.add(sort)
                    goes_in(command, config, key, word, known)
                    config = OmegaConf.create(before)
                    OmegaConf.set_struct(config, True)
    assert len(seen) > 500 and accepted > 1000 and refused > 10_000


def goes_in(command: str, config: DictConfig, key: str, word: str, known: set[str]) -> None:
    """Into the whole configuration, or is refused there."""
    findings: list[str] = []
    assign(command, config, key, word, known, findings)
    if findings:
        assert findings[0].startswith(key)
        return
    try:
        with reported([(key, word)]):
            resolved = OmegaConf.to_container(config, resolve=True)
        wrong = list(mistaken(command, resolved, {key: word}))
        assert not wrong or any(sentence.startswith(key) for sentence in wrong), (key, word, wrong)
    except UserError as error:
        assert key in str(error)


@pytest.fixture
def composed_once(monkeypatch):
    """Hydra composes the same groups once: with words that differ, most of the time is spent there."""
    made = {}

    def once(command, choices, findings, line=None, arguments=()):
        key = command, *choices.items(), *(line.groups if line else ())
        if key not in made:
            made[key] = from_groups(command, choices, findings, line, arguments)
        return deepcopy(made[key])

    monkeypatch.setattr(compose, "from_groups", once)


PLACES = [
    "{}",
    "={}",
    "+{}",
    "{}=1",
    "+{}=1",
    "~{}",
    "--{}",
    "config={}",
    "experiment={}",
    "extractor=timm:{}",
    "kimg.{}=1",
    "+generator.{}=1",
    "+metrics.measures.{}=1",
]


@pytest.mark.slow
def test_odd_words_and_odd_keys(composed_once):
    """A hundred of them, drawn once and for all."""
    words = [place.replace("{}", word) for place in PLACES for word in ODD]
    for word in Random(0).sample(words, 100):
        for command in ("train", "compare"):
            try:
                compose.compose(command, [word])
            except UserError as error:
                assert error.findings and not any(
                    "Error" in each or "object_type" in each for each in error.findings
                ), word


# Runs that are set up, and shown one or two batches: what each begins with.
SMALL = ["trainer=cpu", "logger=none", "metrics=none", "batch_size=8", "kimg=0.008", "grid=4", "data.limit=64"]
TINY = [*SMALL, "generator.dim=[16]", "generator.depth=[2]", "discriminator.dim=[16]", "discriminator.depth=[1]"]
RUNS = {
    "a GAN of Transformers": TINY,
    "convolutions and augmentation": [
        *SMALL, "generator=dcgan", "discriminator=resnet", "augmentation=ada", "adaptive=pair_signs", "consistency=bcr",
        "penalty=fd", "generator.dim=[8,8]", "discriminator.dim=[8,8]",
    ],
    "guidance and a gradient penalty": [
        *TINY, "supervision=noise_guidance", "penalty=gp", "loss=wasserstein", "algorithm=transgan_official",
        "algorithm.generator_batch_size=16",
    ],
    "an image GPT": [*SMALL, "algorithm=image_gpt", "tokens=patches", "algorithm.network.dim=16"],
    "an autoencoder": [*SMALL, "algorithm=vae", "autoencoder=vit"],
}  # fmt: skip
# These start processes, or take long by what they ask for.
LEFT_OUT = {
    "trainer.devices",
    "trainer.num_nodes",
    "kimg",
    "grid",
    "batch_size",
    "resolution",
    "force",
    "debug",
    "runs",
}
SECONDS = 30


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_words_that_are_taken_can_be_trained_with(inside, composed_once, name):
    """Six of them, drawn once and for all: the run goes to its end, or is refused in a sentence."""
    words = RUNS[name]
    keys = flat(OmegaConf.to_container(compose.compose("train", words), resolve=False))
    pairs = [
        ("+" + key + ".unknown", "1") for key, value in keys.items() if isinstance(value, dict) and "_target_" in value
    ]
    for key in keys.keys() - groups() - LEFT_OUT:
        for word in ODD:
            try:
                taken("train", keys, key, word, set())
                pairs.append((key, word))
            except ValueError:
                pass
    for i, (key, word) in enumerate(Random(name).sample(sorted(pairs), 6)):
        with at_most(SECONDS, f"{key}={word}"):
            code, out, err = inside("train", *words, f"name=run{i}", f"{key}={word}")
        assert code == (2 if err.startswith("transgan: ") else 0), f"{key}={word}: {err}"
        assert "Traceback" not in err


@contextmanager
def at_most(seconds: int, what: str):
    def stop(number, frame):
        pytest.fail(f"{what} takes more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
