"""By command: what is told, what is refused, and which exit code."""

import io
import json
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.models import SecurityEvent
from backups import health, keys, services, signing
from backups.management.commands import _base
from backups.models import Backup
from backups.services import indexing
from garrison.health import Status
from tests.backups.conftest import engines, storages, tree
from tests.backups.storages import Failing, Objects

pytestmark = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


def output(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_the_commands_make_list_verify_and_drill(site, capsys):
    call_command("backup_create", "--json")
    made = output(capsys)
    assert made["copies"] == {"backups": "good"}
    call_command("backup_list", "--json")
    assert [row["id"] for row in output(capsys)["backups"]] == [made["id"]]
    call_command("backup_list", "--on-targets", "--json")
    assert output(capsys)["targets"] == {"backups": [made["folder"]]}
    call_command("backup_verify", "--all", "--json")
    assert output(capsys)["level"] == "opened"
    call_command("backup_drill", "--json")
    assert output(capsys)["state"] == "good"
    for command in ("backup_list", "backup_verify", "backup_drill"):
        call_command(command)
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["backup_verify", "nope"],
        ["backup_verify", ""],
        ["backup_verify", "--target", "nope"],
        ["backup_verify", "--identity", "nope"],
        ["backup_verify", "20990101T000000000Z-000000000000"],
        ["backup_drill", "nope"],
        ["backup_restore", "nope"],
        ["backup_restore", "--target", "nope"],
        ["backup_restore", "--table", "nope"],
        ["backup_restore", "--table", "note", "--into-schema", "public"],
        ["backup_restore", "--table", ""],
        ["backup_restore", "--yes", "--confirm-database", "nope"],
    ],
    ids=str,
)
def test_a_bad_argument_beside_a_good_backup_changes_nothing(site, arguments):
    backup = site.back_up()
    with pytest.raises(CommandError, match=r"\w.*\.$") as refused:
        call_command(*arguments)
    is_asked = arguments[0] == "backup_verify" and arguments[1]
    assert refused.value.returncode == (2 if is_asked else 1)
    backup.refresh_from_db()
    assert (backup.damage, backup.indeterminate) == ("", "")
    assert Backup.objects.count() == 1


def test_verification_has_three_outcomes_and_an_exit_code_for_each(site, capsys, tmp_path):
    """A key that is out of reach proves nothing; what was found damaged stays so without it."""
    backup = site.back_up()
    identity, secret = site.settings.BACKUPS_IDENTITY_FILE, site.settings.SECRET_KEY
    other = tmp_path / "other"
    other.write_text(keys.generate()[0])

    def verify():
        code = 0
        try:
            call_command("backup_verify", backup.folder)
        except CommandError as refusal:
            code = refusal.returncode
        backup.refresh_from_db()
        return code, backup.copies.get().state, bool(backup.damage), bool(backup.indeterminate)

    site.settings.BACKUPS_IDENTITY_FILE = str(other)
    assert verify() == (3, "good", False, True)
    assert "INDETERMINATE" in listed(capsys)
    found = services.status(now=timezone.now())
    assert (found.damaged, found.indeterminate) == (0, 1)
    assert health.backups().status is Status.DEGRADED
    site.settings.BACKUPS_IDENTITY_FILE = identity

    site.settings.SECRET_KEY = secret + "another"
    assert verify() == (3, "good", False, True)
    assert "BACKUPS_TRUSTED_SIGNERS" in backup.indeterminate
    site.settings.SECRET_KEY_FALLBACKS = [secret]
    assert verify() == (0, "good", False, False)

    part = next((site.target / backup.folder).glob("database.*"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-1])
    assert verify() == (1, "damaged", True, False)
    site.settings.SECRET_KEY_FALLBACKS = []
    assert verify() == (3, "damaged", True, True)
    site.settings.SECRET_KEY_FALLBACKS = [secret]
    part.write_bytes(whole)
    assert verify() == (0, "good", False, False)

    away = site.target.rename(site.target.with_name("away"))
    site.target.write_text("no folder")
    assert verify()[:3] == (3, "good", False), "a target that is away is no damage"
    site.target.unlink()
    away.rename(site.target)
    found = SecurityEvent.objects.of_kinds(["backups.verification.indeterminate"])
    assert {event.data["reason"] for event in found} == {
        "backup_identity_wrong", "backup_signer_unknown", "backup_target_failed"
    }  # fmt: skip


def listed(capsys):
    capsys.readouterr()
    call_command("backup_list")
    return capsys.readouterr().out


def test_a_restore_by_command_prints_its_plan_and_waits_to_be_told(site, capsys):
    call_command("backup_create")
    site.execute("INSERT INTO note VALUES (4, 'new')")
    call_command("backup_restore")
    told = capsys.readouterr().out
    assert "REPLACE ALL DATA" in told
    assert f"--yes --confirm-database {services.plan(services.find()).to_confirm[0]}" in told
    assert site.execute("SELECT count(*) FROM note") == [(4,)]
    with pytest.raises(CommandError, match="holds data"):
        call_command("backup_restore", "--yes")
    (name,) = services.plan(services.find()).to_confirm
    call_command("backup_restore", "--yes", "--confirm-database", name, "--json")
    assert output(capsys)["done"] is True
    assert site.execute("SELECT count(*) FROM note") == [(3,)]
    call_command("backup_restore", "--table", "note", "--into-schema", "rescue")
    assert "Would bring" in capsys.readouterr().out
    call_command("backup_restore", "--table", "note", "--into-schema", "rescue", "--yes", "--json")
    assert output(capsys)["rows"] == 3, "the one made for safety must be named"


