"""Which folders are classes, which are something else, and what is said of it; what is ours is left out."""

import importlib
import json
import re
import sys
import zipfile
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from transgan.data import Folder, Zip, decode
from transgan.data.inspection.check import check
from transgan.data.labels import classes, training_part
from transgan.data.listing import kinds, separated
from transgan.data.preparation.prepare import Settings, prepare
from transgan.data.zip import UTF8, name_of


def tree(root, names):
    """Images under these names; a name that ends with / is an empty folder, and others than png are text."""
    for i, name in enumerate(names):
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.lower().endswith(".png"):
            Image.fromarray(np.full((8, 8), i, np.uint8)).save(path)
        else:
            path.write_text("x")
    return root


def packed(folder, rename=str, system=3):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix() + ("/" if file.is_dir() else "")
            info = zipfile.ZipInfo(rename(name))
            info.create_system = system
            archive.writestr(info, b"" if file.is_dir() else file.read_bytes())
    return path


def both(folder, **options):
    """The same from a folder and from a zip of it."""
    data, zipped = Folder(folder, 8, 1, **options), Zip(packed(folder), 8, 1, **options)
    assert data.class_names == zipped.class_names and data.labels.tolist() == zipped.labels.tolist()
    assert data.describe(hints=False) == zipped.describe(hints=False) and len(data.hints) == len(zipped.hints)
    return data


# Parts to train and to test on


@pytest.mark.parametrize(
    "folders, taken, names",
    [
        (["train/cats", "train/dogs", "test/cats", "test/dogs"], "train", ["cats", "dogs"]),
        (["Training/a", "Training/b", "Validation/a", "Testing/b"], "Training", ["a", "b"]),
        (["train", "val", "test"], "train", []),
        (["set/train2017", "set/val2017"], "set/train2017", []),
        (["trainA", "trainB", "testA", "testB"], "train", ["trainA", "trainB"]),
        (["trainset/0", "trainset/1", "testset/0"], "trainset", ["0", "1"]),
        (["train_512", "valid_512"], "train_512", []),
        (["train", "dev"], "train", []),
    ],
)
def test_only_the_part_to_train_on_is_taken(tmp_path, folders, taken, names):
    data = both(tree(tmp_path / "p", [f"{folder}/{i}.png" for folder in folders for i in range(2)]))
    assert data.class_names == names and all(name.startswith(taken) for name, _, _ in data.files)
    assert len(data) == 2 * sum(folder.startswith(taken) for folder in folders)
    said = data.describe()
    assert "Left out " in said and "data.labels=folders" in said
    everything = Folder(tmp_path / "p", 8, 1, labels="folders")
    assert len(everything) == 2 * len(folders) and "Left out" not in everything.describe()


def test_parts_in_every_class(tmp_path):
    names = [f"{c}/{part}/{i}.png" for c in ("bottle", "cable") for part in ("train", "test") for i in range(3)]
    data = both(tree(tmp_path / "p", names))
    assert data.class_names == ["bottle", "cable"] and len(data) == 6
    assert "Left out test 6" in data.describe()


def test_parts_and_an_image_outside_of_them(tmp_path):
    data = both(tree(tmp_path / "p", ["logo.png", "train/a/1.png", "train/b/2.png", "test/a/3.png"]))
    assert data.class_names == ["a", "b"] and "Left out outside of them 1, test 1" in data.describe()


@pytest.mark.parametrize(
    "folders", [["train", "car", "bus"], ["trains", "planes"], ["test tube", "beaker"], ["valley", "hill"]]
)
def test_classes_that_only_sound_like_parts(tmp_path, folders):
    data = both(tree(tmp_path / "p", [f"{folder}/1.png" for folder in folders]))
    assert data.class_names == sorted(folders) and "Left out" not in data.describe()


