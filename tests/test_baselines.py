"""Systems of other packages in a trial: one clock, images that are a function of their seeds, and knobs that do something."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf.errors import ConfigKeyError
from torch import nn

from benchmarks import recipes
from benchmarks.recipes import curves, follow, table
from benchmarks.recipes.__main__ import trials_of
from benchmarks.recipes.clock import Clock
from benchmarks.recipes.foreign import Foreign
from benchmarks.recipes.systems import SYSTEMS


class Images:
    """A task of random images of 16 px in three classes."""

    resolution, num_classes = 16, 3

    def __init__(self, channels=3, mirrored=True):
        self.channels, self.mirrored = channels, mirrored
        self.pixels = torch.randint(
            256, (60, channels, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        self.labels = torch.arange(60) % 3
        self.dataset = range(60)

    def images(self, indices):
        return self.pixels[indices], self.labels[indices]


class Constant(Foreign):
    """Learns the mean of all images; notes what it is given."""

    defaults = {"lr": 0.1, "every": 1}
    sampler = "mean"
    noise_shape = (3, 16, 16)

    def build(self):
        self.mean, self.seen, self.used = nn.Conv2d(3, 3, 1), [], []
        return {"mean": self.mean}

    def optimizers_of(self):
        self.optimizer = torch.optim.SGD(self.mean.parameters(), self.options.lr)
        return [self.optimizer]

    def step(self, images, labels):
        self.seen.append(images)
        self.used.append(self.optimizer.param_groups[0]["lr"])
        (self.mean.bias[:, None, None] - images).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return len(self.seen) % self.options.every == 0

    def images_of(self, network, noise, labels):
        return network(noise).tanh()


def trained(*settings, images=64, task=None):
    system = Constant(task or Images(), 0, images / 1000, ["batch_size=8", *settings])
    clock = Clock(100, images)
    system.fit(clock)
    return system, clock


def test_the_clock_counts_images_and_steps():
    system, clock = trained("every=2")
    assert clock.images_seen == system.images_seen == 64 and len(clock.points) == 8 and system.steps() == 4
    assert all(part.shape == (8, 3, 16, 16) and -1 <= part.min() and part.max() <= 1 for part in system.seen)
    again, _ = trained("every=2")
    assert all(torch.equal(a, b) for a, b in zip(system.seen, again.seen, strict=True))


def test_measuring_along_the_way_changes_nothing():
    system = Constant(Images(), 0, 0.064, ["batch_size=8", "ema=0.5"])
    measured = []

    def measure(seconds, seen):
        measured.append(system.generate([1, 2], torch.tensor([0, 1])))
        torch.manual_seed(7)

    system.fit(Clock(100, 64, [0.0], measure))
    other = trained("ema=0.5")[0]
    assert len(measured) == 1 and all(torch.equal(a, b) for a, b in zip(system.seen, other.seen, strict=True))


def test_mirroring_is_of_half_of_the_images():
    turned = {on: torch.cat(trained(task=Images(mirrored=on), images=480)[0].seen) for on in (True, False)}
    same = (turned[True] == turned[False]).flatten(1).all(1)
    assert 0.3 < same.float().mean() < 0.7 and torch.equal(turned[True][~same], turned[False][~same].flip(3))


@pytest.mark.parametrize("schedule, rates", [
    ("none", [0.1] * 8), ("linear", [0.1 - 0.0125 * i for i in range(8)]), ("cosine", None),
])  # fmt: skip
def test_schedules_end_with_the_budget(schedule, rates):
    used = trained(f"schedule={schedule}")[0].used
    assert used == pytest.approx(rates) if rates else used[0] == 0.1 and used[-1] < 0.01 and sorted(used) == used[::-1]


def test_averages_are_what_is_sampled():
    plain, averaged = trained()[0], trained("ema=0.5")[0]
    assert torch.equal(plain.mean.bias, averaged.mean.bias) and plain.average is None
    assert not torch.equal(averaged.average.bias, averaged.mean.bias)
    seeds, labels = [3, 1, 4], torch.tensor([0, 1, 2])
    assert not torch.equal(plain.generate(seeds, labels), averaged.generate(seeds, labels))


def test_an_unknown_setting_is_refused():
    with pytest.raises(ConfigKeyError, match="lrr"):
        trained("lrr=0.2")


SMALL = {
    "mimicry": ["ngf=8", "ndf=8", "nz=4", "n_dis=2", "ema=0.1"],
    "diffusers": ["dims=[8,8]", "attention=[false,true]", "head_dim=4", "groups=4", "sampling=2"],
    "denoising": ["dim=8", "mults=[1,2]", "heads=1", "head_dim=8", "sampling=2"],
}
PACKAGES = {"mimicry": "torch_mimicry", "diffusers": "diffusers", "denoising": "denoising_diffusion_pytorch"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SMALL)
def test_a_foreign_system_trains_and_samples(name, channels):
    if find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{PACKAGES[name]} is not installed: see benchmarks/requirements.txt")
    system = SYSTEMS[name](Images(channels), 0, 0.064, [*SMALL[name], "batch_size=8"])
    before = {key: value.clone() for key, value in system.sampled.state_dict().items()}
    system.fit(Clock(100, 64))
    assert any(not torch.equal(before[key], value) for key, value in system.sampled.state_dict().items())
    assert system.images_seen == 64 and system.steps() == (4 if name == "mimicry" else 8)
    images = system.generate([1, 2, 3], torch.tensor([0, 1, 2]))
    assert images.dtype == torch.uint8 and images.shape == (3, channels, 16, 16)
    one = system.generate([2], torch.tensor([1]))  # alone or among others: the same, but for sums in another order
    assert (one[0].int() - images[1].int()).abs().max() <= 1 and not torch.equal(images[0], images[1])
    assert not torch.equal(system.generate([2], torch.tensor([2])), one)


LISTS = Path(__file__).parents[1] / "benchmarks" / "recipes" / "lists"
LIST = """
tasks: [some_16]
seconds: 5
seeds: [0]
ideas:
  root: {set: [a=1, b=1, c=1]}
  better_a: {base: root, set: [a=2]}
  best_a: {base: root, set: [a=3]}
  better_b: {base: root, set: [b=2]}
  worse_c: {base: root, set: [c=2]}
  unmeasured: {base: root, set: [c=3]}
