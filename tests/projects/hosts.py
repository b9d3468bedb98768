"""Host projects made of what a page of the documentation says, and of nothing else.

A page's blocks of code begin with the name of the file they belong to (``# settings.py``); they are
written behind what ``startproject`` makes. Its ``http`` blocks name requests and their answers.
"""

from __future__ import annotations

import ast
import base64
import os
import re
import secrets
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.core.management import call_command

from tests.projects import wheel

DOCS = wheel.ROOT / "docs"
BLOCK = re.compile(
    r"^```(\w+)\n(?:(?:# |\{# )(\S+\.\w+)(?: #\})?\n)?(.*?)^```$", re.MULTILINE | re.DOTALL
)
# What an administrator would put into the environment; the recipient's secret half is nowhere.
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
SWITCHES = """
import os

DEBUG = "HOST_DEBUG" in os.environ
ALLOWED_HOSTS = ["testserver"]
"""


def blocks(page: Path) -> dict[str, str]:
    """Return the page's code by the file it belongs to; blocks of one file are joined."""
    found: dict[str, str] = {}
    for _, name, code in BLOCK.findall(page.read_text()):
        if name:
            found[name] = found.get(name, "") + "\n\n" + code
    return found


def requests(page: Path) -> list[tuple[str, str, int, str]]:
    """Return the requests of the page: method, path, status, and a text the answer must hold."""
    lines = [
        line.split(" ", 3)
        for language, _, code in BLOCK.findall(page.read_text())
        if language == "http"
        for line in code.splitlines()
    ]
    return [(m, path, int(status), *(rest or [""])) for m, path, status, *rest in lines]


def extras(*pages: Path) -> tuple[str, ...]:
    """Return the extra of every ``pip install`` of the pages."""
    text = "".join(page.read_text() for page in pages)
    return tuple(sorted(set(re.findall(r"pip install 'django-garrison\[(\w+)\]'", text))))


def installed(page: Path) -> set[str]:
    """Return every text of a list that the page makes INSTALLED_APPS of."""
    return {
        part.value
        for node in ast.walk(ast.parse(blocks(page).get("settings.py", "")))
        if isinstance(node, ast.Assign | ast.AugAssign)
        and any(
            getattr(target, "id", "") == "INSTALLED_APPS"
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        )
        for part in ast.walk(node.value)
        if isinstance(part, ast.Constant)
    }


@dataclass(frozen=True)
class Host:
    """A project in a folder of its own, called ``mysite``."""

    folder: Path
    extras: tuple[str, ...] | None = None

    def run(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        """Run a program in the folder and return what it wrote; raise where it fails.

        With ``extras`` it imports the wheel and what they bring, else all of this environment.
        """
        alone = self.extras is not None
        ours = wheel.installed(*self.extras) if alone else wheel.ROOT
        ran = subprocess.run(
            [sys.executable, *(["-S"] if alone else []), *arguments],
            cwd=self.folder,
            env={**_environment(), **(environment or {}), "PYTHONPATH": f"{self.folder}:{ours}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def append(self, name: str, code: str) -> None:
        """Write code at the end of a file of the project."""
        with (self.folder / "mysite" / name).open("a") as file:
            file.write(f"\n\n{code}")


def start(folder: Path, *pages: Path, foreign_user: bool = False) -> Host:
    """Make the project with ``startproject`` and write the pages' lines into it.

    ``HOST_DEBUG`` in the environment switches ``DEBUG`` on.
    """
    host = Host(folder, extras(*pages))
    call_command("startproject", "mysite", folder)
    (folder / "tests").symlink_to(wheel.ROOT / "tests")
    for page in pages:
        for name, code in blocks(page).items():
            host.append(name, code)
    host.append(
        "settings.py",
        "import os\n\nDEBUG = 'HOST_DEBUG' in os.environ\nALLOWED_HOSTS = ['testserver']\n",
    )
    if foreign_user:
        host.append(
            "settings.py",
            "INSTALLED_APPS = [*INSTALLED_APPS, 'tests.projects.foreign']\n"
            "AUTH_USER_MODEL = 'foreign.Person'\n",
        )
    return host


@cache
def _environment() -> dict[str, str]:
    def key() -> str:
        return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"

    return {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "PYTHONWARNINGS": "default",
        "REDIS_URL": os.environ.get("REDIS_URL", "redis://127.0.0.1:1/0"),
        "JWT_SECRET": secrets.token_urlsafe(50),
        "AUDIT_KEY": key(),
        "AUDIT_CHECKPOINT_KEY": key(),
        "ENCRYPTION_KEY": key(),
        "BACKUP_ENCRYPTION_KEY": RECIPIENT,
    }
