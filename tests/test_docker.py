"""What Dockerfile and compose.yaml name is there, and the build sees it. Nothing is built: that needs a daemon."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """(name, the rest of the line), with continued lines joined and comments left out."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in lines)]


def of(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def ignored(path: str) -> bool:
    """Whether .dockerignore leaves a path out; the last line that fits it decides."""
    found = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!").removeprefix("**/")
        if not pattern or line.startswith("#"):
            continue
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        if any(fnmatch(each, pattern) for each in (*above, *(parts if "**/" in line else ()))):
            found = not line.startswith("!")
    return found


def test_python_is_one_that_the_package_runs_on() -> None:
    (version,) = [each.partition("=")[2] for each in of("ARG") if each.startswith("PYTHON=")]
    assert version in SpecifierSet(PROJECT["project"]["requires-python"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)  # pinned
    assert all(image.startswith("python:${PYTHON}-slim") for image in of("FROM"))


def test_what_is_copied_exists_and_is_all_that_a_wheel_is_made_of() -> None:
    sources = {source for line in of("COPY") if "--from" not in line for source in line.split()[:-1]}
    assert not [source for source in sources if not (ROOT / source).exists()]
    targets = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    project = PROJECT["project"]
    needed = {*targets["packages"], *targets["force-include"], project["readme"], *project["license-files"]}
    assert needed | {"pyproject.toml"} == sources
    assert PROJECT["tool"]["hatch"]["version"]["path"].split("/")[0] in sources


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    for path in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "conf/train.yaml",
        "transgan/__init__.py",
        "transgan/runs/run.py",
    ):
        assert (ROOT / path).exists() and not ignored(path), path
    for path in ("runs/digits/config.yaml", ".git/config", ".venv/bin/python", "tests/conftest.py", "photos/a.png",
                 "transgan/__pycache__/cli.pyc"):  # fmt: skip
        assert ignored(path), path


def test_the_entry_point_is_the_projects_script_and_its_user_is_not_root() -> None:
    assert [json.loads(each) for each in of("ENTRYPOINT")] == [["transgan"]]
    assert "transgan" in PROJECT["project"]["scripts"]
    assert instructions().index(("USER", "1000")) < instructions().index(("ENTRYPOINT", '["transgan"]'))
    (volumes,) = [json.loads(each) for each in of("VOLUME")]
    (place,) = of("WORKDIR")[-1:]
    assert f"{place}/runs" in volumes
    environment = dict(each.split("=") for each in of("ENV")[0].split())
    assert all(value.startswith(tuple(volumes)) for name, value in environment.items() if name != "PYTHONUNBUFFERED")


@pytest.mark.parametrize("name", ["train", "sample", "train-gpu"])
def test_services_keep_runs_in_the_volume(name: str) -> None:
    service = COMPOSE["services"][name]
    assert "runs" in COMPOSE["volumes"] and "${RUNS:-runs}:/work/runs" in service["volumes"]
    assert service["entrypoint"][0] == "transgan" and service["shm_size"] and service["init"] is True
    data = [each for each in service["volumes"] if isinstance(each, dict)]
    assert all(each["read_only"] and each["target"] == "/data" for each in data)
    assert bool(data) == ("/data" in service["entrypoint"])
    declared = {each.partition("=")[0] for each in of("ARG")}
    assert set(service["build"]["args"]) <= declared and service["build"]["context"] == "."


def test_gpus_are_asked_for_by_their_profile_alone() -> None:
    train, gpu = COMPOSE["services"]["train"], COMPOSE["services"]["train-gpu"]
    assert gpu["profiles"] == ["gpu"] and "deploy" not in train and train["image"] != gpu["image"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"] and gpu["build"]["args"]["DEVICE"].startswith("cu")


def test_services_call_the_command_line_as_it_is() -> None:
    from transgan.cli import separated
    from transgan.config.compose import compose

    sample = COMPOSE["services"]["sample"]
    command, arguments = separated([*sample["entrypoint"][1:], *sample["command"]])
    assert command == "sample" and compose(command, arguments)["to"] == "grid"
    assert COMPOSE["services"]["train"]["entrypoint"] == ["transgan", "train", "/data"]
