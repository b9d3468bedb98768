"""docs/keys.md, carried out: an old and a new process side by side, through every rollout of it."""

import base64
import json
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import get_commands
from django.db import connection

from backups import signing
from config.starter import keys
from config.starter.keys import VARIABLES
from tests.architecture.house import ROOT
from tests.other_processes import environment

PAGE = (ROOT / "docs/keys.md").read_text()
SECTIONS = {
    title: re.findall(r"^```env\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
CHANGED = {title: blocks for title, blocks in SECTIONS.items() if blocks}
# What was made before the first rollout and is refused after the last; nothing else is.
ENDED = {
    "SECRET_KEY": {"half_done", "code", "cookie", "cursor"},
    "JWT_SECRET": {"access", "refresh"},
    "ENCRYPTION_KEY": {"encrypted"},
    "AUDIT_KEY": set(),
    "AUDIT_CHECKPOINT_KEY": set(),
    "BACKUP_SIGNING_SECRET": set(),
    "BACKUP_ENCRYPTION_KEY": set(),
    "LOGIN_NAME_SECRET and RATE_LIMITING_SECRET": {"login_name", "counted"},
}


class Placeholders:
    """What stands for ``<old>``, ``<new>`` and what is made of them."""

    def __init__(self, folder, settings):
        self.fresh = {"old": keys.generate(), "new": keys.generate()}
        self.folder = folder
        self.settings = settings

    def values(self, block):
        """Return a block's variables."""
        lines = dict(line.split("=", 1) for line in block.splitlines())
        named = next(iter(lines))
        return {
            name: re.sub(r"<([a-z ]+)>", lambda found: self._value(named, found[1]), text)
            for name, text in lines.items()
        }

    def _value(self, variable, words):
        kind, ages = words.split()[:-1], words.split()[-1:]
        if words == "identities old new":
            kind, ages = ["identities"], ["old", "new"]
        key = self.fresh[ages[0]].variables.get(variable, "").partition(":")
        secret = key[2] or key[0]
        if kind == ["identities"]:
            return self._identities(ages)
        if kind == ["public"]:
            seed = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret))
            return base64.b64encode(seed.public_key().public_bytes_raw()).decode()
        if kind == ["signer"]:
            self.settings.BACKUPS_SIGNING_SECRET = secret
            return signing.signer()
        return secret

    def _identities(self, ages):
        path = self.folder / "-".join(ages)
        path.write_text("".join(self.fresh[age].backup_identity + "\n" for age in ages))
        return str(path)


@contextmanager
def process(variables):
    """Run a process with these keys; gives what passes it a line and returns its answer."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.starter.keys_process"],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR", **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:

        def ask(made=None):
            running.stdin.write(json.dumps(made) + "\n")
            running.stdin.flush()
            for line in running.stdout:
                if line.startswith("= "):
                    return json.loads(line[2:])
            pytest.fail("The process ended; what it wrote stands above.")

        try:
            yield ask
        finally:
            running.stdin.close()


def refused(read):
    return {name for name, is_accepted in read.items() if not is_accepted}


def test_keys_are_changed_while_old_and_new_processes_serve(transactional_db, tmp_path, settings):
    """All at once, to begin few processes: what is made under each key depends on no other."""
    if connection.vendor != "postgresql":
        pytest.skip("Several processes share the test's database on PostgreSQL only.")
    placeholders = Placeholders(tmp_path, settings)
    at_once = [title for title, blocks in CHANGED.items() if len(blocks) == 2]
    with ExitStack() as stack:
        running = []
        for rollout in range(max(map(len, CHANGED.values()))):
            variables = {}
            for blocks in CHANGED.values():
                variables |= placeholders.values(blocks[min(rollout, len(blocks) - 1)])
            running.append(stack.enter_context(process(variables)))
        with connection.cursor() as cursor:  # what this process wrote is under a key of its own
            cursor.execute("TRUNCATE audit_securityevent CASCADE")
        first = running[0]()
        for number, (old, new) in enumerate(pairwise(running)):
            ends = set().union(*(ENDED[title] for title in at_once)) if number == 0 else set()
            assert refused(new(old())) == ends, "made by the old, read by the new"
            assert refused(old(new())) == ends, "made by the new, read by the old"
        assert refused(running[-1](first)) == set().union(*ENDED.values())


def test_the_page_has_a_row_and_a_section_for_every_key_of_the_environment():
    variables = set(keys.generate().variables)
    assert variables == {"SECRET_KEY", "BACKUP_ENCRYPTION_KEY", *VARIABLES}
    for name in variables:
        assert f"| `{name}`" in PAGE, name
        assert any(name in title for title in CHANGED), name
    assert set(CHANGED) == set(ENDED)
    assert all("**Leaked" in body for body in PAGE.split("\n## ")[3:-1])


def test_every_command_that_the_documentation_names_is_there():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {n for page in pages for n in re.findall(r"manage\.py ([a-z_]+)", page.read_text())}
    assert named - set(get_commands()) - {"startproject", "celery"} == set()
