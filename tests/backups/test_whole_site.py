"""A site with its rows, encrypted columns, files and audit log: lost, and brought back whole."""

import base64
import hashlib
import json
import secrets
import shutil
import signal
from urllib.parse import urlsplit

import pytest

from tests.backups import hosting
from tests.backups.conftest import engines, tree
from tests.backups.page import Person, blocks

APPS = "audit encryption keepsakes"
ROWS = 1000
CHECKS = {"database", "migrations", "files", "audit", "encryption"}
pytestmark = pytest.mark.slow
one_engine = pytest.mark.parametrize("engine", engines()[:1], indirect=True)


def new_key():
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"


KEY = new_key()  # one for all, so that they are hosts of one kind


@pytest.fixture
def host(new_host):
    made = new_host(HOST_APPS=APPS, HOST_ENCRYPTION_KEY=KEY)
    made.run("keepsakes", f"--fill={ROWS}", "--events=40")
    made.run("audit_seal")
    made.run("audit_checkpoint")
    return made


def told(host):
    return json.loads(host.run("keepsakes"))


def files(host):
    return {name: tree(host.root / name) for name in ("media", "sealed")}


def lose(host):
    hosting.make_empty(host)
    for name in ("media", "sealed"):
        shutil.rmtree(host.root / name)


def drill(host, *, code=0, **environment):
    """Return the findings of a drill by name, and see that it has cleaned up."""
    running = host.start("backup_drill", "--json", environment=environment)
    out, err = running.communicate(timeout=120)
    assert running.returncode == code, f"{out}\n{err}"
    done = json.loads(out.splitlines()[0])
    assert done["state"] == ("failed" if code else "good")
    assert leftovers(host) == []
    return {each["name"]: each for each in done["findings"]}, err


def leftovers(host):
    if host.url.startswith("sqlite"):
        return [path.name for path in host.root.glob(".garrison_drill*")]
    parts = urlsplit(host.url)
    place = f"{parts.hostname}:{parts.port or ''}{parts.path}"
    mark = hashlib.sha256(place.encode()).hexdigest()[:8]
    pattern = f"garrison_drill_{mark}%"
    return host.sql(f"SELECT datname FROM pg_database WHERE datname LIKE '{pattern}'")


def seals(host):
    return host.sql("SELECT count(*) FROM audit_eventseal")[0][0]


def test_the_site_has_what_a_round_trip_must_show(host):
    before = told(host)
    assert before["unused"] == [], "a field type that no column here has"
    assert before["rows"]["Keepsake"][0] == before["rows"]["Keepsake_tags"][0] == ROWS
    assert len(before["secrets"]) == 50
    assert len(before["files"]) == 20
    assert seals(host) >= 40
    kept = b"".join(files(host)["sealed"].values())
    assert kept
    assert b"hidden 1" not in kept, "what should be encrypted is"


def test_our_command_brings_the_whole_site_back(host):
    host.run("backup_create")
    before, kept = told(host), files(host)  # which takes a number from a sequence
    lose(host)
    host.run("backup_restore", "--yes")
    assert told(host) == before
    assert files(host) == kept
    assert "is whole" in host.run("audit_verify")
    host.run("keepsakes", "--events=5")
    assert json.loads(host.run("audit_seal", "--json"))["sealed"] >= 5
    host.run("audit_verify")


def verified(host):
    """Return the exit code of ``audit_verify``, and what it printed."""
    program = host.start("audit_verify")
    out, _ = program.communicate(timeout=120)
    return program.returncode, out


def restored_by_the_page(host):
    """Restore a backup that holds an event from before the last seal; no sealer runs by now."""
    host.run("keepsakes", "--events=1", "--minutes-ago=5")
    host.run("backup_create", "--only=database")
    yield
    name = hosting.database_of(host)
    host.run("backup_restore", "--only=database", "--yes", "--confirm-database", name)
    yield


def test_what_waits_for_a_sealer_after_a_restore_is_no_break(host):
    [*restored_by_the_page(host)]
    code, out = verified(host)
    assert (code, "wait for a sealer" in out, "BROKEN" in out) == (3, True, False)
    host.run("audit_seal")
    assert verified(host)[0] == 0


@one_engine
def test_a_restore_by_the_page_ends_with_a_log_that_verifies(host):
    steps = restored_by_the_page(host)
    next(steps)
    host.run("audit_seal")
    host.run("audit_checkpoint")
    next(steps)
    code, out = verified(host)
    assert (code, "truncated" in out, "unsealed" in out) == (1, True, False)
    host.run("audit_checkpoint", "--restored")
    code, out = verified(host)
    assert code == 0, out


def test_our_command_replaces_a_site_whose_evidence_cannot_be_changed(host):
    """Append-only tables refuse every change; a restore puts others in their place."""
    host.run("backup_create")
    before = told(host)
    host.run("keepsakes", "--fill=10", "--events=3")
    name = hosting.database_of(host)
    host.run("backup_restore", "--yes", "--confirm-database", name)
    assert told(host) == before
    host.run("audit_verify")
    with pytest.raises(Exception, match="append-only"):
        host.sql("DELETE FROM audit_securityevent")


def test_the_stock_tools_bring_the_whole_site_back(host, engine):
    host.run("backup_create")
    before, kept = told(host), files(host)  # which takes a number from a sequence
    with Person(host) as person:
        lose(host)
        for name in ("media", "sealed"):
            (host.root / name).mkdir()
        person.follow("manifest.age")
        assert "It is ours, and whole." in person.follow("openssl")
        assert "The database is restored." in person.restore_database()
        assert "DAMAGED" not in person.follow("files.tsv")
        person.follow("tar --create")
        (last,) = blocks("tar --create")
        person.type(f"MEDIA='{host.root / 'sealed'}'")
        person.type(last.replace("/default", "/sealed"))
    assert told(host) == before
    assert files(host) == kept
    host.run("audit_verify")
    host.run("backup_list", "--rebuild")
    assert set(drill(host)[0]) == CHECKS


