"""Finding programs, reading keys, and what the checks say."""

import os
import sys
import time

import pytest
from django.db import connections
from django.utils import timezone
from pyrage import x25519

from backups import checks, keys, services, signing, tools
from backups.dumpers.connection import environment
from backups.errors import (
    BackupDamaged,
    IdentityMissing,
    ProgramFailed,
    RecipientInvalid,
    RecipientMissing,
    SignerUnknown,
    ToolMissing,
)
from backups.processes import Program


def fake_tools(folder, version):
    folder.mkdir(parents=True)
    for name in tools.NEEDED:
        path = folder / name
        path.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        path.chmod(0o755)
    return folder


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Only the versions of this test are on the machine."""

    def install(*versions):
        folders = [fake_tools(tmp_path / version, version) for version in versions]
        monkeypatch.setattr(tools, "_folders", lambda: iter(folders))

    return install


def test_the_tools_of_the_servers_own_version_are_taken(installed):
    installed("15.18", "18.4", "16.14", "17.2")
    assert [tools.matching(major).major for major in (15, 16, 17, 18)] == [15, 16, 17, 18]


def test_newer_tools_are_taken_where_there_are_none_of_the_same_version(installed):
    installed("15.18", "18.4", "17.2")
    assert tools.matching(16).major == 17


def test_older_tools_are_refused_with_what_is_needed(installed):
    installed("15.18", "16.14")
    with pytest.raises(ToolMissing) as refused:
        tools.matching(18)
    for word in ("PostgreSQL 18", "15.18", "16.14", "postgresql-client-18", "pg_restore"):
        assert word in refused.value.detail


def test_a_machine_without_any_tools_is_told_so(installed):
    installed()
    with pytest.raises(ToolMissing, match="none at all"):
        tools.matching(18)


def test_a_named_folder_is_meant(tmp_path, settings):
    settings.BACKUPS_POSTGRESQL_TOOLS = str(fake_tools(tmp_path / "named", "99.1"))
    assert tools.matching(18).major == 99
    settings.BACKUPS_POSTGRESQL_TOOLS = str(tmp_path / "empty")
    with pytest.raises(ToolMissing):
        tools.matching(18)


def test_a_half_installed_folder_is_passed_over(tmp_path, settings):
    folder = fake_tools(tmp_path / "half", "18.1")
    (folder / "psql").unlink()
    settings.BACKUPS_POSTGRESQL_TOOLS = str(folder)
    with pytest.raises(ToolMissing):
        tools.matching(18)


@pytest.mark.postgresql
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_server_that_is_newer_than_every_tool_is_refused_before_anything_starts(site, installed):
    installed("12.1")
    with pytest.raises(ToolMissing):
        site.back_up()
    assert not site.target.exists() or not list(site.target.iterdir())


@pytest.mark.postgresql
@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_environment_of_programs_is_minimal(site, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    found = environment("source")
    assert found["PGDATABASE"] == site.database
    monkeypatch.setitem(connections["source"].settings_dict, "PASSWORD", "hunter3")
    assert environment("source")["PGPASSWORD"] == "hunter3"
    options = {"ssl_min_protocol_version": "TLSv1.3", "sslmode": "verify-full", "pool": True}
    options |= {"options": "-c statement_timeout=1", "client_encoding": "LATIN1"}
    monkeypatch.setitem(connections["source"].settings_dict, "OPTIONS", options)
    added = {**environment("source")}.items() - found.items()
    assert {name for name, _ in added} == {"PGPASSWORD", "PGSSLMODE", "PGSSLMINPROTOCOLVERSION"}
    assert "hunter2" not in str(found)
    assert not {"SECRET_KEY", "ENCRYPTION_KEY", "DATABASE_URL", "PGPASSFILE"} & set(found)


# -- programs --------------------------------------------------------------------------------------
@pytest.fixture(autouse=True)
def patience(settings):
    settings.BACKUPS_TIMEOUT_SECONDS = 30


def program(code, **options):
    return Program([sys.executable, "-c", code], environment=dict(os.environ), **options)


def read_all(running):
    found = b""
    while chunk := running.read(1000):
        found += chunk
    return found


def test_the_end_comes_only_after_exit_code_zero():
    with program("print('x' * 5000)") as running:
        assert read_all(running).strip() == b"x" * 5000
    with program("print('half'); import sys; sys.exit('it broke')") as running:
        assert running.read(4) == b"half"
        with pytest.raises(ProgramFailed, match="it broke"):
            read_all(running)


def test_a_program_that_floods_stderr_does_not_hang():
    code = "import sys; sys.stderr.write('e' * 3_000_000); print('done')"
    with program(code) as running:
        assert read_all(running).strip() == b"done"


def test_a_program_that_takes_too_long_is_killed_with_its_children(settings, tmp_path):
    settings.BACKUPS_TIMEOUT_SECONDS = 1
    mark = tmp_path / "child"
    child = f"import time; time.sleep(3); open({str(mark)!r}, 'w')"
    code = (
        "import subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    with program(code) as running, pytest.raises(ProgramFailed, match="too long"):
        running.read(10)
    time.sleep(3)
    assert not mark.exists()


def test_a_program_that_is_left_early_is_killed():
    with program("import time\nwhile True: print('x' * 999, flush=True)") as running:
        assert running.read(10)
    assert running._process.returncode is not None


def test_messages_of_the_server_are_told_without_the_rows_they_quote():
    code = (
        "import sys; sys.stderr.write('ERROR:  duplicate key\\n"
        "DETAIL:  Key (email)=(ada@x.org) exists\\n"
        "CONTEXT:  COPY person, line 3'); sys.exit(3)"
    )
    with program(code) as running, pytest.raises(ProgramFailed) as failed:
        running.read(1)
    assert "duplicate key" in failed.value.detail
    assert "ada@x.org" not in failed.value.detail
    assert "code 3" in failed.value.detail


# -- keys ------------------------------------------------------------------------------------------
def test_recipients_are_needed_unless_plain_text_is_asked_for(settings):
    settings.BACKUPS_RECIPIENTS = []
    with pytest.raises(RecipientMissing, match="BACKUP_ENCRYPTION_KEY"):
        keys.recipients()
    settings.BACKUPS_ALLOW_UNENCRYPTED = True
    assert not keys.recipients()
    assert [m.id for m in checks.check_recipients(None)] == ["backups.W002"]


def test_a_secret_key_among_the_recipients_is_refused_and_not_shown(settings):
    secret = str(x25519.Identity.generate())
    settings.BACKUPS_RECIPIENTS = [secret]
    with pytest.raises(RecipientInvalid, match="is a secret key") as refused:
        keys.recipients()
    assert secret not in refused.value.detail
    (message,) = checks.check_recipients(None)
    assert message.id == "backups.E003"
    assert secret not in str(message)


@pytest.mark.parametrize("text", ["age1", "nonsense", "age1" + "q" * 58, "ssh-rsa AAAA", "ü"])
def test_a_malformed_recipient_is_refused(settings, text):
    settings.BACKUPS_RECIPIENTS = [text]
    with pytest.raises(RecipientInvalid, match="Entry 1"):
        keys.recipients()


def test_an_identity_file_is_read_as_age_writes_it(tmp_path):
    one, two = keys.generate(), keys.generate()
    path = tmp_path / "keys"
    path.write_text(f"# a comment\n\n{one[0]}\n{two[0]}")
    assert [str(key.to_public()) for key in keys.identities(str(path))] == [one[1], two[1]]


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"nonsense\n", b"\xff\xfe", b"a\0b"]
)
def test_an_identity_file_without_a_key_is_refused(tmp_path, content):
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(IdentityMissing):
        keys.identities(str(path))
    with pytest.raises(IdentityMissing, match="cannot be read"):
        keys.identities(str(tmp_path / "nowhere"))


def test_a_signature_of_a_former_key_is_believed_and_a_stranger_s_is_not(settings):
    old = signing.signer()
    signature = signing.sign(b"body")
    settings.BACKUPS_SIGNING_SECRET = "another secret of this site"
    with pytest.raises(SignerUnknown, match="not a key of this site"):
        signing.require_genuine(body=b"body", signer=old, signature=signature)
    settings.BACKUPS_TRUSTED_SIGNERS = [old]
    signing.require_genuine(body=b"body", signer=old, signature=signature)
    with pytest.raises(BackupDamaged, match="altered"):
        signing.require_genuine(body=b"body.", signer=old, signature=signature)


def test_a_rotated_secret_key_still_vouches_through_the_fallbacks(settings):
    old, signature = signing.signer(), signing.sign(b"body")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new secret key of this site, long enough to be one"
    assert signing.signer() != old
    signing.require_genuine(body=b"body", signer=old, signature=signature)


def test_every_slot_is_one_a_day(settings):
    import doctest

    from backups import times

    assert doctest.testmod(times).failed == 0
    assert doctest.testmod(times).attempted > 0


def test_plain_text_backups_go_all_the_way_when_asked_for(site):
    site.settings.BACKUPS_RECIPIENTS = []
    site.settings.BACKUPS_ALLOW_UNENCRYPTED = True
    backup = site.back_up()
    assert {p.suffix for p in (site.target / backup.folder).iterdir()} == {".gz", ""}
    site.settings.BACKUPS_IDENTITY_FILE = ""
    assert services.verify(now=timezone.now())["backups"].level == "opened"
    assert services.find().manifest.recipients == []
