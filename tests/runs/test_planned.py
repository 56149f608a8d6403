"""What a run chooses by itself is made of the images that it will really have."""

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from transgan.config.compose import compose
from transgan.data import Folder
from transgan.instantiation import make
from transgan.planning import choose, look
from transgan.runs.beside import TRAINING_IT, preparing
from transgan.runs.planned import OF_IMAGES, Plan, revised


def files(folder, good, bad):
    folder.mkdir(parents=True)
    for i in range(good):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{i}.png")
    for i in range(bad):
        (folder / f"bad{i}.png").write_text("no picture")


CASES = {
    "all of one class": ({"a": (30, 0), "b": (0, 30)}, {}, (False, "masked", 16)),
    "all but the folders of one class": ({"a/x": (20, 0), "a/y": (20, 0), "b": (0, 20)}, {}, (True, "classifier", 32)),
    "most of two classes": ({"a": (4, 30), "b": (5, 30)}, {}, (False, "masked", 8)),
    "all of one class, with a limit": ({"a": (30, 0), "b": (0, 30)}, {"limit": 20}, (False, "masked", 8)),
    "nothing": ({"a": (20, 0), "b": (20, 0)}, {}, (True, "classifier", 32)),
}


@pytest.mark.parametrize("case", CASES)
def test_where_images_are_unreadable_it_chooses_by_the_others(tmp_path, monkeypatch, case):
    folders, options, expected = CASES[case]
    monkeypatch.setattr(look, "installed", lambda: None)
    monkeypatch.setattr(look, "on_this_machine", lambda: False)
    for name, (good, bad) in folders.items():
        files(tmp_path / name, good, bad)
    facts = look.facts_of(tmp_path, None, options.get("limit"), 0.0, "cpu", None)
    plan = Plan(choose(facts), frozenset(OF_IMAGES), facts=facts)
    before = {each.key: each.value for each in plan.choices}
    changed = revised(plan, Folder(tmp_path, 8, 3, on_error="skip", **options))
    found = {each.key: each.value for each in plan.choices}
    assert tuple(found[key] for key in ("conditional", "extractor", "batch_size")) == expected
    assert {each.key for each in changed} == {key for key in found if found[key] != before.get(key)}
    assert plan.facts.count == sum(good for good, _ in folders.values()) or options


def test_what_the_user_gave_is_not_chosen_again(tmp_path):
    files(tmp_path / "a", 30, 0)
    files(tmp_path / "b", 0, 30)
    facts = look.facts_of(tmp_path, None, None, 0.0, "cpu", None)
    plan = Plan(choose(facts, OF_IMAGES), frozenset(), facts=facts)
    assert revised(plan, Folder(tmp_path, 8, 3, on_error="skip")) == []


@pytest.mark.parametrize("name", ["masked", "classifier", "pixels"])
def test_what_an_earlier_run_has_left_in_the_cache_takes_no_time(tmp_path, monkeypatch, name):
    monkeypatch.setenv("TRANSGAN_CACHE", str(tmp_path / "cache"))
    files(tmp_path / "images" / "a", 12, 0)
    files(tmp_path / "images" / "b", 8, 0)
    config = compose("train", [str(tmp_path / "images"), "resolution=8", f"extractor={name}", "metrics=fast"])
    OmegaConf.update(config, "metrics.extractor", dict(config.extractor) | ({} if name == "pixels" else {"steps": 2}))
    dataset = make(config.data)
    assert preparing(config, dataset, 0.5) == 10 + (0 if name == "pixels" else TRAINING_IT)
    make(config.metrics).prepare(dataset)
    assert preparing(config, dataset, 0.5) == 0
    files(tmp_path / "images" / "c", 1, 0)  # other images
    assert preparing(config, make(config.data), 0.5) > 10
