"""Build a virtual environment from a hashed lock; nothing happens while it is up to date.

    python requirements/install.py {run,dev} VENV [--line 5.2|6.1]

Needs a Python with its own ``venv`` and ``pip``, and nothing else. Every file is checked against
the hash in the lock before it is unpacked, and only wheels are taken, so that installing runs
nobody's code. A folder of that name that this program has not made is used as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = "made-by-make"  # in the environment: this program may rebuild it
LOWEST = {"5.2": (3, 11), "6.1": (3, 12)}  # the Python that each line needs
INSTALLED = "installed-from"  # in the environment: the lock it was built from, written last


def main() -> int:
    """Build or leave the environment that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("run", "dev"))
    parser.add_argument("venv", type=Path)
    parser.add_argument("--line", choices=("5.2", "6.1"), default=_line_of_this_python())
    chosen = parser.parse_args()
    is_foreign = chosen.venv.exists() and not (chosen.venv / OURS).exists()
    found = _version_in(chosen.venv) if is_foreign else sys.version_info[:2]
    if found and found < LOWEST[chosen.line]:
        _refuse(chosen.venv / "bin/python" if is_foreign else sys.executable, found, chosen.line)
        return 1
    if is_foreign:
        _say(f"{chosen.venv} was not built by make, and is used as it is.")
        return 0
    if _is_current(chosen.venv, chosen.kind, chosen.line):
        return 0
    return _build(chosen.venv, chosen.kind, chosen.line)


def _line_of_this_python() -> str:
    return "6.1" if sys.version_info >= (3, 12) else "5.2"


def _version_in(place: Path) -> tuple[int, ...]:
    """Return the version of an environment's Python; nothing where it has none that runs."""
    asked = [place / "bin/python", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        tried = subprocess.run(asked, check=False, capture_output=True, text=True)
    except OSError:
        return ()
    return tuple(map(int, tried.stdout.split()))


def _refuse(python: Path | str, found: tuple[int, ...], line: str) -> None:
    needed = ".".join(map(str, LOWEST[line]))
    _say(
        f"{python} is Python {'.'.join(map(str, found))}; on Django {line} the site needs Python "
        f"{needed} or newer. Install one, or name it: make PYTHON=/path/to/python{needed} …"
    )


def _lock(kind: str, line: str) -> Path:
    return HERE / f"{kind}-django{line}.txt"


def _fingerprint(kind: str, line: str) -> str:
    digest = hashlib.sha256(_lock(kind, line).read_bytes()).hexdigest()
    return f"{_lock(kind, line).name} {digest}\n"


def _is_current(place: Path, kind: str, line: str) -> bool:
    """Return whether the right lock is installed; the dev lock holds all of the run lock."""
    try:
        installed = (place / INSTALLED).read_text()
    except OSError:
        return False
    enough = {_fingerprint(kind, line), _fingerprint("dev", line)}
    return installed in enough and _works(place)


def _works(place: Path) -> bool:
    """Return whether its Python runs; the one it was made with may be gone."""
    try:
        tried = subprocess.run([place / "bin/python", "-c", ""], check=False, capture_output=True)
    except OSError:
        return False
    return tried.returncode == 0


def _build(place: Path, kind: str, line: str) -> int:
    lock = _lock(kind, line)
    _say(f"Building {place} from requirements/{lock.name} (takes a minute) …")
    try:
        venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(place)
    except (OSError, subprocess.CalledProcessError) as refusal:
        _say(
            f"The virtual environment could not be made: {refusal}\n"
            "On Debian and Ubuntu, Python's venv is a package of its own: "
            f"apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )
        return 1
    (place / OURS).touch()
    command = [place / "bin/python", "-m", "pip", "--disable-pip-version-check", "install"]
    command += ["-qq", "--require-hashes", "--only-binary", ":all:", "--requirement", lock]
    if subprocess.run(command, check=False).returncode:
        _say("The packages could not be installed; pip says why above. Run the command again.")
        return 1
    (place / INSTALLED).write_text(_fingerprint(kind, line))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
