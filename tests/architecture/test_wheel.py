"""What is distributed: the apps and the ground floor, each list of them whole, and no project."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec

import pytest
from django.conf import settings

from tests.architecture.house import APPS, PACKAGES, ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["tool"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
CONTRACTS = PROJECT["importlinter"]["contracts"]


def floors():
    """The packages of the floors contract, whatever stands between them."""
    return [name for line in CONTRACTS[0]["layers"] for name in line.split(" | ")]


@pytest.mark.parametrize(
    ("listed", "meant"),
    [
        (PROJECT["hatch"]["build"]["targets"]["wheel"]["packages"], PACKAGES),
        (PROJECT["coverage"]["run"]["source"], PACKAGES),
        (PROJECT["importlinter"]["root_packages"], [*PACKAGES, "config"]),
        (floors(), [*PACKAGES, "config"]),
        (CONTRACTS[1]["containers"], APPS),
        (EXTRAS.keys() & set(PACKAGES), APPS),
    ],
    ids=["wheel", "coverage", "contracts", "floors", "doors", "extras"],
)
def test_a_list_of_apps_in_pyproject_names_every_app(listed, meant):
    assert sorted(listed) == sorted(meant)


def test_the_project_installs_every_app():
    assert set(PACKAGES) <= set(settings.INSTALLED_APPS)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed")
def test_the_wheel_holds_every_file_of_the_apps_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("django_garrison-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == set(PACKAGES)
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(files) > 300
    assert {name for name in names if ".dist-info" not in name} == files
