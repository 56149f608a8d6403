"""Any word on any key: a configuration, or a sentence that names the key; never a traceback.

First every key of every command takes every odd word, as far as the configuration. Then some of them go on to the end
of the setting up of a run.
"""

import pytest
from omegaconf import OmegaConf

from transgan.errors import UserError
from transgan.keys import COMMANDS
from transgan.overrides import from_groups, groups, resolved
from transgan.values import assign, flat, kind_of, mistaken, taken

ODD = [
    "", "nan", "inf", "-inf", "-1", "0", "1", "2", "1e309", "-1e309", "1e-320", str(2**63), str(2**64), "9" * 5000, "1.5",
    "1_000", "0x10", "١", "-0.0", "true", "false", "null", "None", "none", "auto", "[]", "[1]", "[null]", "[nan]",
    "[-1,2]", "[[1]]", "{}", "{a:1}", "{_target_: a.b}", "{_target_: 3}", "a b", "ä", "😀", "..", ".", "/", "/etc/passwd",
    "~nobody", "${x}", "${kimg}", "${oc.env:HOME}", "${oc.env:NO_SUCH}", "${product:a}", "${", "\\${x}", "a=b", "x" * 5000,
    "a\nb", "\t", "\x7f", "\udcff", "1,2", "a,b", "'", '"', "[", "]", "{", "}", ":", "#", "???", "@", "!!python/name:os.x",
    "range(1,3)", "int(nan)", "glob(*)", "[" * 500, "%s", "-", "--", "*", "\\",
]  # fmt: skip
APART = ("tokens", "autoencoder", "algorithm", "experiment", "suite")       # not parts of every run
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


def test_every_word_on_every_key(configurations):
    accepted, refused, known = 0, 0, set(groups())
    seen, tried = set(), set()
    for command, config in configurations:
        before = OmegaConf.to_container(config, resolve=False)
        keys = flat(before)
        for key in keys:
            kind = str(kind_of(command, key, keys[key], keys.get(key.rpartition(".")[0])))
            if (command, key, kind) in seen or key in known:        # those are for choices
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
                if (isinstance(value, dict | list) or "${" in word) and (kind, word) not in tried:
                    tried.add((kind, word))
                    goes_in(command, config, key, word)
                    config = OmegaConf.create(before)
                    OmegaConf.set_struct(config, True)
    assert len(seen) > 500 and accepted > 1000 and refused > 10_000


def goes_in(command: str, config, key: str, word: str) -> None:
    """Into the whole configuration, or is refused there."""
    findings: list[str] = []
    assign(command, config, key, word, groups(), findings)
    if findings:
        assert findings[0].startswith(key)
        return
    try:
        wrong = list(mistaken(command, resolved(config, [(key, word)]), {key: word}))
        assert not wrong or any(sentence.startswith(key) for sentence in wrong), (key, word, wrong)
    except UserError as error:
        assert key in str(error)