def test_a_refusal_is_an_exit_code_and_a_sentence(site, capsys):
    site.settings.BACKUPS_RECIPIENTS = []
    with pytest.raises(CommandError, match="backup_keygen") as refused:
        call_command("backup_create", "--json")
    assert refused.value.returncode == 1
    assert output(capsys)["code"] == "backup_recipient_missing"


def test_a_drill_that_finds_something_is_an_exit_code(site, capsys):
    call_command("backup_create")
    next((site.target / "files").rglob("*.age")).unlink()
    with pytest.raises(CommandError, match="not whole"):
        call_command("backup_drill", "--json")
    with pytest.raises(CommandError):
        call_command("backup_verify")


def test_pruning_by_command_tells_before_it_does(site, capsys):
    site.settings.BACKUPS_KEEP_LAST = 1
    site.settings.BACKUPS_KEEP_WEEKLY = site.settings.BACKUPS_KEEP_MONTHLY = 0
    old = site.back_up()
    Backup.objects.update(snapshot_at=timezone.now() - timedelta(days=50))
    site.back_up()
    call_command("backup_prune", "--dry-run", "--json")
    assert output(capsys)["backups"] == [old.folder]
    assert Backup.objects.good().count() == 2
    call_command("backup_prune")
    assert old.folder in capsys.readouterr().out
    assert Backup.objects.good().count() == 1


def test_cron_without_beat_makes_the_night_once(site, capsys):
    call_command("backup_create", "--if-due", "--json")
    assert output(capsys)["copies"] == {"backups": "good"}
    call_command("backup_create", "--if-due", "--json")
    assert output(capsys) == {"id": None}
    assert Backup.objects.get().kind == "scheduled"


def test_keygen_writes_the_secret_to_a_new_file_only(site, capsys):
    path = site.root / "new-identity.txt"
    call_command("backup_keygen", "--output", str(path))
    told = capsys.readouterr().out
    assert "AGE-SECRET-KEY" not in told
    assert "age1" in told
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    with pytest.raises(CommandError, match="never overwritten"):
        call_command("backup_keygen", "--output", str(path))
    assert path.read_text() == before
    call_command("backup_keygen", "--signer", "--json")
    assert output(capsys) == {"signer": signing.signer()}
    with pytest.raises(CommandError, match="--output"):
        call_command("backup_keygen")


def test_after_a_rotation_the_new_key_lists_and_checks_the_old_manifests(site, capsys):
    backup = site.back_up()
    new = site.root / "new-identity.txt"
    call_command("backup_keygen", "--output", str(new), "--json")
    site.settings.BACKUPS_RECIPIENTS = [output(capsys)["recipient"]]
    call_command("backup_keygen", "--reseal-manifests", "--json")
    assert output(capsys) == {"resealed": 1, "failures": 0}
    names = sorted(path.name for path in (site.target / backup.folder).glob("manifest*"))
    assert names == ["manifest.1.age"]
    opened = services.find(identity_file=str(new))
    assert opened.manifest.recipients == [site.recipient], "it still names who opens the parts"
    services.verify(now=timezone.now())  # by the old key alone: it opens both


def test_a_manifest_is_encrypted_again_under_the_signer_in_use(site, capsys):
    """Resealing after the signing secret was changed must leave what can be read."""
    backup = site.back_up()
    old, before = signing.signer(), site.settings.SECRET_KEY
    site.settings.SECRET_KEY, site.settings.SECRET_KEY_FALLBACKS = "another-" * 9, [before]
    assert signing.signer() != old
    call_command("backup_keygen", "--reseal-manifests", "--json")
    assert output(capsys) == {"resealed": 1, "failures": 0}
    backup.refresh_from_db()
    assert backup.signer == signing.signer()
    assert set(services.verify(now=timezone.now())) == {"backups"}
    site.settings.SECRET_KEY_FALLBACKS = []
    assert indexing.rebuild(now=timezone.now()) == 1


def test_a_manifest_is_encrypted_again_on_every_target_or_on_none(site, capsys, monkeypatch):
    Objects.stores.clear()
    other = {"BACKEND": "tests.backups.storages.Failing", "OPTIONS": {"bucket": "other"}}
    site.settings.STORAGES = storages(site.root, other=other)
    site.settings.BACKUPS_TARGETS = ["backups", "other"]
    backup = site.back_up()
    before = tree(site.target)
    with monkeypatch.context() as broken:
        broken.setattr(Failing, "every", 1)
        with pytest.raises(CommandError, match="Some manifests"):
            call_command("backup_keygen", "--reseal-manifests", "--json")
    assert output(capsys) == {"resealed": 0, "failures": 2}
    assert tree(site.target) == before
    assert set(services.verify(now=timezone.now())) == {"backups", "other"}
    call_command("backup_keygen", "--reseal-manifests", "--json")
    assert output(capsys) == {"resealed": 2, "failures": 0}
    assert f"{backup.folder}/manifest.1.age" in tree(site.target).keys() & Objects.stores["other"]


def test_a_terminal_sees_how_far_it_is_and_a_log_does_not(site, monkeypatch):
    told = io.StringIO()
    call_command("backup_create", stderr=told)
    assert told.getvalue() == ""
    monkeypatch.setattr(_base, "BETWEEN_LINES", 0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    call_command("backup_create", stderr=told)
    stages = [line.split(" ")[0] for line in told.getvalue().split("\r\x1b[K")]
    assert list(dict.fromkeys(stages[1:])) == ["database", "checksums", "files", "manifest"]
    assert "%" in told.getvalue() or site.engine == "sqlite"
    assert "\n" not in told.getvalue(), "one line that changes"


class Terminal(io.StringIO):
    def isatty(self):
        return True
