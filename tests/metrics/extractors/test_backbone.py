"""Networks of timm: the same features as timm's, with weights from everywhere they may lie, and never random ones."""

import shutil

import huggingface_hub
import pytest
import torch

from transgan.metrics.extractors import Backbone


def prepared(dataset, *arguments, **more):
    extractor = Backbone(*arguments, **more)
    extractor.prepare(dataset)
    return extractor


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto"])
def test_features_are_timms(save_backbone, dataset, smooth, name, sockets):
    network, path = save_backbone(name)
    extractor = prepared(dataset, name, weights=path)
    images = smooth(3)
    expected = network(extractor.resize(images))
    features, logits = extractor(images)
    assert torch.equal(features, expected) and logits is None and features.std() > 0
    assert extractor.name == f"timm_{name}" and extractor.num_features == expected.shape[1]
    assert extractor.preprocessing.startswith("bicubic with antialias to ")
    assert sockets == []


@pytest.mark.parametrize(
    "suffix, arguments", [(".pth", {}), (".pt", {"num_classes": 3}), (".safetensors", {"num_classes": 0})]
)
def test_any_format_and_any_head(save_backbone, resnet10t, dataset, smooth, suffix, arguments):
    network, path = save_backbone("resnet10t", suffix=suffix, **arguments)
    assert torch.equal(
        prepared(dataset, "resnet10t", weights=path)(smooth(2))[0],
        network(prepared(dataset, "resnet10t", weights=resnet10t[1]).resize(smooth(2))),
    )


def test_weights_lie_in_a_folder_or_in_the_cache(resnet10t, dataset, smooth, tmp_path, monkeypatch, sockets):
    expected = prepared(dataset, "resnet10t", weights=resnet10t[1])
    monkeypatch.setenv("TRANSGAN_WEIGHTS", str(resnet10t[1].parent))
    folder = prepared(dataset, "resnet10t")
    monkeypatch.setenv("TRANSGAN_WEIGHTS", str(tmp_path))  # there, but without this file
    snapshot = tmp_path / "hub" / "models--timm--resnet10t.c3_in1k" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123")
    shutil.copy(resnet10t[1], snapshot / "model.safetensors")
    cache = prepared(dataset, "resnet10t.c3_in1k")
    assert cache.name == "timm_resnet10t_c3_in1k"
    for extractor in (folder, cache):
        assert extractor.hash == expected.hash
        assert torch.equal(extractor(smooth(2))[0], expected(smooth(2))[0])
    assert sockets == []


def test_missing_weights_are_said_and_no_socket_is_opened(dataset, tmp_path, monkeypatch, sockets):
    with pytest.raises(ValueError, match="Backbone resnet10t: the weights are not on this machine") as error:
        prepared(dataset, "resnet10t")
    text = str(error.value)
    assert "resnet10t.safetensors" in text and "$TRANSGAN_WEIGHTS" in text and "timm/resnet10t.c3_in1k" in text
    assert "extractor.weights=PATH" in text and "extractor.download=true" in text and "\n" not in text
    with pytest.raises(ValueError, match="extractor.weights names /nowhere, where there is no file"):
        prepared(dataset, "resnet10t", weights="/nowhere", download=True)
    monkeypatch.setenv("TRANSGAN_WEIGHTS", str(tmp_path / "no folder"))
    with pytest.raises(ValueError, match="TRANSGAN_WEIGHTS names .*no folder, where there is no folder"):
        prepared(dataset, "resnet10t", download=True)
    assert sockets == []
    import timm

    monkeypatch.setattr("time.sleep", lambda *_: None)
    with pytest.raises(Exception, match="no network|locate the file|connection"):  # timm goes out at once
        timm.create_model("resnet10t", pretrained=True)
    assert sockets != []


def test_download_only_when_asked(resnet10t, dataset, monkeypatch):
    def answer(repository, name):
        assert (repository, name) == ("timm/resnet10t.c3_in1k", "model.safetensors")
        return str(resnet10t[1])

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", answer)
    assert prepared(dataset, "resnet10t", download=True).num_features == 512

    def fail(*_):
        raise huggingface_hub.errors.LocalEntryNotFoundError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ValueError, match="could not be downloaded: no network; looked for"):
        prepared(dataset, "resnet10t", download=True)
    with pytest.raises(ValueError, match="could not be downloaded: timm names no place on the Hugging Face hub;"):
        prepared(dataset, "legacy_seresnet18", download=True)


@pytest.mark.parametrize(
    "name, near", [("resnet5O", "resnet50"), ("resnet10t.c3_in2k", r"resnet10t\.c3_in1k"), ("zzzzzz", "list_models")]
)
def test_unknown_model_gets_near_names(dataset, name, near):
    with pytest.raises(ValueError, match=f"extractor.model_name={name}: timm .* knows no such model; .*{near}"):
        prepared(dataset, name)


@pytest.mark.parametrize("name", ["resnet10t", "dla46_c"])
def test_what_is_missing_in_the_file_is_never_random(save_backbone, dataset, name):
    """timm fills a part of DLA that is not in the file with random numbers, and says so only in its log."""
    import timm

    lost = {"resnet10t": "layer2.0.conv1.weight", "dla46_c": "level2.project.0.weight"}[name]
    path = save_backbone(name, change=lambda state: state.pop(lost))[1]
    if name == "dla46_c":
        one, two = (timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(path)}) for _ in "12")
        assert not torch.equal(one.state_dict()[lost], two.state_dict()[lost])
    with pytest.raises(ValueError, match=f"does not hold weights of timm's {name} .*{lost}") as error:
        prepared(dataset, name, weights=path)
    assert "\n" not in str(error.value)


def test_other_networks_broken_files_and_code_are_refused(save_backbone, dataset, tmp_path):
    class Malicious:
        def __reduce__(self):
            return open, (str(tmp_path / "was here"), "w")

    torch.save(Malicious(), tmp_path / "code.pth")
    (tmp_path / "half.safetensors").write_bytes(b"half a file")
    for path in (save_backbone("resnet14t")[1], tmp_path / "code.pth", tmp_path / "half.safetensors"):
        with pytest.raises(ValueError, match=f"{path} does not hold weights of timm's resnet10t") as error:
            prepared(dataset, "resnet10t", weights=path)
        assert "\n" not in str(error.value) and len(str(error.value)) < 500
    assert not (tmp_path / "was here").exists()
