"""Which names of folders are suspicious for classes, and which are not."""

import pytest

from transgan.data.inspection.class_names import alike, difference, suspicious
from transgan.data.inspection.finding import Finding

PARTS = ["train2017", "val2017", "train_1", "Train2", "test2", "test-A", "test set 2", "testing_set", "validation_set"]
THINGS = ["dataset1", "Dataset_v2", "images (1)", "images_1", "data1", "labels", "annotations", "Downloads"]
LEFT = ["node_modules", "cats (1)", "cats - Copy", "dogs_old", "backup", "@eaDir", "DCIM"]


@pytest.mark.parametrize("name", [*PARTS, *THINGS, *LEFT])
def test_a_folder_of_something_else_is_suspicious(name):
    assert suspicious(["cats", "dogs", name]) == ([name], [])


@pytest.mark.parametrize("names", [
    ["cardboard", "glass", "metal", "paper", "plastic", "trash"], ["art_painting", "cartoon", "photo", "sketch"],
    ["fake", "real"], ["generated", "real"], ["valid", "invalid"], ["one_year_old", "three_year_old"],
    ["airplane", "boat", "bus", "train"], ["train_station", "test tube", "development_board", "extra-large"],
    ["index", "thumb", "fist"], ["level (1)", "level (2)", "level (3)"], ["Golf (2019)", "Polo (2020)"],
    ["camera", "chair", "crab", "cup", "dolphin", "emu", "ferry", "lamp", "lotus", "pizza", "scissors"],
    ["with_mask", "without_mask"], ["0", "1", "10"],
])  # fmt: skip
def test_real_classes_are_not(names):
    assert suspicious(names) == ([], [])


@pytest.mark.parametrize("name", ["camera", "junk", "masks", "photo", "fake", "trash"])
def test_what_may_be_a_class_is_only_noted(name):
    assert suspicious(["cats", "dogs", name]) == ([], [name])


def test_beside_a_suspicious_folder_it_is_suspicious():
    assert suspicious(["images", "masks", "cats"]) == (["images", "masks"], [])


@pytest.mark.parametrize(("names", "said"), [
    (["caf\u00e9", "cafe\u0301"], "differ in how characters are encoded (NFC, NFD)"), (["cats", "Cats"], "differ in case"),
    (["dog", "dog "], "differ in a space at an end"),
    (["hot dog", "Hot_Dog"], "differ in case and in spaces, hyphens, dots or underscores"),
])  # fmt: skip
def test_what_alike_names_differ_in_is_said(names, said):
    assert alike(names) == [names] and difference(names) == said


@pytest.mark.parametrize("names", [["caf\u00e9", "cafe\u0301"], ["dog", "dog "], ["\u212a", "K"]])
def test_names_that_print_alike_are_shown_with_escapes(names):
    found = Finding("similar_classes", "", "", "", "", names, [names]).named()
    assert found == [" = ".join(map(ascii, names))]
