"""How ``make`` finds a Python and builds an environment with it."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def find_python(*arguments, path):
    return subprocess.run(
        ["/bin/sh", ROOT / "requirements/find-python", *arguments],
        env={"PATH": str(path), "PYENV_ROOT": str(path / "pyenv")},
        capture_output=True,
        text=True,
        check=False,
    )


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_stub_that_only_complains_is_passed_over(tmp_path):
    program(tmp_path / "python3", "exit 127")
    program(tmp_path / "python3.13", "echo no version is set >&2; exit 127")
    program(tmp_path / "python3.12", f'exec {sys.executable} "$@"')
    assert find_python(path=tmp_path).stdout.strip() == sys.executable


def test_a_version_managers_folder_is_looked_into(tmp_path):
    program(tmp_path / "pyenv/versions/3.11.7/bin/python", f'exec {sys.executable} "$@"')
    assert find_python("5.2", path=tmp_path).stdout.strip() == sys.executable


def test_a_python_that_is_too_old_is_none(tmp_path):
    program(tmp_path / "python3", "exit 1")  # what the version check exits with
    found = find_python(path=tmp_path)
    assert found.returncode == 1
    assert "no Python 3.11 or newer was found" in found.stderr
    assert "make PYTHON=" in found.stderr


def test_the_python_that_is_there_is_named_where_it_is_too_old(tmp_path):
    program(tmp_path / "python3", "echo 10 /usr/bin/python3.10")  # as 3.10 answers
    found = find_python("6.1", path=tmp_path)
    assert "no Python 3.12 or newer was found for Django 6.1" in found.stderr
    assert "only 3.10 (/usr/bin/python3.10)" in found.stderr


def test_an_unknown_line_is_refused(tmp_path):
    assert "write 5.2 or 6.1" in find_python("4.2", path=tmp_path).stderr


@pytest.fixture
def requirements(tmp_path):
    """The installer beside four locks that ask for nothing."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    (folder / "install.py").write_bytes((ROOT / "requirements/install.py").read_bytes())
    for lock in LOCKS:
        (folder / lock.name).write_text("# nothing\n")
    return folder


def install(requirements, kind="run"):
    place = requirements.parent / ".venv"
    return place, subprocess.run(
        [sys.executable, requirements / "install.py", kind, place, "--line", "5.2"],
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_environment_is_built_once_and_again_when_its_lock_has_changed(requirements):
    place, built = install(requirements)
    assert built.returncode == 0, built.stderr
    assert "Building" in built.stderr
    (place / "kept").touch()
    assert install(requirements)[1].stderr == ""
    assert (place / "kept").exists()

    (requirements / "run-django5.2.txt").write_text("attrs==25.4.0\n")  # and no hash
    refused = install(requirements)[1]
    assert "Building" in refused.stderr
    assert not (place / "kept").exists()
    assert refused.returncode == 1
    assert "--require-hashes" in refused.stderr
    assert not (place / "installed-from").exists()


def test_an_environment_is_current_only_with_its_lock_and_a_python_that_runs(requirements):
    installer = runpy.run_path(str(requirements / "install.py"))
    place = requirements.parent / ".venv"
    program(place / "bin/python", "exit 0")
    is_current, fingerprint = installer["_is_current"], installer["_fingerprint"]
    assert not is_current(place, "run", "5.2")
    (place / "installed-from").write_text(fingerprint("dev", "5.2"))
    assert is_current(place, "dev", "5.2")
    assert is_current(place, "run", "5.2"), "the dev lock holds all of the run lock"
    assert not is_current(place, "run", "6.1")
    (place / "installed-from").write_text(fingerprint("run", "5.2"))
    assert not is_current(place, "dev", "5.2")
    program(place / "bin/python", "exit 127")
    assert not is_current(place, "run", "5.2")


def test_an_environment_that_somebody_else_made_is_left_alone(requirements):
    (requirements.parent / ".venv").mkdir()
    place, left = install(requirements)
    assert left.returncode == 0
    assert "used as it is" in left.stderr
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(("version", "code"), [("3 10", 1), ("3 11", 0)])
def test_an_environment_of_somebody_else_s_with_too_old_a_python_is_refused(
    requirements, version, code
):
    program(requirements.parent / ".venv/bin/python", f"echo {version}")
    _, told = install(requirements)
    assert told.returncode == code
    needs = "is Python 3.10; on Django 5.2 the site needs Python 3.11 or newer."
    assert (needs in told.stderr) is bool(code)


@pytest.mark.parametrize("how", [["LINE=6.1"], []], ids=["behind", "before"])
def test_the_line_is_read_before_make_and_behind(how):
    before = {} if how else {"LINE": "6.1"}
    planned = subprocess.run(
        ["make", "--dry-run", "run", "PYTHON=python3", *how],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | before,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "requirements/install.py run .venv-6.1 --line 6.1" in planned.stdout
    assert "exec .venv-6.1/bin/python -m config.starter" in planned.stdout


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_pins_and_hashes_everything_and_names_no_index(lock):
    text = lock.read_text()
    pinned = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==\S+.*\\$", text, re.MULTILINE)
    assert len(pinned) >= 40
    starts = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(starts) == len(pinned)
    assert text.count("--hash=sha256:") >= len(pinned)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:|/tmp/", text)
    line = "5.2" if "5.2" in lock.name else "6.1"
    assert re.search(rf"^django=={re.escape(line)}\.\d+ ", text, re.MULTILINE)


def test_there_is_a_lock_for_each_line_and_use():
    assert [lock.name for lock in LOCKS] == [
        f"{kind}-django{line}.txt" for kind in ("dev", "run") for line in ("5.2", "6.1")
    ]


def test_make_help_names_every_target():
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = set(re.findall(r"^  make (\S+)", told.stdout, re.MULTILINE))
    assert {"help", "run", "demo", "test", "check", "bench", "lock"} <= targets
    for target in targets:
        planned = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert planned.returncode == 0, planned.stderr
