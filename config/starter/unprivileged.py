"""Running PostgreSQL when we are root, which it refuses to be.

It then runs as an existing unprivileged user, in a folder of its own under ``/var/tmp``. The
permissions of folders that exist are never opened for it: where that user cannot reach the virtual
environment, it is given a copy of the server, which root owns.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.starter.failure import StartFailure

SHARED_TEMPORARY = Path("/var/tmp")  # noqa: S108 - survives a reboot; what is made there is checked
UNPRIVILEGED_USERS = ("nobody", "daemon")  # POSIX systems have them; initdb needs a passwd entry
ONLY_PASSING_THROUGH = 0o711


@dataclass(frozen=True)
class Account:
    """The user that a program runs as; with ``uid`` None that is ourselves."""

    uid: int | None = None
    gid: int | None = None

    def launch_options(self) -> dict[str, Any]:
        """Return the arguments of ``subprocess`` that switch to this user."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Hand a path of ours over."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def account() -> Account:
    """Choose the user: ourselves, or, for root, an unprivileged one that exists."""
    if os.geteuid() != 0:
        return Account()
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise StartFailure(
        "PostgreSQL refuses to run as root, and this system has no user 'nobody'. "
        "Run as an ordinary user, or set DATABASE_URL to a server of your own."
    )


def home_for(var_dir: Path) -> Path:
    """Name root's folder for this checkout, so that two checkouts never meet."""
    digest = hashlib.sha256(os.fsencode(var_dir.absolute())).hexdigest()[:16]
    return SHARED_TEMPORARY / f"garrison-{digest}"


def make_home(home: Path) -> None:
    """Create root's folder, or make sure that the one which exists is root's and nobody else's.

    ``/var/tmp`` is everybody's: a folder of that name, or a link, may have been put there by
    somebody who waits for us to write into it.
    """
    try:
        home.mkdir(mode=0o700)
        home.chmod(ONLY_PASSING_THROUGH)
    except FileExistsError:
        found = home.lstat()
        trusted = stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022
        if not trusted:
            raise StartFailure(
                f"{home} exists and is not a folder that only root can write to. "
                "Look at who made it, and remove it."
            ) from None
    except OSError as refusal:
        raise StartFailure(f"{home} cannot be made: {refusal.strerror}.") from refusal


def can_run(program: Path, runner: Account) -> bool:
    """Tell by trying whether that user can reach and run a program."""
    try:
        tried = subprocess.run(  # noqa: S603 - a program from our own wheel
            [str(program), "--version"],
            cwd="/",
            env={"LC_ALL": "C"},
            capture_output=True,
            check=False,
            timeout=30,
            **runner.launch_options(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0


def copy_of(build: Path, home: Path) -> Path:
    """Get root's copy of a server build in ``home``, made when it is missing or of another build.

    The wheel's shared libraries stand beside the package and are found by relative path, so the
    copy keeps the layout ``<package>.libs/`` and ``<package>/<build>/``.
    """
    package = build.parent
    place = home / f"server-{_fingerprint(build)}"
    copied = place / package.name / build.name
    if copied.is_dir():
        return copied
    draft = home / "server.partial"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        shutil.copytree(build, draft / package.name / build.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        _readable_to_all(draft)
        draft.rename(place)
    except OSError as refusal:
        shutil.rmtree(draft, ignore_errors=True)
        raise StartFailure(
            f"PostgreSQL's programs cannot be copied to {home}: {refusal.strerror}."
        ) from refusal
    for older in home.glob("server-*"):
        if older != place:
            shutil.rmtree(older, ignore_errors=True)
    return copied


def _fingerprint(build: Path) -> str:
    found = (build / "bin" / "postgres").stat()
    return f"{found.st_size:x}-{found.st_mtime_ns:x}"


def _readable_to_all(tree: Path) -> None:
    """Let everyone read and run the copy; only root, its owner, can write to it."""
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
