"""The commands of docs/restore.md, run as an operator would."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
from pathlib import Path
from typing import Self

import psycopg

from backups import tools
from tests.backups import hosting
from tests.backups.hosting import Host

PAGE = (hosting.ROOT / "docs/restore.md").read_text()
BLOCKS = re.findall(r"```(sh|bash)\n(.*?)```", PAGE, re.DOTALL)
NAMES = re.findall(
    r"^([A-Z]+)=\S+ +#", PAGE, re.MULTILINE
)  # what a person sets to their own values
PATIENCE_SECONDS = 60
STOCK = "/usr/bin:/bin"  # Debian's tools and nobody else's
PROMPT = "\x01ready\x01"  # of the shell, for the next line of a command too


def run(host: Host, block: str, **more: str) -> str:
    """Run one block of our own commands: in the project's folder, with the page's variables."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["sh", "-e", "-c", block], cwd=host.root, env=host.environment(**more, PATH=path),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, f"{block}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def blocks(*words: str) -> list[str]:
    return [block for _, block in BLOCKS if all(word in block for word in words)]


class Person:
    """Somebody at a terminal, whose shell has only Debian's tools and the page's names."""

    def __init__(self, host: Host, **known: str) -> None:
        """Sit down before ``sh``, type ``bash`` as the page says, and set the names."""
        (folder,) = host.good()
        self.known = {
            "BACKUPS": str(host.target),
            "FOLDER": folder,
            "IDENTITY": str(host.identity_file),
            "SIGNER": host.run("backup_keygen", "--signer").strip(),
            "RESTORED": str(host.root / "restored"),
            "MEDIA": str(host.root / "media"),
            "DATABASE": host.url.removeprefix("sqlite://"),
            "POSTGRESQL": _fitting(host),
            **known,
        }
        assert set(NAMES) == set(self.known), "the page names what it needs"
        self._ours, theirs = pty.openpty()
        settings = termios.tcgetattr(theirs)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, settings)
        termios.tcsetwinsize(theirs, (24, 80))
        prompt = {"PS1": PROMPT, "PS2": PROMPT}
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", "sh", "-i"],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=host.root,
            env={"PATH": STOCK, "HOME": str(host.root), "TERM": "dumb", **prompt},
        )  # fmt: skip
        os.close(theirs)
        self._read()
        self.type("bash --noediting --norc")
        for name, value in self.known.items():
            self.type(f"{name}='{value}'")

    def type(self, text: str) -> str:
        """Type it, line by line, as the shell asks for them; return what the terminal shows."""
        told = ""
        for line in text.rstrip("\n").split("\n"):
            os.write(self._ours, line.encode() + b"\n")
            told += self._read()
        return told

    def follow(self, *words: str) -> str:
        """Type the block of the page that holds the words."""
        (block,) = blocks(*words)
        return self.type(block)

    def restore_database(self) -> str:
        """Follow the page's part on the database."""
        return self.follow('pg_restore"' if "://" in self.known["DATABASE"] else "sqlite3.gz")

    def _read(self) -> str:
        """Read until the shell asks for more; a shell that has ended does not."""
        seen, prompt = b"", PROMPT.encode()
        while not seen.endswith(prompt):
            assert select.select([self._ours], [], [], PATIENCE_SECONDS)[0], f"it waits: {seen!r}"
            seen += os.read(self._ours, 65536)
        return seen.removesuffix(prompt).decode(errors="replace").replace("\r\n", "\n")

    def __enter__(self) -> Self:
        """Return the person."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        os.close(self._ours)
        self._shell.kill()
        self._shell.wait()


def _fitting(host: Host) -> str:
    """Return the folder of the programs that fit the host's server, which a person looks up."""
    if host.url.startswith("sqlite"):
        return "/none"
    with psycopg.connect(host.url) as session:
        return str(tools.matching(session.info.server_version // 10_000).folder)