# -- drills ----------------------------------------------------------------------------------------
def test_a_drill_of_a_whole_site_passes_every_app_s_own_check(host):
    host.run("backup_create")
    found, _ = drill(host)
    assert set(found) == CHECKS
    assert found["audit"]["looked_at"] >= 40
    assert found["encryption"]["looked_at"] >= 20
    assert found["files"]["looked_at"] == 40


@one_engine
def test_an_app_that_is_not_installed_is_absent_from_the_report(host):
    host.run("backup_create")
    found, _ = drill(host, HOST_APPS="encryption keepsakes")
    assert set(found) == CHECKS - {"audit"}


ONE = "(SELECT event_id FROM audit_eventseal WHERE seq = 7)"
EVENT_COLUMNS = (
    "stream, kind, severity, outcome, at, actor_id, actor_label, target, ip, location, user_agent,"
    " session_id, request_id, data"
)
# Each as somebody would do it who owns the database and not the keys: what, and how it is named.
FAULTS = {
    "an event changed": (
        f"UPDATE audit_securityevent SET actor_label = 'somebody else' WHERE id = {ONE}",
        "edited",
    ),
    "an event removed": (f"DELETE FROM audit_securityevent WHERE id = {ONE}", "deleted"),
    "an event removed with its seal": (
        (
            f"DELETE FROM audit_securityevent WHERE id = {ONE};"
            "DELETE FROM audit_eventseal WHERE seq = 7"
        ),
        "gap",
    ),
    "an event inserted with a seal": (
        (
            f"INSERT INTO audit_securityevent (id, {EVENT_COLUMNS})"
            f" SELECT {{another}}, {EVENT_COLUMNS} FROM audit_securityevent WHERE id = {ONE};"
            "INSERT INTO audit_eventseal"
            " (event_id, stream, seq, version, key_id, prev, mac, sealed_at)"
            f" SELECT (SELECT {{another}} FROM audit_securityevent WHERE id = {ONE}),"
            " stream, seq + 1, version, key_id, mac, prev, sealed_at FROM audit_eventseal"
            " WHERE seq = (SELECT max(seq) FROM audit_eventseal)"
        ),
        "forged",
    ),
    "two events that changed places": (
        (
            "UPDATE audit_eventseal SET seq = 99999 WHERE seq = 7;"
            "UPDATE audit_eventseal SET seq = 7 WHERE seq = 8;"
            "UPDATE audit_eventseal SET seq = 8 WHERE seq = 99999"
        ),
        "moved",
    ),
    "the end cut off": (
        (
            "DELETE FROM audit_securityevent WHERE id IN"
            " (SELECT event_id FROM audit_eventseal WHERE seq > 30);"
            "DELETE FROM audit_eventseal WHERE seq > 30"
        ),
        "truncated",
    ),
}


def behind_the_triggers(host, statements):
    """Change evidence as only the owner of the database can, and leave no trace in the schema."""
    tables = ("audit_securityevent", "audit_eventseal")
    is_sqlite = host.url.startswith("sqlite")
    for table in tables:
        if is_sqlite:
            host.sql(f"DROP TRIGGER {table}_no_update")
            host.sql(f"DROP TRIGGER {table}_no_delete")
        else:
            host.sql(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    another = (
        "substr(id, 1, 20) || 'ffffffffffff'"
        if is_sqlite
        else "(substr(id::text, 1, 24) || 'ffffffffffff')::uuid"
    )
    for statement in statements.format(another=another).split(";"):
        host.sql(statement)
    if is_sqlite:
        host.run("audit_protect")
    else:
        for table in tables:
            host.sql(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_chain_fails_the_drill_loudly(host, fault):
    statements, named = FAULTS[fault]
    behind_the_triggers(host, statements)
    host.run("backup_create", "--only=database")
    found, err = drill(host, code=1)
    assert {name for name, each in found.items() if not each["is_whole"]} == {"audit"}
    assert "audit: The audit log is BROKEN" in err
    assert named in err


@one_engine
def test_the_wrong_encryption_key_fails_the_drill_loudly(host):
    host.run("backup_create")
    found, err = drill(host, code=1, HOST_ENCRYPTION_KEY=new_key())
    assert {name for name, each in found.items() if not each["is_whole"]} == {"encryption"}
    assert "encryption: " in err
    assert "do not decrypt" in err


@one_engine
def test_events_and_seals_that_are_written_meanwhile_belong_to_one_snapshot(host):
    sealer = host.start("audit_seal", "--forever")
    writer = host.start("keepsakes", "--events=3000")
    before = seals(host)
    try:
        while writer.poll() is None:
            host.run("backup_create", "--only=database")
    finally:
        writer.communicate(timeout=120)
        sealer.send_signal(signal.SIGTERM)
        sealer.communicate(timeout=60)
    assert writer.returncode == sealer.returncode == 0
    assert seals(host) > before + 100
    held = set()
    for backup in host.good().values():
        running = host.run("backup_drill", backup, "--json")
        found = {each["name"]: each for each in json.loads(running)["findings"]}
        assert all(each["is_whole"] for each in found.values()), found
        held.add(found["audit"]["looked_at"])
    host.run("audit_seal")
    assert before <= min(held) < seals(host), "a part of the chain, and no more than that"