"""


def test_the_next_list_combines_what_helped(tmp_path, capsys):
    values = {"a=1 b=1 c=1": 10.0, "b=1 c=1 a=2": 8.0, "b=1 c=1 a=3": 5.0, "a=1 c=1 b=2": 9.0, "a=1 b=1 c=2": 20.0}
    rows = [
        {
            "task": "some_16",
            "budget": 5,
            "system": "ours",
            "settings": settings.split(),
            "numbers": {"fd_classifier": fd},
        }
        for settings, fd in values.items()
    ]
    (tmp_path / "list.yaml").write_text(LIST)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    follow.main(["combine", str(tmp_path / "list.yaml"), "--rows", str(tmp_path / "rows.jsonl")])
    ideas = yaml.safe_load(capsys.readouterr().out)["ideas"]
    assert [set(idea["set"]) for idea in ideas.values()] == [
        {"a=3", "b=2", "c=1"}  # not a=2 in the place of a=3, and nothing worse
    ]
    assert all(name.startswith("best_a+") and name.endswith("_some_16") for name in ideas)
    follow.main(["finals", str(tmp_path / "list.yaml"), "--rows", str(tmp_path / "rows.jsonl"), "--seconds", "600"])
    final = yaml.safe_load(capsys.readouterr().out)
    assert final["seconds"] == 600 and list(final["ideas"]) == ["best_a_some_16"]
    assert set(final["ideas"]["best_a_some_16"]["set"]) == {"a=3", "b=1", "c=1"}


@pytest.mark.parametrize("path", sorted(LISTS.glob("baseline_*.yaml")), ids=lambda p: p.stem)
def test_every_baseline_is_tuned_by_as_many_trials(path):
    names = {trial.idea for trial in trials_of(path)}
    assert len(names) == 24 or "denoising" in path.stem or path.stem == "baseline_16"
    assert len({trial.id for trial in trials_of(path)}) == len(trials_of(path))


def row_of(trial, distance):
    """What a trial leaves, with a distance that halves from point to point."""
    points = [
        {"seconds": s, "kimg": s / 10, "fd_classifier": distance * 8 / 2**i} for i, s in enumerate((60, 180, 360))
    ]
    numbers = {"fd_classifier": distance, "recall_prdc_k5_classifier": 0.5, "mesh": 1.1, "spread": 0.9}
    return {"id": trial.id, "seconds": 600.0, "images": 60000, "steps": 900, "images_per_second": 100.0, "curve": points,
            "numbers": numbers}  # fmt: skip


def test_rows_become_a_table_and_curves(tmp_path, monkeypatch):
    path = Path(recipes.__file__).parent / "lists" / "finals.yaml"
    trials = [trial for trial in trials_of(path) if trial.idea in ("ours", "dcgan")]
    rows = [row_of(trial, 1.0 + trial.seed) for trial in trials]
    assert {len(ideas["ours"]) for ideas in curves.measured(rows, path, None).values()} == {3}
    assert curves.measured(rows, path, 1800.0) == {}
    said = table.tables(rows, [path])
    assert "| ours | 3 | 600 | 60.0 | 900 | 2 (1 to 3) | 16, 8, 4 | 0.50 | 1.10 | 0.90 | 100 |" in said
    assert "fd_mobilenet_v2" not in said
    rows[0]["numbers"]["fd_mobilenet_v2"] = 150.0
    assert "| 0.90 | 100 | 150 |" in table.tables(rows[:1], [path])
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr("sys.argv", ["curves", str(tmp_path / "rows.jsonl"), str(path), str(tmp_path / "out.png")])
    lines = []
    monkeypatch.setattr(curves, "save", lambda figure, out: lines.extend(figure.axes[0].lines))
    curves.main()
    assert [line.get_label() for line in lines] == ["ours", "dcgan"]
    assert lines[0].get_xydata().tolist() == [[60, 16], [180, 8], [360, 4], [600, 2]]
