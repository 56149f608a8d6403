"""`transgan train FOLDER` with nothing else: what it chooses, says, keeps, and does when it is called again."""

import json
import re

import pytest
from omegaconf import OmegaConf

from transgan.runs import planned

SMALL = (
    "trainer=cpu", "logger=none", "grid=4", "generator.dim=[16]", "generator.depth=[1]", "generator.num_heads=[2]",
    "extractor=pixels", "threads=1", "batch_size=4", "evaluate_share=1",
)  # fmt: skip


@pytest.fixture
def folder(pictures, tmp_path):
    return pictures(tmp_path / "Meine Bilder für Größe", classes=["."], count=16)


def test_a_folder_is_enough(inside, folder, tmp_path):
    words = ["train", folder, *SMALL, "minutes=0.01"]
    code, out, err = inside(*words)
    assert code == 0, err
    assert "run runs/Meine Bilder für Größe" in out
    for said in (
        "chosen  recipe=minutes",
        "resolution=16 ",
        "kimg=",
        "cost    ",
        "dry_run=true stops here",
        "next    ",
    ):
        assert said in out
    run = tmp_path / "runs" / "Meine Bilder für Größe"
    kept = OmegaConf.load(run / "config.yaml")
    assert kept.resolution == 16 and kept.kimg == float(re.search(r"kimg=(\S+)", out)[1])
    # the command that is kept says everything
    command = json.loads((run / "env.json").read_text())["command"][1:]
    assert f"kimg={kept.kimg:g}" in command and "recipe=minutes" in command
    code, out, err = inside(*command, "name=again", "kimg=0.008")
    assert code == 0 and "\nchosen" not in out, err
    code, again, err = inside(*words)
    assert code == 0 and "is finished" in again and "\nchosen" not in again, err
    code, out, err = inside(*words, f"kimg={2 * kept.kimg}")
    assert code == 0 and f"plan    to {2 * kept.kimg:g} kimg" in out and "\nchosen" not in out, err
    assert f"note    the run goes on to kimg={2 * kept.kimg:g}, whatever minutes=0.01 says" in out


def test_what_was_chosen_stays_however_often_the_run_goes_on(inside, folder, tmp_path):
    """The third command has it from the second, which chose nothing itself."""
    words = ["train", folder, *SMALL, "minutes=0.01"]
    assert inside(*words)[0] == 0
    run = tmp_path / "runs" / "Meine Bilder für Größe"
    kimg = OmegaConf.load(run / "config.yaml").kimg
    for times in (2, 3, 4):
        code, out, err = inside(*words, f"kimg={times * kimg:g}")
        assert code == 0 and f"plan    to {times * kimg:g} kimg" in out, err
        assert OmegaConf.load(run / "config.yaml").resolution == 16
    code, out, err = inside(*words)  # of the first length, which it has passed
    assert code == 0 and "is finished" in out, err


def test_more_minutes_go_on(inside, folder, tmp_path):
    words = ["train", folder, *SMALL]
    assert inside(*words, "minutes=0.01")[0] == 0
    code, out, err = inside(*words, "minutes=0.2")
    assert code == 0, err
    length, done = re.search(r"plan    to (\S+) kimg.*, from (\S+) ", out.replace(" (", " ")).groups()
    assert float(length) > float(done)


@pytest.mark.parametrize("more", [["name=again"], ["name=again", "kimg=0.032"], ["kimg=0.032"]])
def test_the_file_of_a_run_repeats_what_was_chosen(inside, folder, tmp_path, more):
    """config=: another run of the same settings, or the same run, and nothing is chosen anew."""
    words = ["train", folder, *SMALL, "minutes=0.001", "name=first"]
    assert inside(*words)[0] == 0
    before = OmegaConf.load(tmp_path / "runs/first/config.yaml")
    (tmp_path / "kept.yaml").write_text((tmp_path / "runs/first/config.yaml").read_text())
    assert inside("train", "config=kept.yaml", *more, "dry_run=true")[0] == 0  # wherever it lies
    code, out, err = inside("train", "config=runs/first/config.yaml", *more, "threads=1")
    assert code == 0 and "chosen" not in out, err
    after = OmegaConf.load(tmp_path / "runs" / ("again" if "name=again" in more else "first") / "config.yaml")
    assert after.kimg == (0.032 if "kimg=0.032" in more else before.kimg) and after.resolution == before.resolution
    code, out, err = inside(*words, "kimg=0.064")  # what was chosen is still known
    assert code == 0 and "plan    to 0.064 kimg, from" in out, err


