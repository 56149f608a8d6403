"""conf/extractor: every argument of every class is visible in its YAML, with the default of the code."""

import inspect
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

from transgan.metrics import extractors

FOLDER = Path(__file__).parents[3] / "conf" / "extractor"
NEEDED = {
    "timm": {"model_name": "resnet10t.c3_in1k"}, "mobilenet_v2": {"weights": "w.pt"},
    "resnet56_cifar10": {"weights": "w.pt"}, "module": {"module": {"_target_": "torch.nn.Flatten"}, "name": "flat"},
}  # fmt: skip
NAMES = {
    "classifier": "classifier", "dinov2": "dinov2_vitl14", "efficientnet_lite0": "efficientnet_lite0", "inception": "inception", "masked": "masked",
    "mobilenet_v2": "mobilenet_v2", "module": "flat", "pixels": "pixels", "resnet56_cifar10": "resnet56_cifar10",
    "timm": "timm_resnet10t_c3_in1k",
}  # fmt: skip


def test_every_extractor_has_a_choice():
    assert {path.stem for path in FOLDER.iterdir()} == set(NAMES)
    targets = {OmegaConf.load(path)._target_.split(".")[-1] for path in FOLDER.iterdir()}
    assert targets == set(extractors.__all__) - {"Extractor"}


@pytest.mark.parametrize("choice", NAMES)
def test_every_argument_is_listed_and_it_builds(choice):
    text = (FOLDER / f"{choice}.yaml").read_text()
    config = OmegaConf.create(text)
    assert text.startswith("# ") and max(map(len, text.splitlines())) <= 120
    arguments = inspect.signature(get_class(config._target_)).parameters.values()
    assert set(config) - {"_target_"} == {argument.name for argument in arguments}
    assert OmegaConf.missing_keys(config) == set(NEEDED.get(choice, ()))
    for argument in arguments:
        if argument.default is not argument.empty:
            assert config[argument.name] == argument.default, argument
    extractor = instantiate(OmegaConf.merge(config, NEEDED.get(choice, {})))
    assert extractor.name == NAMES[choice] and extractor.standard == (choice == "inception")
