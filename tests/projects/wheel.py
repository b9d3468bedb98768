"""The built wheel, beside the packages that some of its extras require, and no other."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
OURS = "django-garrison"


@cache
def installed(*extras: str) -> Path:
    """Return a folder that holds what pip would install for ``django-garrison[extras]``.

    The packages are links to those of this environment; use it with ``python -S``.
    """
    folder = Path(_scratch().name) / ("-".join(extras) or "none")
    with zipfile.ZipFile(_built()) as wheel:
        wheel.extractall(folder)
    (own,) = folder.glob("*.dist-info")
    for package in _required(Distribution.at(own), extras):
        tops = {file.parts[0] for file in package.files or ()}
        for top in tops - {"..", "__pycache__"}:
            (folder / top).symlink_to(package.locate_file(top))
    return folder


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="garrison-wheel-")


@cache
def _built() -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", _scratch().name]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = Path(_scratch().name).glob("*.whl")
    return wheel


def _required(own: Distribution, extras: tuple[str, ...]) -> list[Distribution]:
    """Return every package that the extras bring, directly or by others."""
    seen, found = set(), {}
    waiting = [(OURS, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        package = found[name] = own if name == OURS else distribution(name)
        for needed in map(Requirement, package.requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting += [(needed.name.lower(), each) for each in ("", *needed.extras)]
    del found[OURS]
    return list(found.values())