def test_a_file_that_leaves_settings_open_is_refused(inside, refused, folder, tmp_path):
    """What --cfg job prints holds none of what would be chosen; the user says what to take, and the time anew."""
    for name, more in (("open", []), ("timed", ["auto=[]", "minutes=0.01"])):
        code, out, err = inside("train", folder, *SMALL, *more, "--cfg", "job")
        assert code == 0, err
        (tmp_path / f"{name}.yaml").write_text(out)
    found = refused("train", "config=open.yaml", "name=other")
    assert "config=open.yaml: auto= there would have settings chosen" in found and "or auto=[] to train with" in found
    assert "config=timed.yaml: minutes= there" in (found := refused("train", "config=timed.yaml"))
    assert "minutes=null" in found and not (tmp_path / "runs").exists()
    code, out, err = inside("train", "config=open.yaml", "auto=[]", "kimg=0.016", "resolution=8", "name=other")
    assert code == 0 and "chosen" not in out, err
    code, out, err = inside("train", "config=timed.yaml", "minutes=0.001", "resolution=8", "name=timed")
    assert code == 0 and "chosen  kimg=" in out and "0.001 minutes at" in out, err


def test_weights_to_begin_with_are_looked_at_before_a_step_is_measured(inside, refused, folder, tiny, monkeypatch):
    assert inside("train", *tiny, "kimg=0.032", "name=first")[0] == 0

    def slow(*given, **more):
        raise AssertionError("a step is measured")

    monkeypatch.setattr("transgan.runs.training.choose_length", slow)
    found = refused("train", folder, *SMALL, "init_from=runs/first")
    assert "runs/first/checkpoints/last.ckpt are of another architecture" in found
    monkeypatch.setattr("transgan.runs.planned.facts_of", slow)
    for key in ("init_from", "checkpoint"):
        assert "there is no run folder or checkpoint at nope" in refused("train", folder, *SMALL, f"{key}=nope")


def test_a_dry_run_leaves_nothing(inside, folder, tmp_path):
    code, out, err = inside("train", folder, *SMALL, "dry_run=true")
    assert code == 0 and "cost    " in out and "20 minutes on a CPU" in out, err
    assert not (tmp_path / "runs").exists()


def test_another_way_to_say_where(inside, folder, tmp_path):
    code, out, err = inside("train", folder, *SMALL, "kimg=0.016", f"hydra.run.dir={tmp_path / 'here'}")
    assert code == 0 and (tmp_path / "here/checkpoints/last.ckpt").exists() and not (tmp_path / "runs").exists(), err


def test_what_is_given_is_taken(inside, folder, tmp_path):
    code, out, err = inside("train", folder, *SMALL, "resolution=8", "channels=1", "kimg=0.016", "name=mine")
    assert code == 0 and "resolution=" not in out and "channels=" not in out and "kimg=" not in out, err
    assert OmegaConf.load(tmp_path / "runs/mine/config.yaml").channels == 1


def test_an_experiment_beside_pictures_keeps_the_pictures(inside, folder, tiny, tmp_path):
    code, out, err = inside("train", folder, "experiment=digits", *tiny, "kimg=0.064")
    assert code == 0 and "data    Meine Bilder für Größe: " in out, err
    assert "conditional=" not in out and "chosen  extractor=efficientnet_lite0" in out


def test_a_key_that_is_auto_is_chosen(inside, tiny, tmp_path):
    words = [word for word in tiny if not word.startswith(("kimg", "batch_size"))]
    code, out, err = inside("train", *words, "kimg=auto", "hours=0.0002", "checkpoint_every=auto")
    assert code == 0 and "chosen  kimg=" in out and "checkpoint_every=" in out and "threads=" not in out, err
    assert inside("train", *words, "kimg=auto", "hours=0.0002", "checkpoint_every=auto")[1].count("is finished") == 1


def test_a_time_beside_a_length_is_refused_before_anything_is_read(refused, tiny, tmp_path):
    assert "minutes=1 and kimg=0.64: each of them says how long" in refused("train", *tiny, "minutes=1", "kimg=0.64")
    assert not (tmp_path / "runs").exists()


def test_images_of_an_evaluation_are_as_many_as_somebody_said(inside, tiny):
    """minutes= chooses their number where nobody has: not the user's, nor that of metrics=paper."""
    words = [word for word in tiny if not word.startswith(("kimg", "metrics"))]
    for more, said in ([], True), (["metrics=paper"], False):
        code, out, err = inside("train", *words, *more, "minutes=0.05", "dry_run=true")
        assert code == 0 and ("metrics.num_samples=" in out) == said, out + err
    assert "with 3 x 50,000 images made and measured 1 time" in out