def test_parts_of_which_none_is_to_train_on(tmp_path):
    data = both(tree(tmp_path / "p", ["test/1.png", "val/2.png"]))
    assert data.num_classes == 0 and len(data) == 2 and "are parts to test on" in data.describe()


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_part_to_test_on_is_held_out(tmp_path, in_memory):
    names = [f"{part}/{c}/{i}.png" for part in ("train", "val", "test") for c in "ab" for i in range(2)]
    for path in (tree(tmp_path / "p", names), packed(tmp_path / "p")):
        data = (Folder if path.is_dir() else Zip)(path, 8, 1, in_memory=in_memory)
        held = data.heldout()
        assert [name for name, _, _ in held.files] == [f"test/{c}/{i}.png" for c in "ab" for i in range(2)]
        assert held.class_names == ["a", "b"] and held.in_memory == in_memory and held.heldout() is None
        assert held.fingerprint == Folder(tmp_path / "p" / "test", 8, 1).fingerprint != data.fingerprint
    assert Folder(tmp_path / "p" / "train", 8, 1).heldout() is None


@pytest.mark.parametrize(("bad", "skipped", "said"), [
    (["a/1", "a/2"], 2, ["No image to measure against of a can be read."]), (["b/1"], 1, []),
    (["a/1", "a/2", "b/1", "b/2"], 4, "4 of 4 images to measure against in .*there is nothing to measure against"),
])  # fmt: skip
def test_held_out_images_that_cannot_be_read_are_called_so(tmp_path, bad, skipped, said):
    tree(tmp_path, [f"{part}/{c}/{i}.png" for part in ("train", "test") for c in "ab" for i in (1, 2)])
    for name in bad:
        (tmp_path / "test" / f"{name}.png").write_text("no image")
    data = Folder(tmp_path, 8, 1, on_error="skip")
    if isinstance(said, str):
        with pytest.raises(ValueError, match=f"(?s){said}"):
            data.heldout()
    else:
        held = data.heldout()
        assert (len(held.skipped), held.notes, data.skipped) == (skipped, said, [])


@pytest.mark.parametrize("in_memory", [True, False])
def test_held_out_images_have_the_classes_of_the_others(tmp_path, in_memory):
    tree(tmp_path, [f"train/{c}/{i}.png" for c in "abc" for i in range(2)] + ["test/a/1.png", "test/c/2.png"])
    held = Folder(tmp_path, 8, 1, in_memory=in_memory).heldout()
    assert held.class_names == ["a", "b", "c"] and held.labels.tolist() == [0, 2]
    assert held.fingerprint != Folder(tmp_path / "test", 8, 1).fingerprint
    tree(tmp_path, ["test/d/1.png"])
    assert Folder(tmp_path, 8, 1, in_memory=in_memory).heldout() is None


def test_training_part_of_no_parts():
    names = ["a/1.png", "b/2.png", "3.png"]
    assert training_part(names) == ([0, 1, 2], {})


# Shares of a large set, a camera's folders


@pytest.mark.parametrize(
    "names, says",
    [
        ([f"{i // 2:05}/img{i:08}.png" for i in range(4)], "StyleGAN's format"),
        (["00000/00017.png", "00000/00018.png", "01000/01001.png", "69000/69999.png"], "a thousand numbered"),
        (["100CANON/IMG_1.png", "101CANON/IMG_2.png"], "a camera makes"),
        (["DCIM/100APPLE/1.png", "DCIM/101APPLE/2.png"], "a camera makes"),
    ],
)
def test_folders_that_are_no_classes(tmp_path, names, says):
    data = both(tree(tmp_path / "p", names))
    assert data.num_classes == 0 and says in data.describe() and "data.labels=folders" in data.describe()
    assert both(tmp_path / "p", labels="folders").num_classes == len({name.rsplit("/", 1)[0] for name in names})


@pytest.mark.parametrize(
    "names",
    [
        ["00000/00000_00001.png", "00001/00000_00001.png"],  # traffic signs
        ["00000/1.png", "00001/2.png"],
        ["0/1.png", "1/2.png"],
        ["n01440764/1.png", "n02084071/2.png"],
    ],
)
def test_numbered_folders_that_are_classes(names):
    assert len(classes(names).names) == 2


