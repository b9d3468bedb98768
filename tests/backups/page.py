"""The commands of docs/restore.md, run as an operator would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

from backups import tools
from tests.backups import hosting
from tests.backups.hosting import Host

PAGE = (hosting.ROOT / "docs/restore.md").read_text()
BLOCKS = re.findall(r"```(sh|bash)\n(.*?)```", PAGE, re.DOTALL)


def run(host: Host, kind: str, block: str, *, code: int = 0, **more: str) -> str:
    """Run one block as an operator would: in the project's folder, with the page's variables."""
    folder = Path(sys.executable).parent
    path = f"{folder}:{os.environ['PATH']}"
    environment = host.environment(**more, PATH=path)
    shell = {"sh": "sh", "bash": "bash"}[kind]
    ran = subprocess.run(
        [shell, "-e", "-c", block], cwd=host.root, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == code, f"{block}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def blocks(*words: str) -> list[tuple[str, str]]:
    return [(k, b) for k, b in BLOCKS if all(word in b for word in words)]


def variables(host: Host, folder: str) -> dict[str, str]:
    """What an operator sets before the commands for the stock tools."""
    return {
        "BACKUPS": str(host.target),
        "FOLDER": folder,
        "IDENTITY": str(host.identity_file),
        "SIGNER": host.run("backup_keygen", "--signer").strip(),
        "RESTORED": str(host.root / "restored"),
        "MEDIA": str(host.root / "media"),
    }


def stock(*words: str) -> tuple[str, str]:
    (block,) = blocks(*words)
    return block


def with_pg_restore(host: Host, block: tuple[str, str]) -> tuple[str, str]:
    """Put the server's own pg_restore in front of the path."""
    with psycopg.connect(host.url) as session:
        matching = tools.matching(session.info.server_version // 10_000)
    shim = host.root / "bin"
    shim.mkdir()
    (shim / "pg_restore").symlink_to(matching.path("pg_restore"))
    return block[0], f'PATH="{shim}:$PATH"\n{block[1]}'
