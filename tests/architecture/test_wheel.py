"""What is distributed: the apps and the ground floor, and nothing of the project around them."""

import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec

import pytest

from tests.architecture.house import APPS, PACKAGES, ROOT


def test_the_wheel_lists_every_app_and_not_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert sorted(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == sorted(
        PACKAGES
    )


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed")
def test_the_wheel_holds_templates_and_types_and_no_tests(tmp_path):
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
    for app in APPS:
        templates = list((ROOT / app).rglob("templates/**/*.html"))
        assert all(str(t.relative_to(ROOT)) in names for t in templates)