def stylegan(folder, labels, names=("00000/img00000000.png", "00000/img00000001.png", "00001/img00000002.png")):
    tree(folder, names)
    pairs = None if labels is None else [list(pair) for pair in zip(names, labels, strict=True)]
    (folder / "dataset.json").write_text(json.dumps({"labels": pairs}))
    return folder


@pytest.mark.parametrize(
    "labels, names, numbers",
    [
        ([1, 0, 1], ["0", "1"], [1, 0, 1]),
        ([7, 7, 3], ["3", "7"], [1, 1, 0]),
        (None, [], [0, 0, 0]),
        ([], [], [0, 0, 0]),
    ],
)
def test_dataset_json(tmp_path, labels, names, numbers):
    folder = stylegan(tmp_path / "p", labels) if labels != [] else stylegan(tmp_path / "p", [[0.1], [0.2], [0.3]])
    data = both(folder)
    assert data.class_names == names and data.labels.tolist() == numbers and data.ignored == 0
    assert ("by dataset.json" if names else "dataset.json names no classes") in data.describe()
    assert both(folder, labels="none").num_classes == 0 and both(folder, labels="folders").class_names == [
        "00000",
        "00001",
    ]


def test_dataset_json_in_the_folder_that_all_share(tmp_path):
    stylegan(tmp_path / "p" / "cifar", [2, 0, 2])
    assert both(tmp_path / "p").labels.tolist() == [1, 0, 1]


def test_dataset_json_without_some_images(tmp_path):
    tree(stylegan(tmp_path, [0, 1, 0]), ["00001/img00000003.png"])
    with pytest.raises(ValueError, match="no label for 1 of 4 images .*img00000003.png.*data.labels=none"):
        Folder(tmp_path, 8, 1)
    assert len(Folder(tmp_path, 8, 1, labels="none")) == 4


@pytest.mark.parametrize("text", ["nonsense", "[1, 2]", '{"name": "cats"}', '{"labels": 3}', "\udcff"])
def test_another_dataset_json_is_another_file(tmp_path, text):
    tree(tmp_path, ["a/1.png", "b/2.png"])
    (tmp_path / "dataset.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    data = Folder(tmp_path, 8, 1)
    assert data.class_names == ["a", "b"] and "ignored 1 other file (.json 1)" in data.describe()


# Systems


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "System Volume Information",
                                    "lost+found", ".thumbnails", ".ipynb_checkpoints", ".@__thumb", ".Trash-1000"])  # fmt: skip
def test_folders_that_a_system_keeps(tmp_path, folder):
    tree(tmp_path / "p", ["cats/1.png", f"cats/{folder}/1.png", "dogs/2.png", f"{folder}/3.png", "Thumbs.db",
                          "dogs/desktop.ini", "cats/._1.png"])  # fmt: skip
    data = both(tmp_path / "p") if folder != "__MACOSX" else Folder(tmp_path / "p", 8, 1)
    assert data.class_names == ["cats", "dogs"] and len(data) == 2 and data.ignored == 0
    assert folder.startswith(".") or f"Left out {folder}" in data.describe()


@pytest.mark.parametrize("system, prefix", [(3, ""), (0, ""), (0, "C:\\pets\\"), (3, "pets\\")])
def test_a_zip_of_windows(tmp_path, system, prefix):
    tree(tmp_path / "p", ["cats/1.png", "cats/deep/2.png", "dogs/3.png"])
    data = Zip(packed(tmp_path / "p", lambda name: prefix + name.replace("/", "\\"), system), 8, 1)
    assert data.class_names == ["cats", "dogs"] and data.labels.tolist() == [0, 0, 1] and data.ignored == 0
    assert data.fingerprint == Folder(tmp_path / "p", 8, 1).fingerprint


@pytest.mark.parametrize("name", ["Größe", "犬と猫", "Ωmega"])
def test_a_zip_that_does_not_say_that_its_names_are_utf8(tmp_path, name):
    """As Finder of macOS and `zip` write it."""
    path = packed(tree(tmp_path / "p", [f"{name}/1.png", "zebras/2.png"]))
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert all(member.flag_bits & UTF8 for member in archive.infolist() if name in member.filename)
    for head, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of a file, and those of the directory
        parts = data.split(head)
        data = head.join([parts[0], *(each[: offset - 4] + b"\0\0" + each[offset - 2 :] for each in parts[1:])])
    path.write_bytes(data)
    found = Zip(path, 8, 1)
    assert found.class_names == [name, "zebras"] or found.class_names == ["zebras", name]
    assert found.fingerprint == Folder(tmp_path / "p", 8, 1).fingerprint and found[0][0].shape == (1, 8, 8)