def test_any_experiment_by_time(inside, tiny, tmp_path):
    code, out, err = inside("train", *[word for word in tiny if not word.startswith("kimg")], "minutes=0.01")
    assert code == 0 and "chosen  kimg=" in out and "0.01 minutes at" in out, err


@pytest.mark.parametrize("words, sentence", [
    (["minutes=5", "hours=1"], "minutes=5 and hours=1: give one of them"),
    (["minutes=0"], "minutes=0"), (["auto=[everything]"], "auto=[everything]"), (["dry_run=perhaps"], "dry_run=perhaps"),
])  # fmt: skip
def test_wrong_words(refused, tiny, words, sentence):
    assert sentence in refused("train", *tiny, *words)


def test_memory_that_is_short(inside, refused, folder, monkeypatch):
    """A batch that would not fit goes through in parts; where the user fixed the parts, it is refused."""
    words = ["train", folder, *SMALL[:-2], "batch_size=16", "kimg=0.016"]
    _, out, _ = inside(*words, "dry_run=true")
    assert "micro_batch" not in out
    given = planned.Trial.footprint

    def large(self, batch, free):
        found = given(self, batch, free)
        return type(found)(found.fixed, (2**32 - found.fixed) / 8)

    monkeypatch.setattr(planned.Trial, "footprint", large)
    monkeypatch.setattr(planned, "free_memory", lambda processes: int(2**32 * 1.3))
    code, out, err = inside(*words)
    assert code == 0 and re.search(r"micro_batch=8 +what fits at once: 5.2 GiB free", out), err
    err = refused(*words, "micro_batch=16", "name=other")
    assert "a step on 16 images takes 9.2 GiB of memory, and 5.2 GiB are free; give micro_batch=8 or less" in err
    err = refused(*words, "loss=relativistic_average", "name=another")
    why = "RelativisticAverage compares with the mean over a batch, which a part of it does not know; use loss=relativistic"
    assert f"5.2 GiB are free; give batch_size=8 or less: {why}" in err and "micro_batch=8" not in err
    monkeypatch.setattr(planned, "free_memory", lambda processes: 1000)
    assert "give smaller networks, or a lower resolution=" in refused(*words, "name=other")


def test_classes_that_cannot_be_read_are_not_chosen(inside, pictures, tmp_path):
    photos = pictures(tmp_path / "photos", classes=["a", "b"], count=24)
    for path in (photos / "b").iterdir():
        path.write_text("no picture")
    words = [word for word in SMALL if not word.startswith("batch_size")]
    code, out, err = inside("train", photos, *words, "minutes=0.01")
    assert code == 0 and "instead conditional=false" in out, err
    kept = OmegaConf.load(tmp_path / "runs" / "photos" / "config.yaml")
    assert kept.num_classes == 0 and kept.batch_size == 16
    code, out, err = inside("train", photos, *words, "minutes=0.01")
    assert code == 0 and "is finished" in out and "instead" not in out, err


@pytest.mark.slow
def test_two_processes_choose_the_same(transgan_process, folder, tmp_path):
    words = "train", folder, *SMALL, "minutes=0.01", "trainer.devices=2"
    done = transgan_process(*words, cwd=tmp_path)  # of two images of a process a quarter is none
    assert (
        done.returncode == 2
        and "in 2 processes: penalty.share= of the 2 images of each is not one image; give batch_size=8" in done.stderr
    )
    done = transgan_process(*words, "batch_size=8", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    kimg = float(re.search(r"kimg=(\S+)", done.stdout)[1])
    run = tmp_path / "runs" / "Meine Bilder für Größe"
    assert (
        OmegaConf.load(run / "config.yaml").kimg == kimg
        and f"done    {1000 * kimg // 8 * 8 / 1000:g}"[:9] in done.stdout
    )


def test_a_dry_run_of_a_run_that_is_there_trains_nothing(inside, tiny, tmp_path):
    assert inside("train", *tiny)[0] == 0
    last = tmp_path / "runs/digits/checkpoints/last.ckpt"
    before = last.read_bytes()
    code, out, err = inside("train", *tiny, "kimg=1.28", "dry_run=true")
    assert code == 0 and "goes on from 0.64 to 1.28 kimg" in out and last.read_bytes() == before, err


def test_networks_that_fill_the_memory_are_refused_before_they_do(refused, folder, monkeypatch):
    """Also where nothing is chosen: of large networks a step is counted before it is made."""
    monkeypatch.setattr("transgan.runs.training.LARGE", 0)
    monkeypatch.setattr(planned, "free_memory", lambda processes: 2**20)
    err = refused("train", folder, "experiment=digits", "auto=[]", "extractor=pixels", "logger=none", "trainer=cpu")
    assert "of memory, and 0.0 GiB are free; give " in err