def test_a_name_in_the_code_page_of_dos_stays_what_it_is():
    member = zipfile.ZipInfo("Größe/1.png")
    assert name_of(member) == "Größe/1.png"


def test_a_zip_of_windows_that_was_unpacked_without_its_folders(tmp_path):
    data = Folder(tree(tmp_path, ["cats\\1.png", "dogs\\2.png"]), 8, 1)
    assert data.class_names == ["cats", "dogs"]


def test_a_backslash_may_be_a_letter():
    assert separated(["a/b\\c.png", "a/d.png"]) == ["a/b\\c.png", "a/d.png"]
    assert separated(["a\\b.png", "c.png"]) == ["a/b.png", "c.png"]


# What is said


@pytest.mark.parametrize(
    "names, empty",
    [
        (["0/1.png", "1/", "2/3.png"], "1"),
        (["cats/1.png", "dogs/2.png", "birds/x.heic", "fish/deep/"], "birds, fish"),
        (["cats/1.png", "cats/2.png", "dogs/"], "dogs"),
        (["set/a/1.png", "set/b/2.png", "set/c/", "docs/"], "docs, set/c"),
    ],
)
def test_folders_without_an_image(tmp_path, names, empty):
    assert f"(No image in {empty}.)" in both(tree(tmp_path / "p", names)).describe()


def test_no_folder_is_called_empty_that_may_be_so(tmp_path):
    assert "No image" not in Folder(tree(tmp_path, ["1.png", "notes/x.txt", "more/"]), 8, 1).describe()
    assert (
        "No image" not in Folder(tree(tmp_path / "deep", ["a/1.png", "b/2.png", "a/x/", "a/y/z.txt"]), 8, 1).describe()
    )


@pytest.mark.parametrize(
    "names, says",
    [
        (["a.heic"] * 60 + ["b.txt"], ".heic 60: pip install pillow-heif reads them, .txt 1"),
        (["a.CR2", "b.nef", "c.nef"], ".nef 2: raw photographs, to be developed to tif or jpg first, .cr2 1: raw"),
        (["a.mp4", "noise"], ".mp4 1: video, no suffix 1"),
        ([f"x.k{i}" for i in range(9)], ".k0 1, .k1 1, .k2 1, .k3 1, .k4 1 and 4 more kinds"),
    ],
)
def test_kinds_of_other_files(names, says):
    assert kinds(names).startswith(says)


def test_what_is_ignored_is_said_beside_images(tmp_path):
    data = both(tree(tmp_path / "p", ["1.png", "a.heic", "b.HEIC", "c.txt"]))
    assert "ignored 3 other files (.heic 2: pip install pillow-heif reads them, .txt 1)" in data.describe()


def test_photographs_of_phones_are_read_where_the_plug_in_is(tmp_path, monkeypatch):
    plug_in = ModuleType("pillow_heif")
    plug_in.register_heif_opener = lambda: Image.register_extension("BMP", ".heic")
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.registered_extensions()))
    monkeypatch.setitem(sys.modules, "pillow_heif", plug_in)
    importlib.reload(decode)
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "a.HEIC", "BMP")
    data = Folder(tmp_path, 8, 1)
    assert len(data) == 1 and (data.images == 9).all() and data.ignored == 0


def frames(count):
    return [Image.fromarray(np.full((8, 8), 7 * i, np.uint8)) for i in range(count)]


@pytest.mark.parametrize(
    "form, suffix",
    [("TIFF", "tif"), ("GIF", "gif"), ("WEBP", "webp"), ("PNG", "png"), ("MPO", "jpg"), ("AVIF", "avif")],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_the_first_of_several_pages_is_taken_and_said(tmp_path, form, suffix, in_memory):
    first, *others = [frame.convert("RGB") if form in ("WEBP", "MPO", "AVIF") else frame for frame in frames(5)]
    first.save(tmp_path / f"stack.{suffix}", form, save_all=True, append_images=others)
    frames(1)[0].save(tmp_path / "one.bmp")
    for _ in range(2):  # the second time, what was found is remembered
        data = Folder(tmp_path, 8, 1, in_memory=in_memory)
        said = f"1 file of several pages or frames (stack.{suffix} 5): the first of each is used, 4 are not."
        assert said in data.describe() and len(data) == 2


# Ours


def run_folder(root):
    tree(root, ["samples/000000.png", "samples/reals.png", "checkpoints/last.ckpt", "generated.png"])
    (root / "config.yaml").write_text("algorithm:\n  _target_: transgan.training.adversarial.Adversarial\n")
    (root / "env.json").write_text('{"transgan": "0.1.0"}')
    return root


def drawn(root, count=2):
    tree(root, [f"seed{i:08}.png" for i in range(count)])
    (root / "index.json").write_text(json.dumps({"run": "runs/x", "kimg": 1, "psi": 1.0, "images": {}}))
    return root


def comparison(root):
    return tree(root, ["comparison.csv", "comparison.md", "samples/gan.png", "figures/a.png"])


@pytest.mark.parametrize("make", [run_folder, drawn, comparison])
@pytest.mark.parametrize("place", ["runs/folder", "cats/out", "out"])
def test_our_outputs_among_the_pictures_are_left_out(tmp_path, make, place):
    before = both(tree(tmp_path / "p", ["cats/1.png", "dogs/2.png"]))
    make(tmp_path / "p" / place)
    data = both(tmp_path / "p")
    assert data.fingerprint == before.fingerprint and data.class_names == before.class_names
    assert f"Left out {place}: written by transgan." in data.describe() and "No image" not in data.describe()


def test_an_earlier_or_half_made_run_is_one_too(tmp_path):
    tree(tmp_path, ["1.png", "runs/a/samples/000000.png", "runs/b/samples/000000.png"])
    (tmp_path / "runs/a/env.json").write_text('{"command": [], "transgan": "0.1.0"}')
    (tmp_path / "runs/b/config.yaml").write_text("data:\n  _target_: transgan.data.Folder\n")
    data = Folder(tmp_path, 8, 1)
    assert len(data) == 1 and "Left out runs/a, runs/b" in data.describe()


def test_others_files_of_these_names_are_no_run(tmp_path):
    tree(tmp_path, ["a/1.png", "a/samples/2.png", "a/checkpoints/x.ckpt", "a/index.json", "b/3.png"])
    (tmp_path / "a/config.yaml").write_text("model: resnet")
    (tmp_path / "b/index.json").write_text('{"run": 1}')
    assert len(Folder(tmp_path, 8, 1)) == 3


def test_drawn_images_alone_are_pictures(tmp_path):
    assert len(Folder(drawn(tmp_path / "one"), 8, 1)) == 2
    for name in ("cats", "dogs"):
        drawn(tmp_path / "two" / name)
    assert both(tmp_path / "two").class_names == ["cats", "dogs"]


@pytest.mark.parametrize(
    "inside, says",
    [
        ("run", "is a run written by transgan, not images.*transgan sample .*run out="),
        ("run/samples", "lies in the run .*run, whose samples are grids of images"),
        ("run/checkpoints/last.ckpt", "is a checkpoint written by transgan, not images.*transgan sample .*run out="),
        ("made", "is a comparison written by transgan"),
    ],
)
def test_ours_in_the_place_of_pictures_is_refused(tmp_path, inside, says):
    run_folder(tmp_path / "run")
    comparison(tmp_path / "made")
    path = tmp_path / inside
    with pytest.raises(ValueError, match=says):
        (Folder if path.is_dir() else Zip)(path, 8, 1)
    if path.is_dir() and "samples" not in inside:
        with pytest.raises(ValueError, match="is a .* written by transgan, not images"):
            Zip(packed(path), 8, 1)


def test_images_drawn_into_a_run_are_pictures(tmp_path):
    assert len(Folder(drawn(run_folder(tmp_path / "run") / "generated"), 8, 1)) == 2


def test_runs_alone_are_no_pictures(tmp_path):
    run_folder(tmp_path / "runs" / "a")
    with pytest.raises(ValueError, match="No image in .*Left out a: written by transgan"):
        Folder(tmp_path / "runs", 8, 1)


@pytest.mark.parametrize(("folders", "left"), [
    (["seg_train", "seg_test", "seg_pred"], {"seg_test", "seg_pred"}), (["train", "extra", "test"], {"extra", "test"}),
    (["digits-train", "digits-valid"], {"digits-valid"}), (["train", "unlabeled"], {"unlabeled"}),
    (["bullet_train", "crash_test"], set()), (["a-train", "b-train"], set()),
])  # fmt: skip
def test_parts_may_have_a_name_before_them(folders, left):
    assert set(training_part([f"{folder}/{i}.png" for folder in folders for i in range(2)])[1]) == left


@pytest.mark.parametrize(("folders", "kept"), [
    (["trainA", "trainB", "testA", "testB"], None), (["train/a", "train/b", "val/b"], "b"),
    (["x_train/a", "x_train/b", "x_test/a", "x_test/b", "x_pred"], "ab"), (["train/a", "train/b", "test/c"], None),
])  # fmt: skip
def test_what_is_held_out_has_the_classes_of_what_is_trained_on(tmp_path, folders, kept):
    for folder in folders:
        tree(tmp_path, [f"{folder}/1.png"])
    part = Folder(tmp_path, 8, 3).heldout()
    assert (part and "".join(part.class_names[int(label)] for label in part.labels)) == kept


@pytest.mark.parametrize("labels", [
    [["./a/1.png", 0], ["b\\1.png", 1]], {"a/1.png": 0, "/b/1.png": 1}, [["a/1.png", "0"], ["b/1.png", "1"]],
])  # fmt: skip
def test_dataset_json_of_other_writers(tmp_path, labels):
    for folder in "ab":
        tree(tmp_path, [f"{folder}/1.png"])
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    data = Folder(tmp_path, 8, 3)
    assert (data.class_names, data.labels.tolist()) == (["0", "1"], [0, 1])


def test_a_link_to_a_folder_that_is_read(tmp_path):
    for folder in "bc":
        tree(tmp_path, [f"{folder}/1.png"])
    (tmp_path / "a").symlink_to("b")
    data = Folder(tmp_path, 8, 3)
    assert data.class_names == ["b", "c"] and "Left out a: links to folders that are already read." in data.notes


@pytest.mark.parametrize("name", ["a\nb", "tab\t", "bell\a"])
def test_class_names_stay_in_one_line(tmp_path, name):
    for folder in (name, "c"):
        tree(tmp_path, [f"{folder}/1.png"])
    data = Folder(tmp_path, 8, 3)
    assert name in data.class_names and data.describe().isprintable()


@pytest.mark.parametrize(("bad", "left", "said"), [
    (["b/1.png", "b/2.png"], ["a", "c"], "No image of b can be read: training goes on without this class."),
    (["b/1.png", "b/2.png", "c/1.png"], [], "No image of b, c can be read: training goes on without these classes."),
    (["a/1.png", "b/2.png"], ["a", "b", "c"], None),
])  # fmt: skip
def test_a_class_without_a_readable_image_is_named(tmp_path, bad, left, said):
    tree(tmp_path / "p", ["a/1.png", "a/2.png", "b/1.png", "b/2.png", "c/1.png"])
    for name in bad:
        (tmp_path / "p" / name).write_text("no image")
    data = Folder(tmp_path / "p", 8, 3, on_error="skip")
    assert data.class_names == left and data.notes == check(tmp_path / "p", resolution=8).notes == [said] * bool(said)
    assert prepare(tmp_path / "p", tmp_path / "p.zip", Settings(8), on_error="skip").notes == data.notes


@pytest.mark.parametrize("name", ["dataset.json", "transgan.json", "index.json"])
def test_files_nested_too_deeply_are_others(tmp_path, name):
    tree(tmp_path, ["a/1.png", "b/1.png"])
    (tmp_path / name).write_text("[" * 100_000)
    assert Folder(tmp_path, 8, 3).class_names == ["a", "b"]
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for each in ("a/1.png", "b/1.png", name):
            archive.write(tmp_path / each, each)
    assert Zip(tmp_path / "p.zip", 8, 3).class_names == ["a", "b"]


@pytest.mark.parametrize("text", [
    '{"labels": [["a/1.png", 0], ["b/1.', '{"labels": [["a/1.png", 0], ["b/1.png", 1],]}', '"labels": [["a/1.png", 0]]',
    '{"labels": ' + "[" * 100_000,
])  # fmt: skip
def test_a_damaged_dataset_json_is_not_passed_over(tmp_path, text):
    tree(tmp_path, ["a/1.png", "b/1.png"])
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"dataset.json is damaged \(.*\): repair it, or take no labels: data.labels=n"
    ):
        Folder(tmp_path, 8, 3)
    assert [each.kind for each in check(tmp_path, resolution=8).findings if each.level == "stops"] == ["labels"]
    assert Folder(tmp_path, 8, 3, labels="none").class_names == []


@pytest.mark.parametrize(("more", "said"), [
    ([], []), (["c.png"], ["dataset.json names 1 image that is not here, such as c.png."]),
    (["x/d.png", "c.png"], ["dataset.json names 2 images that are not here, such as c.png."]),
])  # fmt: skip
def test_images_that_dataset_json_names_and_that_are_not_here(tmp_path, more, said):
    tree(tmp_path, ["a.png", "b.png"])
    labels = [[name, i] for i, name in enumerate(["a.png", "b.png", *more])]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    data = both(tmp_path)
    assert data.notes == check(tmp_path, resolution=8).notes == said and data.class_names == ["0", "1"]


@pytest.mark.parametrize(("labels", "said"), [
    ([0, 1, None], "no label for 1 of 3 images (the first is c.png)"), ([-1, 1, -1], "no label for 2 of 3 images"),
    (["x", "", "y"], "no label for 1 of 3 images (the first is b.png)"),
    ([0, "x", 1], "a number for some images (the first is a.png) and a name for others (the first is b.png)"),
])  # fmt: skip
def test_a_dataset_json_that_labels_only_some_images_is_refused(tmp_path, labels, said):
    stylegan(tmp_path, labels, ["a.png", "b.png", "c.png"])
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        Folder(tmp_path, 8, 3)
    assert "data.labels=none" in str(error.value) and Folder(tmp_path, 8, 3, labels="none").notes == []
    assert [each.kind for each in check(tmp_path, resolution=8).findings if each.level == "stops"] == ["labels"]


@pytest.mark.parametrize("labels", [[None] * 2, [-1, -1], ["", ""], [[0, 1], [1, 0]], [0.5, 1], [True, False]])
def test_a_dataset_json_without_any_class_is_no_mistake(tmp_path, labels):
    stylegan(tmp_path, labels, ["a.png", "b.png"])
    assert "dataset.json names no classes" in both(tmp_path).describe()


@pytest.mark.parametrize(("text", "said"), [
    ('[["a.png", 0], ["b.png", 1], ["./a.png", 2]]', ["1 image, such as a.png"]),
    ('{"b.png": 0, "a.png": 1, "b.png": 1, "a.png": 0}', ["2 images, such as a.png"]),
    ('[["a.png", 0], ["b.png", 1], ["a.png", 0]]', []),
])  # fmt: skip
def test_an_image_that_dataset_json_labels_twice(tmp_path, text, said):
    tree(tmp_path, ["a.png", "b.png"])
    (tmp_path / "dataset.json").write_text(f'{{"labels": {text}}}')
    data = both(tmp_path)
    said = [f"dataset.json has several labels for {each}: the last of each is used." for each in said]
    assert data.notes == check(tmp_path, resolution=8).notes == said and data.num_classes == 2
